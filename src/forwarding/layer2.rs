//! Who is at the other side of an interface: veth pairs, bridges with their VLANs, VXLANs, and what is stacked on
//! interfaces.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use indexmap::{IndexMap, IndexSet};

use super::{Outcome, Packet, lookup};
use crate::lab::{
    IfName, Interface, InterfaceKind, InterfaceRef, MacvlanMode, Namespace, NsName, Tagging, VirtualInterface, Vlans,
    Vxlan,
};

/// What a broadcast reaches is kept for so many interfaces: probes come sender by sender, over the same few routers.
const FLOODS_KEPT: usize = 64;

/// The links of a lab, ready to be followed.
#[derive(Debug)]
pub struct Layer2<'l> {
    namespaces: &'l IndexMap<NsName, Namespace>,
    /// What is stacked on an interface, in the same namespace or another one.
    uppers: HashMap<&'l InterfaceRef, Vec<InterfaceRef>>,
    /// The interfaces that have an address.
    holders: HashMap<IpAddr, Vec<InterfaceRef>>,
    /// What a broadcast reaches, where that was asked for.
    floods: RefCell<HashMap<InterfaceRef, Rc<IndexSet<InterfaceRef>>>>,
}

/// A frame at an interface, with its VLAN tag if it has one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Frame {
    at: InterfaceRef,
    tag: Option<u16>,
    /// Whether it leaves the namespace through the interface, or comes in through it.
    leaves: bool,
}

/// The interfaces that a broadcast reaches, while it is followed.
struct Flood<'a, 'l> {
    layer2: &'a Layer2<'l>,
    seen: HashSet<Frame>,
    todo: Vec<Frame>,
    reached: IndexSet<InterfaceRef>,
}

impl<'l> Layer2<'l> {
    /// Looks through the namespaces of a lab once.
    pub fn new(namespaces: &'l IndexMap<NsName, Namespace>) -> Self {
        let (uppers, holders, floods) = (HashMap::new(), HashMap::new(), RefCell::default());
        let mut layer2 = Self { namespaces, uppers, holders, floods };
        for (ns, namespace) in namespaces {
            for (name, interface) in &namespace.interfaces {
                let own = InterfaceRef { ns: ns.clone(), name: name.clone() };
                for address in &interface.addresses {
                    layer2.holders.entry(address.ip()).or_default().push(own.clone());
                }
                if let Some(lower) = interface.virtual_interface().and_then(VirtualInterface::lower) {
                    layer2.uppers.entry(lower).or_default().push(own);
                }
            }
        }
        layer2
    }

