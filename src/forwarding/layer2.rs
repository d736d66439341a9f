//! Who is at the other side of an interface, and who answers for an address there.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use indexmap::{IndexMap, IndexSet};

use super::flood::Flood;
use super::links::{End, Links};
use super::{Outcome, Packet, Router};
use crate::lab::{InterfaceRef, Namespace, NsName, VirtualKind};

/// What a broadcast reaches is kept for so many interfaces: probes come sender by sender, over the same few routers.
const FLOODS_KEPT: usize = 64;

/// The links of a lab, and who answers for an address on them.
#[derive(Debug)]
pub struct Layer2<'l> {
    links: Links<'l>,
    /// What a broadcast reaches, where that was asked for.
    floods: RefCell<HashMap<usize, Rc<IndexSet<usize>>>>,
}

impl<'l> Layer2<'l> {
    /// Looks through the namespaces of a lab once.
    pub fn new(namespaces: &'l IndexMap<NsName, Namespace>) -> Self {
        Self { links: Links::new(namespaces), floods: RefCell::default() }
    }

    /// A namespace, ready for look-ups.
    pub fn router(&self, ns: &NsName) -> Option<&Router<'l>> {
        self.links.router(ns)
    }

    /// The interfaces that a broadcast frame from an interface reaches, nearest first.
    pub fn neighbours(&self, from: &InterfaceRef) -> Vec<InterfaceRef> {
        let reached = self.links.place(from).map(|from| self.reached(from));
        reached.iter().flat_map(|reached| reached.iter()).filter_map(|at| self.links.name(*at)).collect()
    }

    fn reached(&self, from: usize) -> Rc<IndexSet<usize>> {
        if let Some(reached) = self.floods.borrow().get(&from) {
            return reached.clone();
        }
        let reached = Rc::new(Flood::from(&self.links, from));
        let mut floods = self.floods.borrow_mut();
        if floods.len() == FLOODS_KEPT {
            floods.clear();
        }
        floods.insert(from, reached.clone());
        reached
    }

    /// The interface through which the owner of an address gets what is sent to it from an interface. A permanent
    /// neighbour entry decides, where there is one; else a namespace answers for all that it delivers to itself
    /// (`arp_ignore` 0), and an interface that has the address itself comes first.
    pub fn owner(&self, from: &InterfaceRef, address: IpAddr) -> Option<InterfaceRef> {
        let own = self.router(&from.ns)?.namespace();
        let entry = own.neighbours.iter().find(|entry| entry.dev == from.name && entry.address == address);
        let from = self.links.place(from)?;
        let neighbours = self.reached(from);
        if let Some(entry) = entry {
            let is_it = |at: &&usize| self.links.interface(**at).is_some_and(|one| one.mac == Some(entry.mac));
            return neighbours.iter().find(is_it).and_then(|at| self.links.name(*at));
        }
        let holders = self.links.holders(address);
        let nearest = holders.iter().filter_map(|holder| neighbours.get_index_of(holder)).min();
        let owner = nearest
            .and_then(|at| neighbours.get_index(at).copied())
            .or_else(|| self.deliverer(from, &neighbours, address))
            .or_else(|| self.other_end(from, &neighbours))
            .or_else(|| neighbours.iter().copied().find(|at| address.is_ipv4() && self.answers_for_others(*at)));
        self.links.name(owner?)
    }

    /// The nearest neighbour in another namespace that takes an address of its own on any interface, or by a local
    /// route.
    fn deliverer(&self, from: usize, neighbours: &IndexSet<usize>, address: IpAddr) -> Option<usize> {
        let ns = |at: usize| self.links.end(at).map(|end| end.ns);
        let holders = self.links.holders(address);
        let may_take = |at: usize| {
            let is_holder = holders.iter().any(|holder| ns(*holder) == ns(at));
            let router = ns(at).and_then(|ns| self.router(ns));
            is_holder || address.is_loopback() || router.is_some_and(Router::has_local_routes)
        };
        let others = neighbours.iter().copied().filter(|at| ns(*at) != ns(from));
        others.filter(|at| may_take(*at)).find(|at| self.delivers(*at, address))
    }

    /// Whether a packet that comes in through an interface is for the namespace itself. The owner of an IPv6 address
    /// answers only on the interface that has it (ndisc_recv_ns), which is not told apart here.
    fn delivers(&self, at: usize, address: IpAddr) -> bool {
        let Some(end) = self.links.end(at) else { return false };
        let packet = Packet { iif: Some(end.name.clone()), ..Packet::to(address) };
        let outcome = self.router(end.ns).map(|router| router.lookup(&packet).outcome);
        matches!(outcome, Some(Outcome::Local { .. }))
    }

    /// A tunnel of IP packets asks no one for the address: what goes in comes out at the other end.
    fn other_end(&self, from: usize, neighbours: &IndexSet<usize>) -> Option<usize> {
        let is_tunnel = self.links.interface(from)?.virtual_interface()?.kind() == VirtualKind::Ipip;
        neighbours.first().copied().filter(|_| is_tunnel)
    }

    /// Whether an interface answers ARP for every address that its namespace has a route to (`proxy_arp`).
    fn answers_for_others(&self, at: usize) -> bool {
        let answers = |of: &End<'_>| Some(self.router(of.ns)?.namespace().answers_for_others(of.name));
        self.links.end(at).and_then(answers).unwrap_or_default()
    }
}
