//! Names that are safe to become paths, arguments and rules.
//!
//! nslab runs as root, and every name of a topology file ends up in a path below `/run`, on a command line or in a
//! firewall rule. Each kind of name is checked here, once, and is a type of its own from then on: no other
//! room has to ask whether a name is a good one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Why a text is not a good name. The message completes the sentence "`text` …".
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("is empty")]
    Empty,
    /// Longer than the kernel (or we) can hold.
    #[error("is {len} bytes long; {what} has at most {max}")]
    TooLong {
        /// What kind of name.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The greatest length in bytes.
        max: usize,
    },
    /// A character that is not allowed, or not allowed at the start.
    #[error("may not contain {0:?}: {1}")]
    Character(char, &'static str),
    /// The first character would make it look like an option or a hidden file.
    #[error("may not begin with {0:?}: {1}")]
    First(char, &'static str),
    /// A word that means something else.
    #[error("is a reserved word: {0}")]
    Reserved(&'static str),
    /// Not of the form that such a name has.
    #[error("{0}")]
    Form(&'static str),
}

/// Defines a name type whose only way in is its check; where there are several spellings, the last word is a function
/// that finds the one that is kept.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $check:path $(, $spelling:path)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                $(let text = $spelling(text);)?
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }
    };
}

name_type!(
    /// A lab's name: 1 to 16 letters, digits, `-` and `_`, the first a letter or digit; not `host`. The length leaves
    /// room for [`ChainName`]s, which iptables limits to 28 bytes.
    LabName,
    check_lab
);
name_type!(
    /// A network namespace's name, as `ip netns` shows it: 1 to 63 letters, digits, `.`, `-` and `_`, the first
    /// a letter or digit. `host` is the machine that nslab runs on.
    NsName,
    check_namespace
);
name_type!(
    /// An interface's name: 1 to 15 bytes (IFNAMSIZ less the closing zero), of letters, digits, `.`, `-`, `_` and
    /// `@`, the first a letter or digit; not `all` or `default`, which are folders of `/proc/sys/net/*/conf`.
    IfName,
    check_interface
);
name_type!(
    /// A sysctl key below `net.`, as `sysctl` prints it. Within a part, `/` means a dot, as with `sysctl(8)`:
    /// `net.ipv4.conf.eth0/1.rp_filter` is interface `eth0.1`. A setting with two names has the shorter one.
    SysctlKey,
    check_sysctl_key,
    one_sysctl_key
);
name_type!(
    /// A sysctl's value: one line of printable text, up to 256 bytes, with white space folded as the kernel does.
    SysctlValue,
    check_sysctl_value
);
name_type!(
    /// A program's name: 1 to 63 letters, digits, `-` and `_`, the first a letter or digit.
    ProgramName,
    check_program
);
name_type!(
    /// An iptables chain, of nslab or of another program: 1 to 28 bytes of printable text without white space.
    ChainName,
    check_chain
);

impl ProgramName {
    /// The program that the built-in servers of a namespace are.
    pub fn servers() -> Self {
        Self("serve".into())
    }

    /// The program that an ingress controller is.
    pub fn ingress() -> Self {
        Self("nginx".into())
    }

    /// Whether it is that of the built-in servers, in a namespace that has some.
    pub fn is_servers(&self) -> bool {
        &*self.0 == "serve"
    }
}

impl NsName {
    /// The machine itself.
    pub fn host() -> Self {
        Self("host".into())
    }

    /// Whether this is the machine itself rather than a namespace with a name.
    pub fn is_host(&self) -> bool {
        &*self.0 == "host"
    }
}

impl IfName {
    /// The loopback interface, which every namespace has.
    pub fn lo() -> Self {
        Self("lo".into())
    }

    /// A name that is known to be one.
    pub(super) fn trusted(name: String) -> Self {
        debug_assert!(name.parse::<Self>().is_ok(), "{name}");
        Self(name.into())
    }

    /// Whether this is the loopback interface.
    pub fn is_lo(&self) -> bool {
        &*self.0 == "lo"
    }
}

/// What the names of kube-proxy's chains begin with.
const SERVICES: &str = "KUBE-";

impl ChainName {
    /// One that kube-proxy gives: of its letters and digits, and 23 of them at most.
    pub fn of_services(name: &str) -> Self {
        Self::trusted(format!("{SERVICES}{name}"))
    }

    /// Whether it is one that kube-proxy gives.
    pub fn is_of_services(&self) -> bool {
        self.as_str().starts_with(SERVICES)
    }

    /// A name put together from checked parts that is known to fit.
    pub(super) fn trusted(name: String) -> Self {
        debug_assert!(check_chain(&name).is_ok(), "{name}");
        Self(name.into())
    }
}

impl SysctlKey {
    /// The file below `/proc/sys` that holds the value: `net.ipv4.ip_forward` → `net/ipv4/ip_forward`.
    pub fn path(&self) -> String {
        self.0
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect()
    }

