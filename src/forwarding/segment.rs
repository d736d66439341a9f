//! What a frame crosses between an interface and the one that answers for its next hop, and what stops it there.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::flood::{Frame, Past, forwards, incoming, outgoing, silent};
use super::obstacle::{Cause, Obstacle};
use super::{Flow, Layer2, Outcome, Packet, Verdict, filter};
use crate::lab::{
    ETHERNET_MTU, Family, FdbEntry, Hook, IfName, Interface, InterfaceRef, Mac, NsName, VLAN_TAG_LEN, VirtualInterface,
    Vxlan,
};

/// An interface that a frame crosses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// The interface.
    pub at: InterfaceRef,
    /// Whether it leaves the namespace there, or comes in.
    pub leaves: bool,
}

/// A tunnel that a frame goes through: its ends, and the address that its packets are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tunnel {
    pub from: InterfaceRef,
    pub to: InterfaceRef,
    pub remote: IpAddr,
    pub port: Option<u16>,
    /// Whether what goes through is encrypted.
    pub is_sealed: bool,
}

/// The way of a frame to the next hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// What it crosses, as far as it comes.
    pub crossings: Vec<Crossing>,
    /// The tunnel that it goes through.
    pub tunnel: Option<Tunnel>,
    /// Where it arrives, or what stops it.
    pub end: Result<InterfaceRef, Obstacle>,
}

/// A frame on its way.
pub(super) struct Sent<'a> {
    /// The interface that it leaves through.
    pub from: &'a InterfaceRef,
    /// Who is to get it.
    pub next_hop: IpAddr,
    /// Whether that is a gateway, or else the destination itself.
    pub by_gateway: bool,
    /// The packet in it.
    pub flow: &'a Flow,
    /// The size of the packet in bytes, with the IP header, where it matters.
    pub size: Option<u16>,
    /// Whose addresses are meant where several have one.
    pub meant: &'a BTreeSet<NsName>,
}

/// Follows a frame.
pub(super) fn segment(layer2: &Layer2<'_>, sent: &Sent<'_>) -> Segment {
    let links = &layer2.links;
    let nowhere = |cause| Segment {
        crossings: Vec::new(),
        tunnel: None,
        end: Err(Obstacle { ns: sent.from.ns.clone(), interface: Some(sent.from.name.clone()), cause }),
    };
    let Some(from) = links.place(sent.from) else { return nowhere(Cause::Down) };
    let found = [Past::Open, Past::Wired, Past::All]
        .into_iter()
        .find_map(|past| Some((past, layer2.owner_past(past, sent.from, sent.next_hop, sent.meant)?)));
    let Some((past, owner)) = found else { return nowhere(nobody(layer2, sent, from)) };
    let path = layer2.reached(from, past).path(owner);
    let follower = Follower { layer2, sent, path: &path, owner };
    let obstacle = follower.obstacle();
    let stop = obstacle.as_ref().map_or(path.len(), |(at, _)| *at);
    let crossing = |frame: &Frame| Some(Crossing { at: links.name(frame.at)?, leaves: frame.leaves });
    let mut crossings: Vec<Crossing> = path.iter().take(stop).filter_map(crossing).collect();
    let name = links.name(owner);
    let end = match (obstacle, name) {
        (Some((_, obstacle)), _) => Err(obstacle),
        (None, Some(owner)) => Ok(owner),
        (None, None) => return nowhere(nobody(layer2, sent, from)),
    };
    if let Ok(owner) = &end
        && crossings.last().is_none_or(|last| last.at != *owner)
    {
        // A bridge gets it from its port.
        crossings.push(Crossing { at: owner.clone(), leaves: false });
    }
    Segment { crossings, tunnel: follower.tunnel(), end }
}

