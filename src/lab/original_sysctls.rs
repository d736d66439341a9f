//! Notes: what a sysctl of a lab's namespace was before the lab set it, kept in the namespace itself.
//!
//! A note is an alternative name of the namespace's loopback: there may be as many as there are settings, while an
//! alias has 255 bytes for all of them.

use super::names::{setting_folder, setting_of_folder};
use super::{SysctlKey, SysctlValue};

const PREFIX: &str = "was:";

/// The longest alternative name that the kernel takes, in bytes (ALTIFNAMSIZ less the closing zero).
const LONGEST: usize = 127;

/// The note of a former value, `was:net.ipv4.tcp_rmem=4096+131072+6291456`: `ip` takes neither blanks nor `/` in a
/// name, so `+` and `%` stand for them. None where it cannot be written, or not be read back.
pub(crate) fn note(key: &SysctlKey, was: &SysctlValue) -> Option<String> {
    let text = format!("{PREFIX}{}={}", setting_folder(key), was.as_str().replace(' ', "+"));
    let can_be_read = !was.as_str().contains(['+', '/', '%']);
    (can_be_read && text.len() <= LONGEST).then_some(text)
}

/// The setting and its former value that an alternative name notes, if it is a note.
pub(crate) fn noted(name: &str) -> Option<(SysctlKey, SysctlValue)> {
    let (key, was) = name.strip_prefix(PREFIX)?.split_once('=')?;
    Some((setting_of_folder(key)?, was.replace('+', " ").parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_are_written() {
        for (key, was, text) in [
            ("net.ipv4.ip_forward", "0", "was:net.ipv4.ip_forward=0"),
            ("net.ipv4.tcp_rmem", "4096 131072 6291456", "was:net.ipv4.tcp_rmem=4096+131072+6291456"),
            ("net.ipv4.conf.eth0/1.rp_filter", "2", "was:net.ipv4.conf.eth0%1.rp_filter=2"),
        ] {
            let (key, was): (SysctlKey, SysctlValue) = (key.parse().unwrap(), was.parse().unwrap());
            assert_eq!(note(&key, &was).as_deref(), Some(text));
            assert_eq!(noted(text), Some((key, was)));
        }
    }

    #[test]
    fn what_could_not_be_read_back_is_not_noted() {
        let key: SysctlKey = "net.ipv4.ip_forward".parse().unwrap();
        for was in ["1+1", "a/b", &"1".repeat(104)] {
            assert_eq!(note(&key, &was.parse().unwrap()), None, "{was}");
        }
        for name in ["was:", "was:net.x", "was:net.x=", "net.x=1", "was:kernel.x=1", "uplink"] {
            assert_eq!(noted(name), None, "{name}");
        }
    }
}
