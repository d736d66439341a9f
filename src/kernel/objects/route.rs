//! Routes: those that a person or a program put there.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use libc::{
    RT_TABLE_LOCAL, RTA_DST, RTA_ENCAP, RTA_FLOW, RTA_GATEWAY, RTA_METRICS, RTA_MULTIPATH, RTA_NEWDST, RTA_OIF,
    RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE, RTA_VIA,
};
use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, parse_ip, parse_u32,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope as Scope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{accept_gone, interface};
use crate::kernel::netlink::{NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{IfName, ROUTE_PROTOCOL, Route, RouteKind, RouteScope};

/// The number of the nexthop object that a route uses (linux/rtnetlink.h).
const RTA_NH_ID: u16 = 30;

/// Adds a route where there is none in its place.
pub(in crate::kernel) fn add(netns: &mut NetnsHandle, route: &Route) -> Result<(), NetlinkError> {
    put(netns, route, NLM_F_CREATE | NLM_F_EXCL)
}

/// Puts a route in the place of the one that is there.
pub(in crate::kernel) fn replace(netns: &mut NetnsHandle, route: &Route) -> Result<(), NetlinkError> {
    put(netns, route, NLM_F_CREATE | NLM_F_REPLACE)
}

/// Removes a route, whoever made it.
pub(in crate::kernel) fn delete(netns: &mut NetnsHandle, route: &Route) -> Result<(), NetlinkError> {
    if is_inexpressible(route) {
        return delete_listed(netns, route);
    }
    let message = message(netns, route)?;
    netns.socket.change(RouteNetlinkMessage::DelRoute(message), 0)
}

/// Removes what observing tells as this route, as the kernel itself lists it: its type of service, its metrics or its
/// several hops are part of what it is known by.
fn delete_listed(netns: &mut NetnsHandle, route: &Route) -> Result<(), NetlinkError> {
    let names = interface::names(netns)?;
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
    for item in dump.items() {
        let header = RouteHeader::parse(item)?;
        if is_configured(&header) && decode(&header, item, &names)? == *route {
            accept_gone(netns.socket.remove_listed(libc::RTM_DELROUTE, &deletable(&header, item)?))?;
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
    let by_number = all.iter().any(|(kind, _)| *kind == RTA_NH_ID);
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

fn message(netns: &mut NetnsHandle, route: &Route) -> Result<RouteMessage, NetlinkError> {
    let dev = route.dev.as_ref().map(|dev| netns.index(dev)).transpose()?;
    Ok(encode(route, dev))
}

fn put(netns: &mut NetnsHandle, route: &Route, flags: u16) -> Result<(), NetlinkError> {
    let mut message = message(netns, route)?;
    message.header.protocol = RouteProtocol::Other(ROUTE_PROTOCOL);
    netns.socket.change(RouteNetlinkMessage::NewRoute(message), flags)
}

/// The message about a route, with the index of its interface.
fn encode(route: &Route, dev: Option<u32>) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: if route.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet },
        destination_prefix_length: route.to.prefix_len(),
        // Tables above 255 are told by their attribute alone.
        table: u8::try_from(route.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC),
        kind: encode_kind(route.kind),
        scope: encode_scope(route.scope),
        flags: if route.onlink { RouteFlags::Onlink } else { RouteFlags::empty() },
        ..RouteHeader::default()
    };
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Table(route.table));
    attributes.push(RouteAttribute::Destination(address(route.to.addr())));
    attributes.push(RouteAttribute::Priority(route.metric));
    attributes.extend(route.via.map(|via| RouteAttribute::Gateway(address(via))));
    attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(address(source))));
    attributes.extend(dev.map(RouteAttribute::Oif));
    message
}

fn address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

fn encode_kind(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
    }
}

fn encode_scope(scope: RouteScope) -> Scope {
    match scope {
        RouteScope::Global => Scope::Universe,
        RouteScope::Site => Scope::Site,
        RouteScope::Link => Scope::Link,
        RouteScope::Host => Scope::Host,
    }
}

