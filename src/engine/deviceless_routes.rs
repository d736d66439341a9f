//! Whose the routes and rules of `host` are that no interface belongs to.
//!
//! The kernel keeps only one number with them, which says that nslab made them, but not for which lab. So each lab's
//! folder lists those that it wanted. Where such a list is lost, what no other lab's list has is this lab's, if it can
//! be nobody else's.

use std::collections::BTreeSet;

use super::EngineError;
use super::state::{others_unattached, own_unattached};
use crate::kernel::Kernel;
use crate::lab::{Lab, LabName, NsName, Observed, Routing};

/// The texts of routes and rules, by which they are listed.
pub(super) fn texts(unattached: &Routing) -> BTreeSet<String> {
    let routes = unattached.routes.iter().map(|route| format!("route {route}"));
    routes.chain(unattached.rules.iter().map(|rule| format!("rule {rule}"))).collect()
}

/// The texts of what a lab wants in `host`.
pub(super) fn wanted(lab: &Lab) -> BTreeSet<String> {
    lab.namespaces.get(&NsName::host()).map(|host| texts(&host.unattached())).unwrap_or_default()
}

/// Leaves in `live`, of the marked routes and rules, those that are this lab's.
pub(super) fn keep_own(kernel: &mut Kernel, lab: &LabName, live: &mut Observed) -> Result<(), EngineError> {
    let Some(host) = live.namespaces.get_mut(&NsName::host()) else { return Ok(()) };
    let has_foreign =
        host.foreign.routes.iter().any(|route| route.is_ours) || host.foreign.rules.iter().any(|rule| rule.is_ours);
    if !has_foreign
        && host.our_routing.rules.is_empty()
        && host.our_routing.routes.iter().all(|route| route.dev.is_some())
    {
        return Ok(());
    }
    let own = own_unattached(lab)?.unwrap_or_default();
    let others = others_unattached(lab)?;
    let listed: BTreeSet<&String> = others.values().flatten().collect();
    let all_others_are_listed = kernel.marks()?.keys().all(|other| other == lab || others.contains_key(other));
    let is_own = |text: &String| !listed.contains(text) && (own.contains(text) || all_others_are_listed);
    host.our_routing.routes.retain(|route| route.dev.is_some() || is_own(&format!("route {route}")));
    host.our_routing.rules.retain(|rule| is_own(&format!("rule {rule}")));
    for route in &mut host.foreign.routes {
        route.is_ours &= is_own(&format!("route {}", route.object.text));
    }
    for rule in &mut host.foreign.rules {
        rule.is_ours &= is_own(&format!("rule {}", rule.object.text));
    }
    Ok(())
}
