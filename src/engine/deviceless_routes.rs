//! Which lab the routes and rules of `host` belong to that no interface belongs to.
//!
//! The kernel keeps only one number with them, which says that nslab made them, but not for which lab. So each lab's
//! folder lists those that it wanted. Where such a list is lost, what no other lab lists is this lab's, if every other
//! lab has a list. What the model cannot express is in no list: it is this lab's where there is no other lab, or where
//! it goes through an interface of the lab.

use std::collections::BTreeSet;

use super::marks;
use crate::kernel::{Kernel, KernelError};
use crate::lab::{Lab, LabName, NsName, Observed};
use crate::state::{self, Identity};

/// What a lab wants in `host` that no interface belongs to.
pub(super) fn wanted(lab: &Lab) -> BTreeSet<Identity> {
    let host = lab.namespaces.get(&NsName::host());
    let wanted = host.map(|host| host.unattached()).unwrap_or_default();
    let routes = wanted.routes.iter().map(Identity::of_route);
    routes.chain(wanted.rules.iter().map(Identity::of_rule)).collect()
}

/// Leaves in `live`, of the marked routes and rules, those that are this lab's.
///
/// # Errors
/// A list cannot be read, or the kernel refuses to show which labs there are.
pub(super) fn keep_own(kernel: &mut Kernel, lab: &LabName, live: &mut Observed) -> Result<(), KernelError> {
    let Some(host) = live.namespaces.get_mut(&NsName::host()) else { return Ok(()) };
    let has_foreign =
        host.foreign.routes.iter().any(|route| route.is_ours) || host.foreign.rules.iter().any(|rule| rule.is_ours);
    if !has_foreign
        && host.nslab_routing.rules.is_empty()
        && host.nslab_routing.routes.iter().all(|route| !route.is_deviceless())
    {
        return Ok(());
    }
    let own = state::listed_by(lab)?;
    let others = state::listed_by_others(lab)?;
    let listed: BTreeSet<&Identity> = others.values().flatten().collect();
    let marked = marks::of_all(kernel)?;
    let mut other_labs = marked.keys().filter(|other| *other != lab);
    let is_alone = others.is_empty() && other_labs.clone().next().is_none();
    let all_others_are_listed = other_labs.all(|other| others.contains_key(other));
    let is_own = |object: &Identity| match &own {
        _ if is_alone => true,
        Some(own) => own.contains(object),
        // A lab of which there is nothing else has nothing to lose its list of.
        None => marked.contains_key(lab) && all_others_are_listed && !listed.contains(object),
    };
    host.nslab_routing.routes.retain(|route| !route.is_deviceless() || is_own(&Identity::of_route(route)));
    host.nslab_routing.rules.retain(|rule| is_own(&Identity::of_rule(rule)));
    // No list has what the model cannot express. Another lab's route that was altered by hand is such a one.
    let interfaces = &host.is.interfaces;
    let is_of_lab = |dev| interfaces.get(dev).is_some_and(|there| there.owner.as_ref() == Some(lab));
    for route in &mut host.foreign.routes {
        route.is_ours &= is_alone || route.dev.as_ref().is_some_and(is_of_lab);
    }
    for rule in &mut host.foreign.rules {
        rule.is_ours &= is_alone;
    }
    Ok(())
}
