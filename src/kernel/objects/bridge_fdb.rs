//! Entries that a person has put into the forwarding database of a bridge. What a bridge has learned, and what the
//! kernel keeps for the MAC addresses of a bridge and its ports, is not of interest.

use std::collections::HashMap;

use libc::{NDA_CACHEINFO, NDA_LLADDR, NDA_VLAN};
use netlink_packet_core::{DecodeError, Emitable, parse_mac, parse_u16, parse_u32};
use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourHeader, NeighbourState};

use crate::kernel::netlink::numbers::NDA_MASTER;
use crate::kernel::netlink::{attributes, with_attributes};
use crate::lab::{ForeignKind, ForeignObject, ForeignOther, IfName, Mac};

/// The entries of bridges in a listing; `names` are those of the namespace's interfaces, `mac` is the MAC address of
/// one.
pub(in crate::kernel) fn listed<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    names: &HashMap<u32, IfName>,
    mac: impl Fn(&IfName) -> Option<Mac>,
) -> Result<Vec<ForeignOther>, DecodeError> {
    let mut entries = Vec::new();
    for item in items {
        let header = NeighbourHeader::parse(item)?;
        let state = u16::from(header.state);
        let is_local = state & libc::NUD_PERMANENT != 0;
        if (!is_local && state & libc::NUD_NOARP == 0) || header.flags.contains(NeighbourFlags::Own) {
            continue;
        }
        let (mut address, mut master, mut vlan) = (None, None, None);
        let rest = item.get(header.buffer_len()..).unwrap_or_default();
        for attribute in attributes(rest) {
            match attribute? {
                (NDA_LLADDR, value) => address = parse_mac(value).ok().map(Mac),
                (NDA_MASTER, value) => master = Some(parse_u32(value)?),
                (NDA_VLAN, value) => vlan = Some(parse_u16(value)?),
                _ => {}
            }
        }
        let (Some(address), Some(master), Some(dev)) = (address, master, names.get(&header.ifindex)) else { continue };
        let of_kernel = || [Some(dev), names.get(&master)].into_iter().flatten().any(|name| mac(name) == Some(address));
        if is_local && of_kernel() {
            continue;
        }
        let of_bridge = header.ifindex == master;
        let vlan = vlan.map(|vlan| format!(" vlan {vlan}")).unwrap_or_default();
        let flags = if of_bridge { NeighbourFlags::Own } else { NeighbourFlags::Controller };
        let header = NeighbourHeader { flags, state: NeighbourState::Other(state), ..header };
        let message = with_attributes(&header, rest, |kind, value| {
            (kind != NDA_CACHEINFO && kind != NDA_MASTER).then(|| value.to_vec())
        })?;
        let kind = ForeignKind::BridgeFdbEntry { of_bridge, is_local };
        let text = format!("{address} dev {dev}{vlan}");
        entries.push(ForeignOther { object: ForeignObject { kind, text, message }, dev: Some(dev.clone()) });
    }
    // The kernel lists them in any order; a plan is always the same.
    entries.sort_by(|a, b| a.object.text.cmp(&b.object.text));
    Ok(entries)
}
