//! BroadcastDomains: what one broadcast reaches through veths, bridges and VXLANs. And the loops in which it would
//! never end.
//!
//! Frames with a VLAN's tag are kept apart from those without where a bridge does so. What they are on then is no
//! interface, but a [`Way`].

use std::collections::{BTreeSet, HashMap};

use super::disjoint_set::DisjointSet;
use super::net::{ResolvedInterface, ResolvedNamespace};
use super::place::{Place, Placed};
use super::veth::{VethPairs, VethPlace};
use super::vxlan::Ends;
use crate::lab::{InterfaceKind, Vlans};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::VirtualInterface;
use crate::topology::yaml::NODES;

/// Where frames of one VLAN are.
#[derive(PartialEq, Eq, Hash)]
enum Way {
    /// With its tag on the wires that reach an interface, by the number that represents them.
    Wire(usize, u16),
    /// In a bridge, by its number; 0 for frames without a tag in one that does not look at them.
    Bridge(usize, u16),
}

/// Gives every interface the number of its broadcast domain.
pub fn number(
    namespaces: &mut [ResolvedNamespace<'_>],
    veths: &VethPairs<'_>,
    devices: &[Placed<'_>],
    found: &mut Collector<'_>,
) {
    let mut first = Vec::with_capacity(namespaces.len());
    let mut count = 0;
    for namespace in namespaces.iter() {
        first.push(count);
        count += namespace.interfaces.len();
    }
    let id = |end: &VethPlace| Some(first.get(end.namespace)? + namespaces.get(end.namespace)?.by_name.get(&end.name)?);
    let mut wires = DisjointSet::new(count);
    for pair in &veths.list {
        let [a, b] = &pair.interfaces;
        if let (Some(a), Some(b)) = (id(a), id(b)) {
            wires.join(a, b);
        }
    }
    let number = |(namespace, at): Place| first.get(namespace).map_or(at, |first| first + at);
    let ends = Ends::new(namespaces, number);
    for (namespace, first) in namespaces.iter().zip(&first) {
        for (at, interface) in namespace.interfaces.iter().enumerate() {
            if let Some((bridge, None)) = attached(namespace, interface) {
                wires.join(first + at, first + bridge);
            }
        }
    }
    for placed in devices {
        if let VirtualInterface::Vxlan(written) = placed.written {
            ends.of(written).for_each(|end| {
                wires.join(number(placed.at), end);
            });
        }
    }
    join_devices(devices, number, &mut wires);
    let of_vlans = with_vlans(namespaces, devices, &first, &mut wires, found);
    let is_too_much = of_vlans.is_none();
    let mut broadcast_domains = of_vlans.unwrap_or(wires);
    for (namespace, first) in namespaces.iter_mut().zip(&first) {
        for (at, interface) in namespace.interfaces.iter_mut().enumerate() {
            interface.broadcast_domain = broadcast_domains.find(first + at);
        }
    }
    if !is_too_much {
        loops(namespaces, veths, &first, found);
    }
}

/// The bridge that an interface is attached to, by its place in the namespace; with the interface's VLANs, where that
/// keeps them apart. A bridge is attached to itself, even if it is a port of a VRF.
fn attached(namespace: &ResolvedNamespace<'_>, interface: &ResolvedInterface) -> Option<(usize, Option<Vlans>)> {
    let is_bridge = matches!(interface.model.kind, InterfaceKind::Bridge(_));
    let bridge = interface.model.master.as_ref().filter(|_| !is_bridge).unwrap_or(&interface.name);
    let at = *namespace.by_name.get(bridge)?;
    match namespace.interfaces.get(at)?.model.kind {
        InterfaceKind::Bridge(options) => {
            let vlans = options.vlan_filtering.then(|| interface.model.vlans.clone().unwrap_or_default());
            Some((at, vlans))
        }
        _ => None,
    }
}

/// The broadcast domains, from what is connected whatever the tag, and what bridges make of VLANs; none where these are
/// too many.
fn with_vlans(
    namespaces: &[ResolvedNamespace<'_>],
    devices: &[Placed<'_>],
    first: &[usize],
    wires: &mut DisjointSet,
    found: &mut Collector<'_>,
) -> Option<DisjointSet> {
    let mut ways = Ways { sets: wires.clone(), numbers: HashMap::new() };
    for (namespace, first) in namespaces.iter().zip(first) {
        for (at, interface) in namespace.interfaces.iter().enumerate() {
            let Some((bridge, Some(vlans))) = attached(namespace, interface) else { continue };
            let wire = wires.find(first + at);
            for (vlan, tagging) in vlans.each() {
                let inside = ways.number(Way::Bridge(first + bridge, vlan));
                let outside = if tagging.untagged { first + at } else { ways.number(Way::Wire(wire, vlan)) };
                ways.sets.join(inside, outside);
            }
            if ways.numbers.len() > NODES {
                let message = format!("with this port, those of the file are in more than {NODES} VLANs altogether");
                found.add(Diagnostic::new(Code::TooMany, interface.span, message));
                return None;
            }
        }
    }
    for Placed { at, under, written, .. } in devices {
        let number = |(namespace, at): Place| first.get(namespace).map_or(at, |first| first + at);
        if let (VirtualInterface::Vlan(vlan), Some(under)) = (written, under) {
            let outside = ways.number(Way::Wire(wires.find(number(*under)), vlan.id.value.0));
            ways.sets.join(number(*at), outside);
        }
    }
    Some(ways.sets)
}

/// Interfaces and ways that are connected.
struct Ways {
    sets: DisjointSet,
    numbers: HashMap<Way, usize>,
}

impl Ways {
    fn number(&mut self, way: Way) -> usize {
        *self.numbers.entry(way).or_insert_with(|| self.sets.add())
    }
}

/// Macvlans and ipvlans are on their parent's broadcast domain; VLANs of one number on one broadcast domain are one
/// of their own.
fn join_devices(devices: &[Placed<'_>], number: impl Fn(Place) -> usize, broadcast_domains: &mut DisjointSet) {
    let mut vlans = HashMap::new();
    for Placed { at, under, written, .. } in devices {
        let (own, Some(under)) = (number(*at), under.map(&number)) else { continue };
        match written {
            VirtualInterface::Macvlan(_) | VirtualInterface::Ipvlan(_) => {
                broadcast_domains.join(own, under);
            }
            VirtualInterface::Vlan(vlan) => {
                let first = *vlans.entry((broadcast_domains.find(under), vlan.id.value.0)).or_insert(own);
                broadcast_domains.join(own, first);
            }
            VirtualInterface::Vxlan(_)
            | VirtualInterface::Ipip(_)
            | VirtualInterface::Gre(_)
            | VirtualInterface::Wireguard(_)
            | VirtualInterface::Dummy(_)
            | VirtualInterface::Vrf(_) => {}
        }
    }
}

/// A loop of bridges sends every broadcast round for ever. One bridge with STP in it is enough to open it: the others
/// pass its messages on, so it sees them come back.
fn loops(namespaces: &[ResolvedNamespace<'_>], veths: &VethPairs<'_>, first: &[usize], found: &mut Collector<'_>) {
    let mut connected = Ways { sets: DisjointSet::new(0), numbers: HashMap::new() };
    for pair in &veths.list {
        let [a, b] = pair.interfaces.each_ref().map(|end| plain_bridge(namespaces, first, end));
        let (Some(a), Some(b)) = (a, b) else { continue };
        let tags = a.1.iter().chain(&b.1).flat_map(Vlans::each).filter(|(_, tagging)| !tagging.untagged);
        let mut closes = false;
        for tag in tags.map(|(vlan, _)| vlan).collect::<BTreeSet<u16>>().into_iter().chain([0]) {
            if let (Some(a), Some(b)) = (inside(&a, tag), inside(&b, tag)) {
                let (a, b) = (connected.number(a), connected.number(b));
                closes |= !connected.sets.join(a, b);
            }
        }
        if closes {
            let message = "this link closes a loop of bridges, in which broadcasts would circulate for ever";
            let help = "remove it, or set `stp: true` on a bridge of the loop".to_owned();
            if let Some(end) = pair.interfaces.first() {
                found.add(Diagnostic::new(Code::BridgeLoop, end.span, message).help(help));
            }
        }
    }
}

/// Where a frame with a tag (0: without one) is in a bridge that it comes to.
fn inside((bridge, vlans): &(usize, Option<Vlans>), tag: u16) -> Option<Way> {
    let vlan = match (vlans, tag) {
        (None, tag) => Some(tag),
        (Some(vlans), 0) => vlans.pvid(),
        (Some(vlans), tag) => vlans.is_tagged(tag).then_some(tag),
    };
    vlan.map(|vlan| Way::Bridge(*bridge, vlan))
}

/// The number of the bridge without STP that an interface of a link is attached to; with the end's VLANs, where that
/// keeps them apart.
fn plain_bridge(
    namespaces: &[ResolvedNamespace<'_>],
    first: &[usize],
    end: &VethPlace,
) -> Option<(usize, Option<Vlans>)> {
    let namespace = namespaces.get(end.namespace)?;
    let (at, vlans) = attached(namespace, namespace.interface(&end.name)?)?;
    match &namespace.interfaces.get(at)?.model.kind {
        InterfaceKind::Bridge(options) if !options.stp => Some((first.get(end.namespace)? + at, vlans)),
        _ => None,
    }
}