/// Why nobody on the link answers for the next hop.
fn nobody(layer2: &Layer2<'_>, sent: &Sent<'_>, from: usize) -> Cause {
    let links = &layer2.links;
    let own = layer2.router(&sent.from.ns).map(super::Router::namespace);
    let entry = own.and_then(|own| {
        own.neighbours.iter().find(|entry| entry.dev == sent.from.name && entry.address == sent.next_hop)
    });
    if let Some(entry) = entry {
        return Cause::NeighbourEntry { address: entry.address, mac: entry.mac };
    }
    if sent.from.ns.is_host() && links.interface(from).is_some_and(|own| own.owner.is_none() && own.is_of_machine()) {
        return Cause::BeyondLab { address: sent.next_hop };
    }
    let holders: Vec<usize> = links.holders(sent.next_hop).to_vec();
    let near: Vec<usize> = layer2.reached(from, Past::All).iter().chain([from]).collect();
    // Whoever is meant to be in another subnet is not missing on this link.
    let is_meant_here = links.interface(from).is_some_and(|own| own.addresses.iter().any(|a| a.reaches(sent.next_hop)));
    let unplugged = holders.iter().filter(|_| is_meant_here).find_map(|holder| {
        let beyond: Vec<usize> = layer2.reached(*holder, Past::All).iter().collect();
        beside_a_bridge(layer2, &beyond, &near).or_else(|| beside_a_bridge(layer2, &near, &beyond))
    });
    let elsewhere: Vec<InterfaceRef> = holders.into_iter().filter_map(|at| links.name(at)).collect();
    let is_on_link = !sent.by_gateway && !is_meant_here && sent.next_hop.is_ipv4();
    let knows_a_way = |at: &usize| {
        let Some(end) = links.end(*at).filter(|end| *end.ns != sent.from.ns) else { return false };
        let packet = Packet { iif: Some(end.name.clone()), ..Packet::to(sent.next_hop) };
        let outcome = layer2.router(end.ns).map(|router| router.lookup(&packet).outcome);
        matches!(outcome, Some(Outcome::Leaves { dev, .. }) if dev != *end.name)
    };
    let proxy = near.iter().filter(|_| is_on_link && !elsewhere.is_empty()).find(|at| knows_a_way(at));
    let proxy = proxy.and_then(|at| links.name(*at));
    Cause::NobodyHas { address: sent.next_hop, elsewhere, unplugged, proxy }
}

/// The first of some interfaces that is in no bridge, though one of others is a bridge of the same namespace.
fn beside_a_bridge(layer2: &Layer2<'_>, loose: &[usize], others: &[usize]) -> Option<(InterfaceRef, IfName)> {
    let links = &layer2.links;
    let is_bridge_in = |at: usize, ns: &crate::lab::NsName| {
        links.end(at).is_some_and(|end| end.ns == ns && end.interface.bridge_options().is_some())
    };
    loose.iter().find_map(|at| {
        let end = links.end(*at).filter(|end| end.bridge.is_none() && end.interface.bridge_options().is_none())?;
        let bridge = others.iter().find(|other| is_bridge_in(**other, end.ns))?;
        Some((links.name(*at)?, links.end(*bridge)?.name.clone()))
    })
}

/// A look at each interface on the path.
struct Follower<'a, 'l> {
    layer2: &'a Layer2<'l>,
    sent: &'a Sent<'a>,
    path: &'a [Frame],
    owner: usize,
}

impl Follower<'_, '_> {
    /// The first obstacle, and how many frames of the path come before it.
    fn obstacle(&self) -> Option<(usize, Obstacle)> {
        let mut before: Option<Frame> = None;
        for (at, frame) in self.path.iter().enumerate() {
            let step = self.to_frame(before, *frame);
            if let Some((place, cause)) = step {
                return Some((at, self.obstacle_at(place, cause)?));
            }
            before = Some(*frame);
        }
        let (place, cause) = self.at_the_owner(before?)?;
        Some((self.path.len(), self.obstacle_at(place, cause)?))
    }

    fn obstacle_at(&self, at: usize, cause: Cause) -> Option<Obstacle> {
        let place = self.layer2.links.name(at)?;
        Some(Obstacle { ns: place.ns, interface: Some(place.name), cause })
    }

