//! Sysctls, and `forwarding`, which is a word for some of them.

use std::collections::{BTreeMap, HashMap};

use super::net::{ResolvedInterface, ResolvedNamespace};
use super::{contradictions, mtu};
use crate::lab::{SysctlKey, SysctlValue};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};

pub fn resolve(
    namespace: &ResolvedNamespace<'_>,
    ipv6: bool,
    found: &mut Collector<'_>,
) -> BTreeMap<SysctlKey, SysctlValue> {
    contradictions::sysctls(namespace, found);
    let written = &namespace.written.sysctls.entries;
    let mut sysctls: BTreeMap<SysctlKey, SysctlValue> =
        written.iter().map(|(key, value)| (key.value.clone(), value.value.clone())).collect();
    let mut first = HashMap::new();
    for (key, _) in written {
        let other = *first.entry(&key.value).or_insert(key.span);
        if other != key.span {
            let fault = Diagnostic::new(Code::SysctlTwice, key.span, format!("`{}` is set twice", key.value))
                .also(other, "here");
            found.add(fault.help("the kernel has two names for this setting; keep one of them".to_owned()));
        }
    }
    of_interfaces(namespace, &mut sysctls);
    let Some(forwarding) = &namespace.written.forwarding else { return sysctls };
    let Ok(value) = SysctlValue::normalised(if forwarding.value { "1" } else { "0" }) else { return sysctls };
    // The namespace takes the machine's setting over when it is made, so `false` has to be said as well.
    let keys = [Some(SysctlKey::ipv4_forwarding()), ipv6.then(SysctlKey::ipv6_forwarding)];
    for key in keys.into_iter().flatten() {
        let contrary = written.iter().find(|(other, set)| other.value == key && !set.value.is_kept_as(&key, &value));
        if let Some((other, set)) = contrary {
            let message = format!("`{}: {}` contradicts `forwarding: {}`", other.value, set.value, forwarding.value);
            found.add(
                Diagnostic::new(Code::ContradictoryKeys, set.span, message)
                    .also(forwarding.span, "here")
                    .help("keep one of them".to_owned()),
            );
        }
        sysctls.insert(key, value.clone());
    }
    sysctls
}

/// What `conf.default` says goes for every interface of the namespace that has no such setting of its own. Left to
/// the kernel, it would depend on what comes first: IPv4 passes a change on to interfaces that never had a value or an
/// address of their own (`devinet_copy_dflt_conf`), IPv6 to none. `lo` is older than any default; and of `host`, it is
/// the machine's setting.
fn of_interfaces(namespace: &ResolvedNamespace<'_>, sysctls: &mut BTreeMap<SysctlKey, SysctlValue>) {
    if namespace.name.is_host() {
        return;
    }
    let defaults: Vec<_> =
        sysctls.iter().filter(|(key, _)| key.is_default()).map(|(k, v)| (k.clone(), v.clone())).collect();
    for (default, value) in defaults {
        // An interface with less room has no IPv6 at all.
        let has_settings = |interface: &&ResolvedInterface| {
            !default.is_ipv6() || mtu::of_interface(namespace, interface) >= mtu::least(true)
        };
        let interfaces = namespace.interfaces.iter().filter(|interface| !interface.name.is_lo());
        for key in interfaces.filter(has_settings).filter_map(|interface| default.of_interface(&interface.name)) {
            sysctls.entry(key).or_insert_with(|| value.clone());
        }
    }
}