/// The routes of a namespace.
#[derive(Default)]
pub(in crate::kernel) struct Routes {
    /// Those that a person or a program put there.
    pub(in crate::kernel) all: BTreeSet<Route>,
    /// Of these, the ones that carry our protocol number.
    pub(in crate::kernel) marked: BTreeSet<Route>,
    /// Those to its own subnets, which the kernel makes with each address.
    pub(in crate::kernel) connected: BTreeSet<Route>,
}

/// Lists the routes of a namespace, without the others that the kernel makes by itself.
pub(in crate::kernel) fn list(netns: &mut NetnsHandle, names: &HashMap<u32, IfName>) -> Result<Routes, NetlinkError> {
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
    Ok(listed(dump.items(), names)?)
}

/// The routes that a listing tells of.
pub(in crate::kernel) fn listed<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    names: &HashMap<u32, IfName>,
) -> Result<Routes, DecodeError> {
    let mut routes = Routes::default();
    for item in items {
        let header = RouteHeader::parse(item)?;
        if is_configured(&header) {
            let route = decode(&header, item, names)?;
            if header.protocol == RouteProtocol::from(ROUTE_PROTOCOL) {
                routes.marked.insert(route.clone());
            }
            routes.all.insert(route);
        } else if header.protocol == RouteProtocol::Kernel && header.kind == RouteType::Unicast {
            routes.connected.insert(decode(&header, item, names)?);
        }
    }
    Ok(routes)
}

/// Whether a person or a program configured the route, and not the kernel because of an address, a router's
/// advertisement or a redirect.
pub(in crate::kernel) fn is_configured(header: &RouteHeader) -> bool {
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
pub(in crate::kernel) fn decode(
    header: &RouteHeader,
    item: &[u8],
    names: &HashMap<u32, IfName>,
) -> Result<Route, DecodeError> {
    let (kind, scope) = (decode_kind(header.kind), decode_scope(header.scope));
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
    let to = IpNet::new(to.unwrap_or(unspecified(header.address_family)), header.destination_prefix_length)
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

fn decode_kind(kind: RouteType) -> Option<RouteKind> {
    match kind {
        RouteType::Unicast => Some(RouteKind::Unicast),
        RouteType::BlackHole => Some(RouteKind::Blackhole),
        RouteType::Unreachable => Some(RouteKind::Unreachable),
        RouteType::Prohibit => Some(RouteKind::Prohibit),
        _ => None,
    }
}

fn decode_scope(scope: Scope) -> Option<RouteScope> {
    match scope {
        Scope::Universe => Some(RouteScope::Global),
        Scope::Site => Some(RouteScope::Site),
        Scope::Link => Some(RouteScope::Link),
        Scope::Host => Some(RouteScope::Host),
        _ => None,
    }
}

/// The destination of a default route, which the kernel leaves out.
fn unspecified(family: AddressFamily) -> IpAddr {
    if family == AddressFamily::Inet6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::round_trip::{INDEX, bytes, dev, ip, option_of, prefix};
    use super::*;

    fn any_route() -> impl Strategy<Value = Route> {
        use RouteKind::{Blackhole, Prohibit, Unicast, Unreachable};
        use RouteScope::{Global, Host, Link, Site};
        let kind = prop_oneof![Just(Unicast), Just(Blackhole), Just(Unreachable), Just(Prohibit)];
        let scope = prop_oneof![Just(Global), Just(Site), Just(Link), Just(Host)];
        let ips = any::<bool>().prop_flat_map(|ipv6| (prefix(ipv6), option_of(ip(ipv6)), option_of(ip(ipv6))));
        (1..u32::MAX, ips, any::<u32>(), kind, scope, any::<bool>()).prop_map(
            |(table, (to, via, source), metric, kind, scope, onlink)| {
                let dev = (kind == Unicast).then(dev);
                Route { table, to, metric, kind, via, dev, source, scope, onlink }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(route in any_route()) {
            let bytes = bytes(&encode(&route, route.dev.as_ref().map(|_| INDEX)));
            let header = RouteHeader::parse(&bytes).unwrap();
            prop_assert_eq!(decode(&header, &bytes, &HashMap::from([(INDEX, dev())])).unwrap(), route);
        }
    }
}
