//! Neighbour entries. What the kernel has learned by itself is shown, and of no interest otherwise.

use std::collections::{BTreeSet, HashMap};

use libc::{NDA_DST, NDA_LLADDR};
use netlink_packet_core::{DecodeError, Emitable, NLM_F_CREATE, NLM_F_REPLACE, parse_ip, parse_mac};
use netlink_packet_route::neighbour::{
    NeighbourAttribute, NeighbourHeader, NeighbourMessage, NeighbourState as RawState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::accept_gone;
use crate::kernel::netlink::{Dump, NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{IfName, Mac, Neighbour, NeighbourEntry, NeighbourState};
use crate::steps::{Change, NeighbourStep, Update};

/// Runs a step.
pub(in crate::kernel) fn run(netns: &mut NetnsHandle, step: &NeighbourStep) -> Result<(), NetlinkError> {
    match &step.change {
        Update::Add(to) | Update::Replace(Change { to, .. }) => set(netns, to),
        Update::Remove(entry) => accept_gone(delete(netns, entry)),
    }
}

/// Adds an entry, or puts it in the place of the one for the same address.
fn set(netns: &mut NetnsHandle, neighbour: &Neighbour) -> Result<(), NetlinkError> {
    let message = encode(neighbour, netns.index(&neighbour.dev)?);
    netns.socket.change(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Removes an entry.
fn delete(netns: &mut NetnsHandle, neighbour: &Neighbour) -> Result<(), NetlinkError> {
    let message = encode_key(neighbour, netns.index(&neighbour.dev)?);
    netns.socket.change(RouteNetlinkMessage::DelNeighbour(message), 0)
}

/// Lists the neighbour entries of a namespace.
pub(in crate::kernel) fn list(netns: &mut NetnsHandle) -> Result<Dump, NetlinkError> {
    netns.socket.dump(&RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()))
}

/// The permanent neighbour entries of a listing.
pub(in crate::kernel) fn listed<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    names: &HashMap<u32, IfName>,
) -> Result<BTreeSet<Neighbour>, DecodeError> {
    let mut neighbours = BTreeSet::new();
    for item in items {
        neighbours.extend(decode(item, names)?);
    }
    Ok(neighbours)
}

fn encode(neighbour: &Neighbour, index: u32) -> NeighbourMessage {
    let mut message = encode_key(neighbour, index);
    message.header.state = RawState::Permanent;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(neighbour.mac.0.to_vec()));
    message
}

/// What the kernel knows an entry by.
fn encode_key(neighbour: &Neighbour, index: u32) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = if neighbour.address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.ifindex = index;
    message.attributes.push(NeighbourAttribute::Destination(neighbour.address.into()));
    message
}

/// Lists all entries of a namespace that `ip neigh` shows: not those for groups and the like, which nobody has to
/// answer for (`NUD_NOARP`).
pub(in crate::kernel) fn list_all(
    netns: &mut NetnsHandle,
    names: &HashMap<u32, IfName>,
) -> Result<Vec<NeighbourEntry>, NetlinkError> {
    let dump = list(netns)?;
    let mut entries = Vec::new();
    for item in dump.items() {
        entries.extend(decode_any(item, names)?);
    }
    entries.sort_by(|a, b| (&a.dev, a.address).cmp(&(&b.dev, b.address)));
    Ok(entries)
}

/// The entry, if it is a permanent one with an Ethernet address, on an interface that a lab can name.
fn decode(item: &[u8], names: &HashMap<u32, IfName>) -> Result<Option<Neighbour>, DecodeError> {
    let permanent = |entry: &NeighbourEntry| entry.state == NeighbourState::Permanent;
    let entry = decode_any(item, names)?.filter(permanent);
    Ok(entry.and_then(|NeighbourEntry { dev, address, mac, .. }| Some(Neighbour { dev, address, mac: mac? })))
}

/// The entry, if it is one for an IP address on an interface that a lab can name.
fn decode_any(item: &[u8], names: &HashMap<u32, IfName>) -> Result<Option<NeighbourEntry>, DecodeError> {
    let header = NeighbourHeader::parse(item)?;
    let is_ip = matches!(header.family, AddressFamily::Inet | AddressFamily::Inet6);
    let state = state(header.state).filter(|_| is_ip);
    let Some((state, dev)) = state.zip(names.get(&header.ifindex)) else { return Ok(None) };
    let (mut address, mut mac) = (None, None);
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        match attribute? {
            (NDA_DST, value) => address = Some(parse_ip(value)?),
            (NDA_LLADDR, value) => mac = parse_mac(value).ok().map(Mac),
            _ => {}
        }
    }
    Ok(address.map(|address| NeighbourEntry { dev: dev.clone(), address, mac, state }))
}

fn state(state: RawState) -> Option<NeighbourState> {
    match state {
        RawState::Permanent => Some(NeighbourState::Permanent),
        RawState::Reachable => Some(NeighbourState::Reachable),
        RawState::Stale => Some(NeighbourState::Stale),
        RawState::Delay => Some(NeighbourState::Delay),
        RawState::Probe => Some(NeighbourState::Probe),
        RawState::Incomplete => Some(NeighbourState::Incomplete),
        RawState::Failed => Some(NeighbourState::Failed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::round_trip::{INDEX, bytes, dev, ip, mac};
    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(address in any::<bool>().prop_flat_map(ip), mac in mac()) {
            let neighbour = Neighbour { dev: dev(), address, mac };
            let bytes = bytes(&encode(&neighbour, INDEX));
            prop_assert_eq!(decode(&bytes, &HashMap::from([(INDEX, dev())])).unwrap(), Some(neighbour));
        }
    }
}
