//! Routes.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope as Scope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::kernel::netlink::Refusal;
use crate::kernel::space::Space;
use crate::lab::{Route, RouteKind, RouteScope};
use crate::plan::ROUTE_PROTOCOL;

/// Adds a route where there is none in its place.
pub(super) fn add(space: &mut Space, route: &Route) -> Result<(), Refusal> {
    put(space, route, NLM_F_CREATE | NLM_F_EXCL)
}

/// Puts a route in the place of the one that is there.
pub(super) fn replace(space: &mut Space, route: &Route) -> Result<(), Refusal> {
    put(space, route, NLM_F_CREATE | NLM_F_REPLACE)
}

/// Removes a route, whoever made it.
pub(super) fn delete(space: &mut Space, route: &Route) -> Result<(), Refusal> {
    let mut message = message(space, route)?;
    if is_inexpressible(route) {
        message.header.kind = RouteType::Unspec;
        message.header.scope = Scope::NoWhere;
    }
    space.socket.change(RouteNetlinkMessage::DelRoute(message), 0)
}

/// Whether it stands for one that the lab's words cannot express (see `Kernel::observe`): then the place alone counts.
fn is_inexpressible(route: &Route) -> bool {
    route.kind == RouteKind::Unicast && route.via.is_none() && route.dev.is_none()
}

fn put(space: &mut Space, route: &Route, flags: u16) -> Result<(), Refusal> {
    let mut message = message(space, route)?;
    message.header.protocol = RouteProtocol::Other(ROUTE_PROTOCOL);
    space.socket.change(RouteNetlinkMessage::NewRoute(message), flags)
}

fn message(space: &mut Space, route: &Route) -> Result<RouteMessage, Refusal> {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: if route.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet },
        destination_prefix_length: route.to.prefix_len(),
        // Tables above 255 are told by their attribute alone.
        table: u8::try_from(route.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC),
        kind: kind(route.kind),
        scope: scope(route.scope),
        flags: if route.onlink { RouteFlags::Onlink } else { RouteFlags::empty() },
        ..RouteHeader::default()
    };
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    attributes.push(RouteAttribute::Destination(address(route.to.addr())));
    attributes.push(RouteAttribute::Priority(route.metric));
    attributes.extend(route.via.map(|via| RouteAttribute::Gateway(address(via))));
    attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(address(source))));
    if let Some(dev) = &route.dev {
        attributes.push(RouteAttribute::Oif(space.index(dev)?));
    }
    Ok(message)
}

fn address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

fn kind(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
    }
}

fn scope(scope: RouteScope) -> Scope {
    match scope {
        RouteScope::Global => Scope::Universe,
        RouteScope::Site => Scope::Site,
        RouteScope::Link => Scope::Link,
        RouteScope::Host => Scope::Host,
    }
}