    /// The interface whose setting it is: `eth0` of `net.ipv4.conf.eth0.rp_filter`.
    pub fn interface(&self) -> Option<IfName> {
        let mut parts = self.0.split('.').skip(2);
        let of_interfaces = matches!(parts.next(), Some("conf" | "neigh"));
        // `all` and `default` are no names of interfaces.
        parts.next().filter(|_| of_interfaces).and_then(|name| name.replace('/', ".").parse().ok())
    }

    /// Of a setting that new interfaces begin with, `net.ipv4.conf.default.rp_filter`, the one of an interface. None of
    /// any other setting, and of those two of which `default` does not mean that: `ipv6_add_dev` sets the `mtu` from
    /// the interface, and `ipv6_generate_stable_address` looks at the default `stable_secret` itself.
    pub fn of_interface(&self, interface: &IfName) -> Option<Self> {
        let (before, setting) = self.0.split_once(".conf.default.")?;
        let is_copied = !matches!(setting, "mtu" | "stable_secret");
        let name = interface.as_str().replace('.', "/");
        is_copied.then(|| Self(format!("{before}.conf.{name}.{setting}").into()))
    }

    /// What new interfaces begin with, of an interface's setting (see [`Self::of_interface`]).
    pub fn default_of(&self) -> Option<Self> {
        let interface = self.interface()?;
        let (before, after) = self.0.split_once(".conf.")?;
        let (_, setting) = after.split_once('.')?;
        let default = Self(format!("{before}.conf.default.{setting}").into());
        (default.of_interface(&interface).as_ref() == Some(self)).then_some(default)
    }

    /// Whether it is what new interfaces begin with.
    pub fn is_default(&self) -> bool {
        self.0.contains(".conf.default.")
    }

    /// Whether it is one of IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.0.starts_with("net.ipv6.")
    }

    /// IPv4 forwarding in the whole namespace (`net.ipv4.ip_forward`).
    pub fn ipv4_forwarding() -> Self {
        Self("net.ipv4.ip_forward".into())
    }

    /// Whether IPv6 is switched off on an interface (`net.ipv6.conf.NAME.disable_ipv6`).
    pub fn ipv6_off(interface: &IfName) -> Self {
        Self::of_conf("ipv6", interface, "disable_ipv6")
    }

    /// IPv4 forwarding of what comes in through an interface (`net.ipv4.conf.NAME.forwarding`).
    pub fn ipv4_forwarding_of(interface: &IfName) -> Self {
        Self::of_conf("ipv4", interface, "forwarding")
    }

    fn of_conf(family: &str, interface: &IfName, setting: &str) -> Self {
        let name = interface.as_str().replace('.', "/");
        Self(format!("net.{family}.conf.{name}.{setting}").into())
    }

    /// IPv6 forwarding in the whole namespace (`net.ipv6.conf.all.forwarding`).
    pub fn ipv6_forwarding() -> Self {
        Self("net.ipv6.conf.all.forwarding".into())
    }
}

impl SysctlValue {
    /// The value as the kernel prints it, with runs of white space made one blank.
    pub fn normalised(text: &str) -> Result<Self, NameError> {
        text.split_whitespace().collect::<Vec<_>>().join(" ").parse()
    }
}

/// A sysctl key as the name of one folder: a `/` (a dot within a part) is written `%`, which no key holds.
pub(crate) fn setting_folder(key: &SysctlKey) -> String {
    key.as_str().replace('/', "%")
}

/// The key that a folder is named after; none where the name is none that nslab writes.
pub(crate) fn setting_of_folder(folder: &str) -> Option<SysctlKey> {
    folder.replace('%', "/").parse().ok()
}

const SAFE: &str = "letters, digits, '-' and '_' are";
const SAFE_DOT: &str = "letters, digits, '.', '-' and '_' are";

fn check_first(text: &str) -> Result<(), NameError> {
    match text.chars().next() {
        None => Err(NameError::Empty),
        Some(c) if c.is_ascii_alphanumeric() => Ok(()),
        Some(c) => Err(NameError::First(c, "a letter or a digit comes first")),
    }
}

fn check_characters(text: &str, extra: &str, allowed: &'static str) -> Result<(), NameError> {
    match text.chars().find(|&c| !c.is_ascii_alphanumeric() && !extra.contains(c)) {
        Some(c) => Err(NameError::Character(c, allowed)),
        None => Ok(()),
    }
}

fn check_length(text: &str, what: &'static str, max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > max {
        return Err(NameError::TooLong { what, len: text.len(), max });
    }
    Ok(())
}

fn check_lab(text: &str) -> Result<(), NameError> {
    check_length(text, "a lab's name", 16)?;
    check_characters(text, "-_", SAFE)?;
    check_first(text)?;
    match text {
        "host" => Err(NameError::Reserved("it means the machine itself, whose settings are kept under that name")),
        _ => Ok(()),
    }
}

fn check_namespace(text: &str) -> Result<(), NameError> {
    check_length(text, "a namespace's name", 63)?;
    check_characters(text, ".-_", SAFE_DOT)?;
    check_first(text)
}

fn check_program(text: &str) -> Result<(), NameError> {
    check_length(text, "a program's name", 63)?;
    check_characters(text, "-_", SAFE)?;
    check_first(text)
}

