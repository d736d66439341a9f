//! Routes: those that a person or a program put there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use libc::{
    RTA_CACHEINFO, RTA_DST, RTA_GATEWAY, RTA_METRICS, RTA_MULTIPATH, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_TABLE,
};
use netlink_packet_core::{DecodeError, Emitable, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, parse_ip, parse_u32};
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteProtocol, RouteScope as Scope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::errno::Errno;

use super::next_hop::{self, address};
use super::{Decoded, accept_gone, foreign_route};
use crate::kernel::netlink::{NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{ForeignRoute, IfName, ROUTE_PROTOCOL, Route, RouteKind, RouteScope};
use crate::steps::{Change, RouteStep, Update};

/// How often an IPv6 route to a gateway that is not yet reachable is tried again, and how long to wait in between.
const PEER_PAUSES: u32 = 100;
const PEER_PAUSE: Duration = Duration::from_millis(1);

/// The number of the MTU among a route's metrics (linux/rtnetlink.h).
const RTAX_MTU: u16 = 2;

/// Runs a step.
pub(in crate::kernel) fn run(netns: &mut NetnsHandle, step: &RouteStep) -> Result<(), NetlinkError> {
    match &step.change {
        Update::Add(route) => add(netns, route),
        Update::Replace(Change { to, .. }) => replace(netns, to),
        Update::Remove(route) => accept_gone(delete(netns, route)),
    }
}

/// Adds a route where there is none in its place.
fn add(netns: &mut NetnsHandle, route: &Route) -> Result<(), NetlinkError> {
    // Each IPv6 next hop is a route of its own, and some of them may be there. So may by now the route to a peer, which
    // the kernel adds a moment after the interface comes up (addrconf_dad_work).
    if route.is_ipv6() && (!route.nexthops.is_empty() || route.is_like_connected()) {
        return replace(netns, route);
    }
    put(netns, route, NLM_F_CREATE | NLM_F_EXCL)
}

/// Puts a route in the place of the one that is there.
fn replace(netns: &mut NetnsHandle, route: &Route) -> Result<(), NetlinkError> {
    put(netns, route, NLM_F_CREATE | NLM_F_REPLACE)
}

/// Removes a route, whoever made it.
fn delete(netns: &mut NetnsHandle, route: &Route) -> Result<(), NetlinkError> {
    // The kernel compares next hops in their order, which is not known; without any, it removes them all.
    let message = message(netns, &route.without_nexthops())?;
    netns.socket.change(RouteNetlinkMessage::DelRoute(message), 0)
}

fn message(netns: &mut NetnsHandle, route: &Route) -> Result<RouteMessage, NetlinkError> {
    let indexes = route.devs().map(|dev| netns.index(dev)).collect::<Result<Vec<u32>, _>>()?;
    Ok(encode(route, &indexes))
}

fn put(netns: &mut NetnsHandle, route: &Route, flags: u16) -> Result<(), NetlinkError> {
    let mut message = message(netns, route)?;
    message.header.protocol = RouteProtocol::Other(ROUTE_PROTOCOL);
    for _ in 0..PEER_PAUSES {
        match netns.socket.change(RouteNetlinkMessage::NewRoute(message.clone()), flags) {
            // The gateway may be a peer whose interface has just come up.
            Err(error) if route.is_ipv6() && error.errno == Errno::EHOSTUNREACH => std::thread::sleep(PEER_PAUSE),
            done => return done,
        }
    }
    netns.socket.change(RouteNetlinkMessage::NewRoute(message), flags)
}

/// The message about a route, with the indexes of its interfaces (see [`Route::devs`]).
fn encode(route: &Route, indexes: &[u32]) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: if route.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet },
        destination_prefix_length: route.to.prefix_len(),
        // Tables above 255 are in their attribute alone.
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
    attributes.extend(route.mtu.map(|mtu| RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)])));
    match route.nexthops.is_empty() {
        true => attributes.extend(indexes.first().copied().map(RouteAttribute::Oif)),
        false => attributes.push(next_hop::encode(&route.nexthops, indexes)),
    }
    message
}

