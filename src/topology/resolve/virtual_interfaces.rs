//! Devices: what each is upon, and what there is room for in it.

use std::collections::HashMap;

use super::interfaces::{blank, nets, plausible_mtu};
use super::lower_interfaces;
use super::net::{Names, ResolvedInterface, Space};
use super::vxlans::{self, Holders};
use crate::lab::{
    ETHERNET_MTU, IfName, Interface, InterfaceKind, InterfaceRef, IpvlanMode, MAX_STACKING, MacvlanMode, NsName,
    VirtualInterface,
};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Spanned};

/// The least MTU with which an interface has IPv6 (RFC 8200).
const IPV6_MTU: u32 = 1280;

/// The outer IPv4 header.
const IPIP_OVERHEAD: u32 = 20;

/// Which interface: its namespace, and its place there.
pub type Place = (usize, usize);

/// A device and the interface through which its packets leave, as far as the file says so.
pub struct Placed<'f> {
    pub at: Place,
    pub under: Option<Place>,
    pub name: &'f Spanned<IfName>,
    pub written: schema::VirtualInterface<'f>,
}

/// The device as it is written; its MTU is known once all interfaces are.
pub fn interface(
    ns: &NsName,
    name: &Spanned<IfName>,
    written: schema::VirtualInterface<'_>,
    found: &mut Collector<'_>,
) -> ResolvedInterface {
    use schema::VirtualInterface as Written;
    let end = |parent: &Spanned<schema::Parent>| {
        let schema::Parent { ns: other, name } = &parent.value;
        Some(InterfaceRef { ns: other.as_ref().unwrap_or(ns).clone(), name: name.clone() })
    };
    let device = match written {
        Written::Vxlan(vxlan) => VirtualInterface::Vxlan(vxlans::vxlan(vxlan)),
        Written::Macvlan(schema::Macvlan { parent, mode, .. }) => {
            let mode = mode.as_ref().map_or(MacvlanMode::Bridge, |mode| mode.value);
            VirtualInterface::Macvlan { parent: end(parent), mode }
        }
        Written::Ipvlan(schema::Ipvlan { parent, mode, .. }) => {
            let mode = mode.as_ref().map_or(IpvlanMode::L2, |mode| mode.value);
            VirtualInterface::Ipvlan { parent: end(parent), mode }
        }
        Written::Vlan(schema::Vlan { parent, id, .. }) => {
            VirtualInterface::Vlan { parent: end(parent), id: id.value.0 }
        }
        Written::Ipip(schema::Ipip { local, remote, .. }) => {
            VirtualInterface::Ipip { local: Some(local.value), remote: remote.as_ref().map(|remote| remote.value) }
        }
        Written::Dummy(_) => VirtualInterface::Dummy,
        Written::Vrf(schema::Vrf { table, .. }) => VirtualInterface::Vrf { table: table.value.0 },
    };
    let common = written.common();
    let addresses = nets(&common.addresses);
    let link = Interface {
        up: common.up.as_ref().is_none_or(|up| up.value),
        mac: common.mac.as_ref().map(|mac| mac.value),
        mtu: plausible_mtu(common.mtu.as_ref(), &common.addresses, found),
        addresses: addresses.iter().map(|address| address.value).collect(),
        ..blank(InterfaceKind::Virtual(device))
    };
    ResolvedInterface { name: name.value.clone(), span: name.span, link, addresses, broadcast_domain: 0 }
}

/// Checks all devices against the other interfaces, and gives each its MTU.
pub fn finish<'f>(spaces: &mut [Space<'f>], names: &Names<'_>, found: &mut Collector<'_>) -> Vec<Placed<'f>> {
    let mut all = Vec::new();
    for (at, space) in spaces.iter().enumerate() {
        let holders = vxlans::holders(space);
        for (name, written) in space.written.devices() {
            let is_taken = || space.interface(&name.value).is_none_or(|interface| interface.span != name.span);
            let Some(&place) = space.by_name.get(&name.value).filter(|_| !is_taken()) else { continue };
            let under = under(spaces, names, (at, &holders), written, found);
            all.push(Placed { at: (at, place), under, name, written });
        }
    }
    for space in spaces.iter() {
        vxlans::check(space, found);
    }
    lower_interfaces::check(&all, found);
    let below: HashMap<Place, Place> = all.iter().filter_map(|placed| Some((placed.at, placed.under?))).collect();
    let depth = |placed: &Placed<'_>| {
        std::iter::successors(placed.under, |at| below.get(at).copied()).take(MAX_STACKING).count()
    };
    all.sort_by_cached_key(depth);
    for placed in &all {
        if depth(placed) == MAX_STACKING {
            let help = "in the end, one of them has to be upon an interface of another kind".to_owned();
            let message = format!("`{}` is upon itself, or too many others", placed.name.value);
            found.add(Diagnostic::new(Code::StackedOnItself, placed.name.span, message).help(help));
        } else {
            room(spaces, placed, found);
        }
    }
    all
}

