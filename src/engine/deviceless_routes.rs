//! Which lab the routes and rules of `host` belong to that no interface belongs to.
//!
//! The kernel keeps only one number with them, which says that nslab made them, but not for which lab. So each lab's
//! folder lists those that it wanted, and the lab's marks have hashes of them. Nothing else says that one is a lab's:
//! what no record of it has is left, and told when the lab is removed. What another lab needs already, no second one
//! gets.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::{Kernel, KernelError};
use crate::lab::{
    IfName, Lab, LabName, NsName, Observed, ObservedNamespace, Remembered, Route, Routing, RoutingOfOthers,
};
use crate::plan::Conflict;
use crate::state::{self, Identity};

/// What a lab wants in `host` that no interface belongs to.
pub(super) fn wanted(lab: &Lab) -> BTreeSet<Identity> {
    let host = lab.namespaces.get(&NsName::host());
    let wanted = host.map(|host| host.unattached()).unwrap_or_default();
    let routes = wanted.routes.iter().map(Identity::of_route);
    routes.chain(wanted.rules.iter().map(Identity::of_rule)).collect()
}

/// Leaves in `live`, of the marked routes and rules, those that are this lab's, and says which are others'; which of
/// the others no list has, in words, where the lab has no list.
///
/// # Errors
/// A list cannot be read, or the kernel refuses to show what the marks say.
pub(super) fn keep_own(kernel: &mut Kernel, lab: &LabName, live: &mut Observed) -> Result<Vec<String>, KernelError> {
    let says_more = live.namespaces.values().any(|ns| ns.says_more);
    let Some(host) = live.namespaces.get_mut(&NsName::host()) else { return Ok(Vec::new()) };
    disown_foreign(host, lab);
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
    let mut own = listed.clone().unwrap_or_default();
    let are_all_own = |own: &BTreeSet<Identity>| all.keys().all(|object| own.contains(object));
    let is_remembered = says_more && !are_all_own(&own);
    let remembered = if is_remembered { kernel.remembered()? } else { BTreeMap::new() };
    let hashes = remembered.get(lab).map(|of_lab| &of_lab.routes);
    own.extend(all.keys().filter(|object| hashes.is_some_and(|has| has.contains(&object.hash()))).cloned());
    let others = state::listed_by_others(lab)?;
    let owner = |object: &Identity| {
        if own.contains(object) {
            return None;
        }
        let listed = others.iter().find(|(_, list)| list.contains(object)).map(|(other, _)| other);
        let is_in_marks =
            |(other, of_lab): &(&LabName, &Remembered)| *other != lab && of_lab.routes.contains(&object.hash());
        listed.or_else(|| remembered.iter().find(is_in_marks).map(|(other, _)| other)).cloned()
    };
    let mut devs: BTreeMap<&LabName, IfName> = BTreeMap::new();
    for other in others.keys() {
        devs.extend(state::machine_of(other).ok().flatten().map(|(_, dev)| (other, dev)));
    }
    let dev = machine.map(|(_, dev)| dev);
    host.routing_of_others = RoutingOfOthers {
        routes: with(&host.nslab_routing.routes, |route| {
            let lists = |(other, list): &(&LabName, &BTreeSet<Identity>)| {
                names_of(route, devs.get(other)).iter().any(|name| list.contains(name))
            };
            let is_own = names_of(route, dev.as_ref()).iter().any(|name| own.contains(name));
            let found = owner(&Identity::of_route(route)).or_else(|| Some(others.iter().find(lists)?.0.clone()));
            found.filter(|_| !is_own)
        }),
        rules: with(&host.nslab_routing.rules, |rule| owner(&Identity::of_rule(rule))),
    };
    // What two lists have all the same (those of labs that began at once), the last of both removes.
    let is_alone = |name: &Identity| own.contains(name) && !others.values().any(|list| list.contains(name));
    let is_own = |route: &Route| names_of(route, dev.as_ref()).iter().any(is_alone);
    let (there, routing) = (&host.is, &mut host.nslab_routing);
    routing.routes.retain(|route| !there.is_unattached(route) || is_own(route));
    routing.rules.retain(|rule| is_alone(&Identity::of_rule(rule)));
    if listed.is_some() {
        return Ok(Vec::new());
    }
    let is_nobodys = |object: &Identity| !own.contains(object) && owner(object).is_none();
    Ok(all.iter().filter(|(object, _)| is_nobodys(object)).map(|(_, text)| text.clone()).collect())
}

/// What a route is called in a list: as it is, or as it was when the machine's interface was called otherwise.
fn names_of(route: &Route, dev: Option<&IfName>) -> [Identity; 2] {
    let dev = dev.filter(|_| !route.is_deviceless()).or(route.dev.as_ref());
    [route.clone(), Route { dev: dev.cloned(), ..route.clone() }].map(|route| Identity::of_route(&route))
}

/// No record has what the model cannot express: what was altered by hand.
fn disown_foreign(host: &mut ObservedNamespace, lab: &LabName) {
    let interfaces = &host.is.interfaces;
    let is_of_lab = |dev| interfaces.get(dev).is_some_and(|there| there.owner.as_ref() == Some(lab));
    for route in &mut host.foreign.routes {
        route.is_ours &= route.dev.as_ref().is_some_and(is_of_lab);
    }
    for rule in &mut host.foreign.rules {
        rule.is_ours = false;
    }
}

/// The objects that have an owner, each with it.
fn with<T: Clone + Ord>(objects: &BTreeSet<T>, owner: impl Fn(&T) -> Option<LabName>) -> BTreeMap<T, LabName> {
    objects.iter().filter_map(|object| Some((object.clone(), owner(object)?))).collect()
}

/// The lab that needs the same of `host` as this one does from now on, and what.
///
/// # Errors
/// A list cannot be read.
pub(super) fn needed_meanwhile(lab: &Lab, before: &BTreeSet<Identity>) -> Result<Option<Conflict>, KernelError> {
    let host = lab.namespaces.get(&NsName::host()).map(|host| host.unattached()).unwrap_or_default();
    if host == Routing::default() {
        return Ok(None);
    }
    let others = state::listed_by_others(&lab.name)?;
    let owner = |object: Identity| {
        let mut lists = others.iter().filter(|_| !before.contains(&object));
        lists.find(|(_, list)| list.contains(&object)).map(|(other, _)| other.clone())
    };
    let of_route = |route| Some(Conflict::of_route(route, Some(owner(Identity::of_route(route))?)));
    let of_rule = |rule| Some(Conflict::of_rule(rule, owner(Identity::of_rule(rule))?));
    Ok(host.routes.iter().find_map(of_route).or_else(|| host.rules.iter().find_map(of_rule)))
}
