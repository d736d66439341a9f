//! Routes that somebody put there.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use libc::{
    RT_TABLE_LOCAL, RTA_DST, RTA_ENCAP, RTA_FLOW, RTA_GATEWAY, RTA_METRICS, RTA_MULTIPATH, RTA_NEWDST, RTA_OIF,
    RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_VIA,
};
use netlink_packet_core::{DecodeError, Emitable, parse_ip, parse_u32};
use netlink_packet_route::route::{RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::kernel::netlink::{Refusal, attributes};
use crate::kernel::space::Space;
use crate::lab::{IfName, Route, RouteKind, RouteScope};

/// Lists the routes of a namespace, without those that the kernel makes by itself.
pub(super) fn list(space: &mut Space, names: &HashMap<u32, IfName>) -> Result<BTreeSet<Route>, Refusal> {
    let dump = space.socket.dump(&RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
    let mut routes = BTreeSet::new();
    for item in dump.items() {
        let header = RouteHeader::parse(item)?;
        if is_somebodys(&header) {
            routes.extend(read(&header, item, names)?);
        }
    }
    Ok(routes)
}

/// Whether a person or a program put the route there, and not the kernel because of an address, a router's
/// advertisement or a redirect.
fn is_somebodys(header: &RouteHeader) -> bool {
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
fn read(header: &RouteHeader, item: &[u8], names: &HashMap<u32, IfName>) -> Result<Option<Route>, DecodeError> {
    let any = if header.address_family == AddressFamily::Inet {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    let (kind, mut expressible) = match header.kind {
        RouteType::Unicast => (RouteKind::Unicast, true),
        RouteType::BlackHole => (RouteKind::Blackhole, true),
        RouteType::Unreachable => (RouteKind::Unreachable, true),
        RouteType::Prohibit => (RouteKind::Prohibit, true),
        _ => (RouteKind::Unicast, false),
    };
    let scope = match header.scope {
        netlink_packet_route::route::RouteScope::Universe => RouteScope::Global,
        netlink_packet_route::route::RouteScope::Site => RouteScope::Site,
        netlink_packet_route::route::RouteScope::Link => RouteScope::Link,
        netlink_packet_route::route::RouteScope::Host => RouteScope::Host,
        _ => {
            expressible = false;
            RouteScope::Global
        }
    };
    expressible &= header.tos == 0 && header.source_prefix_length == 0;
    let (mut to, mut via, mut dev, mut source) = (any, None, None, None);
    let (mut table, mut metric) = (u32::from(header.table), 0);
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        let (kind, value) = attribute?;
        match kind {
            RTA_DST => to = parse_ip(value)?,
            RTA_GATEWAY => via = Some(parse_ip(value)?),
            RTA_OIF => dev = Some(parse_u32(value)?),
            RTA_PREFSRC => source = Some(parse_ip(value)?),
            RTA_TABLE => table = parse_u32(value)?,
            RTA_PRIORITY => metric = parse_u32(value)?,
            RTA_MULTIPATH | RTA_VIA | RTA_ENCAP | RTA_NEWDST | RTA_METRICS | RTA_SRC | RTA_FLOW => expressible = false,
            _ => {}
        }
    }
    let to = IpNet::new(to, header.destination_prefix_length).map_err(|error| DecodeError::from(error.to_string()))?;
    // IPv6 has its dropping routes point to the loopback.
    let dev = dev.filter(|_| kind == RouteKind::Unicast && expressible).and_then(|index| names.get(&index).cloned());
    Ok(Some(Route {
        table,
        to: to.trunc(),
        metric,
        kind,
        via: via.filter(|_| expressible),
        dev,
        source: source.filter(|_| expressible),
        scope,
        onlink: expressible && header.flags.contains(RouteFlags::Onlink),
    }))
}
