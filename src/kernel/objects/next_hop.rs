//! The several next hops of a route (RTA_MULTIPATH, struct rtnexthop in linux/rtnetlink.h).

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use libc::RTA_GATEWAY;
use netlink_packet_core::{DecodeError, parse_ip};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteNextHop};

use super::rtnexthop::{HEADER, ONLINK};
use super::{Decoded, foreign_route};
use crate::kernel::netlink::attributes;
use crate::kernel::netlink::numbers::RTA_VIA;
use crate::lab::{IfName, NextHop};

/// The next hops, with the index of the interface of each.
pub(super) fn encode(hops: &BTreeSet<NextHop>, indexes: &[u32]) -> RouteAttribute {
    let hops = hops.iter().zip(indexes).map(|(hop, &index)| {
        let mut message = RouteNextHop::default();
        message.interface_index = index;
        // The kernel counts from 0.
        message.hops = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
        message.attributes.extend(hop.via.map(|via| RouteAttribute::Gateway(address(via))));
        message
    });
    RouteAttribute::MultiPath(hops.collect())
}

/// An address, as an attribute of a route has it.
pub(super) fn address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

/// The next hops; where the model has no words for one of them, the text of all.
pub(super) fn decode(
    mut rest: &[u8],
    names: &HashMap<u32, IfName>,
) -> Result<Decoded<BTreeSet<NextHop>, String>, DecodeError> {
    let (mut hops, mut count, mut text, mut is_foreign) = (BTreeSet::new(), 0, String::new(), false);
    while let Some((&[a, b, flags, weight, c, d, e, f], _)) = rest.split_first_chunk::<HEADER>() {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let (via, further) = gateway(rest.get(HEADER..length).unwrap_or_default())?;
        let (index, weight) = (u32::from_ne_bytes([c, d, e, f]), u16::from(weight) + 1);
        let dev = names.get(&index);
        let name = dev.map_or_else(|| format!("if{index}"), IfName::to_string);
        let onlink = if flags & ONLINK == 0 { "" } else { " onlink" };
        let gateway = via.map(|via| format!(" via {via}")).unwrap_or_default();
        text += &format!(" nexthop{gateway}{further} dev {name} weight {weight}{onlink}");
        is_foreign |= dev.is_none() || !further.is_empty() || !onlink.is_empty();
        hops.extend(dev.map(|dev| NextHop { via, dev: dev.clone(), weight }));
        count += 1;
        rest = rest.get(length.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
    }
    // The same one twice, or one alone, is nothing that a file can say.
    let is_foreign = is_foreign || hops.len() != count || count < 2;
    Ok(if is_foreign { Decoded::Foreign(text) } else { Decoded::Known(hops) })
}

/// The gateway of a next hop, and what else there is about it.
fn gateway(bytes: &[u8]) -> Result<(Option<IpAddr>, String), DecodeError> {
    let (mut via, mut further) = (None, String::new());
    for attribute in attributes(bytes) {
        match attribute? {
            (RTA_GATEWAY, value) => via = Some(parse_ip(value)?),
            (RTA_VIA, value) => further += &foreign_route::via(value),
            (kind, value) => further += &foreign_route::further(kind, value)?,
        }
    }
    Ok((via, further))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use netlink_packet_core::{Emitable, NLA_HEADER_SIZE};
    use proptest::prelude::*;

    use super::super::round_trip::{INDEX, dev, ip, option_of};
    use super::super::rtnexthop::without_state;
    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(hops in any::<bool>().prop_flat_map(|ipv6| {
            prop::collection::btree_set((option_of(ip(ipv6)), 1..=256_u16), 2..5)
        })) {
            let hops: BTreeSet<NextHop> =
                hops.into_iter().map(|(via, weight)| NextHop { via, dev: dev(), weight }).collect();
            let attribute = encode(&hops, &vec![INDEX; hops.len()]);
            let mut bytes = vec![0; attribute.buffer_len()];
            attribute.emit(&mut bytes);
            let names = HashMap::from([(INDEX, dev())]);
            let value = &mut bytes[NLA_HEADER_SIZE..];
            prop_assert_eq!(decode(value, &names).unwrap(), Decoded::Known(hops));
            // The third byte has the flags: dead, and link down.
            let before = value.to_vec();
            value[2] |= 1 | 16;
            prop_assert_eq!(without_state(value), before);
        }
    }
}
