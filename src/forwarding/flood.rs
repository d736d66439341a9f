//! What a broadcast reaches: through veth pairs, bridges with their VLANs, VXLANs, and what is stacked on interfaces.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use indexmap::IndexMap;

use super::links::{End, Links};
use crate::lab::{
    Gre, IfName, Interface, InterfaceKind, InterfaceRef, MacvlanMode, NsName, PortForwarding, Tagging,
    VirtualInterface, Vlans, Vxlan,
};

/// A frame at an interface, with its VLAN tag if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Frame {
    pub at: usize,
    pub tag: Option<u16>,
    /// Whether it leaves the namespace through the interface, or comes in through it.
    pub leaves: bool,
}

/// What a frame gets past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Past {
    /// What is wired together and in one VLAN, past ports of bridges that are up.
    Wired,
    /// The same, as long as all of it is up and forwards.
    Open,
    /// Everything that is wired together: also what is down, does not forward, or is in another VLAN or VXLAN.
    All,
}

/// What a broadcast reaches.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// The interfaces, nearest first, each with the last frame on the way to it.
    at: IndexMap<usize, Frame>,
    /// Every frame with the one that it comes from.
    before: HashMap<Frame, Option<Frame>>,
}

impl Reached {
    /// The interfaces, nearest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.at.keys().copied()
    }

    /// How many frames it takes.
    pub(super) fn frames(&self) -> usize {
        self.before.len()
    }

    /// How near an interface is, if it is reached.
    pub(super) fn rank(&self, at: usize) -> Option<usize> {
        self.at.get_index_of(&at)
    }

    /// The frames on the way to an interface.
    pub(super) fn path(&self, to: usize) -> Vec<Frame> {
        let mut path = Vec::new();
        let mut next = self.at.get(&to).copied();
        while let Some(frame) = next {
            path.push(frame);
            next = self.before.get(&frame).copied().flatten();
        }
        path.reverse();
        path
    }
}

/// The interfaces that a broadcast reaches, while it is followed.
pub(super) struct Flood<'a, 'l> {
    links: &'a Links<'l>,
    past: Past,
    todo: Vec<Frame>,
    /// The frame that is being followed.
    now: Option<Frame>,
    reached: Reached,
}

