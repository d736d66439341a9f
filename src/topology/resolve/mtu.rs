//! MTUs: what can be one, and what there is room for in a virtual interface.

use super::net::{ResolvedInterface, ResolvedNamespace};
use super::place::{Place, Placed, at};
use super::vxlan;
use crate::lab::{Address, ETHERNET_MTU, IfName, InterfaceKind};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Spanned};

/// The least MTU with which an interface has IPv6 (RFC 8200).
const IPV6_MTU: u32 = 1280;

/// The least with IPv4 alone (RFC 791).
const IPV4_MTU: u32 = 68;

/// The outer IPv4 header.
const IPIP_OVERHEAD: u32 = 20;

/// The outer IPv4 header, and that of GRE (RFC 2784).
const GRE_OVERHEAD: u32 = 24;

/// The key in the header of GRE (RFC 2890).
const GRE_KEY: u32 = 4;

/// The outer IPv6 header (40), UDP (8), and what WireGuard puts around a packet (32): it may go to any peer.
const WIREGUARD_OVERHEAD: u32 = 80;

/// Gives a virtual interface the MTU that there is room for, or compares its own.
pub fn room(namespaces: &mut [ResolvedNamespace<'_>], placed: &Placed<'_>, found: &mut Collector<'_>) {
    let (overhead, is_bound) = match placed.written {
        schema::VirtualInterface::Vxlan(vxlan) => (vxlan::overhead(vxlan), vxlan.dev.is_some()),
        schema::VirtualInterface::Ipip(_) => (IPIP_OVERHEAD, false),
        schema::VirtualInterface::Gre(gre) => (GRE_OVERHEAD + if gre.key.is_some() { GRE_KEY } else { 0 }, false),
        schema::VirtualInterface::Wireguard(_) => (WIREGUARD_OVERHEAD, false),
        schema::VirtualInterface::Macvlan(_)
        | schema::VirtualInterface::Ipvlan(_)
        | schema::VirtualInterface::Vlan(_) => (0, true),
        schema::VirtualInterface::Dummy(_) => (0, false),
        // No packets go through a VRF itself; the kernel gives it all the room there is.
        schema::VirtualInterface::Vrf(_) => return,
    };
    let room = mtu_of(namespaces, placed.under).saturating_sub(overhead);
    if let (Some(mtu), true, Some(under)) = (&placed.written.common().mtu, is_bound, placed.under)
        && mtu.value > room
        && let Some(under) = at(namespaces, under)
    {
        let message = format!("`{}` has no room for packets of {} bytes here", under.name, mtu.value);
        let help = format!("write {room} at most, or give `{}` a larger MTU", under.name);
        found.add(Diagnostic::new(Code::BadMtu, mtu.span, message).help(help));
    }
    if room < IPV6_MTU
        && placed.written.common().mtu.is_none()
        && let Some(ipv6) = asks_for_ipv6(namespaces, placed)
    {
        let name = &placed.name.value;
        let message = format!("`{name}` has room for packets of {room} bytes, and IPv6 needs {IPV6_MTU}");
        let help = format!("the interface that its packets leave through needs an MTU of {}", IPV6_MTU + overhead);
        let cause = placed.under.and_then(|under| mtu_at(namespaces, under)).unwrap_or(ipv6);
        found.add(Diagnostic::new(Code::BadMtu, cause, message).help(help).also(ipv6, "IPv6"));
    }
    let (namespace, place) = placed.at;
    if let Some(interface) = namespaces.get_mut(namespace).and_then(|namespace| namespace.interfaces.get_mut(place)) {
        interface.model.mtu.get_or_insert(room);
    }
}

/// What asks for IPv6 on a virtual interface: an address of its own, or a neighbour or a gateway behind it.
fn asks_for_ipv6(namespaces: &[ResolvedNamespace<'_>], placed: &Placed<'_>) -> Option<Span> {
    let written = namespaces.get(placed.at.0)?.written;
    let behind = |dev: &Option<Spanned<IfName>>| dev.as_ref().is_some_and(|dev| dev.value == placed.name.value);
    let own = placed.written.common().addresses.iter().find(|address| address.value.is_ipv6());
    let neighbours =
        written.neighbours.iter().filter(|neighbour| behind(&neighbour.dev)).map(|neighbour| &neighbour.to);
    let gateways = written.routes.iter().filter(|route| behind(&route.dev)).filter_map(|route| route.via.as_ref());
    let others = || neighbours.chain(gateways).find(|other| other.value.is_ipv6()).map(|other| other.span);
    own.map(|address| address.span).or_else(others)
}

/// Where the MTU of an interface is written, if it is written with it.
fn mtu_at(namespaces: &[ResolvedNamespace<'_>], place: Place) -> Option<Span> {
    written(namespaces.get(place.0)?, &at(namespaces, place)?.name)
}

/// The same of an interface of a namespace.
pub fn written(namespace: &ResolvedNamespace<'_>, name: &IfName) -> Option<Span> {
    let (_, interface) = namespace.written.interfaces.entries.iter().find(|(own, _)| own.value == *name)?;
    Some(interface.mtu.as_ref()?.span)
}

/// The MTU of the interface at a place.
fn mtu_of(namespaces: &[ResolvedNamespace<'_>], place: Option<Place>) -> u32 {
    let known = place.and_then(|place| Some((namespaces.get(place.0)?, at(namespaces, place)?)));
    known.map_or(ETHERNET_MTU, |(namespace, interface)| of_interface(namespace, interface))
}

/// The MTU of an interface of a namespace: what the file says; a bridge's is that of its smallest port.
pub fn of_interface(namespace: &ResolvedNamespace<'_>, interface: &ResolvedInterface) -> u32 {
    if let (None, InterfaceKind::Bridge(_)) = (interface.model.mtu, &interface.model.kind) {
        let ports = namespace.interfaces.iter().filter(|port| port.model.master.as_ref() == Some(&interface.name));
        return ports.map(|port| port.model.mtu.unwrap_or(ETHERNET_MTU)).min().unwrap_or(ETHERNET_MTU);
    }
    interface.model.mtu.unwrap_or(ETHERNET_MTU)
}

/// The least MTU, with IPv6 or without.
pub fn least(ipv6: bool) -> u32 {
    if ipv6 { IPV6_MTU } else { IPV4_MTU }
}

/// The MTU, if it is one that the kernel takes.
pub fn plausible_mtu(
    mtu: Option<&Spanned<u32>>,
    addresses: &[Spanned<Address>],
    found: &mut Collector<'_>,
) -> Option<u32> {
    let mtu = mtu?;
    let ipv6 = addresses.iter().any(|address| address.value.is_ipv6());
    let least = least(ipv6);
    if !(least..=65535).contains(&mtu.value) {
        let why = if ipv6 { " where there is an IPv6 address" } else { "" };
        let message = format!("an MTU of {} bytes; it has to be from {least} to 65535{why}", mtu.value);
        found.add(Diagnostic::new(Code::BadMtu, mtu.span, message));
    }
    Some(mtu.value)
}
