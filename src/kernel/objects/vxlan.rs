//! The options of VXLAN interfaces.

use std::net::IpAddr;

use netlink_packet_core::{DecodeError, parse_ip, parse_u8, parse_u16_be, parse_u32};
use netlink_packet_route::link::InfoVxlan;

use super::Decoded;
use crate::kernel::netlink::attributes;
use crate::lab::{ForeignInterface, IfName, Vxlan, VxlanSlot};

/// The options (linux/if_link.h).
const IFLA_VXLAN_ID: u16 = 1;
const IFLA_VXLAN_GROUP: u16 = 2;
const IFLA_VXLAN_LINK: u16 = 3;
const IFLA_VXLAN_LOCAL: u16 = 4;
const IFLA_VXLAN_LEARNING: u16 = 7;
const IFLA_VXLAN_PORT: u16 = 15;
const IFLA_VXLAN_GROUP6: u16 = 16;
const IFLA_VXLAN_LOCAL6: u16 = 17;

/// All options of one to be made; `dev` is the index of the interface that its packets are bound to.
pub(super) fn encode(vxlan: &Vxlan, dev: Option<u32>) -> Vec<InfoVxlan> {
    let mut options = vec![InfoVxlan::Id(vxlan.id), InfoVxlan::Port(vxlan.port), InfoVxlan::Learning(vxlan.learning)];
    options.extend(vxlan.local.map(encode_local));
    options.extend(dev.map(InfoVxlan::Link));
    options
}

/// The options that are to change: some of the others the kernel refuses even where they stay the same.
pub(super) fn encode_changes(from: &Vxlan, to: &Vxlan) -> Vec<InfoVxlan> {
    let local = to.local.filter(|_| to.local != from.local).map(encode_local);
    let learning = (to.learning != from.learning).then_some(InfoVxlan::Learning(to.learning));
    local.into_iter().chain(learning).collect()
}

fn encode_local(local: IpAddr) -> InfoVxlan {
    match local {
        IpAddr::V4(local) => InfoVxlan::Local(local),
        IpAddr::V6(local) => InfoVxlan::Local6(local),
    }
}

/// The options of one that is there, from IFLA_INFO_DATA. The model has no words for one that sends everything to one
/// remote, or to a multicast group: it has forwarding entries for that.
pub(super) fn decode(
    data: &[u8],
    name_of: impl Fn(u32) -> Option<IfName>,
) -> Result<Decoded<Vxlan, ForeignInterface>, DecodeError> {
    let mut vxlan = Vxlan { id: 0, local: None, port: 0, dev: None, learning: false };
    let mut remote = None;
    for attribute in attributes(data) {
        match attribute? {
            (IFLA_VXLAN_ID, value) => vxlan.id = parse_u32(value)?,
            (IFLA_VXLAN_GROUP | IFLA_VXLAN_GROUP6, value) => remote = Some(parse_ip(value)?),
            (IFLA_VXLAN_LINK, value) => vxlan.dev = name_of(parse_u32(value)?),
            (IFLA_VXLAN_LOCAL | IFLA_VXLAN_LOCAL6, value) => vxlan.local = Some(parse_ip(value)?),
            (IFLA_VXLAN_LEARNING, value) => vxlan.learning = parse_u8(value)? != 0,
            (IFLA_VXLAN_PORT, value) => vxlan.port = parse_u16_be(value)?,
            _ => {}
        }
    }
    let Some(remote) = remote else { return Ok(Decoded::Known(vxlan)) };
    let word = if remote.is_multicast() { "group" } else { "remote" };
    let slot = VxlanSlot { ipv6: remote.is_ipv6(), ..vxlan.slot() };
    Ok(Decoded::Foreign(ForeignInterface { text: format!("vxlan{vxlan} {word} {remote}"), vxlan: Some(slot) }))
}
