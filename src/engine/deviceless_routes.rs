//! Which lab the routes and rules of `host` belong to that no interface belongs to.
//!
//! The kernel keeps only one number with them, which says that nslab made them, but not for which lab. So each lab's
//! folder lists those that it wanted, and the lab's marks have hashes of them. Nothing else says that one is a lab's:
//! what no record of it has is left, and told when the lab is removed. What another lab lists as well is left to that
//! one: the last of them removes it.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::{Kernel, KernelError};
use crate::lab::{Lab, LabName, NsName, Observed, Route};
use crate::state::{self, Identity};

/// What a lab wants in `host` that no interface belongs to.
pub(super) fn wanted(lab: &Lab) -> BTreeSet<Identity> {
    let host = lab.namespaces.get(&NsName::host());
    let wanted = host.map(|host| host.unattached()).unwrap_or_default();
    let routes = wanted.routes.iter().map(Identity::of_route);
    routes.chain(wanted.rules.iter().map(Identity::of_rule)).collect()
}

/// Leaves in `live`, of the marked routes and rules, those that are this lab's; which of the others no list has, in
/// words, where the lab has no list.
///
/// # Errors
/// A list cannot be read, or the kernel refuses to show what the marks say.
pub(super) fn keep_own(kernel: &mut Kernel, lab: &LabName, live: &mut Observed) -> Result<Vec<String>, KernelError> {
    let says_more = live.namespaces.values().any(|ns| ns.says_more);
    let Some(host) = live.namespaces.get_mut(&NsName::host()) else { return Ok(Vec::new()) };
    // No record has what the model cannot express: what was altered by hand.
    let interfaces = &host.is.interfaces;
    let is_of_lab = |dev| interfaces.get(dev).is_some_and(|there| there.owner.as_ref() == Some(lab));
    for route in &mut host.foreign.routes {
        route.is_ours &= route.dev.as_ref().is_some_and(is_of_lab);
    }
    for rule in &mut host.foreign.rules {
        rule.is_ours = false;
    }
    let unattached = host.nslab_routing.routes.iter().filter(|route| host.is.is_unattached(route));
    let texts = unattached.map(|route| (Identity::of_route(route), format!("route {route}")));
    let routing = &host.nslab_routing;
    let machine = state::machine_of(lab)?;
    let rules = routing.rules.iter().map(|rule| (Identity::of_rule(rule), format!("policy rule {rule}")));
    let all: BTreeMap<Identity, String> = texts.chain(rules).collect();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let listed = state::listed_by(lab)?;
    let others = state::listed_by_others(lab)?;
    let is_of_others = |object: &Identity| others.values().any(|list| list.contains(object));
    let mut own = listed.clone().unwrap_or_default();
    if says_more && all.keys().any(|object| !own.contains(object)) {
        let remembered = kernel.remembered()?;
        let hashes = remembered.get(lab).map(|of_lab| &of_lab.routes);
        own.extend(all.keys().filter(|object| hashes.is_some_and(|has| has.contains(&object.hash()))).cloned());
    }
    // The machine's interface may be called otherwise by now.
    let under_its_name = |route: &Route| {
        let dev = machine.as_ref().map(|(_, dev)| dev.clone()).filter(|_| !route.is_deviceless());
        Identity::of_route(&Route { dev: dev.or_else(|| route.dev.clone()), ..route.clone() })
    };
    let is_own = |names: &[Identity]| names.iter().any(|one| own.contains(one)) && !names.iter().any(is_of_others);
    let (there, routing) = (&host.is, &mut host.nslab_routing);
    let names = |route: &Route| [Identity::of_route(route), under_its_name(route)];
    routing.routes.retain(|route| !there.is_unattached(route) || is_own(&names(route)));
    routing.rules.retain(|rule| is_own(&[Identity::of_rule(rule)]));
    if listed.is_some() || all.keys().all(|object| own.contains(object)) {
        return Ok(Vec::new());
    }
    let is_nobodys = |object: &Identity| !own.contains(object) && !is_of_others(object);
    Ok(all.into_iter().filter(|(object, _)| is_nobodys(object)).map(|(_, text)| text).collect())
}
