//! What the kernel changes along with forwarding.
//!
//! Writing `net.ipv4.ip_forward` or `net.ipv6.conf.all.forwarding` sets `forwarding` of every interface and of
//! `default` to the same value, and the first of them turns `net.ipv4.conf.all.accept_redirects` as well
//! (Documentation/networking/ip-sysctl; `inet_forward_change` and `addrconf_fixup_forwarding` in the kernel). So these
//! are kept before the first change.

use super::{read_here, write_here};
use crate::kernel::KernelError;
use crate::lab::{NsName, SysctlKey};

/// What stands below `/proc/sys` to a setting: the folder of its interfaces, and what else it turns.
fn companions(key: &SysctlKey) -> Option<(&'static str, &'static [&'static str])> {
    if *key == SysctlKey::ipv4_forwarding() {
        Some(("net.ipv4.conf", &["net.ipv4.conf.all.accept_redirects"]))
    } else if *key == SysctlKey::ipv6_forwarding() {
        Some(("net.ipv6.conf", &[]))
    } else {
        None
    }
}

/// The present values of what the kernel changes along with a setting, a line `KEY VALUE` for each; none where it
/// changes nothing else. In this thread's namespace.
pub(super) fn along_with(key: &SysctlKey) -> Result<Option<String>, KernelError> {
    let Some((folder, others)) = companions(key) else { return Ok(None) };
    let mut keys: Vec<SysctlKey> = others.iter().filter_map(|key| key.parse().ok()).collect();
    // Where the kernel has no IPv6 there is no such folder.
    for entry in std::fs::read_dir(format!("/proc/sys/{}", folder.replace('.', "/"))).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().replace('.', "/");
        // An interface whose name is no name for a sysctl cannot be written either.
        keys.extend(format!("{folder}.{name}.forwarding").parse().ok());
    }
    let mut lines = String::new();
    for other in keys.iter().filter(|other| **other != *key) {
        if let Some(value) = read_here(other)? {
            lines.push_str(&format!("{other} {}\n", value.trim_end()));
        }
    }
    Ok(Some(lines))
}

/// Writes back what [`along_with`] has found, where it differs. Interfaces that are gone are passed over, and those
/// that came later are left alone. In this thread's namespace.
pub(super) fn put_back(lines: &str) -> Result<(), KernelError> {
    for (key, was) in lines.lines().filter_map(|line| line.split_once(' ')) {
        let Ok(key) = key.parse::<SysctlKey>() else { continue };
        if read_here(&key)?.is_some_and(|is| is.trim_end() != was) {
            write_here(&NsName::host(), &key, was)?;
        }
    }
    Ok(())
}
