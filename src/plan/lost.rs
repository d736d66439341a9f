//! What goes along with what the plan removes.
//!
//! The kernel takes some things along when it removes others: an interface its addresses and routes, the last address
//! of an interface its IPv4 routes. What would be lost that way is planned anew.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::bridge_port::master;
use super::compared::Sides;
use super::draft::Draft;
use crate::lab::{ForeignKind, ForeignOther, IfName, Interface, Route, RouteScope};

/// What goes along, in one namespace.
#[derive(Default)]
pub(super) struct Lost {
    /// Interfaces that are removed or new: nothing is on them.
    pub(super) interfaces: BTreeSet<IfName>,
    /// Interfaces that the kernel brings down and up again: they lose everything except their IPv4
    /// addresses, with which the routes to their own subnets come back.
    pub(super) brought_down: BTreeSet<IfName>,
    /// Interfaces that lose their last IPv4 address, and with it their IPv4 routes.
    pub(super) without_ipv4: BTreeSet<IfName>,
    /// Addresses that go, and with them the IPv4 routes that prefer them as their source.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// Subnets in which an interface gets an address, and with it the route to the subnet.
    pub(super) comes_with_address: BTreeSet<(IfName, IpNet)>,
}

impl Lost {
    /// What goes along with interfaces.
    pub(super) fn of(sides: &Sides<'_>, draft: &Draft) -> Self {
        let mut lost = Self::default();
        for (name, want) in &sides.want.interfaces {
            let is_fresh = draft.fresh.contains(&sides.interface(name));
            match sides.is.interfaces.get(name).filter(|_| !is_fresh) {
                None => lost.interfaces.insert(name.clone()),
                Some(live) if changes_vrf(sides, name, want, live, draft) => lost.brought_down.insert(name.clone()),
                Some(_) => false,
            };
        }
        lost.interfaces.extend(draft.removed_in(sides.ns).cloned());
        let is_renamed = |other: &ForeignOther| other.object.kind == ForeignKind::LoopbackName;
        if sides.observed.foreign.others.iter().any(is_renamed) {
            lost.brought_down.insert(IfName::lo());
        }
        lost
    }

    /// Whether an interface loses all that is on it, but perhaps its IPv4 addresses.
    pub(super) fn empties(&self, dev: &IfName) -> bool {
        self.interfaces.contains(dev) || self.brought_down.contains(dev)
    }

    /// Whether a route goes.
    pub(super) fn takes(&self, route: &Route) -> bool {
        // The kernel lets a route of host scope stay where its interface goes down, and a route over several next hops
        // as long as one of them is left; it goes with each of its interfaces only where that is removed
        // (fib_sync_down_dev).
        let stays_when_down = !route.is_ipv6() && route.scope == RouteScope::Host;
        let is_dead = |dev: &IfName| {
            (!stays_when_down && self.brought_down.contains(dev))
                || (!route.is_ipv6() && self.without_ipv4.contains(dev))
        };
        route.devs().any(|dev| self.interfaces.contains(dev))
            || (!route.is_deviceless() && route.devs().all(is_dead))
            // An IPv6 route stays and forgets its source (fib6_remove_prefsrc).
            || (!route.is_ipv6() && route.source.is_some_and(|source| self.addresses.contains(&source)))
    }
}

/// Whether an interface becomes or ceases to be a port of a VRF; the kernel brings one that is up down and up again for
/// it (cycle_netdev in its drivers/net/vrf.c).
fn changes_vrf(sides: &Sides<'_>, name: &IfName, want: &Interface, live: &Interface, draft: &Draft) -> bool {
    let changes = master(&sides.interface(name), live, draft) != want.master.as_ref();
    live.up && changes && (sides.is.vrf_of(live).is_some() || sides.want.vrf_of(want).is_some())
}