    fn interface(&self, at: usize) -> Option<&Interface> {
        self.layer2.links.interface(at)
    }

    /// What stops a frame from coming to this one from the one before.
    fn to_frame(&self, before: Option<Frame>, frame: Frame) -> Option<(usize, Cause)> {
        let interface = self.interface(frame.at)?;
        if let Some(before) = before.filter(|before| !before.leaves && frame.leaves)
            && let Some(stopped) = self.through_bridge(before, frame)
        {
            return Some(stopped);
        }
        if !interface.up {
            return Some((frame.at, Cause::Down));
        }
        if let Some(VirtualInterface::Vlan { id, .. }) = interface.virtual_interface()
            && let Some(tag) = before.filter(|before| !before.leaves && !frame.leaves).map(|before| before.tag)
            && tag != Some(*id)
        {
            return Some((frame.at, Cause::OtherVlanInterface { id: *id, tag }));
        }
        let before = before.filter(|before| before.leaves)?;
        if let Some(cause) = self.past_parent(before, frame).or_else(|| self.through_tunnel(before, frame)) {
            return Some(cause);
        }
        // A frame that the other end has no room for is dropped there without a word (is_skb_forwardable).
        let mtu = interface.mtu.unwrap_or(ETHERNET_MTU);
        let sent_with = self.interface(before.at)?.mtu.unwrap_or(ETHERNET_MTU);
        let bytes = self.sent.size.filter(|bytes| u32::from(*bytes) > mtu + VLAN_TAG_LEN && mtu < sent_with)?;
        Some((frame.at, Cause::TooBig { bytes, mtu, is_told: false }))
    }

    /// From a port to another one.
    fn through_bridge(&self, from: Frame, to: Frame) -> Option<(usize, Cause)> {
        let (sender, receiver) = (self.layer2.links.end(from.at)?, self.layer2.links.end(to.at)?);
        let at = sender.bridge?;
        let bridge = self.layer2.links.end(at)?;
        if !bridge.interface.up {
            return Some((at, Cause::Down));
        }
        if !forwards(sender.interface) {
            return Some((from.at, Cause::PortClosed(sender.interface.port.forwarding)));
        }
        if bridge.interface.bridge_options()?.vlan_filtering {
            let Some(vlan) = incoming(sender.interface.vlans.as_ref(), from.tag) else {
                return Some((from.at, Cause::OtherVlan(from.tag)));
            };
            if outgoing(receiver.interface.vlans.as_ref(), vlan).is_none() {
                return Some((to.at, Cause::OtherVlan(Some(vlan))));
            }
        }
        if sender.interface.port.isolated && receiver.interface.port.isolated {
            return Some((to.at, Cause::Isolated { from: sender.name.clone() }));
        }
        if receiver.interface.up && !forwards(receiver.interface) {
            return Some((to.at, Cause::PortClosed(receiver.interface.port.forwarding)));
        }
        self.bridge_netfilter(at, bridge.name).map(|verdict| (at, Cause::Filtered(verdict)))
    }

    /// The packet filter of the namespace, where a bridge asks it about what it passes on.
    fn bridge_netfilter(&self, bridge: usize, name: &IfName) -> Option<Verdict> {
        let end = self.layer2.links.end(bridge)?;
        let asks = self.layer2.bridge_asks_iptables(bridge, self.sent.flow.destination);
        let namespace = self.layer2.router(end.ns).filter(|_| asks)?.namespace();
        let flow = Flow { input: Some(name.clone()), out: Some(name.clone()), ..self.sent.flow.clone() };
        Some(filter(namespace, Hook::Forward, &flow)).filter(|verdict| !verdict.is_accepted())
    }

