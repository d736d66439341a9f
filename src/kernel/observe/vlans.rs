//! VLANs of bridges' ports. They take a listing of their own, which is asked for only where a bridge keeps VLANs apart, or is
//! to.

use std::collections::HashMap;

use libc::IFLA_AF_SPEC;
use netlink_packet_core::{DecodeError, Emitable};
use netlink_packet_route::link::{
    BridgeVlanInfo, BridgeVlanInfoFlags as Flags, LinkAttribute, LinkExtentMask, LinkHeader, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::links::Interfaces;
use crate::kernel::netlink::{NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{Interface, InterfaceKind, Namespace, Tagging, VlanRange, Vlans};

/// A VLAN of a port, or an end of a range of them (linux/if_bridge.h).
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;

/// Adds the VLANs to the ports of bridges and to the bridges.
pub(super) fn add(
    netns: &mut NetnsHandle,
    interfaces: &mut Interfaces,
    desired: Option<&Namespace>,
) -> Result<(), NetlinkError> {
    let wanted = desired.into_iter().flat_map(|desired| desired.interfaces.values());
    if !interfaces.by_name.values().chain(wanted).any(keeps_apart) {
        return Ok(());
    }
    let mut request = LinkMessage::default();
    request.header.interface_family = AddressFamily::Bridge;
    // Ranges of VLANs, rather than each.
    request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::BrvlanCompressed]));
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetLink(request))?;
    Ok(add_listed(dump.items(), interfaces)?)
}

fn keeps_apart(link: &Interface) -> bool {
    matches!(link.kind, InterfaceKind::Bridge(options) if options.vlan_filtering)
}

/// Adds the VLANs that a listing tells of.
pub(super) fn add_listed<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    interfaces: &mut Interfaces,
) -> Result<(), DecodeError> {
    // Network cards with a switch of their own tell of that in a message beside the bridge's.
    let mut told: HashMap<u32, Vec<VlanRange>> = HashMap::new();
    for item in items {
        told.entry(LinkHeader::parse(item)?.index).or_default().extend(read(item)?);
    }
    for (index, ranges) in told {
        let link = interfaces.names.get(&index).and_then(|name| interfaces.by_name.get_mut(name));
        if let Some(link) = link.filter(|link| link.master.is_some() || matches!(link.kind, InterfaceKind::Bridge(_))) {
            link.vlans = Some(Vlans::new(ranges));
        }
    }
    Ok(())
}

/// The VLANs in a message about a port.
fn read(item: &[u8]) -> Result<Vec<VlanRange>, DecodeError> {
    let mut ranges = Vec::new();
    let mut first = None;
    for attribute in attributes(item.get(LinkHeader::default().buffer_len()..).unwrap_or_default()) {
        let (IFLA_AF_SPEC, spec) = attribute? else { continue };
        for attribute in attributes(spec) {
            let (IFLA_BRIDGE_VLAN_INFO, value) = attribute? else { continue };
            let BridgeVlanInfo { flags, vid } = BridgeVlanInfo::try_from(value)?;
            if flags.contains(Flags::RangeBegin) {
                first = Some(vid);
                continue;
            }
            let tagging = Tagging { pvid: flags.contains(Flags::Pvid), untagged: flags.contains(Flags::Untagged) };
            ranges.push(VlanRange { first: first.take().unwrap_or(vid), last: vid, tagging });
        }
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    /// A message about a port, for kernels whose bridges keep no VLANs apart.
    #[test]
    fn vlans_of_a_port_are_read() {
        let range = |flags: Flags, vlan: u16| {
            attribute(IFLA_BRIDGE_VLAN_INFO, &[flags.bits().to_ne_bytes(), vlan.to_ne_bytes()].concat())
        };
        let infos = [
            range(Flags::Pvid | Flags::Untagged, 5),
            range(Flags::RangeBegin, 20),
            range(Flags::RangeEnd, 30),
            range(Flags::Untagged | Flags::Brentry, 31),
        ];
        let mut item = vec![0; LinkHeader::default().buffer_len()];
        item.extend(attribute(IFLA_AF_SPEC, &infos.concat()));
        assert_eq!(Vlans::new(read(&item).unwrap()).to_string(), "5 pvid untagged, 20-30, 31 untagged");
        assert_eq!(Vlans::new(read(&item[..LinkHeader::default().buffer_len()]).unwrap()).to_string(), "none");
    }
}
