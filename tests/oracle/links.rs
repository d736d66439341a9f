//! Who is at the other side of an interface, and who answers there for an address (arp.c, ndisc.c).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use nslab::lab::{IfName, Interface, InterfaceKind, InterfaceRef, Lab, Mac, Namespace};

use super::packet::Packet;
use super::routing::{Incoming, incoming, is_own, select_ipv4};

/// Neighbours: the interface, the neighbour's address there, and whose it is.
pub type Known = BTreeSet<(InterfaceRef, IpAddr, InterfaceRef)>;

/// The tables of neighbours.
#[derive(Debug, Clone, Default)]
pub struct Neighbours {
    /// Whom a namespace knows without asking.
    pub known: Known,
    /// Who has asked for others, in everybody's hearing: who waits for an answer of theirs has it then (arp_process).
    pub overheard: Known,
    /// Whom it has asked for in vain. It asks on as the address of the packet that waits first, so that others, which
    /// might get an answer, wait as well.
    pub missed: BTreeSet<(InterfaceRef, IpAddr)>,
    /// Whether several have answered for one address.
    pub several: bool,
    /// Behind which address a VXLAN interface has learned another one to be.
    pub behind: BTreeMap<(InterfaceRef, InterfaceRef), IpAddr>,
}

impl Neighbours {
    /// Adds what others show.
    pub fn extend(&mut self, other: Self) {
        self.known.extend(other.known);
        self.overheard.extend(other.overheard);
        self.missed.extend(other.missed);
        self.several |= other.several;
        self.behind.extend(other.behind);
    }

    /// What is known where somebody has missed a neighbour, or knows another one already.
    pub fn with_overheard(&self) -> Known {
        let missed = self.missed.iter().map(|(at, address)| (at, address));
        let places: BTreeSet<_> = missed.chain(self.known.iter().map(|(at, address, _)| (at, address))).collect();
        let overheard = self.overheard.iter().filter(|(at, address, _)| places.contains(&(at, address)));
        self.known.iter().chain(overheard).cloned().collect()
    }

    /// Whether it matters who comes first: the one that asks in vain, the one that is remembered, or another one.
    pub fn is_open(&self) -> bool {
        let known = self.with_overheard();
        let is_missed = |at: &InterfaceRef, address: &IpAddr| {
            self.missed.iter().any(|(other, missed)| other == at && missed == address)
        };
        let mut last = None;
        let is_double = known.iter().any(|(at, address, _)| last.replace((at, address)) == Some((at, address)));
        self.several
            || !self.behind.is_empty()
            || is_double
            || known.iter().any(|(at, address, _)| is_missed(at, address))
    }
}

/// The links of a lab.
#[derive(Clone, Copy)]
pub struct Links<'l> {
    lab: &'l Lab,
}

impl<'l> Links<'l> {
    pub fn new(lab: &'l Lab) -> Self {
        Self { lab }
    }

    fn namespace(&self, of: &InterfaceRef) -> &'l Namespace {
        &self.lab.namespaces[&of.ns]
    }

    fn interface(&self, of: &InterfaceRef) -> &'l Interface {
        &self.namespace(of).interfaces[&of.name]
    }

    /// The other end of an interface, if both are up.
    fn peer(&self, of: &InterfaceRef) -> Option<InterfaceRef> {
        let own = self.interface(of);
        let InterfaceKind::Veth { peer: Some(peer) } = &own.kind else { return None };
        (own.up && self.interface(peer).up).then(|| peer.clone())
    }

    /// The interfaces that a broadcast from one reaches: that of a cable, or those on the other ports of a bridge.
    fn beside(&self, of: &InterfaceRef) -> Vec<InterfaceRef> {
        let Some(peer) = self.peer(of) else { return Vec::new() };
        let Some(bridge) = &self.interface(&peer).master else { return vec![peer] };
        let switch = self.namespace(&peer);
        if !switch.interfaces[bridge].up {
            return Vec::new();
        }
        let isolated = self.interface(&peer).port.isolated;
        let others = switch.interfaces.iter().filter(|(name, port)| {
            port.master.as_ref() == Some(bridge) && **name != peer.name && !(isolated && port.port.isolated)
        });
        let port = |name: &IfName| InterfaceRef { ns: peer.ns.clone(), name: name.clone() };
        others.filter_map(|(name, _)| self.peer(&port(name))).collect()
    }

    /// Those who answer for an address when a namespace has a packet for it. Who is asked remembers who has asked.
    pub fn owners(
        &self,
        from: &InterfaceRef,
        address: IpAddr,
        packet: &Packet,
        table: &mut Neighbours,
    ) -> Vec<InterfaceRef> {
        let mut owners = self.beside(from);
        if let Some(mac) = self.fixed(from, address) {
            owners.retain(|at| self.interface(at).mac == Some(mac));
            return owners;
        }
        if let Some(remembered) = table.remembered(from, address) {
            return remembered;
        }
        let asks_as = self.asks_as(from, address, packet);
        if address.is_ipv4() {
            table.overheard.extend(owners.iter().filter_map(|at| Some((at.clone(), asks_as?, from.clone()))));
        }
        owners.retain(|at| self.answers(at, address, asks_as));
        if let (Some(asker), true) = (asks_as, address.is_ipv6()) {
            // An advertisement goes the way of any packet to the one that has asked; an ARP reply does not.
            let mac = self.interface(from).mac;
            owners.retain(|at| self.fixed(at, asker).is_none_or(|fixed| mac == Some(fixed)));
        }
        table.learn(from, address, asks_as, &owners);
        owners
    }

    /// The hardware address of a permanent entry.
    fn fixed(&self, at: &InterfaceRef, address: IpAddr) -> Option<Mac> {
        let entries = &self.namespace(at).neighbours;
        entries.iter().find(|own| own.dev == at.name && own.address == address).map(|own| own.mac)
    }

    /// The address as which a namespace asks for a neighbour: that of the packet that waits, if it is its own.
    pub fn asks_as(&self, from: &InterfaceRef, address: IpAddr, packet: &Packet) -> Option<IpAddr> {
        let (own, source) = (self.namespace(from), packet.tuple.source);
        match address {
            IpAddr::V4(_) if is_own(own, source) => Some(source),
            IpAddr::V4(_) => select_ipv4(own, &from.name, Some(address)),
            // From a link-local address otherwise.
            IpAddr::V6(_) => Some(source).filter(|_| self.has(from, source)),
        }
    }

    fn has(&self, at: &InterfaceRef, address: IpAddr) -> bool {
        self.interface(at).addresses.iter().any(|own| own.ip() == address)
    }

    /// Whether an interface answers for an address.
    pub fn answers(&self, at: &InterfaceRef, address: IpAddr, asker: Option<IpAddr>) -> bool {
        match (address, asker) {
            (IpAddr::V6(_), _) => self.has(at, address),
            // Whoever has no address asks with 0.0.0.0, which nobody minds.
            (IpAddr::V4(_), None) => is_own(self.namespace(at), address),
            (IpAddr::V4(_), Some(asker)) => {
                matches!(incoming(self.namespace(at), asker, address, &at.name), Incoming::Local)
            }
        }
    }
}
