//! Routes.

use std::net::IpAddr;

use netlink_packet_core::{DecodeError, DefaultNla, Emitable, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope as Scope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::gone;
use crate::kernel::netlink::{NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::kernel::observe;
use crate::lab::{Route, RouteKind, RouteScope};
use crate::plan::ROUTE_PROTOCOL;

/// Adds a route where there is none in its place.
pub(super) fn add(netns: &mut NetnsHandle, route: &Route) -> Result<(), NetlinkError> {
    put(netns, route, NLM_F_CREATE | NLM_F_EXCL)
}

/// Puts a route in the place of the one that is there.
pub(super) fn replace(netns: &mut NetnsHandle, route: &Route) -> Result<(), NetlinkError> {
    put(netns, route, NLM_F_CREATE | NLM_F_REPLACE)
}

/// Removes a route, whoever made it.
pub(super) fn delete(netns: &mut NetnsHandle, route: &Route) -> Result<(), NetlinkError> {
    if is_inexpressible(route) {
        return delete_listed(netns, route);
    }
    let message = message(netns, route)?;
    netns.socket.change(RouteNetlinkMessage::DelRoute(message), 0)
}

/// Removes what observing tells as this route, as the kernel itself lists it: its type of service, its metrics or its
/// several hops are part of what it is known by.
fn delete_listed(netns: &mut NetnsHandle, route: &Route) -> Result<(), NetlinkError> {
    let names = observe::links::list(netns)?.names;
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
    for item in dump.items() {
        let header = RouteHeader::parse(item)?;
        if observe::routes::is_somebodys(&header) && observe::routes::read(&header, item, &names)? == *route {
            gone(netns.socket.remove_listed(libc::RTM_DELROUTE, &deletable(&header, item)?))?;
        }
    }
    Ok(())
}

/// A route as the kernel lists it, without what it does not take back: flags that tell of the interface's state, and
/// the hop beside the number of the nexthop object that it stands in.
pub(in crate::kernel) fn deletable(header: &RouteHeader, item: &[u8]) -> Result<Vec<u8>, DecodeError> {
    use libc::{RTA_ENCAP, RTA_ENCAP_TYPE, RTA_GATEWAY, RTA_MULTIPATH, RTA_OIF, RTA_VIA};
    let rest = item.get(header.buffer_len()..).unwrap_or_default();
    let all: Vec<(u16, &[u8])> = attributes(rest).collect::<Result<_, _>>()?;
    let by_number = all.iter().any(|(kind, _)| *kind == observe::routes::RTA_NH_ID);
    let is_hop = |kind| [RTA_ENCAP, RTA_ENCAP_TYPE, RTA_GATEWAY, RTA_MULTIPATH, RTA_OIF, RTA_VIA].contains(&kind);
    let kept = all.into_iter().filter(|(kind, _)| !(by_number && is_hop(*kind)));
    let kept: Vec<DefaultNla> = kept.map(|(kind, value)| DefaultNla::new(kind, value.to_vec())).collect();
    let header = RouteHeader { flags: RouteFlags::empty(), ..header.clone() };
    let mut bytes = vec![0; header.buffer_len() + kept.as_slice().buffer_len()];
    let (head, tail) = bytes.split_at_mut(header.buffer_len());
    header.emit(head);
    kept.as_slice().emit(tail);
    Ok(bytes)
}

/// Whether it stands for one that the lab's words cannot express (see `Kernel::observe`): then it is found by listing.
fn is_inexpressible(route: &Route) -> bool {
    route.kind == RouteKind::Unicast && route.via.is_none() && route.dev.is_none()
}

fn put(netns: &mut NetnsHandle, route: &Route, flags: u16) -> Result<(), NetlinkError> {
    let mut message = message(netns, route)?;
    message.header.protocol = RouteProtocol::Other(ROUTE_PROTOCOL);
    netns.socket.change(RouteNetlinkMessage::NewRoute(message), flags)
}

fn message(netns: &mut NetnsHandle, route: &Route) -> Result<RouteMessage, NetlinkError> {
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
        attributes.push(RouteAttribute::Oif(netns.index(dev)?));
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
