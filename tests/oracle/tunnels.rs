//! VXLANs: frames that travel as datagrams through the lab's own network (vxlan_core.c).

use std::collections::BTreeMap;
use std::net::IpAddr;

use nslab::lab::{InterfaceRef, IpProtocol, Mac, VirtualInterface, Vxlan};

use super::links::Neighbours;
use super::packet::{Kind, Packet, Tuple};
use super::walk::{Prediction, Walk};

/// How deep tunnels may lie in each other; a route into the tunnel itself leads nowhere.
const DEPTH: usize = 2;

impl Walk<'_> {
    fn vxlan(&self, of: &InterfaceRef) -> Option<&Vxlan> {
        match self.lab.namespaces[&of.ns].interfaces[&of.name].virtual_interface()? {
            VirtualInterface::Vxlan(vxlan) => Some(vxlan),
            VirtualInterface::Macvlan { .. }
            | VirtualInterface::Ipvlan { .. }
            | VirtualInterface::Vlan { .. }
            | VirtualInterface::Ipip { .. }
            | VirtualInterface::Gre(_)
            | VirtualInterface::Wireguard(_)
            | VirtualInterface::Dummy
            | VirtualInterface::Vrf { .. } => None,
        }
    }

    /// Those who answer for an address on the link of an interface.
    pub(super) fn owners(&mut self, from: &InterfaceRef, next_hop: IpAddr, packet: &Packet) -> Vec<InterfaceRef> {
        if self.vxlan(from).is_none() {
            return self.links.owners(from, next_hop, packet, &mut self.neighbours);
        }
        if let Some(remembered) = self.neighbours.remembered(from, next_hop) {
            return remembered;
        }
        let asks_as = self.links.asks_as(from, next_hop, packet);
        let mut owners = self.flood(from, None);
        if next_hop.is_ipv4() {
            let heard = owners.iter().filter_map(|at| Some((at.clone(), asks_as?, from.clone())));
            self.neighbours.overheard.extend(heard);
        }
        owners.retain(|at| self.links.answers(at, next_hop, asks_as));
        owners.retain(|at| self.reaches(at, from));
        self.neighbours.learn(from, next_hop, asks_as, &owners);
        owners
    }

    /// Whether a frame for the owner of an interface comes there.
    pub(super) fn reaches(&mut self, from: &InterfaceRef, to: &InterfaceRef) -> bool {
        self.vxlan(from).is_none() || self.flood(from, Some(to)).contains(to)
    }

    /// The interfaces at which a frame comes out: one for somebody in particular goes where that one is known to be.
    fn flood(&mut self, from: &InterfaceRef, to: Option<&InterfaceRef>) -> Vec<InterfaceRef> {
        let namespace = &self.lab.namespaces[&from.ns];
        let entries = |mac: Mac| {
            let own = namespace.fdb.iter().filter(|entry| entry.dev == from.name && entry.mac == mac);
            own.map(|entry| entry.to).collect::<Vec<_>>()
        };
        let mac = to.and_then(|to| self.lab.namespaces[&to.ns].interfaces[&to.name].mac);
        let mut ends = mac.map(entries).unwrap_or_default();
        if let (Some(to), true) = (to, ends.is_empty()) {
            ends.extend(self.neighbours.behind.get(&(from.clone(), to.clone())));
        }
        if ends.is_empty() {
            ends = entries(Mac::ANY);
        }
        ends.into_iter().filter_map(|end| self.through(from, end)).collect()
    }

    /// Where a frame comes out that is sent to an address; who takes it there remembers where it came from.
    fn through(&mut self, from: &InterfaceRef, to: IpAddr) -> Option<InterfaceRef> {
        let own = self.vxlan(from)?.clone();
        let tuple = Tuple { source: own.local?, source_port: 50_000, destination: to, destination_port: own.port };
        let packet = Packet { protocol: IpProtocol::Udp, kind: Kind::Request, tuple, ttl: Packet::TTL };
        let (ns, source, port) = self.beneath(from, packet)?;
        let there = &self.lab.namespaces[&ns];
        let (name, _) = there.interfaces.iter().find(|(name, interface)| {
            let at = InterfaceRef { ns: ns.clone(), name: (*name).clone() };
            interface.up && self.vxlan(&at).is_some_and(|end| (end.id, end.port) == (own.id, port))
        })?;
        let at = InterfaceRef { ns: ns.clone(), name: name.clone() };
        if self.vxlan(&at)?.learning {
            let mac = self.lab.namespaces[&from.ns].interfaces[&from.name].mac;
            let fixed = there.fdb.iter().filter(|entry| entry.dev == *name && Some(entry.mac) == mac);
            // A frame from elsewhere than its sender is said to be is dropped (vxlan_snoop).
            if fixed.clone().next().is_some() && !fixed.clone().any(|entry| entry.to == source) {
                return None;
            }
            self.neighbours.behind.insert((at.clone(), from.clone()), source);
        }
        Some(at)
    }

    /// The way of the datagram itself, which is a probe of its own.
    fn beneath(&mut self, from: &InterfaceRef, packet: Packet) -> Option<(nslab::lab::NsName, IpAddr, u16)> {
        if self.depth == DEPTH {
            return None;
        }
        let mut inner = Walk {
            lab: self.lab,
            links: self.links,
            listening: self.listening,
            last: self.last,
            neighbours: std::mem::take(&mut self.neighbours),
            depth: self.depth + 1,
            connections: BTreeMap::new(),
            from: from.ns.clone(),
            ours: self.ours.clone(),
            sent: packet.clone(),
            way: None,
            heard: None,
            prediction: Prediction::nothing(),
        };
        inner.answer(&from.ns, packet);
        let Walk { neighbours, prediction, .. } = inner;
        self.neighbours = neighbours;
        prediction.arrival
    }
}

impl Neighbours {
    /// Who is known to have an address; none: it has to be asked for.
    pub fn remembered(&self, from: &InterfaceRef, address: IpAddr) -> Option<Vec<InterfaceRef>> {
        let known = self.known.iter().filter(|(at, of, _)| at == from && *of == address);
        let known: Vec<_> = known.map(|(.., owner)| owner.clone()).collect();
        (!known.is_empty() || self.missed.contains(&(from.clone(), address))).then_some(known)
    }

    /// Writes down who answered, and to whom.
    pub fn learn(&mut self, from: &InterfaceRef, address: IpAddr, asker: Option<IpAddr>, owners: &[InterfaceRef]) {
        for owner in owners {
            self.known.extend(asker.map(|asker| (owner.clone(), asker, from.clone())));
            self.known.insert((from.clone(), address, owner.clone()));
        }
        self.several |= owners.len() > 1;
        if owners.is_empty() {
            self.missed.insert((from.clone(), address));
        }
    }
}
