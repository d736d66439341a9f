//! Permanent neighbours. What the kernel learnt by itself is not of interest.

use std::collections::{BTreeSet, HashMap};

use libc::{NDA_DST, NDA_LLADDR};
use netlink_packet_core::{DecodeError, Emitable, parse_ip, parse_mac};
use netlink_packet_route::neighbour::{NeighbourHeader, NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::kernel::netlink::{NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{IfName, Mac, Neighbour};

/// Lists the permanent neighbours of a namespace.
pub(super) fn list(netns: &mut NetnsHandle, names: &HashMap<u32, IfName>) -> Result<BTreeSet<Neighbour>, NetlinkError> {
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()))?;
    Ok(listed(dump.items(), names)?)
}

/// The permanent neighbours that a listing tells of.
pub(super) fn listed<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    names: &HashMap<u32, IfName>,
) -> Result<BTreeSet<Neighbour>, DecodeError> {
    let mut neighbours = BTreeSet::new();
    for item in items {
        let header = NeighbourHeader::parse(item)?;
        let is_permanent = header.state == NeighbourState::Permanent
            && matches!(header.family, AddressFamily::Inet | AddressFamily::Inet6);
        if let (true, Some(dev)) = (is_permanent, names.get(&header.ifindex)) {
            neighbours.extend(read(&header, item, dev)?);
        }
    }
    Ok(neighbours)
}

/// The entry, unless its hardware address is not an Ethernet one.
fn read(header: &NeighbourHeader, item: &[u8], dev: &IfName) -> Result<Option<Neighbour>, DecodeError> {
    let (mut address, mut mac) = (None, None);
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        match attribute? {
            (NDA_DST, value) => address = Some(parse_ip(value)?),
            (NDA_LLADDR, value) => mac = parse_mac(value).ok().map(Mac),
            _ => {}
        }
    }
    Ok(address.zip(mac).map(|(address, mac)| Neighbour { dev: dev.clone(), address, mac }))
}
