//! Entries of a namespace that are right by themselves, and that the kernel refuses together.

use super::net::ResolvedNamespace;
use crate::lab::{Family, IfName, Route, SysctlKey};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};

/// Reports a route through an interface that the file keeps down: the kernel has no such route (ENETDOWN).
pub fn route_through_down(namespace: &ResolvedNamespace<'_>, route: &Route, written: Span, found: &mut Collector<'_>) {
    let down = |dev: &&IfName| namespace.interface(dev).is_some_and(|interface| !interface.model.up);
    if let Some(dev) = route.devs().find(down) {
        let message = format!("this route leaves through `{dev}`, which is down");
        let help = format!("take `up: false` from `{dev}`, or take the route out");
        found.add(Diagnostic::new(Code::InterfaceDown, written, message).help(help));
    }
}

/// Reports settings of interfaces that the namespace does not have, and IPv6 switched off below an IPv6 address.
pub fn sysctls(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) {
    for (key, value) in &namespace.written.sysctls.entries {
        machines(namespace, &key.value, key.span, found);
        setting_of_nothing(namespace, &key.value, key.span, found);
        if value.value.is_on() {
            without_ipv6(namespace, &key.value, key.span, found);
        }
    }
}

/// What new neighbour tables begin with is a setting of the machine alone (`neigh_sysctl_register`).
fn machines(namespace: &ResolvedNamespace<'_>, key: &SysctlKey, span: Span, found: &mut Collector<'_>) {
    if !namespace.name.is_host() && key.as_str().contains(".neigh.default.") {
        let message = format!("{} has no `{key}`: this setting is the machine's", namespace.name);
        let help = "set it on an interface, or in `host`".to_owned();
        found.add(Diagnostic::new(Code::KeyNotAllowed, span, message).help(help));
    }
}

fn setting_of_nothing(namespace: &ResolvedNamespace<'_>, key: &SysctlKey, span: Span, found: &mut Collector<'_>) {
    // The machine has interfaces that the file does not know.
    if namespace.name.is_host() || !namespace.written.whole {
        return;
    }
    let Some(name) = key.interface().filter(|name| !name.is_lo() && namespace.interface(name).is_none()) else {
        return;
    };
    let help = found.did_you_mean(name.as_str(), namespace.by_name.keys().map(IfName::as_str));
    let message = format!("{} has no interface `{name}` to set `{key}` on", namespace.name);
    found.add(Diagnostic::new(Code::UnknownInterface, span, message).help(help));
}

/// With IPv6 switched off, an interface takes no IPv6 address (EACCES).
fn without_ipv6(namespace: &ResolvedNamespace<'_>, key: &SysctlKey, span: Span, found: &mut Collector<'_>) {
    let setting = key.as_str().strip_prefix("net.ipv6.conf.").and_then(|rest| rest.strip_suffix(".disable_ipv6"));
    let Some(setting) = setting else { return };
    let (of_all, of) = (setting == "all", key.interface());
    let of_default = |name: &IfName| setting == "default" && !name.is_lo() && !has_own(namespace, key, name);
    let mut ipv6 = namespace.addresses().filter(|(_, own)| own.value.family() == Family::Ipv6);
    if let Some((interface, own)) =
        ipv6.find(|(interface, _)| of_all || of.as_ref() == Some(&interface.name) || of_default(&interface.name))
    {
        let message = format!("this switches IPv6 off, and `{}` has the address {}", interface.name, own.value);
        let fault = Diagnostic::new(Code::ContradictoryKeys, span, message).also(own.span, "the address");
        found.add(fault.help("keep one of them".to_owned()));
    }
}

/// Whether the file sets on an interface itself what it sets as a default.
fn has_own(namespace: &ResolvedNamespace<'_>, default: &SysctlKey, name: &IfName) -> bool {
    let own = default.of_interface(name);
    namespace.written.sysctls.entries.iter().any(|(key, _)| Some(&key.value) == own.as_ref())
}