impl<'l> Flood<'_, 'l> {
    /// The interfaces that a broadcast from an interface reaches.
    pub(super) fn from(links: &Links<'l>, from: usize, past: Past) -> Reached {
        let mut flood = Flood { links, past, todo: Vec::new(), now: None, reached: Reached::default() };
        flood.go(from, None);
        let mut at = 0;
        while let Some(frame) = flood.todo.get(at).copied() {
            at += 1;
            flood.now = Some(frame);
            match frame.leaves {
                true => flood.leave(frame),
                false => flood.arrive(frame),
            }
        }
        flood.reached.at.shift_remove(&from);
        flood.reached
    }

    /// Out of the namespace.
    fn go(&mut self, at: usize, tag: Option<u16>) {
        self.add(Frame { at, tag, leaves: true });
    }

    /// Into the namespace.
    fn comes_in(&mut self, at: usize, tag: Option<u16>) {
        self.add(Frame { at, tag, leaves: false });
    }

    fn add(&mut self, frame: Frame) {
        if self.past == Past::Open && !self.links.interface(frame.at).is_some_and(|interface| interface.up) {
            return;
        }
        if let Entry::Vacant(place) = self.reached.before.entry(frame) {
            place.insert(self.now);
            self.todo.push(frame);
        }
    }

    /// A frame leaves the namespace through an interface.
    fn leave(&mut self, frame: Frame) {
        let links = self.links;
        let Some(end) = links.end(frame.at) else { return };
        match &end.interface.kind {
            InterfaceKind::Veth { .. } => end.peer.iter().for_each(|peer| self.comes_in(*peer, frame.tag)),
            InterfaceKind::Bridge(_) => self.through_bridge(frame.at, frame.at, frame.tag),
            InterfaceKind::Virtual(virtual_interface) => self.leave_virtual(frame, end, virtual_interface),
            InterfaceKind::Loopback | InterfaceKind::Other(_) => {}
        }
    }

    fn leave_virtual(&mut self, frame: Frame, end: &End<'l>, virtual_interface: &VirtualInterface) {
        match virtual_interface {
            VirtualInterface::Vxlan(vxlan) => self.through_vxlan(frame, end, vxlan),
            VirtualInterface::Macvlan { .. } | VirtualInterface::Ipvlan { .. } => self.past_parent(frame, end),
            VirtualInterface::Vlan { id, .. } => end.lower.iter().for_each(|parent| self.go(*parent, Some(*id))),
            VirtualInterface::Ipip { local, remote: Some(remote) } => self.through_ipip(frame, *local, *remote),
            VirtualInterface::Ipip { local, remote: None } => self.through_every_tunnel(frame, *local),
            VirtualInterface::Gre(gre) => self.through_gre(frame, gre),
            VirtualInterface::Wireguard(_) => self.through_wireguard(frame, end),
            VirtualInterface::Dummy | VirtualInterface::Vrf { .. } => {}
        }
    }

    /// To the tunnels at an address that take packets from another one.
    fn through_ipip(&mut self, frame: Frame, from: Option<Ipv4Addr>, to: Ipv4Addr) {
        let answers = |other: &VirtualInterface| {
            let VirtualInterface::Ipip { local, remote } = other else { return false };
            *local == Some(to) && (remote.is_none() || *remote == from)
        };
        self.other_ends(to, answers).into_iter().for_each(|other| self.comes_in(other, frame.tag));
    }

    /// To the other end of a tunnel of GRE.
    fn through_gre(&mut self, frame: Frame, own: &Gre) {
        let answers = |other: &VirtualInterface| matches!(other, VirtualInterface::Gre(other) if own.sends_to(other));
        let others = own.remote.map(|remote| self.other_ends(remote, answers)).unwrap_or_default();
        others.into_iter().for_each(|other| self.comes_in(other, frame.tag));
    }

    /// The ends of tunnels at an address that take what is sent there.
    fn other_ends(&self, at: Ipv4Addr, answers: impl Fn(&VirtualInterface) -> bool) -> Vec<usize> {
        match self.past {
            Past::Wired | Past::Open => self.links.tunnels(at.into(), answers),
            // Also where the other end has lost its address.
            Past::All => self.links.all_of(answers),
        }
    }

    /// To all peers that know it as a peer of theirs.
    fn through_wireguard(&mut self, frame: Frame, own: &End<'l>) {
        let links = self.links;
        let is_own = |peer: &InterfaceRef| peer.ns == *own.ns && peer.name == *own.name;
        let peers = |ns: &NsName, name: &IfName| links.router(ns)?.namespace().wireguard.get(name);
        for peer in peers(own.ns, own.name).into_iter().flatten().filter_map(|peer| peer.interface.as_ref()) {
            let mut back = peers(&peer.ns, &peer.name).into_iter().flatten();
            if back.any(|back| back.interface.as_ref().is_some_and(is_own)) {
                links.place(peer).into_iter().for_each(|at| self.comes_in(at, frame.tag));
            }
        }
    }

    /// The gateway of a route chooses the other end of such a tunnel: it may be any.
    fn through_every_tunnel(&mut self, frame: Frame, local: Option<Ipv4Addr>) {
        let ends = self.links.addresses().filter_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        let ends: BTreeSet<Ipv4Addr> = ends.collect();
        for end in ends {
            self.through_ipip(frame, local, end);
        }
    }

    /// From a macvlan or ipvlan: out through the parent, and to the others on it, if they may speak to each other.
    fn past_parent(&mut self, frame: Frame, own: &End<'l>) {
        let links = self.links;
        let Some((at, parent)) = own.lower.and_then(|at| Some((at, links.end(at)?))) else { return };
        self.go(at, frame.tag);
        let kind = |of: &End<'_>| of.interface.virtual_interface().map(VirtualInterface::kind);
        let is_open = |other: &End<'_>| self.past == Past::All || silent(own, other).is_none();
        let fits = |other: &&usize| links.end(**other).is_some_and(|other| kind(other) == kind(own) && is_open(other));
        let others: Vec<usize> = parent.uppers.iter().filter(fits).copied().collect();
        others.into_iter().for_each(|other| self.comes_in(other, frame.tag));
    }

    /// To every end that the forwarding entries name.
    fn through_vxlan(&mut self, frame: Frame, end: &End<'l>, own: &Vxlan) {
        let Some(router) = self.links.router(end.ns) else { return };
        if self.past == Past::All {
            let others = self.links.all_of(|other| matches!(other, VirtualInterface::Vxlan(_)));
            others.into_iter().filter(|other| *other != frame.at).for_each(|other| self.comes_in(other, frame.tag));
            return;
        }
        let entries = router.namespace().fdb.iter().filter(|entry| entry.dev == *end.name).map(|entry| entry.to);
        let ends: BTreeSet<IpAddr> = entries.collect();
        for end in ends {
            let answers = |other: &VirtualInterface| {
                let VirtualInterface::Vxlan(other) = other else { return false };
                (other.id, other.port) == (own.id, own.port) && other.local.is_none_or(|local| local == end)
            };
            for other in self.links.tunnels(end, answers) {
                self.comes_in(other, frame.tag);
            }
        }
    }

    /// A frame comes into a namespace through an interface.
    fn arrive(&mut self, frame: Frame) {
        match self.links.end(frame.at).and_then(|end| end.bridge) {
            Some(bridge) => self.through_bridge(bridge, frame.at, frame.tag),
            None => self.deliver(frame.at, frame.tag),
        }
    }

    /// A frame is for the namespace itself, or for what is stacked on the interface.
    fn deliver(&mut self, at: usize, tag: Option<u16>) {
        let links = self.links;
        if tag.is_none()
            && let Some(frame) = self.now
        {
            self.reached.at.entry(at).or_insert(frame);
        }
        for upper in links.end(at).map_or(&[][..], |end| end.uppers.as_slice()) {
            let stacked = links.end(*upper).and_then(|end| end.interface.virtual_interface());
            match stacked {
                Some(VirtualInterface::Vlan { id, .. }) if tag == Some(*id) || self.past == Past::All => {
                    self.comes_in(*upper, None);
                }
                Some(VirtualInterface::Macvlan { .. } | VirtualInterface::Ipvlan { .. }) => self.comes_in(*upper, tag),
                Some(
                    VirtualInterface::Vlan { .. }
                    | VirtualInterface::Vxlan(_)
                    | VirtualInterface::Ipip { .. }
                    | VirtualInterface::Gre(_)
                    | VirtualInterface::Wireguard(_)
                    | VirtualInterface::Dummy
                    | VirtualInterface::Vrf { .. },
                )
                | None => {}
            }
        }
    }

    /// A frame from a port of a bridge, or from the bridge itself, to all others in its VLAN.
    fn through_bridge(&mut self, bridge: usize, from: usize, tag: Option<u16>) {
        let links = self.links;
        let (Some(own), Some(sender)) = (links.end(bridge), links.end(from)) else { return };
        let past_all = self.past == Past::All;
        let filtering = own.interface.bridge_options().is_some_and(|options| options.vlan_filtering);
        let vlan = if filtering { incoming(sender.interface.vlans.as_ref(), tag) } else { tag };
        if filtering && vlan.is_none() && !past_all {
            return;
        }
        if self.past == Past::Open && !(own.interface.up && forwards(sender.interface)) {
            return;
        }
        // The tag with which it goes out; none: it does not.
        let outgoing = |port: &Interface| match vlan.filter(|_| filtering) {
            Some(vlan) => outgoing(port.vlans.as_ref(), vlan).or(past_all.then_some(None)),
            None => Some(tag),
        };
        for at in &own.ports {
            let Some(port) = links.end(*at).map(|end| end.interface) else { continue };
            let goes_back = *at == from && !port.port.hairpin;
            let is_kept_apart = sender.interface.port.isolated && port.port.isolated;
            let is_open = match self.past {
                Past::Wired => port.up && !is_kept_apart,
                Past::Open => port.up && !is_kept_apart && forwards(port),
                Past::All => true,
            };
            if let Some(tag) = outgoing(port).filter(|_| is_open && !goes_back) {
                self.go(*at, tag);
            }
        }
        if let Some(tag) = outgoing(own.interface).filter(|_| bridge != from) {
            self.deliver(bridge, tag);
        }
    }
}

