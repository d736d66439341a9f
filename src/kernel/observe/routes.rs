//! Routes that somebody put there.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use libc::{
    RT_TABLE_LOCAL, RTA_DST, RTA_ENCAP, RTA_FLOW, RTA_GATEWAY, RTA_METRICS, RTA_MULTIPATH, RTA_NEWDST, RTA_OIF,
    RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_VIA,
};
use netlink_packet_core::{DecodeError, Emitable, parse_ip, parse_u32};
use netlink_packet_route::route::{
    RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope as Scope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::kernel::netlink::{NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{IfName, Route, RouteKind, RouteScope};
use crate::plan::ROUTE_PROTOCOL;

/// The number of the nexthop object that a route uses (linux/rtnetlink.h).
pub(in crate::kernel) const RTA_NH_ID: u16 = 30;

/// The routes of a namespace.
#[derive(Default)]
pub(super) struct Routes {
    /// Those that a person or a program put there.
    pub(super) all: BTreeSet<Route>,
    /// Of these, the ones that carry our protocol number.
    pub(super) marked: BTreeSet<Route>,
    /// Those to its own subnets, which the kernel makes with each address.
    pub(super) connected: BTreeSet<Route>,
}

/// Lists the routes of a namespace, without the others that the kernel makes by itself.
pub(super) fn list(netns: &mut NetnsHandle, names: &HashMap<u32, IfName>) -> Result<Routes, NetlinkError> {
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
    Ok(listed(dump.items(), names)?)
}

/// The routes that a listing tells of.
pub(super) fn listed<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    names: &HashMap<u32, IfName>,
) -> Result<Routes, DecodeError> {
    let mut routes = Routes::default();
    for item in items {
        let header = RouteHeader::parse(item)?;
        if is_somebodys(&header) {
            let route = read(&header, item, names)?;
            if header.protocol == RouteProtocol::from(ROUTE_PROTOCOL) {
                routes.marked.insert(route.clone());
            }
            routes.all.insert(route);
        } else if header.protocol == RouteProtocol::Kernel && header.kind == RouteType::Unicast {
            routes.connected.insert(read(&header, item, names)?);
        }
    }
    Ok(routes)
}

/// Whether a person or a program put the route there, and not the kernel because of an address, a router's
/// advertisement or a redirect.
pub(in crate::kernel) fn is_somebodys(header: &RouteHeader) -> bool {
    use RouteProtocol::{IcmpRedirect, Kernel, Ra};
    use RouteType::{Anycast, Broadcast, Local, Multicast};
    matches!(header.address_family, AddressFamily::Inet | AddressFamily::Inet6)
        && header.table != RT_TABLE_LOCAL
        && !matches!(header.protocol, Kernel | Ra | IcmpRedirect)
        && !matches!(header.kind, Local | Broadcast | Multicast | Anycast)
        && !header.flags.contains(RouteFlags::Cloned)
}

/// The route in the lab's words. One that they cannot express has neither `via` nor `dev`: in the same place, and like none
/// that can be wanted.
pub(in crate::kernel) fn read(
    header: &RouteHeader,
    item: &[u8],
    names: &HashMap<u32, IfName>,
) -> Result<Route, DecodeError> {
    let (kind, scope) = (kind(header.kind), scope(header.scope));
    let mut expressible = kind.is_some() && scope.is_some() && header.tos == 0 && header.source_prefix_length == 0;
    let (mut to, mut via, mut dev, mut source) = (None, None, None, None);
    let (mut table, mut metric) = (u32::from(header.table), 0);
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        let (kind, value) = attribute?;
        match kind {
            RTA_DST => to = Some(parse_ip(value)?),
            RTA_GATEWAY => via = Some(parse_ip(value)?),
            RTA_OIF => dev = names.get(&parse_u32(value)?).cloned(),
            RTA_PREFSRC => source = Some(parse_ip(value)?),
            RTA_TABLE => table = parse_u32(value)?,
            RTA_PRIORITY => metric = parse_u32(value)?,
            RTA_MULTIPATH | RTA_VIA | RTA_ENCAP | RTA_NEWDST | RTA_METRICS | RTA_SRC | RTA_FLOW | RTA_NH_ID => {
                expressible = false;
            }
            _ => {}
        }
    }
    let to = IpNet::new(to.unwrap_or(any(header.address_family)), header.destination_prefix_length)
        .map_err(|error| DecodeError::from(error.to_string()))?
        .trunc();
    let kind = kind.unwrap_or(RouteKind::Unicast);
    let scope = scope.unwrap_or(RouteScope::Global);
    let route = Route { table, to, metric, kind, scope, via: None, dev: None, source: None, onlink: false };
    if !expressible {
        return Ok(route);
    }
    // IPv6 has its dropping routes point to the loopback.
    let dev = dev.filter(|_| kind == RouteKind::Unicast);
    Ok(Route { via, dev, source, onlink: header.flags.contains(RouteFlags::Onlink), ..route })
}

fn kind(kind: RouteType) -> Option<RouteKind> {
    match kind {
        RouteType::Unicast => Some(RouteKind::Unicast),
        RouteType::BlackHole => Some(RouteKind::Blackhole),
        RouteType::Unreachable => Some(RouteKind::Unreachable),
        RouteType::Prohibit => Some(RouteKind::Prohibit),
        _ => None,
    }
}

fn scope(scope: Scope) -> Option<RouteScope> {
    match scope {
        Scope::Universe => Some(RouteScope::Global),
        Scope::Site => Some(RouteScope::Site),
        Scope::Link => Some(RouteScope::Link),
        Scope::Host => Some(RouteScope::Host),
        _ => None,
    }
}

/// The destination of a default route, which the kernel leaves out.
fn any(family: AddressFamily) -> IpAddr {
    if family == AddressFamily::Inet6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}
