//! Routes: which are missing, which take another's place, and which go.

use std::collections::BTreeSet;

use super::compared::Sides;
use super::draft::{Draft, EXTRA, MISSING};
use super::lost::Lost;
use crate::lab::{Address, ForeignRoute, IfName, Interface, InterfaceRef, MAIN_TABLE, Namespace, Route, RouteSlot};
use crate::steps::{ForeignStep, Presence, RouteStep, Step, Update};

/// Plans the routes of a namespace.
pub(super) fn compare(sides: &Sides<'_>, lost: &Lost, draft: &mut Draft) {
    for (name, want) in &sides.want.interfaces {
        connected(sides, &sides.interface(name), want, lost, draft);
    }
    let (ns, want, is) = (sides.ns, sides.want, sides.is);
    let remaining: Vec<&Route> = is.routes.iter().filter(|route| !lost.takes(route)).collect();
    let mut replaced = BTreeSet::new();
    let missing = want.routes.difference(&is.routes);
    for route in missing.chain(want.routes.intersection(&is.routes).filter(|route| lost.takes(route))) {
        // What is not nslab's in `host` is not replaced, but in the way (see `conflicts`).
        let is_replaceable =
            |there: &Route| there.same_slot(route) && !want.routes.contains(there) && is_ours_in_place(sides, there);
        let from = remaining.iter().copied().find(|there| is_replaceable(there));
        replaced.extend(from);
        let why = from.map_or_else(|| MISSING.to_owned(), |from| format!("there is {from}"));
        let change = Update::to(from.cloned(), route.clone());
        draft.add(Step::Route(RouteStep { ns: ns.clone(), change }), why);
    }
    let stays = |there: &&ForeignRoute| is_kept(sides, there.protocol, there.slot);
    let foreign = sides.observed.foreign.routes.iter().filter(|there| !stays(there));
    for route in foreign.filter(|route| !ns.is_host() || route.is_ours) {
        let change = Presence::Remove(route.object.clone());
        draft.add(Step::Foreign(ForeignStep { ns: ns.clone(), change }), EXTRA);
    }
    for &route in &remaining {
        let implied = || {
            want.interfaces
                .iter()
                .any(|(name, interface)| implied(want, name, interface).any(|own| is_connected(route, &own)))
        };
        let is_extra = !want.routes.contains(route) && !replaced.contains(route) && !is_programs(sides, route);
        if is_extra && is_ours(sides, route) && !implied() {
            draft.add(Step::Route(RouteStep { ns: ns.clone(), change: Update::Remove(route.clone()) }), EXTRA);
        }
    }
}

/// Whether the file leaves a route of a program alone: it may not have the place of one that the file has.
fn is_kept(sides: &Sides<'_>, protocol: u8, slot: Option<RouteSlot>) -> bool {
    let is_taken = |slot| sides.want.routes.iter().any(|want| want.slot() == slot);
    sides.want.keep.has_route(protocol) && !slot.is_some_and(is_taken)
}

fn is_programs(sides: &Sides<'_>, route: &Route) -> bool {
    let protocol = sides.observed.route_protocols.get(route);
    protocol.is_some_and(|protocol| is_kept(sides, *protocol, Some(route.slot())))
}

/// The routes to its own subnets that the kernel makes with an interface's addresses.
pub(super) fn implied<'a>(
    ns: &Namespace,
    name: &'a IfName,
    interface: &'a Interface,
) -> impl Iterator<Item = Route> + 'a {
    let table = ns.vrf_of(interface).unwrap_or(MAIN_TABLE);
    // Of several addresses in one subnet, the first brings the route.
    let first = |address: &&Address| {
        let mut before = interface.addresses.iter().take_while(|before| before != address);
        !before.any(|before| before.subnet() == address.subnet())
    };
    let addresses = interface.addresses.iter().filter(move |address| interface.up && !name.is_lo() && first(address));
    addresses.flat_map(move |address| Route::connected(table, name, *address))
}

/// Plans the routes to an interface's own subnets that were removed; with an address, they come by themselves.
fn connected(sides: &Sides<'_>, interface: &InterfaceRef, want: &Interface, lost: &Lost, draft: &mut Draft) {
    let InterfaceRef { ns, name } = interface;
    let is = sides.is;
    let Some(live) = is.interfaces.get(name).filter(|live| live.up && !lost.empties(name)) else {
        return;
    };
    for route in implied(sides.want, name, want) {
        let address_stays = live.addresses.iter().any(|address| address.connected().any(|subnet| subnet == route.to))
            && !lost.comes_with_address.contains(&(name.clone(), route.to));
        if address_stays && !sides.observed.connected.iter().chain(&is.routes).any(|there| is_connected(there, &route))
        {
            draft.add(Step::Route(RouteStep { ns: ns.clone(), change: Update::Add(route) }), MISSING);
        }
    }
}

/// Whether a route does what the kernel's own route to a subnet does.
fn is_connected(there: &Route, implied: &Route) -> bool {
    there.via.is_none() && there.same_slot(implied) && there.dev == implied.dev
}

/// Whether a route that the file does not have is the lab's to remove: all are in its own namespaces; in `host`
/// those that are marked, and go through an interface of the lab or through none of any lab.
fn is_ours(sides: &Sides<'_>, route: &Route) -> bool {
    let dev_is_no_others = || sides.is.is_unattached(route) || route.devs().all(|dev| sides.is_of_lab(dev));
    !sides.ns.is_host() || (sides.observed.nslab_routing.routes.contains(route) && dev_is_no_others())
}

/// Whether a route in the place of a wanted one is the lab's to replace: also one that was altered by hand, as long as
/// it goes through an interface of the lab.
fn is_ours_in_place(sides: &Sides<'_>, route: &Route) -> bool {
    (!route.is_deviceless() && route.devs().all(|dev| sides.is_of_lab(dev))) || is_ours(sides, route)
}
