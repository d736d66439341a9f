//! Who is at the other side of an interface, and who answers for an address there.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use indexmap::IndexMap;

use super::flood::{Flood, Past, Reached};
use super::link_local;
use super::links::{End, Links};
use super::{Outcome, Packet, Router};
use crate::lab::{InterfaceRef, Namespace, NsName};

/// Of what broadcasts reach, so many frames are kept: probes come sender by sender, over the same few routers.
const FRAMES_KEPT: usize = 1 << 18;

/// The links of a lab, and who answers for an address on them.
#[derive(Debug)]
pub struct Layer2<'l> {
    pub(super) links: Links<'l>,
    /// What a broadcast reaches, where that was asked for.
    floods: RefCell<Floods>,
}

/// What broadcasts reach from an interface.
#[derive(Debug, Default)]
struct Floods {
    known: HashMap<(usize, Past), Rc<Reached>>,
    /// The frames of all.
    frames: usize,
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
        let reached = self.links.place(from).map(|from| self.reached(from, Past::Wired));
        reached.iter().flat_map(|reached| reached.iter()).filter_map(|at| self.links.name(at)).collect()
    }

    pub(super) fn reached(&self, from: usize, past: Past) -> Rc<Reached> {
        if let Some(reached) = self.floods.borrow().known.get(&(from, past)) {
            return reached.clone();
        }
        let reached = Rc::new(Flood::from(&self.links, from, past));
        let mut floods = self.floods.borrow_mut();
        floods.frames += reached.frames();
        if floods.frames > FRAMES_KEPT {
            *floods = Floods { frames: reached.frames(), ..Floods::default() };
        }
        floods.known.insert((from, past), reached.clone());
        reached
    }

    /// The interface through which the owner of an address gets what is sent to it from an interface. A permanent
    /// neighbour entry decides, where there is one; else a namespace answers for all that it delivers to itself
    /// (`arp_ignore` 0), and an interface that has the address itself comes first.
    pub fn owner(&self, from: &InterfaceRef, address: IpAddr) -> Option<InterfaceRef> {
        self.links.name(self.owner_past(Past::Wired, from, address, &BTreeSet::new())?)
    }

    /// The interface through which a packet comes in that is sent to a next hop, or, by WireGuard, to its destination.
    pub fn receiver(&self, from: &InterfaceRef, next_hop: IpAddr, destination: IpAddr) -> Option<InterfaceRef> {
        self.owner(from, if self.is_wireguard(from) { destination } else { next_hop })
    }

    /// The same among those that a frame reaches past some obstacles; of several, those that are meant come first.
    pub(super) fn owner_past(
        &self,
        past: Past,
        from: &InterfaceRef,
        address: IpAddr,
        meant: &BTreeSet<NsName>,
    ) -> Option<usize> {
        if self.is_wireguard(from) {
            return self.links.place(&self.wireguard_end(from, address)?);
        }
        let own = self.router(&from.ns)?.namespace();
        let entry = own.neighbours.iter().find(|entry| entry.dev == from.name && entry.address == address);
        let from = self.links.place(from)?;
        let neighbours = self.reached(from, past);
        if let Some(entry) = entry {
            let is_it = |at: &usize| self.links.interface(*at).is_some_and(|one| one.mac == Some(entry.mac));
            return neighbours.iter().find(is_it);
        }
        let is_other = |holder: usize| self.links.end(holder).is_none_or(|end| !meant.contains(end.ns));
        let ranked = self.links.holders(address).iter().filter_map(|holder| {
            let rank = neighbours.rank(*holder)?;
            Some(((past == Past::All && is_other(*holder), rank), *holder))
        });
        ranked
            .min()
            .map(|(_, holder)| holder)
            .or_else(|| self.has_made(&neighbours, address))
            .or_else(|| self.deliverer(from, &neighbours, address))
            .or_else(|| self.other_end(from, &neighbours))
            .or_else(|| neighbours.iter().find(|at| address.is_ipv4() && self.answers_for_others(*at)))
    }

    /// The nearest neighbour that has made a link-local address from its MAC address.
    fn has_made(&self, neighbours: &Reached, address: IpAddr) -> Option<usize> {
        let has = |at: &usize| self.links.interface(*at).is_some_and(|one| link_local::has(one, address));
        neighbours.iter().find(|at| link_local::is_link_local(address) && has(at))
    }

    /// The nearest neighbour in another namespace that takes an address of its own on any interface, or by a local
    /// route.
    fn deliverer(&self, from: usize, neighbours: &Reached, address: IpAddr) -> Option<usize> {
        let ns = |at: usize| self.links.end(at).map(|end| end.ns);
        let holders = self.links.holders(address);
        let may_take = |at: usize| {
            let is_holder = holders.iter().any(|holder| ns(*holder) == ns(at));
            let router = ns(at).and_then(|ns| self.router(ns));
            is_holder || address.is_loopback() || router.is_some_and(Router::has_local_routes)
        };
        let others = neighbours.iter().filter(|at| ns(*at) != ns(from));
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

    /// Whether what the bridge of a port passes on goes through the iptables of its namespace.
    pub(super) fn asks_iptables(&self, port: &InterfaceRef, destination: IpAddr) -> bool {
        let bridge = self.links.place(port).and_then(|port| self.links.end(port)?.bridge);
        bridge.is_some_and(|bridge| self.bridge_asks_iptables(bridge, destination))
    }

    /// The same of a bridge: by its own option, or by the setting of the namespace, which only a live one has.
    pub(super) fn bridge_asks_iptables(&self, bridge: usize, destination: IpAddr) -> bool {
        let Some(end) = self.links.end(bridge) else { return false };
        let own = end.interface.bridge_options().is_some_and(|options| options.nf_call_iptables);
        let namespace = self.router(end.ns).map(Router::namespace);
        let setting = match destination {
            IpAddr::V4(_) => "net.bridge.bridge-nf-call-iptables",
            IpAddr::V6(_) => "net.bridge.bridge-nf-call-ip6tables",
        };
        let all = namespace.is_some_and(|namespace| {
            let all = namespace.sysctls.iter().find(|(key, _)| key.as_str() == setting);
            all.is_some_and(|(_, value)| value.is_on())
        });
        (own && destination.is_ipv4()) || all
    }

    /// A tunnel of IP packets asks no one for the address: what goes in comes out at the other end.
    fn other_end(&self, from: usize, neighbours: &Reached) -> Option<usize> {
        let is_tunnel = self.links.interface(from)?.virtual_interface()?.kind().is_tunnel_of_packets();
        neighbours.iter().next().filter(|_| is_tunnel)
    }

    /// Whether an interface answers ARP for every address that its namespace has a route to (`proxy_arp`).
    fn answers_for_others(&self, at: usize) -> bool {
        let answers = |of: &End<'_>| Some(self.router(of.ns)?.namespace().answers_for_others(of.name));
        self.links.end(at).and_then(answers).unwrap_or_default()
    }
}
