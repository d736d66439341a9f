//! Warnings about what has to be the same at all ends of a link or segment, or different, and is not: MTUs, MAC
//! addresses, the numbers of VXLANs. Packets get lost there, some of them or all, and nobody is told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;

use super::net::{Net, ResolvedInterface, ResolvedNamespace};
use super::{mtu, vxlan};
use crate::lab::{Check, ETHERNET_MTU, Expect, IfName, InterfaceKind, InterfaceRef, Mac, VLAN_TAG_LEN, VirtualKind};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};

/// So many VXLANs of one address are looked at.
const MOST_VXLANS: usize = 8;

pub fn check(net: &Net<'_>, checks: &[Check], found: &mut Collector<'_>) {
    // Whose checks expect that large packets get lost shows just that.
    if !checks.iter().any(|check| check.size.is_some() && check.expect != Expect::Reachable) {
        mtus(net, found);
    }
    macs_twice(net, found);
    vxlans(net, found);
}

/// An interface with its namespace.
#[derive(Clone, Copy)]
struct End<'a> {
    of: &'a ResolvedNamespace<'a>,
    interface: &'a ResolvedInterface,
}

impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.of.name, self.interface.name)
    }
}

impl<'a> End<'a> {
    fn all(net: &'a Net<'a>) -> impl Iterator<Item = Self> {
        net.namespaces.iter().flat_map(|of| of.interfaces.iter().map(move |interface| Self { of, interface }))
    }

    /// The one of a name.
    fn of(net: &'a Net<'a>, name: &InterfaceRef) -> Option<Self> {
        let of = net.namespaces.get(net.names.get(name.ns.as_str())?)?;
        Some(Self { of, interface: of.interface(&name.name)? })
    }

    /// Whether it is a port of a bridge.
    fn is_port(&self) -> bool {
        self.of.bridge_of(self.interface).is_some()
    }

    /// Whether it is a port of a bridge with a spanning tree, which may choose another way.
    fn may_be_blocked(&self) -> bool {
        let bridge = self.of.bridge_of(self.interface).and_then(|bridge| self.of.interface(bridge));
        bridge.and_then(|bridge| bridge.model.bridge_options()).is_some_and(|options| options.stp)
    }

    fn mtu(&self) -> u32 {
        self.interface.model.mtu.unwrap_or(ETHERNET_MTU)
    }

    /// Where its MTU is written, or else the interface.
    fn mtu_span(&self) -> Option<Span> {
        mtu::written(self.of, &self.interface.name)
    }
}

/// That packets of the one with the larger MTU are too large for the other.
fn two_mtus(a: End<'_>, b: End<'_>, other: &str, found: &mut Collector<'_>) {
    let (written, unwritten) = if a.mtu_span().is_none() && b.mtu_span().is_some() { (b, a) } else { (a, b) };
    let span = written.mtu_span().unwrap_or(written.interface.span);
    let message = format!(
        "{written} takes packets of up to {} bytes, and {unwritten}, {other}, {}",
        written.mtu(),
        unwritten.mtu()
    );
    let help = "larger packets are dropped on the way to the smaller one without a word: give both the same `mtu`";
    let warning = Diagnostic::warning(Code::MtuDiffers, span, message).help(help.to_owned());
    found.add(match unwritten.mtu_span() {
        Some(span) => warning.also(span, "the other one"),
        None => warning,
    });
}

/// Whether packets of some size are lost from the end with the larger MTU to the other: a link passes on some bytes
/// more than its MTU, and whoever has routes with an `mtu`, or is down, sends no larger ones.
fn is_lossy(a: End<'_>, b: End<'_>) -> bool {
    let (larger, smaller) = if a.mtu() > b.mtu() { (a, b) } else { (b, a) };
    let is_careful = larger.of.written.routes.iter().any(|route| route.mtu.is_some());
    larger.mtu() > smaller.mtu() + VLAN_TAG_LEN && !is_careful && a.interface.model.up && b.interface.model.up
}

/// Ends of links whose MTU is not that of most on their segment; and ports of bridges that take less than the other end
/// of their link sends, or than any on the segment. A port that takes more does no harm.
fn mtus(net: &Net<'_>, found: &mut Collector<'_>) {
    let mut segments: HashMap<usize, Vec<End<'_>>> = HashMap::new();
    let is_veth = |end: &End<'_>| matches!(end.interface.model.kind, InterfaceKind::Veth { .. });
    let (ports, ends): (Vec<End<'_>>, Vec<End<'_>>) = End::all(net).filter(is_veth).partition(End::is_port);
    for end in ends {
        segments.entry(end.interface.broadcast_domain).or_default().push(end);
    }
    let mut usual: HashMap<usize, End<'_>> = HashMap::new();
    for (segment, ends) in segments {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        ends.iter().for_each(|end| *counts.entry(end.mtu()).or_default() += 1);
        let most = counts.into_iter().max_by_key(|(mtu, count)| (*count, *mtu)).map(|(mtu, _)| mtu);
        let Some(of_most) = ends.iter().find(|end| Some(end.mtu()) == most) else { continue };
        usual.insert(segment, *of_most);
        for end in ends.iter().filter(|end| is_lossy(**end, *of_most)) {
            two_mtus(*end, *of_most, "on the same segment", found);
        }
    }
    for port in ports {
        let peer = port.interface.model.peer().and_then(|peer| End::of(net, peer));
        match (peer, usual.get(&port.interface.broadcast_domain)) {
            (Some(peer), _) if !peer.is_port() && port.mtu() < peer.mtu() && is_lossy(port, peer) => {
                two_mtus(port, peer, "the other end of its link", found);
            }
            (Some(peer), Some(usual))
                if peer.is_port() && !port.may_be_blocked() && port.mtu() < usual.mtu() && is_lossy(port, *usual) =>
            {
                two_mtus(port, *usual, "on the same segment", found);
            }
            (_, _) => {}
        }
    }
}

