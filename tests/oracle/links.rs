//! Who is at the other side of an interface, and who answers there for an address (arp.c, ndisc.c).

use std::collections::BTreeSet;
use std::net::IpAddr;

use nslab::lab::{IfName, Interface, InterfaceKind, InterfaceRef, Lab, Namespace};

use super::packet::Packet;
use super::routing::{Incoming, incoming, is_own, select_ipv4};

/// The tables of neighbours.
#[derive(Debug, Clone, Default)]
pub struct Neighbours {
    /// Whom a namespace knows without asking: the interface, the neighbour's address there, and whose it is.
    pub known: BTreeSet<(InterfaceRef, IpAddr, InterfaceRef)>,
    /// Whom it has asked for in vain. It asks on as the address of the packet that waits first, so that others, which
    /// might get an answer, wait as well.
    pub missed: BTreeSet<(InterfaceRef, IpAddr)>,
    /// Whether several have answered for one address.
    pub several: bool,
}

impl Neighbours {
    /// Adds what others show.
    pub fn extend(&mut self, other: Self) {
        self.known.extend(other.known);
        self.missed.extend(other.missed);
        self.several |= other.several;
    }

    /// Whether it matters who comes first: the one that asks in vain, or the one that is remembered.
    pub fn is_open(&self) -> bool {
        let is_missed = |(at, address, _): &(InterfaceRef, IpAddr, InterfaceRef)| {
            self.missed.iter().any(|(other, missed)| other == at && missed == address)
        };
        self.several || !self.missed.is_empty() && self.known.iter().any(is_missed)
    }
}

/// The links of a lab.
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
        let remembered = table.known.iter().filter(|(at, of, _)| at == from && *of == address);
        let remembered: Vec<_> = remembered.map(|(.., owner)| owner.clone()).collect();
        if !remembered.is_empty() || table.missed.contains(&(from.clone(), address)) {
            return remembered;
        }
        let own = self.namespace(from);
        let source = packet.tuple.source;
        let asks_as = match (is_own(own, source), address) {
            (true, _) => Some(source),
            (false, IpAddr::V4(_)) => select_ipv4(own, &from.name, Some(address)),
            (false, IpAddr::V6(_)) => None,
        };
        let mut owners = self.beside(from);
        owners.retain(|at| self.answers(at, address, asks_as));
        for owner in &owners {
            table.known.extend(asks_as.map(|asks_as| (owner.clone(), asks_as, from.clone())));
            table.known.insert((from.clone(), address, owner.clone()));
        }
        table.several |= owners.len() > 1;
        if owners.is_empty() {
            table.missed.insert((from.clone(), address));
        }
        owners
    }

    fn answers(&self, at: &InterfaceRef, address: IpAddr, asker: Option<IpAddr>) -> bool {
        match (address, asker) {
            (IpAddr::V6(_), _) => self.interface(at).addresses.iter().any(|own| own.ip() == address),
            // Whoever has no address asks with 0.0.0.0, which nobody minds.
            (IpAddr::V4(_), None) => is_own(self.namespace(at), address),
            (IpAddr::V4(_), Some(asker)) => {
                matches!(incoming(self.namespace(at), asker, address, &at.name), Incoming::Local)
            }
        }
    }
}
