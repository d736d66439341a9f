//! Neighbour entries that somebody has added and no file can ask for: addresses answered for in place of others
//! (`proxy`), and entries that are never asked for (`nud noarp`). See ip-neighbour(8).

use std::collections::HashMap;
use std::net::IpAddr;

use libc::{NDA_DST, NDA_LLADDR};
use netlink_packet_core::{DecodeError, Emitable, parse_ip, parse_mac};
use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourHeader};

use crate::kernel::netlink::{attributes, with_attributes};
use crate::lab::{ForeignKind, ForeignObject, ForeignOther, IfName, Mac};

/// The beginning of a request for all proxies: `struct ndmsg` with NTF_PROXY.
pub(in crate::kernel) const PROXIES: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0];

/// The entries of a listing; `names` are those of the namespace's interfaces. Some that nobody has to be asked for the
/// kernel makes itself, and `is_kernels` knows them.
pub(in crate::kernel) fn listed<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    names: &HashMap<u32, IfName>,
    is_kernels: impl Fn(&IfName, IpAddr) -> bool,
) -> Result<Vec<ForeignOther>, DecodeError> {
    let mut entries = Vec::new();
    for item in items {
        let header = NeighbourHeader::parse(item)?;
        let is_proxy = header.flags.contains(NeighbourFlags::Proxy);
        if !is_proxy && u16::from(header.state) != libc::NUD_NOARP {
            continue;
        }
        let rest = item.get(header.buffer_len()..).unwrap_or_default();
        let (mut address, mut mac) = (None, None);
        for attribute in attributes(rest) {
            match attribute? {
                (NDA_DST, value) => address = Some(parse_ip(value)?),
                (NDA_LLADDR, value) => mac = parse_mac(value).ok().map(Mac),
                _ => {}
            }
        }
        let dev = names.get(&header.ifindex);
        let Some(address) = address.filter(|_| dev.is_some() || (is_proxy && header.ifindex == 0)) else { continue };
        if !is_proxy && dev.is_some_and(|dev| is_kernels(dev, address)) {
            continue;
        }
        let message = with_attributes(&header, rest, |kind, value| {
            (kind == NDA_DST || kind == NDA_LLADDR).then(|| value.to_vec())
        })?;
        let at = dev.map(|dev| format!(" dev {dev}")).unwrap_or_default();
        let text = match (is_proxy, mac) {
            (true, _) => format!("proxy {address}{at}"),
            (false, Some(mac)) => format!("{address} lladdr {mac}{at} nud noarp"),
            (false, None) => format!("{address}{at} nud noarp"),
        };
        let object = ForeignObject { kind: ForeignKind::Neighbour, text, message };
        entries.push(ForeignOther { object, dev: dev.cloned() });
    }
    // The kernel lists them in any order; a plan is always the same.
    entries.sort_by(|a, b| a.object.text.cmp(&b.object.text));
    Ok(entries)
}
