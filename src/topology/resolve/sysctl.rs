//! Sysctls, and `forwarding`, which is a word for some of them.

use std::collections::{BTreeMap, HashMap};

use super::contradictions;
use super::net::ResolvedNamespace;
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