    /// The namespaces that it looked through.
    pub fn namespaces(&self) -> &'l IndexMap<NsName, Namespace> {
        self.namespaces
    }

    /// The interfaces that a broadcast frame from an interface reaches, nearest first.
    pub fn neighbours(&self, from: &InterfaceRef) -> Rc<IndexSet<InterfaceRef>> {
        if let Some(reached) = self.floods.borrow().get(from) {
            return reached.clone();
        }
        let reached = Rc::new(self.flood(from));
        let mut floods = self.floods.borrow_mut();
        if floods.len() == FLOODS_KEPT {
            floods.clear();
        }
        floods.insert(from.clone(), reached.clone());
        reached
    }

    fn flood(&self, from: &InterfaceRef) -> IndexSet<InterfaceRef> {
        let mut flood = Flood { layer2: self, seen: HashSet::new(), todo: Vec::new(), reached: IndexSet::new() };
        flood.go(Frame { at: from.clone(), tag: None, leaves: true });
        let mut at = 0;
        while let Some(frame) = flood.todo.get(at).cloned() {
            at += 1;
            match frame.leaves {
                true => flood.leave(&frame),
                false => flood.arrive(&frame),
            }
        }
        flood.reached.shift_remove(from);
        flood.reached
    }

    /// The interface through which the owner of an address gets what is sent to it from an interface. A permanent
    /// neighbour entry decides, where there is one; else a namespace answers for all that it delivers to itself
    /// (`arp_ignore` 0), and an interface that has the address itself comes first.
    pub fn owner(&self, from: &InterfaceRef, address: IpAddr) -> Option<InterfaceRef> {
        let own = self.namespaces.get(&from.ns)?;
        let entry = own.neighbours.iter().find(|entry| entry.dev == from.name && entry.address == address);
        let neighbours = self.neighbours(from);
        if let Some(entry) = entry {
            let is_it = |at: &&InterfaceRef| self.interface(at).is_some_and(|one| one.mac == Some(entry.mac));
            return neighbours.iter().find(is_it).cloned();
        }
        let holders = self.holders.get(&address).map_or(&[][..], Vec::as_slice);
        let nearest = holders.iter().filter_map(|holder| neighbours.get_index_of(holder)).min();
        let delivers = |at: &&InterfaceRef| at.ns != from.ns && self.delivers(at, address);
        nearest
            .and_then(|at| neighbours.get_index(at))
            .or_else(|| neighbours.iter().find(delivers))
            .or_else(|| self.other_end(from, &neighbours))
            .or_else(|| neighbours.iter().find(|at| address.is_ipv4() && self.answers_for_others(at)))
            .cloned()
    }

    /// Whether a packet that comes in through an interface is for the namespace itself. The owner of an IPv6 address
    /// answers only on the interface that has it (ndisc_recv_ns), which is not told apart here.
    fn delivers(&self, at: &InterfaceRef, address: IpAddr) -> bool {
        let packet = Packet { iif: Some(at.name.clone()), ..Packet::to(address) };
        let outcome = self.namespace(at).map(|namespace| lookup(namespace, &packet).outcome);
        matches!(outcome, Some(Outcome::Local { .. }))
    }

    /// A tunnel of IP packets asks no one for the address: what goes in comes out at the other end.
    fn other_end<'n>(&self, from: &InterfaceRef, neighbours: &'n IndexSet<InterfaceRef>) -> Option<&'n InterfaceRef> {
        let is_tunnel = matches!(self.interface(from)?.virtual_interface()?, VirtualInterface::Ipip { .. });
        neighbours.first().filter(|_| is_tunnel)
    }

    /// Whether an interface answers ARP for every address that its namespace has a route to (`proxy_arp`).
    fn answers_for_others(&self, at: &InterfaceRef) -> bool {
        let Some(namespace) = self.namespace(at) else { return false };
        [at.name.as_str(), "all"].iter().any(|name| {
            let key = format!("net.ipv4.conf.{name}.proxy_arp");
            namespace.sysctls.iter().any(|(set, value)| set.as_str() == key && value.as_str() == "1")
        })
    }

    fn namespace(&self, of: &InterfaceRef) -> Option<&'l Namespace> {
        self.namespaces.get(&of.ns)
    }

    /// All interfaces of a namespace.
    fn interfaces(&self, ns: &NsName) -> impl Iterator<Item = InterfaceRef> {
        let names = self.namespaces.get(ns).into_iter().flat_map(|namespace| namespace.interfaces.keys());
        names.map(|name| InterfaceRef { ns: ns.clone(), name: name.clone() })
    }

    fn interface(&self, of: &InterfaceRef) -> Option<&'l Interface> {
        self.namespace(of)?.interfaces.get(&of.name)
    }

    /// The bridge that an interface is a port of.
    fn bridge_of(&self, port: &InterfaceRef) -> Option<InterfaceRef> {
        let name = self.interface(port)?.master.clone()?;
        let bridge = InterfaceRef { ns: port.ns.clone(), name };
        matches!(self.interface(&bridge)?.kind, InterfaceKind::Bridge(_)).then_some(bridge)
    }

    /// The tunnel interfaces at an address that satisfy a condition.
    fn tunnels(&self, address: IpAddr, fits: impl Fn(&VirtualInterface) -> bool) -> Vec<InterfaceRef> {
        let holders = self.holders.get(&address).into_iter().flatten();
        let all = holders.flat_map(|holder| self.interfaces(&holder.ns));
        all.filter(|at| self.interface(at).and_then(Interface::virtual_interface).is_some_and(&fits)).collect()
    }
}

impl Flood<'_, '_> {
    fn go(&mut self, frame: Frame) {
        if self.seen.insert(frame.clone()) {
            self.todo.push(frame);
        }
    }

    fn comes_in(&mut self, at: InterfaceRef, tag: Option<u16>) {
        self.go(Frame { at, tag, leaves: false });
    }

