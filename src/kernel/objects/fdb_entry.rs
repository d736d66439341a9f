//! Permanent entries in the forwarding databases of VXLAN interfaces. What an interface has learned is not of interest,
//! and neither is what the kernel itself keeps for multicast on other interfaces.

use std::collections::HashMap;

use libc::{NDA_CACHEINFO, NDA_DST, NDA_IFINDEX, NDA_LLADDR, NDA_PORT, NDA_VNI};
use netlink_packet_core::{
    DecodeError, Emitable, NLM_F_APPEND, NLM_F_CREATE, parse_ip, parse_mac, parse_u16_be, parse_u32,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourHeader, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Decoded, accept_gone};
use crate::kernel::netlink::{Dump, NetlinkError, attributes, with_attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{FdbEntry, ForeignFdbEntry, ForeignKind, ForeignObject, IfName, Mac};
use crate::steps::{FdbEntryStep, Presence};

/// An entry that leads to a nexthop object (linux/neighbour.h).
const NDA_NH_ID: u16 = 13;

/// Runs a step.
pub(in crate::kernel) fn run(netns: &mut NetnsHandle, step: &FdbEntryStep) -> Result<(), NetlinkError> {
    match &step.change {
        Presence::Add(entry) => add(netns, entry),
        Presence::Remove(entry) => accept_gone(delete(netns, entry)),
    }
}

/// Adds a forwarding entry beside those that there are for the same MAC address.
fn add(netns: &mut NetnsHandle, entry: &FdbEntry) -> Result<(), NetlinkError> {
    let message = encode(entry, netns.index(&entry.dev)?);
    netns.socket.change(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_APPEND)
}

/// Removes a forwarding entry.
fn delete(netns: &mut NetnsHandle, entry: &FdbEntry) -> Result<(), NetlinkError> {
    let message = encode_key(entry, netns.index(&entry.dev)?);
    netns.socket.change(RouteNetlinkMessage::DelNeighbour(message), 0)
}

/// Lists the forwarding databases of all interfaces of a namespace, those of bridges included.
pub(in crate::kernel) fn list(netns: &mut NetnsHandle) -> Result<Dump, NetlinkError> {
    let mut request = NeighbourMessage::default();
    request.header.family = AddressFamily::Bridge;
    netns.socket.dump(&RouteNetlinkMessage::GetNeighbour(request))
}

fn encode(entry: &FdbEntry, index: u32) -> NeighbourMessage {
    let mut message = encode_key(entry, index);
    // As `bridge fdb append … permanent` says it.
    message.header.state = NeighbourState::Other(libc::NUD_PERMANENT | libc::NUD_NOARP);
    message
}

/// What the kernel knows an entry by.
fn encode_key(entry: &FdbEntry, index: u32) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.flags = NeighbourFlags::Own;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(entry.mac.0.to_vec()));
    message.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::from(entry.to)));
    message
}

/// The entry, if it is a permanent one of a VXLAN interface itself; `dev` says which interfaces are such, `names` are
/// those of the namespace's interfaces.
pub(in crate::kernel) fn decode(
    item: &[u8],
    dev: impl Fn(u32) -> Option<IfName>,
    names: &HashMap<u32, IfName>,
) -> Result<Option<Decoded<FdbEntry, ForeignFdbEntry>>, DecodeError> {
    let header = NeighbourHeader::parse(item)?;
    let Some(dev) = dev(header.ifindex) else { return Ok(None) };
    // `bridge` sets NUD_NOARP beside it.
    if u16::from(header.state) & libc::NUD_PERMANENT == 0 || !header.flags.contains(NeighbourFlags::Own) {
        return Ok(None);
    }
    let (mut mac, mut to, mut further) = (None, None, String::new());
    let rest = item.get(header.buffer_len()..).unwrap_or_default();
    for attribute in attributes(rest) {
        match attribute? {
            (NDA_LLADDR, value) => mac = parse_mac(value).ok().map(Mac),
            (NDA_DST, value) => to = Some(parse_ip(value)?),
            (NDA_PORT, value) => further += &format!(" port {}", parse_u16_be(value)?),
            (NDA_VNI, value) => further += &format!(" vni {}", parse_u32(value)?),
            (NDA_IFINDEX, value) => {
                let index = parse_u32(value)?;
                // So `bridge` calls one whose name it does not know.
                let via = names.get(&index).map_or_else(|| format!("if{index}"), IfName::to_string);
                further += &format!(" via {via}");
            }
            (NDA_NH_ID, value) => further += &format!(" nhid {}", parse_u32(value)?),
            _ => {}
        }
    }
    let Some(mac) = mac else { return Ok(None) };
    Ok(Some(match to {
        Some(to) if further.is_empty() => Decoded::Known(FdbEntry { dev, mac, to }),
        _ => {
            let to = to.map(|to| format!(" dst {to}")).unwrap_or_default();
            let text = format!("{mac} dev {dev}{to}{further}");
            Decoded::Foreign(ForeignFdbEntry {
                object: ForeignObject {
                    kind: ForeignKind::FdbEntry,
                    text,
                    // Its age changes by itself.
                    message: with_attributes(&header, rest, |kind, value| {
                        (kind != NDA_CACHEINFO).then(|| value.to_vec())
                    })?,
                },
                dev,
            })
        }
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::round_trip::{INDEX, bytes, dev, ip, mac};
    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(to in any::<bool>().prop_flat_map(ip), mac in mac()) {
            let entry = FdbEntry { dev: dev(), mac, to };
            let bytes = bytes(&encode(&entry, INDEX));
            prop_assert_eq!(decode(&bytes, |_| Some(dev()), &HashMap::new()).unwrap(), Some(Decoded::Known(entry)));
        }
    }
}