    /// From a macvlan to another one on its parent.
    fn past_parent(&self, from: Frame, to: Frame) -> Option<(usize, Cause)> {
        let (own, other) = (self.layer2.links.end(from.at)?, self.layer2.links.end(to.at)?);
        if to.leaves || own.lower.is_none() || own.lower != other.lower {
            return None;
        }
        let (silent, mode) = silent(own, other)?;
        let (at, other) = if std::ptr::eq(silent, own) { (from.at, to.at) } else { (to.at, from.at) };
        Some((at, Cause::MacvlanMode { mode, other: self.layer2.links.name(other)? }))
    }

    fn vxlan(&self, at: usize) -> Option<&Vxlan> {
        self.interface(at)?.virtual_interface()?.vxlan()
    }

    /// Whether the namespace of an interface has an address.
    fn has(&self, at: usize, address: IpAddr) -> bool {
        let links = &self.layer2.links;
        let ns = |at: usize| links.end(at).map(|end| end.ns);
        links.holders(address).iter().any(|holder| ns(*holder) == ns(at))
    }

    fn through_tunnel(&self, from: Frame, to: Frame) -> Option<(usize, Cause)> {
        let (near, far) = (self.interface(from.at)?.virtual_interface()?, self.interface(to.at)?.virtual_interface()?);
        let (local, remote) = match near.vxlan().zip(far.vxlan()) {
            Some((near, _)) => (near.local, None),
            None => ends(near, far)?,
        };
        // What is sent from an address that is not its own, the kernel drops (ip_route_output_key_hash_rcu).
        if let Some(local) = local.filter(|local| !self.has(from.at, *local)) {
            return Some((from.at, Cause::NoTunnelSource { local }));
        }
        if let Some(remote) = remote.filter(|remote| !self.has(to.at, *remote)) {
            return Some((from.at, Cause::NoTunnelEnd { remote, end: self.layer2.links.name(to.at)? }));
        }
        let (own, other) = (self.vxlan(from.at)?, self.vxlan(to.at)?);
        if own.id != other.id {
            let end = self.layer2.links.name(to.at)?;
            return Some((from.at, Cause::OtherVxlan { own: own.id, other: end, others: other.id }));
        }
        if self.entry_for(from.at, to.at).is_none() {
            let end = self.layer2.links.name(to.at)?;
            let cause = match self.remote_that_nobody_has(from.at) {
                Some(remote) => Cause::NoTunnelEnd { remote, end },
                None => Cause::NoFdbEntry { mac: self.mac_of_owner(), to: end },
            };
            return Some((from.at, cause));
        }
        None
    }

    fn mac_of_owner(&self) -> Option<Mac> {
        let owner = self.interface(self.owner)?;
        owner.mac
    }

    /// The address to which a forwarding entry for the owner leads, if nobody has it.
    fn remote_that_nobody_has(&self, from: usize) -> Option<IpAddr> {
        let end = self.layer2.links.end(from)?;
        let mac = self.mac_of_owner();
        let entries = self.layer2.router(end.ns)?.namespace().fdb.iter().filter(|entry| entry.dev == *end.name);
        let of_it = entries.filter(|entry| Some(entry.mac) == mac || entry.mac == Mac::ANY);
        let mut lost = of_it.map(|entry| entry.to).filter(|to| self.layer2.links.holders(*to).is_empty());
        lost.next()
    }

    /// The forwarding entry that leads a frame for the owner from one end of a tunnel to the other.
    fn entry_for(&self, from: usize, to: usize) -> Option<&FdbEntry> {
        let (end, far) = (self.layer2.links.end(from)?, self.layer2.links.end(to)?);
        let namespace = self.layer2.router(end.ns)?.namespace();
        let is_there = |address: IpAddr| {
            let held = self.layer2.links.holders(address).iter().filter_map(|holder| self.layer2.links.end(*holder));
            held.into_iter().any(|holder| holder.ns == far.ns)
        };
        let mac = self.mac_of_owner();
        let of_it = |entry: &&FdbEntry| entry.dev == *end.name && is_there(entry.to);
        let mut entries = namespace.fdb.iter().filter(of_it);
        let exact = entries.clone().find(|entry| Some(entry.mac) == mac);
        exact.or_else(|| entries.find(|entry| entry.mac == Mac::ANY || mac.is_none()))
    }

