//! Routes that the model cannot express: their words for people, and the bytes that name them.

use std::net::IpAddr;

use libc::{RTA_CACHEINFO, RTA_FLOW, RTA_GATEWAY, RTA_METRICS, RTA_MULTIPATH, RTA_OIF, RTA_SRC};
use netlink_packet_core::{DecodeError, Emitable, parse_ip, parse_u16, parse_u32};
use netlink_packet_route::route::{RouteFlags, RouteHeader, RouteProtocol, RouteType};

use super::rtnexthop::without_state;
use crate::kernel::netlink::numbers::{RTA_ENCAP, RTA_ENCAP_TYPE, RTA_NEWDST, RTA_VIA};
use crate::kernel::netlink::{attributes, with_attributes};
use crate::lab::{ForeignKind, ForeignObject, ForeignRoute, ROUTE_PROTOCOL, Route};

/// The number of the nexthop object that a route uses (linux/rtnetlink.h).
const RTA_NH_ID: u16 = 30;

/// The metrics of a route with `ip`'s words for them, by their numbers (RTAX_… in linux/rtnetlink.h).
const METRICS: [(u16, &str); 13] = [
    (2, "mtu"),
    (3, "window"),
    (4, "rtt"),
    (5, "rttvar"),
    (6, "ssthresh"),
    (7, "cwnd"),
    (8, "advmss"),
    (9, "reordering"),
    (10, "hoplimit"),
    (11, "initcwnd"),
    (12, "features"),
    (13, "rto_min"),
    (14, "initrwnd"),
];

/// What an attribute says that the model has no words for, as `ip route` spells it; nothing where it says nothing about
/// the route itself.
pub(super) fn further(kind: u16, value: &[u8]) -> Result<String, DecodeError> {
    Ok(match kind {
        RTA_METRICS => metrics(value)?,
        RTA_NH_ID => format!(" nhid {}", parse_u32(value)?),
        RTA_VIA => via(value),
        RTA_SRC => format!(" from {}", parse_ip(value)?),
        RTA_FLOW => format!(" realms {}", parse_u32(value)?),
        RTA_ENCAP => " encap".to_owned(),
        RTA_NEWDST => " as to another destination".to_owned(),
        _ => String::new(),
    })
}

fn metrics(value: &[u8]) -> Result<String, DecodeError> {
    let mut text = String::new();
    for attribute in attributes(value) {
        let (kind, value) = attribute?;
        text += &match METRICS.iter().find(|(number, _)| *number == kind) {
            Some((_, word)) => format!(" {word} {}", parse_u32(value)?),
            None => format!(" (metric {kind})"),
        };
    }
    // Metrics without any are metrics all the same: the model has no words for them.
    Ok(if text.is_empty() { " (no metrics)".to_owned() } else { text })
}

/// A next hop of another family (struct rtvia): the family, and an address.
pub(super) fn via(value: &[u8]) -> String {
    let address = value.get(2..).and_then(|address| parse_ip(address).ok());
    match (address, value.get(..2).map(parse_u16)) {
        (Some(address @ IpAddr::V4(_)), _) => format!(" via inet {address}"),
        (Some(address @ IpAddr::V6(_)), _) => format!(" via inet6 {address}"),
        (None, Some(Ok(family))) => format!(" via (family {family})"),
        (None, _) => " via".to_owned(),
    }
}

/// The route; `shown` is what the model can say of it, `further` what it cannot.
pub(super) fn decode(
    header: &RouteHeader,
    item: &[u8],
    shown: &Route,
    further: &str,
) -> Result<ForeignRoute, DecodeError> {
    let tos = if header.tos == 0 { String::new() } else { format!(" tos {:#04x}", header.tos) };
    let text = format!("{}{shown}{tos}{further}", word(header.kind));
    // The kernel keeps routes of another type of service, or for some sources only, in places of their own.
    let has_slot = header.tos == 0 && header.source_prefix_length == 0;
    Ok(ForeignRoute {
        object: ForeignObject {
            kind: ForeignKind::Route { ipv6: shown.is_ipv6() },
            text,
            message: message(header, item)?,
        },
        dev: shown.dev.clone(),
        slot: has_slot.then(|| shown.slot()),
        is_ours: header.protocol == RouteProtocol::from(ROUTE_PROTOCOL),
        protocol: header.protocol.into(),
    })
}

/// `ip`'s word for the type of a route; nothing for an ordinary one.
fn word(kind: RouteType) -> String {
    match kind {
        RouteType::Unicast => String::new(),
        RouteType::BlackHole => "blackhole ".to_owned(),
        RouteType::Unreachable => "unreachable ".to_owned(),
        RouteType::Prohibit => "prohibit ".to_owned(),
        RouteType::Local => "local ".to_owned(),
        RouteType::Broadcast => "broadcast ".to_owned(),
        RouteType::Anycast => "anycast ".to_owned(),
        RouteType::Multicast => "multicast ".to_owned(),
        RouteType::Throw => "throw ".to_owned(),
        RouteType::Nat => "nat ".to_owned(),
        other => format!("type {} ", u8::from(other)),
    }
}

/// A route as the kernel lists it, without what it does not take back: flags about the interface's state, and the hop
/// beside the number of the nexthop object that it belongs to; and without what changes by itself.
fn message(header: &RouteHeader, item: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let rest = item.get(header.buffer_len()..).unwrap_or_default();
    let by_number = attributes(rest).any(|attribute| matches!(attribute, Ok((RTA_NH_ID, _))));
    let is_hop = |kind| [RTA_ENCAP, RTA_ENCAP_TYPE, RTA_GATEWAY, RTA_MULTIPATH, RTA_OIF, RTA_VIA].contains(&kind);
    let header = RouteHeader { flags: header.flags & RouteFlags::Onlink, ..header.clone() };
    with_attributes(&header, rest, |kind, value| match kind {
        RTA_CACHEINFO => None,
        kind if by_number && is_hop(kind) => None,
        RTA_MULTIPATH => Some(without_state(value)),
        _ => Some(value.to_vec()),
    })
}
