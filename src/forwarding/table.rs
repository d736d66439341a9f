//! One routing table, ready to be asked: the routes of the lab, those that the kernel adds for each address, and which
//! addresses belong to the namespace itself.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;

use super::{Packet, Prefixes};
use crate::lab::{IfName, Namespace, Route};

/// The routing tables of a namespace by their numbers.
pub(super) type Tables<'n> = HashMap<u32, Table<'n>>;

/// One routing table.
#[derive(Debug, Default)]
pub(super) struct Table<'n> {
    /// The interface that has an address, as seen from `main` or from a VRF.
    local: HashMap<IpAddr, &'n IfName>,
    /// The routes to each prefix, those with the lowest metric first.
    routes: Prefixes<Vec<Cow<'n, Route>>>,
}

/// Looks through a namespace once.
pub(super) fn all(namespace: &Namespace) -> Tables<'_> {
    let mut tables = Tables::new();
    for (name, interface) in &namespace.interfaces {
        let number = namespace.table_of(interface);
        let table = tables.entry(number).or_default();
        for own in &interface.addresses {
            table.local.entry(own.ip()).or_insert(name);
            if interface.up && !name.is_lo() {
                Route::connected(number, name, *own).for_each(|route| table.add(Cow::Owned(route)));
            }
        }
    }
    for route in &namespace.routes {
        tables.entry(route.table).or_default().add(Cow::Borrowed(route));
    }
    let routes = tables.values_mut().flat_map(|table| table.routes.values_mut());
    routes.for_each(|routes| routes.sort_by_key(|route| route.metric));
    tables
}

impl<'n> Table<'n> {
    fn add(&mut self, route: Cow<'n, Route>) {
        self.routes.get_or_insert(route.to, Vec::new()).push(route);
    }

    /// The interface that has an address, if that belongs to the namespace itself.
    pub(super) fn local_dev(&self, address: IpAddr) -> Option<&'n IfName> {
        self.local.get(&address).copied()
    }

    /// The route that a packet takes: the most specific one, and of those the one with the lowest metric.
    pub(super) fn find(&self, namespace: &Namespace, packet: &Packet) -> Option<&Route> {
        // The kernel asks no interface of a route that drops, and a socket bound to a VRF is bound to all its ports.
        let bound = packet.oif.as_ref().filter(|oif| {
            let interface = namespace.interfaces.get(*oif);
            interface.is_none_or(|interface| interface.master.is_some() || namespace.vrf_of(interface).is_none())
        });
        let fits =
            |route: &&Route| route.is_deviceless() || bound.is_none_or(|bound| route.devs().any(|dev| dev == bound));
        self.routes.holding(packet.destination).flat_map(|(_, routes)| routes).map(Cow::as_ref).find(fits)
    }
}
