//! How a command reaches a namespace. Names of interfaces always come after `name` or `dev`, since `ip` reads `a` as
//! `address` and `up` as what it says.

use crate::lab::{InterfaceRef, LabName, NsName};

/// `ip`, inside a namespace.
pub(super) fn ip(ns: &NsName) -> String {
    if ns.is_host() { "ip".to_owned() } else { format!("ip -n {ns}") }
}

/// `ip -6` where the family has to be named.
pub(super) fn ip_family(ns: &NsName, ipv6: bool) -> String {
    if ipv6 { format!("{} -6", ip(ns)) } else { ip(ns) }
}

/// `ip link set dev …`, for what changes an interface.
pub(super) fn ip_link_set(interface: &InterfaceRef) -> String {
    format!("{} link set dev {}", ip(&interface.ns), interface.name)
}

/// What comes before any other command to run it inside a namespace.
pub(super) fn inside(ns: &NsName) -> String {
    if ns.is_host() { String::new() } else { format!("ip netns exec {ns} ") }
}

/// Says in the file beneath a namespace whose its name is: in a copy of the mount, with nothing mounted on it.
pub(super) fn name_given_by(ns: &NsName, lab: Option<&LabName>) -> String {
    let text = lab.map_or_else(String::new, |lab| format!("echo {} ", lab.mark()));
    format!("unshare --mount sh -c 'mount --bind /run/netns /run/netns && {text}> /run/netns/{ns}'")
}

/// The word for a switch.
pub(super) fn on_or_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// The options that change, each with its new value, as `ip link` spells them.
pub(super) fn changed_options<const N: usize>(from: [(&str, String); N], to: [(&str, String); N]) -> String {
    let pairs = from.into_iter().zip(to);
    pairs.filter(|(from, to)| from != to).map(|(_, (name, value))| format!(" {name} {value}")).collect()
}
