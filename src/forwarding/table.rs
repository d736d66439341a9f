//! The routes of one routing table: those of the lab, and those that the kernel adds for each address.

use std::cmp::Reverse;
use std::net::IpAddr;

use super::Packet;
use crate::lab::{IfName, Interface, MAIN_TABLE, Namespace, Route};

/// The routing table of what goes in and out through an interface.
pub(super) fn of_interface(namespace: &Namespace, interface: &Interface) -> u32 {
    namespace.vrf_of(interface).unwrap_or(MAIN_TABLE)
}

/// Whether an address belongs to the namespace itself, as seen from a table: `main`, or that of a VRF.
pub(super) fn local_dev(namespace: &Namespace, table: u32, address: IpAddr) -> Option<&IfName> {
    let has = |interface: &Interface| {
        of_interface(namespace, interface) == table && interface.addresses.iter().any(|own| own.ip() == address)
    };
    let named = namespace.interfaces.iter().find(|(_, interface)| has(interface));
    let lo = || namespace.interfaces.keys().find(|name| name.is_lo());
    named.map(|(name, _)| name).or_else(|| lo().filter(|_| address.is_loopback() && table == MAIN_TABLE))
}

/// The route of a table that a packet takes: the most specific one, and of those the one with the lowest metric.
pub(super) fn find(namespace: &Namespace, table: u32, packet: &Packet) -> Option<Route> {
    let own = namespace.routes.iter().filter(|route| route.table == table).cloned();
    // The kernel asks no interface of a route that drops, and a socket bound to a VRF is bound to all its ports.
    let bound = packet.oif.as_ref().filter(|oif| {
        let interface = namespace.interfaces.get(*oif);
        interface.is_none_or(|interface| interface.master.is_some() || namespace.vrf_of(interface).is_none())
    });
    connected(namespace, table)
        .chain(own)
        .filter(|route| route.to.contains(&packet.destination))
        .filter(|route| route.is_deviceless() || bound.is_none_or(|bound| route.devs().any(|dev| dev == bound)))
        .min_by_key(|route| (Reverse(route.to.prefix_len()), route.metric))
}

/// The routes that the kernel adds to a table with the addresses of interfaces that are up.
fn connected(namespace: &Namespace, table: u32) -> impl Iterator<Item = Route> {
    let interfaces = namespace.interfaces.iter();
    let interfaces =
        interfaces.filter(move |(name, own)| own.up && !name.is_lo() && of_interface(namespace, own) == table);
    interfaces.flat_map(move |(name, interface)| {
        interface.addresses.iter().flat_map(move |own| Route::connected(table, name, *own))
    })
}