fn check_interface(text: &str) -> Result<(), NameError> {
    check_length(text, "an interface's name", 15)?;
    check_characters(text, ".-_@", "letters, digits, '.', '-', '_' and '@' are")?;
    check_first(text)?;
    match text {
        "all" | "default" => Err(NameError::Reserved("/proc/sys/net has a folder of that name for all interfaces")),
        _ => Ok(()),
    }
}

fn check_sysctl_key(text: &str) -> Result<(), NameError> {
    check_length(text, "a sysctl key", 128)?;
    check_characters(text, ".-_/@", "letters, digits, '.', '-', '_', '@' and '/' are")?;
    if !text.starts_with("net.") {
        return Err(NameError::Form(
            "is not below net.: other sysctls belong to the whole machine, not to a namespace",
        ));
    }
    let dots_only = |part: &str| part.chars().all(|c| c == '/');
    if text.split('.').any(dots_only) {
        return Err(NameError::Form("has an empty part"));
    }
    Ok(())
}

/// The kernel keeps IPv4 forwarding under two names (Documentation/networking/ip-sysctl, `ip_forward`).
fn one_sysctl_key(text: &str) -> &str {
    match text {
        "net.ipv4.conf.all.forwarding" => "net.ipv4.ip_forward",
        other => other,
    }
}

fn check_sysctl_value(text: &str) -> Result<(), NameError> {
    check_length(text, "a sysctl's value", 256)?;
    match text.chars().find(|c| !c.is_ascii_graphic() && *c != ' ') {
        Some(c) => Err(NameError::Character(c, "one line of printable ASCII is")),
        None if text.trim() != text || text.contains("  ") => Err(NameError::Form("has needless blanks")),
        None => Ok(()),
    }
}

fn check_chain(text: &str) -> Result<(), NameError> {
    check_length(text, "an iptables chain's name", 28)?;
    match text.chars().find(|c| c.is_control() || c.is_whitespace()) {
        Some(c) => Err(NameError::Character(c, "printable text without white space is")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_options_and_control_characters_are_no_names() {
        for bad in ["", "../x", "..", "-f", "a b", "a\nb", "a/b", "é", ".hidden", &"x".repeat(64)] {
            assert!(bad.parse::<LabName>().is_err(), "lab {bad:?}");
            assert!(bad.parse::<NsName>().is_err(), "namespace {bad:?}");
            assert!(bad.parse::<IfName>().is_err(), "interface {bad:?}");
        }
    }

    #[test]
    fn interface_names_end_at_fifteen_bytes() {
        assert!("veth-red-bridge".parse::<IfName>().is_ok());
        let error = "veth-red-bridge1".parse::<IfName>().unwrap_err();
        assert_eq!(error.to_string(), "is 16 bytes long; an interface's name has at most 15");
    }

    #[test]
    fn sysctl_keys_stay_below_net() {
        assert_eq!("net.ipv4.ip_forward".parse::<SysctlKey>().unwrap().path(), "net/ipv4/ip_forward");
        assert_eq!(
            "net.ipv4.conf.eth0/1.rp_filter".parse::<SysctlKey>().unwrap().path(),
            "net/ipv4/conf/eth0.1/rp_filter"
        );
        for bad in ["kernel.hostname", "net", "net..x", "net.//.x", "net./.kernel", "../net.x"] {
            assert!(bad.parse::<SysctlKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_of_interfaces_name_them() {
        for (key, interface) in [
            ("net.ipv4.conf.eth0.rp_filter", Some("eth0")),
            ("net.ipv6.neigh.eth0/1.mcast_solicit", Some("eth0.1")),
            ("net.ipv4.conf.all.rp_filter", None),
            ("net.ipv6.conf.default.forwarding", None),
            ("net.ipv4.ip_forward", None),
            ("net.ipv4.conf", None),
        ] {
            let of = key.parse::<SysctlKey>().unwrap().interface();
            assert_eq!(of.as_ref().map(IfName::as_str), interface, "{key}");
        }
    }

    #[test]
    fn a_setting_with_two_names_is_one() {
        assert_eq!("net.ipv4.conf.all.forwarding".parse::<SysctlKey>().unwrap(), SysctlKey::ipv4_forwarding());
        assert_eq!("net.ipv6.conf.all.forwarding".parse::<SysctlKey>().unwrap(), SysctlKey::ipv6_forwarding());
        assert_eq!("net.ipv4.conf.lo.forwarding".parse::<SysctlKey>().unwrap().as_str(), "net.ipv4.conf.lo.forwarding");
    }

    #[test]
    fn no_lab_is_called_host() {
        // /run/nslab/host holds what is shared by all labs.
        assert!("host".parse::<LabName>().is_err());
        assert!("host-1".parse::<LabName>().is_ok());
    }

    #[test]
    fn a_mark_names_one_lab() {
        let lab: LabName = "a-b".parse().unwrap();
        assert_eq!(LabName::from_mark(&lab.mark()), Some(lab));
        assert_eq!(LabName::from_mark("nslab:../x"), None);
        assert_eq!(LabName::from_mark("my nslab:a"), None);
    }
}