    /// At the interface of the owner.
    fn at_the_owner(&self, last: Frame) -> Option<(usize, Cause)> {
        let owner = self.interface(self.owner)?;
        if !owner.up {
            return Some((self.owner, Cause::Down));
        }
        if last.at != self.owner {
            let port = self.layer2.links.end(last.at)?;
            if port.bridge == Some(self.owner) && !forwards(port.interface) {
                return Some((last.at, Cause::PortClosed(port.interface.port.forwarding)));
            }
            let filtering = owner.bridge_options().is_some_and(|options| options.vlan_filtering);
            if filtering {
                let vlan = incoming(port.interface.vlans.as_ref(), last.tag);
                let is_in = vlan.is_some_and(|vlan| outgoing(owner.vlans.as_ref(), vlan).is_some());
                if !is_in {
                    return Some((if vlan.is_none() { last.at } else { self.owner }, Cause::OtherVlan(vlan)));
                }
            }
        }
        self.asked_in_vain()
    }

    /// Whether one of both takes no part in asking who has an address.
    fn asked_in_vain(&self) -> Option<(usize, Cause)> {
        let namespace = self.layer2.router(&self.sent.from.ns)?.namespace();
        let mut known = namespace.neighbours.iter();
        if known.any(|entry| entry.dev == self.sent.from.name && entry.address == self.sent.next_hop)
            || Family::of(self.sent.next_hop) == Family::Ipv6
        {
            return None;
        }
        let from = self.layer2.links.place(self.sent.from)?;
        [from, self.owner].into_iter().find_map(|at| {
            let interface = self.interface(at)?;
            // What has no MAC addresses need not ask.
            let asks_usually = interface.kind.flags().is_some_and(|usual| usual.arp);
            let asks = interface.flags.is_none_or(|flags| flags.arp);
            (asks_usually && !asks).then_some((at, Cause::NoArp))
        })
    }

    /// The tunnel on the path, if there is one.
    fn tunnel(&self) -> Option<Tunnel> {
        let links = &self.layer2.links;
        self.path.windows(2).find_map(|pair| {
            let [from, to] = pair else { return None };
            let (near, far) = (links.name(from.at)?, links.name(to.at)?);
            let kind = self.interface(from.at)?.virtual_interface()?;
            let (remote, port) = match kind {
                VirtualInterface::Vxlan(own) => (self.entry_for(from.at, to.at)?.to, Some(own.port)),
                VirtualInterface::Ipip { .. } | VirtualInterface::Gre(_) => {
                    let (_, remote) = ends(kind, self.interface(to.at)?.virtual_interface()?)?;
                    (remote?, None)
                }
                VirtualInterface::Vlan { .. }
                | VirtualInterface::Macvlan { .. }
                | VirtualInterface::Ipvlan { .. }
                | VirtualInterface::Wireguard(_)
                | VirtualInterface::Dummy
                | VirtualInterface::Vrf { .. } => return None,
            };
            (from.leaves && !to.leaves).then_some(Tunnel { from: near, to: far, remote, port, is_sealed: false })
        })
    }
}

/// Where a tunnel without MAC addresses sends from and to, by its own end and, where that is left open, by the other.
fn ends(near: &VirtualInterface, far: &VirtualInterface) -> Option<(Option<IpAddr>, Option<IpAddr>)> {
    let addresses = |of: &VirtualInterface| {
        if let VirtualInterface::Ipip { local, remote } = of {
            return Some((*local, *remote));
        }
        let VirtualInterface::Gre(gre) = of else { return None };
        Some((gre.local, gre.remote))
    };
    let ((local, remote), (other, _)) = addresses(near).zip(addresses(far))?;
    Some((local.map(IpAddr::V4), remote.or(other).map(IpAddr::V4)))
}
