//! Builds a lab in a sandbox, checks it and removes it again.

use std::collections::BTreeSet;

use nix::unistd::getppid;

use super::{EngineError, Machine, Options, apply, check, destroy, plan};
use crate::check::Report;
use crate::kernel::{Scope, process, sandbox};
use crate::lab::{Lab, NsName, ObservedNamespace};

/// Applies, checks and destroys a lab in a sandbox that this process, started by [`super::in_child`], moves into;
/// `text` is the topology file, and `explain` what it is called, where failed checks are to be explained. A promise
/// that is not kept is no error: see [`Report::passed`].
///
/// # Errors
/// There can be no sandbox, the lab cannot be applied, checked or destroyed, or something of it is left.
pub fn test(lab: &Lab, text: &str, explain: Option<&str>) -> Result<Report, EngineError> {
    let parent = getppid();
    sandbox::enter()?;
    process::end_with(parent)?;
    let before = host(lab)?;
    let unread = apply::apply(lab, text, Options::default(), &mut |_| {})?.unread;
    if !unread.is_empty() {
        return Err(EngineError::NotRead(unread));
    }
    if let Some(planned) = plan::plan(lab)?.plan.steps.first() {
        return Err(EngineError::NotSettled(planned.step.text()));
    }
    let mut report = check::check(lab, &mut |_| {})?;
    super::explain(lab, explain.unwrap_or_default(), explain.is_some(), &mut report);
    destroy::destroy(&lab.name, true, &mut |_| {})?;
    let after = host(lab)?;
    match after == before {
        true => Ok(report),
        false => Err(EngineError::HostChanged(difference(&before, &after))),
    }
}

/// How many differences are shown.
const SHOWN: usize = 20;

/// What has come (`+`) and gone (`-`) in the host, a line each.
fn difference(before: &ObservedNamespace, after: &ObservedNamespace) -> String {
    let (before, after) = (in_words(before), in_words(after));
    let gone = before.difference(&after).map(|what| format!("\n- {what}"));
    let come = after.difference(&before).map(|what| format!("\n+ {what}"));
    let all: Vec<String> = gone.chain(come).collect();
    let more = all.len().saturating_sub(SHOWN);
    let shown: String = all.iter().take(SHOWN).cloned().collect();
    match (all.is_empty(), more) {
        (true, _) => " in something that has no short name".to_owned(),
        (false, 0) => shown,
        (false, more) => format!("{shown}\n… and {more} more"),
    }
}

/// What there is in a namespace, in words.
fn in_words(there: &ObservedNamespace) -> BTreeSet<String> {
    let ObservedNamespace { is, foreign, firewall, firewall_generation, .. } = there;
    let interfaces = is.interfaces.iter().flat_map(|(name, own)| {
        let mtu = own.mtu.map(|mtu| format!(", MTU {mtu}")).unwrap_or_default();
        let state = format!("{} {name}, {}{mtu}", own.kind_name(), if own.up { "up" } else { "down" });
        let addresses = own.addresses.iter().map(move |address| format!("address {address} of {name}"));
        std::iter::once(state).chain(addresses)
    });
    let routes = is.routes.iter().map(|route| format!("route {route}"));
    let rules = is.rules.iter().map(|rule| format!("policy rule {rule}"));
    let settings = is.sysctls.iter().map(|(key, value)| format!("{key} = {value}"));
    let objects = foreign.routes.iter().map(|own| &own.object).chain(foreign.rules.iter().map(|own| &own.object));
    let others =
        objects.map(|object| object.text.clone()).chain(foreign.others.iter().map(|own| own.object.text.clone()));
    let chains = firewall.chains.iter().map(|(chain, rules)| format!("{chain}, {} rules", rules.len()));
    let policies = firewall.policies.iter().map(|(chain, policy)| format!("{chain}, policy {}", policy.name()));
    let chains = chains.chain(policies);
    let neighbours = is.neighbours.iter().map(|own| format!("neighbour {} on {}", own.address, own.dev));
    let interfaces = interfaces.chain(neighbours);
    let changes = firewall_generation.map(|number| format!("the firewall's change number {number}"));
    interfaces.chain(routes).chain(rules).chain(settings).chain(others).chain(chains).chain(changes).collect()
}

/// What there is in the host, without the interfaces that the kernel puts into every namespace on this machine as soon
/// as a tunnel, of this lab or of another, is the first that needs a module.
fn host(lab: &Lab) -> Result<ObservedNamespace, EngineError> {
    let scope = Scope { lab: &lab.name, desired: Some(lab), inside: true };
    let mut live = Machine::open()?.observe(&scope)?;
    let mut host = live.namespaces.remove(&NsName::host()).unwrap_or_default();
    host.is.interfaces.retain(|name, _| !name.is_fallback_tunnel());
    host.foreign.interfaces.retain(|name, _| !name.is_fallback_tunnel());
    Ok(host)
}
