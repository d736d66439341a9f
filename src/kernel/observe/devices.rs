//! Devices: what each was told.

use std::collections::HashMap;

use netlink_packet_core::{DecodeError, parse_ip, parse_u8, parse_u16_be, parse_u32};

use crate::kernel::netlink::attributes;
use crate::lab::{Device, IfName, LinkKind, Vxlan};

/// Options of a VXLAN end (linux/if_link.h).
const IFLA_VXLAN_ID: u16 = 1;
const IFLA_VXLAN_GROUP: u16 = 2;
const IFLA_VXLAN_LINK: u16 = 3;
const IFLA_VXLAN_LOCAL: u16 = 4;
const IFLA_VXLAN_LEARNING: u16 = 7;
const IFLA_VXLAN_PORT: u16 = 15;
const IFLA_VXLAN_GROUP6: u16 = 16;
const IFLA_VXLAN_LOCAL6: u16 = 17;

/// A device as the kernel tells it.
pub(super) struct Told {
    /// What it is; the interface that it is upon is not known yet.
    pub device: Device,
    /// The index of that interface.
    pub upon: Option<u32>,
}

impl Told {
    /// What the kernel's word for a kind and IFLA_INFO_DATA say; none where it is no device that a lab can have.
    pub fn read(kind: &str, data: &[u8]) -> Result<Option<Self>, DecodeError> {
        match kind {
            "vxlan" => Ok(Some(vxlan(data)?)),
            _ => Ok(None),
        }
    }

    /// With the interface that it is upon. One that is upon an interface of another namespace, where a lab has none, is
    /// no such device.
    pub fn upon(self, names: &HashMap<u32, IfName>, is_elsewhere: bool) -> LinkKind {
        match self.device {
            Device::Vxlan(_) if is_elsewhere => LinkKind::Other("vxlan of another namespace".to_owned()),
            Device::Vxlan(vxlan) => {
                let dev = self.upon.and_then(|index| names.get(&index).cloned());
                LinkKind::Device(Device::Vxlan(Vxlan { dev, ..vxlan }))
            }
        }
    }
}

fn vxlan(data: &[u8]) -> Result<Told, DecodeError> {
    let mut vxlan = Vxlan { id: 0, local: None, port: 0, dev: None, learning: false, remote: None };
    let mut upon = None;
    for attribute in attributes(data) {
        match attribute? {
            (IFLA_VXLAN_ID, value) => vxlan.id = parse_u32(value)?,
            (IFLA_VXLAN_GROUP | IFLA_VXLAN_GROUP6, value) => vxlan.remote = Some(parse_ip(value)?),
            (IFLA_VXLAN_LINK, value) => upon = Some(parse_u32(value)?),
            (IFLA_VXLAN_LOCAL | IFLA_VXLAN_LOCAL6, value) => vxlan.local = Some(parse_ip(value)?),
            (IFLA_VXLAN_LEARNING, value) => vxlan.learning = parse_u8(value)? != 0,
            (IFLA_VXLAN_PORT, value) => vxlan.port = parse_u16_be(value)?,
            _ => {}
        }
    }
    Ok(Told { device: Device::Vxlan(vxlan), upon })
}
