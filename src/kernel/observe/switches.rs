//! Switches of single interfaces that somebody has turned against what the file asks of the whole namespace: IPv6 off
//! under an IPv6 address, IPv4 forwarding off in a router.

use std::collections::BTreeMap;

use super::interfaces::Interfaces;
use crate::lab::{ForeignKind, ForeignObject, ForeignOther, IfName, Namespace, SysctlKey, SysctlValue};

/// The switches that are against what is desired of a namespace whose sysctls have these values.
pub(super) fn turned(
    interfaces: &Interfaces,
    desired: Option<&Namespace>,
    sysctls: &BTreeMap<SysctlKey, SysctlValue>,
) -> Vec<ForeignOther> {
    let Some(desired) = desired else { return Vec::new() };
    let says = |key: &SysctlKey| desired.sysctls.contains_key(key);
    let mut turned = Vec::new();
    for name in &interfaces.without_ipv6 {
        let addresses = desired.interfaces.get(name).into_iter().flat_map(|interface| &interface.addresses);
        let key = SysctlKey::ipv6_off(name);
        if addresses.into_iter().any(|address| address.is_ipv6()) && !says(&key) {
            turned.push(switch(name, &key, 1, 0));
        }
    }
    // Where all of the namespace is to forward and does not, its interfaces come along.
    let is_on =
        |of: &BTreeMap<SysctlKey, SysctlValue>| of.get(&SysctlKey::ipv4_forwarding()).is_some_and(SysctlValue::is_on);
    let forwards = is_on(&desired.sysctls) && is_on(sysctls);
    for name in interfaces.without_forwarding.iter().filter(|_| forwards) {
        let key = SysctlKey::ipv4_forwarding_of(name);
        let is_wanted = desired.interfaces.contains_key(name) && !name.is_lo();
        if is_wanted && !says(&key) && !key.default_of().is_some_and(|default| says(&default)) {
            turned.push(switch(name, &key, 0, 1));
        }
    }
    turned
}

fn switch(name: &IfName, key: &SysctlKey, is: u8, wanted: u8) -> ForeignOther {
    let (text, message) = (format!("{key}={is}"), wanted.to_string().into_bytes());
    ForeignOther { object: ForeignObject { kind: ForeignKind::Switch, text, message }, dev: Some(name.clone()) }
}