/// Interfaces of one segment with one MAC address: what is for one of them comes to either.
fn macs_twice(net: &Net<'_>, found: &mut Collector<'_>) {
    let mut first: HashMap<(usize, Mac), End<'_>> = HashMap::new();
    for end in End::all(net) {
        let model = &end.interface.model;
        // A bridge without addresses sends nothing of its own.
        let has_own = model.up
            && match &model.kind {
                InterfaceKind::Veth { .. } => true,
                InterfaceKind::Bridge(_) => !model.addresses.is_empty(),
                InterfaceKind::Virtual(kind) => kind.kind() == VirtualKind::Vxlan,
                InterfaceKind::Loopback | InterfaceKind::Other(_) => false,
            };
        let Some(mac) = model.mac.filter(|_| has_own) else { continue };
        let key = (end.interface.broadcast_domain, mac);
        match first.get(&key) {
            // A bridge may have the MAC address of one of its ports.
            Some(other) if is_master(*other, end) || is_master(end, *other) => {}
            // Nor do ports; and what is for the other end of a plain link goes there.
            Some(other) if other.is_port() && end.is_port() => {}
            Some(other) if is_peer(*other, end) => {}
            Some(other) => {
                let message =
                    format!("{end} has the MAC address {mac}, and {other}, on the same segment, has it as well");
                let help = "what is sent to one of them comes to either: give each a MAC address of its own, or none";
                let warning = Diagnostic::warning(Code::MacTwice, end.interface.span, message).help(help.to_owned());
                found.add(warning.also(other.interface.span, "the other one"));
            }
            None => {
                first.insert(key, end);
            }
        }
    }
}

fn is_peer(one: End<'_>, other: End<'_>) -> bool {
    let is_other = |peer: &InterfaceRef| peer.ns == other.of.name && peer.name == other.interface.name;
    one.interface.model.peer().is_some_and(is_other) && !one.is_port() && !other.is_port()
}

fn is_master(port: End<'_>, bridge: End<'_>) -> bool {
    port.of.name == bridge.of.name && port.interface.model.master.as_ref() == Some(&bridge.interface.name)
}

/// A VXLAN interface, by the place of its namespace.
type VxlanPlace<'a> = (usize, &'a IfName);

/// VXLANs that send to an end which has another VXLAN only, and that one back. Of several ends, those are told that fit
/// the fewest others.
fn vxlans(net: &Net<'_>, found: &mut Collector<'_>) {
    let mut ends: HashMap<(IpAddr, u16), BTreeMap<u32, VxlanPlace<'_>>> = HashMap::new();
    let all = || {
        let all = (0..).zip(&net.namespaces).flat_map(|(at, of)| {
            of.written.vxlans.entries.iter().map(move |(name, written)| ((at, &name.value), written))
        });
        all.map(|(place, written)| (place, written, vxlan::vxlan(written)))
    };
    for (place, written, own) in all() {
        ends.entry((written.local.value, own.port)).or_default().insert(own.id, place);
    }
    let mut sends: BTreeSet<(VxlanPlace<'_>, VxlanPlace<'_>)> = BTreeSet::new();
    // Who has a partner may have the others among its entries for the sake of one list for all.
    let mut has_partner: BTreeSet<VxlanPlace<'_>> = BTreeSet::new();
    for (place, written, own) in all() {
        let sent_to = written.fdb.iter().map(|entry| entry.to.value).filter(|to| net.only_holder(*to).is_some());
        for others in sent_to.filter_map(|to| ends.get(&(to, own.port))) {
            if let Some(partner) = others.get(&own.id) {
                has_partner.extend((*partner != place).then_some(place));
            } else {
                sends.extend(others.values().take(MOST_VXLANS).map(|other| (place, *other)));
            }
        }
    }
    // One that is alone in its network may be meant to be.
    let mut differ: BTreeMap<VxlanPlace<'_>, Vec<VxlanPlace<'_>>> = BTreeMap::new();
    let is_told = |place: &VxlanPlace<'_>| !has_partner.contains(place);
    for (place, other) in sends.iter().filter(|(place, other)| is_told(place) && sends.contains(&(*other, *place))) {
        differ.entry(*place).or_default().push(*other);
    }
    let mut order: Vec<_> = differ.iter().collect();
    order.sort_by_key(|(place, others)| (others.len(), **place));
    let mut told = BTreeSet::new();
    for (place, others) in order.into_iter().rev() {
        if let Some(other) = others.iter().find(|other| !told.contains(*other)) {
            told.insert(*place);
            if let Some(warning) = other_vxlan(net, *place, *other) {
                found.add(warning);
            }
        }
    }
}

fn other_vxlan(net: &Net<'_>, this: VxlanPlace<'_>, other: VxlanPlace<'_>) -> Option<Diagnostic> {
    let place = |(at, name): VxlanPlace<'_>| {
        let of = net.namespaces.get(at)?;
        let (_, written) = of.written.vxlans.entries.iter().find(|(own, _)| own.value == *name)?;
        Some((&of.name, name.clone(), &written.id))
    };
    let ((ns, name, id), (others, other, others_id)) = (place(this)?, place(other)?);
    let message = format!(
        "{ns}/{name} is in the VXLAN {}, and {others}/{other}, with which it shares entries, in {}",
        id.value.0, others_id.value.0
    );
    let help = "frames of one VXLAN do not come out in another: give both the same `id`".to_owned();
    Some(Diagnostic::warning(Code::VxlanDiffers, id.span, message).help(help).also(others_id.span, "the other end"))
}