    /// A frame leaves the namespace through an interface.
    fn leave(&mut self, frame: &Frame) {
        let Some(interface) = self.layer2.interface(&frame.at) else { return };
        match &interface.kind {
            InterfaceKind::Veth { peer } => peer.iter().for_each(|peer| self.comes_in(peer.clone(), frame.tag)),
            InterfaceKind::Bridge(_) => self.through_bridge(&frame.at, &frame.at, frame.tag),
            InterfaceKind::Virtual(virtual_interface) => self.leave_virtual(frame, virtual_interface),
            InterfaceKind::Loopback | InterfaceKind::Other(_) => {}
        }
    }

    fn leave_virtual(&mut self, frame: &Frame, virtual_interface: &VirtualInterface) {
        match virtual_interface {
            VirtualInterface::Vxlan(vxlan) => self.through_vxlan(frame, vxlan),
            VirtualInterface::Macvlan { parent: Some(parent), mode } => {
                self.past_parent(frame, parent, *mode == MacvlanMode::Bridge);
            }
            VirtualInterface::Ipvlan { parent: Some(parent), .. } => {
                self.past_parent(frame, parent, true);
            }
            VirtualInterface::Vlan { parent: Some(parent), id } => {
                self.go(Frame { at: parent.clone(), tag: Some(*id), leaves: true });
            }
            VirtualInterface::Ipip { local, remote: Some(remote) } => self.through_ipip(frame, *local, *remote),
            VirtualInterface::Ipip { local, remote: None } => self.through_every_tunnel(frame, *local),
            VirtualInterface::Macvlan { parent: None, .. }
            | VirtualInterface::Ipvlan { parent: None, .. }
            | VirtualInterface::Vlan { parent: None, .. }
            | VirtualInterface::Dummy
            | VirtualInterface::Vrf { .. } => {}
        }
    }

    /// To the tunnels at an address that take packets from another one.
    fn through_ipip(&mut self, frame: &Frame, from: Option<Ipv4Addr>, to: Ipv4Addr) {
        let answers = |other: &VirtualInterface| {
            let VirtualInterface::Ipip { local, remote } = other else { return false };
            *local == Some(to) && (remote.is_none() || *remote == from)
        };
        for other in self.layer2.tunnels(to.into(), answers) {
            self.comes_in(other, frame.tag);
        }
    }

