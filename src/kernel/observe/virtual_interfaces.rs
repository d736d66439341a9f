//! Devices: what each was told.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{DecodeError, parse_ip, parse_u8, parse_u16, parse_u16_be, parse_u32};

use crate::kernel::netlink::attributes;
use crate::lab::{IfName, InterfaceKind, IpvlanMode, MacvlanMode, VirtualInterface, Vxlan};

/// Options of a VXLAN end (linux/if_link.h).
const IFLA_VXLAN_ID: u16 = 1;
const IFLA_VXLAN_GROUP: u16 = 2;
const IFLA_VXLAN_LINK: u16 = 3;
const IFLA_VXLAN_LOCAL: u16 = 4;
const IFLA_VXLAN_LEARNING: u16 = 7;
const IFLA_VXLAN_PORT: u16 = 15;
const IFLA_VXLAN_GROUP6: u16 = 16;
const IFLA_VXLAN_LOCAL6: u16 = 17;

/// Options of the other kinds (linux/if_link.h, linux/if_tunnel.h).
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_IPTUN_LOCAL: u16 = 2;
const IFLA_IPTUN_REMOTE: u16 = 3;
const IFLA_VRF_TABLE: u16 = 1;

/// A device as the kernel tells it.
pub(super) struct ParsedVirtual {
    /// What it is; the interface that it is upon is not known yet.
    pub device: VirtualInterface,
    /// The index of the interface that a VXLAN end is bound to.
    dev: Option<u32>,
}

impl ParsedVirtual {
    /// What the kernel's word for a kind and IFLA_INFO_DATA say; none where it is no device that a lab can have.
    pub fn read(kind: &str, data: &[u8]) -> Result<Option<Self>, DecodeError> {
        let parent = None;
        let device = match kind {
            "vxlan" => return Ok(Some(vxlan(data)?)),
            "macvlan" => {
                let mode = option(data, IFLA_MACVLAN_MODE)?.map(parse_u32).transpose()?;
                VirtualInterface::Macvlan { parent, mode: macvlan_mode(mode) }
            }
            "ipvlan" => {
                let mode = option(data, IFLA_IPVLAN_MODE)?.map(parse_u16).transpose()?;
                VirtualInterface::Ipvlan { parent, mode: ipvlan_mode(mode) }
            }
            "vlan" => VirtualInterface::Vlan { parent, id: option(data, IFLA_VLAN_ID)?.map_or(Ok(0), parse_u16)? },
            "ipip" => VirtualInterface::Ipip {
                local: address(data, IFLA_IPTUN_LOCAL)?,
                remote: address(data, IFLA_IPTUN_REMOTE)?,
            },
            "dummy" => VirtualInterface::Dummy,
            "vrf" => VirtualInterface::Vrf { table: option(data, IFLA_VRF_TABLE)?.map_or(Ok(0), parse_u32)? },
            _ => return Ok(None),
        };
        Ok(Some(Self { device, dev: None }))
    }

    /// Of a VXLAN end, with the interface that it is bound to. A tunnel's end that is in another namespace than its packets,
    /// which no lab has, is no such device.
    pub fn bound(self, names: &HashMap<u32, IfName>, is_elsewhere: bool) -> InterfaceKind {
        match self.device {
            VirtualInterface::Vxlan(_) if is_elsewhere => InterfaceKind::Other("vxlan of another namespace".to_owned()),
            VirtualInterface::Ipip { .. } if is_elsewhere => {
                InterfaceKind::Other("ipip of another namespace".to_owned())
            }
            VirtualInterface::Vxlan(vxlan) => {
                let dev = self.dev.and_then(|index| names.get(&index).cloned());
                InterfaceKind::Virtual(VirtualInterface::Vxlan(Vxlan { dev, ..vxlan }))
            }
            other => InterfaceKind::Virtual(other),
        }
    }
}

/// The value of one option.
fn option(data: &[u8], wanted: u16) -> Result<Option<&[u8]>, DecodeError> {
    for attribute in attributes(data) {
        if let (kind, value) = attribute?
            && kind == wanted
        {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// An address of a tunnel; of zeros, it is none.
fn address(data: &[u8], wanted: u16) -> Result<Option<Ipv4Addr>, DecodeError> {
    match option(data, wanted)?.map(parse_ip).transpose()? {
        Some(IpAddr::V4(address)) if !address.is_unspecified() => Ok(Some(address)),
        _ => Ok(None),
    }
}

/// The numbers are MACVLAN_MODE_… of linux/if_link.h.
fn macvlan_mode(mode: Option<u32>) -> MacvlanMode {
    match mode {
        Some(1) => MacvlanMode::Private,
        Some(2) => MacvlanMode::Vepa,
        Some(4) => MacvlanMode::Bridge,
        Some(8) => MacvlanMode::Passthru,
        _ => MacvlanMode::Other,
    }
}

/// The numbers are IPVLAN_MODE_… of linux/if_link.h.
fn ipvlan_mode(mode: Option<u16>) -> IpvlanMode {
    match mode {
        Some(0) => IpvlanMode::L2,
        Some(1) => IpvlanMode::L3,
        Some(2) => IpvlanMode::L3s,
        _ => IpvlanMode::Other,
    }
}

fn vxlan(data: &[u8]) -> Result<ParsedVirtual, DecodeError> {
    let mut vxlan = Vxlan { id: 0, local: None, port: 0, dev: None, learning: false, remote: None };
    let mut dev = None;
    for attribute in attributes(data) {
        match attribute? {
            (IFLA_VXLAN_ID, value) => vxlan.id = parse_u32(value)?,
            (IFLA_VXLAN_GROUP | IFLA_VXLAN_GROUP6, value) => vxlan.remote = Some(parse_ip(value)?),
            (IFLA_VXLAN_LINK, value) => dev = Some(parse_u32(value)?),
            (IFLA_VXLAN_LOCAL | IFLA_VXLAN_LOCAL6, value) => vxlan.local = Some(parse_ip(value)?),
            (IFLA_VXLAN_LEARNING, value) => vxlan.learning = parse_u8(value)? != 0,
            (IFLA_VXLAN_PORT, value) => vxlan.port = parse_u16_be(value)?,
            _ => {}
        }
    }
    Ok(ParsedVirtual { device: VirtualInterface::Vxlan(vxlan), dev })
}