fn encode_kind(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Local => RouteType::Local,
        RouteKind::Throw => RouteType::Throw,
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
    /// Those that a person or a program configured.
    pub(in crate::kernel) all: BTreeSet<Route>,
    /// Of these, the ones that carry nslab's protocol number.
    pub(in crate::kernel) of_nslab: BTreeSet<Route>,
    /// Of these, the ones of programs, by their protocol numbers.
    pub(in crate::kernel) protocols: BTreeMap<Route, u8>,
    /// Those that the model cannot express.
    pub(in crate::kernel) foreign: Vec<ForeignRoute>,
    /// Those to its own subnets, which the kernel makes with each address.
    pub(in crate::kernel) connected: BTreeSet<Route>,
    /// The addresses to which the kernel has a route of its own in a table `local`: what is sent there arrives.
    pub(in crate::kernel) local: HashSet<IpAddr>,
}

/// Lists the routes of a namespace, without the others that the kernel makes by itself; `comes_with_address` says of a
/// route whether the kernel makes it with an address that there is.
pub(in crate::kernel) fn list(
    netns: &mut NetnsHandle,
    names: &HashMap<u32, IfName>,
    comes_with_address: impl Fn(&Route) -> bool,
) -> Result<Routes, NetlinkError> {
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
    Ok(listed(dump.items(), names, comes_with_address)?)
}

/// The routes of a listing.
pub(in crate::kernel) fn listed<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    names: &HashMap<u32, IfName>,
    comes_with_address: impl Fn(&Route) -> bool,
) -> Result<Routes, DecodeError> {
    let mut routes = Routes::default();
    for item in items {
        let header = RouteHeader::parse(item)?;
        if !may_be_configured(&header, item)? {
            continue;
        }
        let is_kernels = |route: &Route| header.protocol == RouteProtocol::Kernel && comes_with_address(route);
        match decode(&header, item, names)? {
            Decoded::Known(route) if is_kernels(&route) => match route.kind {
                RouteKind::Local => drop(routes.local.insert(route.to.addr())),
                _ => drop(routes.connected.insert(route)),
            },
            Decoded::Known(route) => {
                match header.protocol {
                    RouteProtocol::Other(ROUTE_PROTOCOL) => drop(routes.of_nslab.insert(route.clone())),
                    RouteProtocol::Unspec | RouteProtocol::Boot | RouteProtocol::Static => {}
                    program => drop(routes.protocols.insert(route.clone(), program.into())),
                }
                routes.all.insert(route);
            }
            Decoded::Foreign(_) if header.protocol == RouteProtocol::Kernel => {}
            Decoded::Foreign(route) => routes.foreign.push(route),
        }
    }
    Ok(routes)
}

/// Whether a person or a program may have configured the route. A route that says it is the kernel's own need not be
/// (`ip route add … proto kernel`), but some kinds of routes the kernel alone has a use for, and what it has from a
/// router's advertisement comes to an end (rt6_add_dflt_router); redirects it keeps elsewhere.
fn may_be_configured(header: &RouteHeader, item: &[u8]) -> Result<bool, DecodeError> {
    use RouteType::{Anycast, Broadcast, Multicast};
    if header.flags.contains(RouteFlags::Cloned) {
        return Ok(false);
    }
    Ok(match (header.address_family, header.protocol) {
        (AddressFamily::Inet | AddressFamily::Inet6, RouteProtocol::Kernel) => {
            !matches!(header.kind, Broadcast | Anycast | Multicast)
        }
        (AddressFamily::Inet6, RouteProtocol::Ra) => !expires(header, item)?,
        (AddressFamily::Inet | AddressFamily::Inet6, _) => true,
        _ => false,
    })
}

/// Whether a route comes to an end by itself (`rta_expires` of `struct rta_cacheinfo`).
fn expires(header: &RouteHeader, item: &[u8]) -> Result<bool, DecodeError> {
    const EXPIRES: std::ops::Range<usize> = 8..12;
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        if let (RTA_CACHEINFO, value) = attribute? {
            return Ok(value.get(EXPIRES).is_some_and(|left| left != [0; 4]));
        }
    }
    Ok(false)
}