    /// The gateway of a route chooses the other end of such a tunnel: it may be any.
    fn through_every_tunnel(&mut self, frame: &Frame, local: Option<Ipv4Addr>) {
        let ends = self.layer2.holders.keys().filter_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        });
        let ends: BTreeSet<Ipv4Addr> = ends.collect();
        for end in ends {
            self.through_ipip(frame, local, end);
        }
    }

    /// From a macvlan or ipvlan: out through the parent, and to the others on it, if they may speak to each other.
    fn past_parent(&mut self, frame: &Frame, parent: &InterfaceRef, to_others: bool) {
        self.go(Frame { at: parent.clone(), tag: frame.tag, leaves: true });
        let others = self.layer2.uppers.get(parent).map_or(&[][..], Vec::as_slice).to_vec();
        let kind = |of: &InterfaceRef| self.layer2.interface(of)?.virtual_interface().map(VirtualInterface::kind);
        let own = kind(&frame.at);
        for other in others.into_iter().filter(|other| to_others && kind(other) == own).collect::<Vec<_>>() {
            self.comes_in(other, frame.tag);
        }
    }

    /// To every end that the forwarding entries name.
    fn through_vxlan(&mut self, frame: &Frame, own: &Vxlan) {
        let Some(namespace) = self.layer2.namespace(&frame.at) else { return };
        let entries = namespace.fdb.iter().filter(|entry| entry.dev == frame.at.name).map(|entry| entry.to);
        let ends: BTreeSet<IpAddr> = entries.collect();
        for end in ends {
            let answers = |other: &VirtualInterface| {
                let VirtualInterface::Vxlan(other) = other else { return false };
                (other.id, other.port) == (own.id, own.port) && other.local.is_none_or(|local| local == end)
            };
            for other in self.layer2.tunnels(end, answers) {
                self.comes_in(other, frame.tag);
            }
        }
    }

    /// A frame comes into a namespace through an interface.
    fn arrive(&mut self, frame: &Frame) {
        if let Some(bridge) = self.layer2.bridge_of(&frame.at) {
            return self.through_bridge(&bridge, &frame.at, frame.tag);
        }
        self.deliver(&frame.at, frame.tag);
    }

    /// A frame is for the namespace itself, or for what is stacked on the interface.
    fn deliver(&mut self, at: &InterfaceRef, tag: Option<u16>) {
        if tag.is_none() {
            self.reached.insert(at.clone());
        }
        for upper in self.layer2.uppers.get(at).map_or(&[][..], Vec::as_slice).to_vec() {
            let device = self.layer2.interface(&upper).and_then(Interface::virtual_interface);
            match device {
                Some(VirtualInterface::Vlan { id, .. }) if tag == Some(*id) => self.comes_in(upper, None),
                Some(VirtualInterface::Macvlan { .. } | VirtualInterface::Ipvlan { .. }) => self.comes_in(upper, tag),
                Some(
                    VirtualInterface::Vlan { .. }
                    | VirtualInterface::Vxlan(_)
                    | VirtualInterface::Ipip { .. }
                    | VirtualInterface::Dummy
                    | VirtualInterface::Vrf { .. },
                )
                | None => {}
            }
        }
    }

    /// A frame from a port of a bridge, or from the bridge itself, to all others in its VLAN.
    fn through_bridge(&mut self, bridge: &InterfaceRef, from: &InterfaceRef, tag: Option<u16>) {
        let (Some(namespace), Some(interface)) = (self.layer2.namespace(bridge), self.layer2.interface(bridge)) else {
            return;
        };
        let InterfaceKind::Bridge(options) = &interface.kind else { return };
        let filtering = options.vlan_filtering;
        let vlan = match (filtering, self.layer2.interface(from)) {
            (false, _) => tag,
            (true, Some(from)) => match incoming(from.vlans.as_ref(), tag) {
                Some(vlan) => Some(vlan),
                None => return,
            },
            (true, None) => return,
        };
        let is_port = |(name, port): &(&IfName, &Interface)| {
            let is_back = **name == from.name;
            port.master.as_ref() == Some(&bridge.name) && port.up && (!is_back || port.port.hairpin)
        };
        let isolated = self.layer2.interface(from).is_some_and(|from| from.port.isolated);
        let ports = namespace.interfaces.iter().filter(is_port);
        for (name, port) in ports.filter(|(_, port)| !(isolated && port.port.isolated)) {
            let at = InterfaceRef { ns: bridge.ns.clone(), name: name.clone() };
            match (filtering, vlan) {
                (true, Some(vlan)) => {
                    if let Some(tag) = outgoing(port.vlans.as_ref(), vlan) {
                        self.go(Frame { at, tag, leaves: true });
                    }
                }
                (_, tag) => self.go(Frame { at, tag, leaves: true }),
            }
        }
        if bridge != from {
            match (filtering, vlan) {
                (true, Some(vlan)) => {
                    if let Some(tag) = outgoing(interface.vlans.as_ref(), vlan) {
                        self.deliver(bridge, tag);
                    }
                }
                (_, tag) => self.deliver(bridge, tag),
            }
        }
    }
}

/// How a port is in a VLAN.
fn tagging(vlans: Option<&Vlans>, vlan: u16) -> Option<Tagging> {
    let default = Vlans::default();
    let ranges = vlans.unwrap_or(&default).ranges();
    ranges.iter().find(|range| (range.first..=range.last).contains(&vlan)).map(|range| range.tagging)
}

/// The VLAN of a frame that comes in through a port; none: the port drops it.
fn incoming(vlans: Option<&Vlans>, tag: Option<u16>) -> Option<u16> {
    match tag {
        Some(tag) => tagging(vlans, tag).map(|_| tag),
        None => {
            let default = Vlans::default();
            vlans.unwrap_or(&default).ranges().iter().find(|range| range.tagging.pvid).map(|range| range.first)
        }
    }
}

/// The tag with which a frame of a VLAN goes out through a port; the outer none: it does not.
fn outgoing(vlans: Option<&Vlans>, vlan: u16) -> Option<Option<u16>> {
    tagging(vlans, vlan).map(|tagging| (!tagging.untagged).then_some(vlan))
}
