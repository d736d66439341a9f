//! Options of GRE interfaces (ip_gre.c of the kernel).

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{DecodeError, parse_ip, parse_u8, parse_u16_be, parse_u32_be};
use netlink_packet_route::link::{GreIOFlags, InfoGre};

use super::interface::option;
use crate::lab::Gre;

/// Options (linux/if_tunnel.h).
const IFLA_GRE_IFLAGS: u16 = 2;
const IFLA_GRE_OFLAGS: u16 = 3;
const IFLA_GRE_IKEY: u16 = 4;
const IFLA_GRE_OKEY: u16 = 5;
const IFLA_GRE_LOCAL: u16 = 6;
const IFLA_GRE_REMOTE: u16 = 7;
const IFLA_GRE_TTL: u16 = 8;

/// The flag of packets that have a key.
const GRE_KEY: u16 = GreIOFlags::Key.bits();

/// Its options.
pub(super) fn encode(gre: &Gre) -> Vec<InfoGre> {
    let mut options = Vec::new();
    options.extend(gre.local.map(InfoGre::Local));
    options.extend(gre.remote.map(InfoGre::Remote));
    options.extend(gre.ttl.map(InfoGre::Ttl));
    if let Some(key) = gre.key {
        options.extend([InfoGre::IFlags(GreIOFlags::Key), InfoGre::OFlags(GreIOFlags::Key)]);
        options.extend([InfoGre::IKey(key), InfoGre::OKey(key)]);
    }
    // As `ip` has it; without it, packets would be cut up on their way.
    options.push(InfoGre::PathMTUDiscovery(true));
    options
}

/// What it is; none where its two directions differ, or packets have checksums or numbers.
pub(super) fn decode(data: &[u8]) -> Result<Option<Gre>, DecodeError> {
    let flags = |number| option(data, number)?.map_or(Ok(0), parse_u16_be);
    let key = |number| option(data, number)?.map_or(Ok(0), parse_u32_be);
    let [(inward, inward_key), (outward, outward_key)] =
        [(flags(IFLA_GRE_IFLAGS)?, key(IFLA_GRE_IKEY)?), (flags(IFLA_GRE_OFLAGS)?, key(IFLA_GRE_OKEY)?)];
    let key = match inward {
        0 => None,
        GRE_KEY => Some(inward_key),
        _ => return Ok(None),
    };
    if outward != inward || key.is_some_and(|key| key != outward_key) {
        return Ok(None);
    }
    let ttl = option(data, IFLA_GRE_TTL)?.map(parse_u8).transpose()?;
    Ok(Some(Gre {
        local: tunnel_address(data, IFLA_GRE_LOCAL)?,
        remote: tunnel_address(data, IFLA_GRE_REMOTE)?,
        key,
        ttl: ttl.filter(|ttl| *ttl > 0),
    }))
}

/// An address of a tunnel, of IP in IP too; of zeros, it is none.
pub(super) fn tunnel_address(data: &[u8], wanted: u16) -> Result<Option<Ipv4Addr>, DecodeError> {
    match option(data, wanted)?.map(parse_ip).transpose()? {
        Some(IpAddr::V4(address)) if !address.is_unspecified() => Ok(Some(address)),
        _ => Ok(None),
    }
}
