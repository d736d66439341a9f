//! Nexthop objects, to which routes lead by their number (linux/nexthop.h).

use std::collections::HashMap;

use netlink_packet_core::{DecodeError, parse_ip, parse_u32};

use crate::kernel::netlink::{append, attributes};
use crate::lab::{ForeignKind, ForeignObject, ForeignOther, IfName};

/// RTM_NEWNEXTHOP, RTM_DELNEXTHOP and RTM_GETNEXTHOP.
pub(in crate::kernel) const NEW: u16 = 104;
pub(in crate::kernel) const DELETE: u16 = 105;
pub(in crate::kernel) const GET: u16 = 106;
/// Length of `struct nhmsg`: family, scope, protocol, a byte without meaning, flags.
const HEADER: usize = 8;
/// The beginning of a request for all of them.
pub(in crate::kernel) const ALL: [u8; HEADER] = [0; HEADER];
const NHA_ID: u16 = 1;
const NHA_GROUP: u16 = 2;
const NHA_BLACKHOLE: u16 = 4;
const NHA_OIF: u16 = 5;
const NHA_GATEWAY: u16 = 6;
/// The attributes of an object that the kernel takes back; others count what has passed.
const TAKEN_BACK: [u16; 10] = [NHA_ID, NHA_GROUP, 3, NHA_BLACKHOLE, NHA_OIF, NHA_GATEWAY, 7, 8, 11, 12];
/// The only flag that the kernel takes back (RTNH_F_ONLINK).
const ONLINK: u32 = 4;

/// The nexthop objects of a listing, groups first; `names` are those of the namespace's interfaces.
pub(in crate::kernel) fn listed<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    names: &HashMap<u32, IfName>,
) -> Result<Vec<ForeignOther>, DecodeError> {
    let (mut groups, mut hops) = (Vec::new(), Vec::new());
    for item in items {
        let Some((&[family, _, protocol, _, a, b, c, d], rest)) = item.split_first_chunk::<HEADER>() else {
            return Err(DecodeError::buffer_too_small(item.len(), HEADER));
        };
        let mut message = vec![family, 0, protocol, 0];
        message.extend((u32::from_ne_bytes([a, b, c, d]) & ONLINK).to_ne_bytes());
        let (mut id, mut words, mut dev, mut is_group) = (0, String::new(), None, false);
        for attribute in attributes(rest) {
            let (kind, value) = attribute?;
            match kind {
                NHA_ID => id = parse_u32(value)?,
                NHA_GROUP => {
                    is_group = true;
                    let ids = value.chunks_exact(8).filter_map(|hop| parse_u32(hop.get(..4)?).ok());
                    words += &format!(" group {}", ids.map(|id| id.to_string()).collect::<Vec<_>>().join("/"));
                }
                NHA_BLACKHOLE => words += " blackhole",
                NHA_OIF => {
                    dev = names.get(&parse_u32(value)?).cloned();
                    words += &dev.as_ref().map(|dev| format!(" dev {dev}")).unwrap_or_default();
                }
                NHA_GATEWAY => words += &format!(" via {}", parse_ip(value)?),
                _ => {}
            }
            if TAKEN_BACK.contains(&kind) {
                append(&mut message, kind, value);
            }
        }
        let text = format!("id {id}{words}");
        let object = ForeignObject { kind: ForeignKind::NextHop { id, protocol }, text, message };
        let all = if is_group { &mut groups } else { &mut hops };
        all.push(ForeignOther { object, dev });
    }
    groups.extend(hops);
    Ok(groups)
}

/// What names an object to the kernel.
pub(super) fn of_id(id: u32) -> Vec<u8> {
    let mut message = ALL.to_vec();
    append(&mut message, NHA_ID, &id.to_ne_bytes());
    message
}
