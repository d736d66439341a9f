//! Permanent forwarding entries of VXLAN ends. What an end learnt is not of interest, and neither is what the kernel itself
//! keeps for multicast on other interfaces.

use std::collections::HashMap;

use libc::{NDA_DST, NDA_IFINDEX, NDA_LLADDR, NDA_PORT, NDA_VNI};
use netlink_packet_core::{DecodeError, Emitable, parse_ip, parse_mac, parse_u16_be, parse_u32};
use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourHeader, NeighbourMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::links::Interfaces;
use crate::kernel::netlink::{Dump, NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{FdbEntry, IfName, Mac, VirtualKind};

/// An entry that leads to a nexthop object (linux/neighbour.h).
const NDA_NH_ID: u16 = 13;

/// Lists the entries of all VXLAN ends of a namespace.
pub(super) fn list(netns: &mut NetnsHandle, interfaces: &Interfaces) -> Result<Vec<FdbEntry>, NetlinkError> {
    let mut entries = Vec::new();
    for (&index, name) in &interfaces.names {
        let device = interfaces.by_name.get(name).and_then(|link| link.device());
        if device.is_some_and(|device| device.kind() == VirtualKind::Vxlan) {
            for item in dump(netns, index)?.items() {
                entries.extend(read(item, name, &interfaces.names)?);
            }
        }
    }
    Ok(entries)
}

/// The forwarding database of one interface, and that of the bridge which it is a port of.
pub(in crate::kernel) fn dump(netns: &mut NetnsHandle, index: u32) -> Result<Dump, NetlinkError> {
    let mut request = NeighbourMessage::default();
    request.header.family = AddressFamily::Bridge;
    request.header.ifindex = index;
    netns.socket.dump(&RouteNetlinkMessage::GetNeighbour(request))
}

/// The entry, if it is a permanent one of the VXLAN end itself; `names` are those of the namespace's interfaces.
pub(in crate::kernel) fn read(
    item: &[u8],
    dev: &IfName,
    names: &HashMap<u32, IfName>,
) -> Result<Option<FdbEntry>, DecodeError> {
    let header = NeighbourHeader::parse(item)?;
    // `bridge` sets NUD_NOARP beside it.
    if u16::from(header.state) & libc::NUD_PERMANENT == 0 || !header.flags.contains(NeighbourFlags::Own) {
        return Ok(None);
    }
    let (mut mac, mut to, mut further) = (None, None, String::new());
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
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
    Ok(mac.map(|mac| FdbEntry { dev: dev.clone(), mac, to, further }))
}