/// Of two macvlans on one parent, the first that does not speak to others there, with its mode
/// (`macvlan_queue_xmit` asks for the mode of both).
pub(super) fn silent<'e, 'l>(a: &'e End<'l>, b: &'e End<'l>) -> Option<(&'e End<'l>, MacvlanMode)> {
    [a, b].into_iter().find_map(|end| match end.interface.virtual_interface()? {
        VirtualInterface::Macvlan { mode, .. } => (*mode != MacvlanMode::Bridge).then_some((end, *mode)),
        VirtualInterface::Vxlan(_)
        | VirtualInterface::Ipvlan { .. }
        | VirtualInterface::Vlan { .. }
        | VirtualInterface::Ipip { .. }
        | VirtualInterface::Gre(_)
        | VirtualInterface::Wireguard(_)
        | VirtualInterface::Dummy
        | VirtualInterface::Vrf { .. } => None,
    })
}

/// Whether a port passes frames on, as far as a person has a say in it.
pub(super) fn forwards(port: &Interface) -> bool {
    port.port.forwarding == PortForwarding::Forwarding
}

/// How a port is in a VLAN.
fn tagging(vlans: Option<&Vlans>, vlan: u16) -> Option<Tagging> {
    let default = Vlans::default();
    let ranges = vlans.unwrap_or(&default).ranges();
    ranges.iter().find(|range| (range.first..=range.last).contains(&vlan)).map(|range| range.tagging)
}

/// The VLAN of a frame that comes in through a port; none: the port drops it.
pub(super) fn incoming(vlans: Option<&Vlans>, tag: Option<u16>) -> Option<u16> {
    match tag {
        Some(tag) => tagging(vlans, tag).map(|_| tag),
        None => {
            let default = Vlans::default();
            vlans.unwrap_or(&default).ranges().iter().find(|range| range.tagging.pvid).map(|range| range.first)
        }
    }
}

/// The tag with which a frame of a VLAN goes out through a port; the outer none: it does not.
pub(super) fn outgoing(vlans: Option<&Vlans>, vlan: u16) -> Option<Option<u16>> {
    tagging(vlans, vlan).map(|tagging| (!tagging.untagged).then_some(vlan))
}