/// The route.
fn decode(
    header: &RouteHeader,
    item: &[u8],
    names: &HashMap<u32, IfName>,
) -> Result<Decoded<Route, ForeignRoute>, DecodeError> {
    let (kind, scope) = (decode_kind(header.kind), decode_scope(header.scope));
    let (mut to, mut via, mut dev, mut source) = (None, None, None, None);
    let (mut table, mut metric, mut further) = (u32::from(header.table), 0, String::new());
    let (mut mtu, mut nexthops) = (None, BTreeSet::new());
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        match attribute? {
            (RTA_DST, value) => to = Some(parse_ip(value)?),
            (RTA_GATEWAY, value) => via = Some(parse_ip(value)?),
            (RTA_OIF, value) => dev = names.get(&parse_u32(value)?).cloned(),
            (RTA_PREFSRC, value) => source = Some(parse_ip(value)?),
            (RTA_TABLE, value) => table = parse_u32(value)?,
            (RTA_PRIORITY, value) => metric = parse_u32(value)?,
            (RTA_MULTIPATH, value) => match next_hop::decode(value, names)? {
                Decoded::Known(several) => nexthops = several,
                Decoded::Foreign(text) => further += &text,
            },
            (RTA_METRICS, value) => match only_mtu(value)? {
                Some(only) => mtu = Some(only),
                None => further += &foreign_route::further(RTA_METRICS, value)?,
            },
            (kind, value) => further += &foreign_route::further(kind, value)?,
        }
    }
    let to = IpNet::new(to.unwrap_or(unspecified(header.address_family)), header.destination_prefix_length)
        .map_err(|error| DecodeError::from(error.to_string()))?
        .trunc();
    let is_expressible = header.tos == 0 && header.source_prefix_length == 0 && further.is_empty();
    let onlink = header.flags.contains(RouteFlags::Onlink);
    if let (Some(kind), Some(scope), true) = (kind, scope, is_expressible) {
        // IPv6 has the routes that lead nowhere point to the loopback.
        let dev = dev.filter(|_| matches!(kind, RouteKind::Unicast | RouteKind::Local));
        return Ok(Decoded::Known(Route { table, to, metric, kind, scope, via, dev, source, onlink, mtu, nexthops }));
    }
    // The scope is that which `ip route` leaves out, so that the text does not mention it.
    let (kind, scope) = (RouteKind::Unicast, RouteScope::Global);
    let shown = Route { table, to, metric, kind, scope, via, dev, source, onlink, mtu, nexthops };
    let shown = Route { scope: shown.default_scope(), ..shown };
    Ok(Decoded::Foreign(foreign_route::decode(header, item, &shown, &further)?))
}

/// The MTU of a route, where it is all that its metrics say.
fn only_mtu(metrics: &[u8]) -> Result<Option<u32>, DecodeError> {
    let mut metrics = attributes(metrics);
    match (metrics.next().transpose()?, metrics.next()) {
        (Some((RTAX_MTU, value)), None) => parse_u32(value).map(Some),
        _ => Ok(None),
    }
}

fn decode_kind(kind: RouteType) -> Option<RouteKind> {
    match kind {
        RouteType::Unicast => Some(RouteKind::Unicast),
        RouteType::Local => Some(RouteKind::Local),
        RouteType::Throw => Some(RouteKind::Throw),
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
        use RouteKind::{Blackhole, Local, Prohibit, Throw, Unicast, Unreachable};
        use RouteScope::{Global, Host, Link, Site};
        let kind = prop_oneof![Just(Unicast), Just(Blackhole), Just(Unreachable), Just(Prohibit)];
        let kind = prop_oneof![kind, Just(Local), Just(Throw)];
        let scope = prop_oneof![Just(Global), Just(Site), Just(Link), Just(Host)];
        let ips = any::<bool>().prop_flat_map(|ipv6| (prefix(ipv6), option_of(ip(ipv6)), option_of(ip(ipv6))));
        (1..u32::MAX, ips, any::<u32>(), kind, scope, any::<bool>(), option_of(any::<u32>())).prop_map(
            |(table, (to, via, source), metric, kind, scope, onlink, mtu)| {
                let dev = matches!(kind, Unicast | Local).then(dev);
                Route { table, to, metric, kind, via, dev, source, scope, onlink, mtu, nexthops: BTreeSet::new() }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(route in any_route()) {
            let indexes: Vec<u32> = route.devs().map(|_| INDEX).collect();
            let bytes = bytes(&encode(&route, &indexes));
            let header = RouteHeader::parse(&bytes).unwrap();
            prop_assert_eq!(decode(&header, &bytes, &HashMap::from([(INDEX, dev())])).unwrap(), Decoded::Known(route));
        }
    }
}