/// Gives a device the MTU that there is room for, or compares its own.
fn room(spaces: &mut [Space<'_>], placed: &Placed<'_>, found: &mut Collector<'_>) {
    let (overhead, is_bound) = match placed.written {
        schema::VirtualInterface::Vxlan(vxlan) => (vxlans::overhead(vxlan), vxlan.dev.is_some()),
        schema::VirtualInterface::Ipip(_) => (IPIP_OVERHEAD, false),
        _ => (0, placed.written.parent().is_some()),
    };
    // A VRF is no way that packets take; the kernel gives it all the room there is.
    if matches!(placed.written, schema::VirtualInterface::Vrf(_)) {
        return;
    }
    let room = mtu_of(spaces, placed.under).saturating_sub(overhead);
    if let (Some(mtu), true, Some(under)) = (&placed.written.common().mtu, is_bound, placed.under)
        && mtu.value > room
        && let Some(under) = at(spaces, under)
    {
        let message = format!("`{}` has no room for packets of {} bytes here", under.name, mtu.value);
        let help = format!("write {room} at most, or give `{}` a larger MTU", under.name);
        found.add(Diagnostic::new(Code::BadMtu, mtu.span, message).help(help));
    }
    if room < IPV6_MTU
        && placed.written.common().mtu.is_none()
        && let Some(ipv6) = asks_for_ipv6(spaces, placed)
    {
        let name = &placed.name.value;
        let message = format!("`{name}` has room for packets of {room} bytes, and IPv6 needs {IPV6_MTU}");
        let help = format!("the interface that its packets leave through needs an MTU of {}", IPV6_MTU + overhead);
        let cause = placed.under.and_then(|under| mtu_at(spaces, under)).unwrap_or(ipv6);
        found.add(Diagnostic::new(Code::BadMtu, cause, message).help(help).also(ipv6, "IPv6"));
    }
    let (space, place) = placed.at;
    if let Some(interface) = spaces.get_mut(space).and_then(|space| space.interfaces.get_mut(place)) {
        interface.link.mtu.get_or_insert(room);
    }
}

/// What asks for IPv6 on a device: an address of its own, or a neighbour or a gateway behind it.
fn asks_for_ipv6(spaces: &[Space<'_>], placed: &Placed<'_>) -> Option<Span> {
    let written = spaces.get(placed.at.0)?.written;
    let behind = |dev: &Option<Spanned<IfName>>| dev.as_ref().is_some_and(|dev| dev.value == placed.name.value);
    let own = placed.written.common().addresses.iter().find(|address| address.value.0.addr().is_ipv6());
    let neighbours =
        written.neighbours.iter().filter(|neighbour| behind(&neighbour.dev)).map(|neighbour| &neighbour.to);
    let gateways = written.routes.iter().filter(|route| behind(&route.dev)).filter_map(|route| route.via.as_ref());
    let others = || neighbours.chain(gateways).find(|other| other.value.is_ipv6()).map(|other| other.span);
    own.map(|address| address.span).or_else(others)
}

/// Where the MTU of an interface is written, if it is written with it.
fn mtu_at(spaces: &[Space<'_>], place: Place) -> Option<Span> {
    let (written, name) = (spaces.get(place.0)?.written, &at(spaces, place)?.name);
    let (_, interface) = written.interfaces.entries.iter().find(|(own, _)| own.value == *name)?;
    Some(interface.mtu.as_ref()?.span)
}

/// The interface at a place.
fn at<'s>(spaces: &'s [Space<'_>], (space, place): Place) -> Option<&'s ResolvedInterface> {
    spaces.get(space)?.interfaces.get(place)
}

/// The MTU of an interface: what the file says; a bridge's is that of its smallest port.
fn mtu_of(spaces: &[Space<'_>], place: Option<Place>) -> u32 {
    let known = place.and_then(|place| Some((spaces.get(place.0)?, at(spaces, place)?)));
    let Some((space, interface)) = known else { return ETHERNET_MTU };
    if let (None, InterfaceKind::Bridge(_)) = (interface.link.mtu, &interface.link.kind) {
        let ports = space.interfaces.iter().filter(|port| port.link.master.as_ref() == Some(&interface.name));
        return ports.map(|port| port.link.mtu.unwrap_or(ETHERNET_MTU)).min().unwrap_or(ETHERNET_MTU);
    }
    interface.link.mtu.unwrap_or(ETHERNET_MTU)
}

/// The interface through which a device's packets leave.
fn under(
    spaces: &[Space<'_>],
    names: &Names<'_>,
    (own, holders): (usize, &Holders<'_>),
    written: schema::VirtualInterface<'_>,
    found: &mut Collector<'_>,
) -> Option<Place> {
    let space = spaces.get(own)?;
    match written {
        schema::VirtualInterface::Vxlan(vxlan) => {
            let holder = vxlans::holder(space, holders, &vxlan.local, found);
            let name = match &vxlan.dev {
                Some(dev) => space.find(dev, false, found)?,
                None => holder?,
            };
            Some((own, *space.by_name.get(&name)?))
        }
        schema::VirtualInterface::Ipip(ipip) => {
            let local = Spanned { value: ipip.local.value.into(), span: ipip.local.span };
            Some((own, *space.by_name.get(&vxlans::holder(space, holders, &local, found)?)?))
        }
        _ => {
            let Spanned { value: schema::Parent { ns, name }, span } = written.parent()?;
            let other = match ns {
                Some(ns) => names.find(ns, *span, found)?,
                None => own,
            };
            let holder = spaces.get(other)?;
            let name = holder.find(&Spanned { value: name.clone(), span: *span }, false, found)?;
            let place = *holder.by_name.get(&name)?;
            let reason = lower_interfaces::unfit(holder, holder.interfaces.get(place)?, written);
            if let Some(reason) = reason {
                found.add(Diagnostic::new(Code::BadParent, *span, reason));
            }
            Some((other, place))
        }
    }
}
