//! VLANs of the ports of bridges, and of the bridges themselves.

use std::collections::HashMap;

use libc::IFLA_AF_SPEC;
use netlink_packet_core::{DecodeError, Emitable};
use netlink_packet_route::link::{
    AfSpecBridge, BridgeFlag, BridgeVlanInfo, BridgeVlanInfoFlags as Flags, LinkAttribute, LinkExtentMask, LinkHeader,
    LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::interface::existing_message;
use crate::kernel::netlink::{Dump, NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{IfName, Tagging, VlanRange, Vlans};

/// A VLAN of a port, or the first or last of a range of them (linux/if_bridge.h).
const IFLA_BRIDGE_VLAN_INFO: u16 = 2;

/// Puts a port, or the bridge itself, into other VLANs; what is new comes first, so that there is a VLAN for frames
/// without a tag at any moment.
pub(in crate::kernel) fn set(
    netns: &mut NetnsHandle,
    name: &IfName,
    is_bridge: bool,
    from: &Vlans,
    to: &Vlans,
) -> Result<(), NetlinkError> {
    // It takes two messages, and is done wholly or not at all.
    change(netns, name, is_bridge, from, to).inspect_err(|_| drop(change(netns, name, is_bridge, to, from)))
}

fn change(
    netns: &mut NetnsHandle,
    name: &IfName,
    is_bridge: bool,
    from: &Vlans,
    to: &Vlans,
) -> Result<(), NetlinkError> {
    let (new, gone) = (to.unlike(from), from.absent_in(to));
    if !new.ranges().is_empty() {
        let message = message(netns, name, is_bridge, &new)?;
        netns.socket.change(RouteNetlinkMessage::SetLink(message), 0)?;
    }
    if !gone.ranges().is_empty() {
        let message = message(netns, name, is_bridge, &gone)?;
        netns.socket.change(RouteNetlinkMessage::DelLink(message), 0)?;
    }
    Ok(())
}

fn message(
    netns: &mut NetnsHandle,
    name: &IfName,
    is_bridge: bool,
    vlans: &Vlans,
) -> Result<LinkMessage, NetlinkError> {
    let mut message = existing_message(netns, name)?;
    message.header.interface_family = AddressFamily::Bridge;
    message.attributes.push(encode(is_bridge, vlans));
    Ok(message)
}

fn encode(is_bridge: bool, vlans: &Vlans) -> LinkAttribute {
    // `self` of `bridge vlan`: about the bridge's own interface, where it would be about a port.
    let itself = is_bridge.then_some(AfSpecBridge::Flags(BridgeFlag::LowerDev));
    let infos = vlans.ranges().iter().flat_map(encode_range).map(AfSpecBridge::VlanInfo);
    LinkAttribute::AfSpecBridge(itself.into_iter().chain(infos).collect())
}

/// A single VLAN, or the first and the last of a range.
fn encode_range(range: &VlanRange) -> Vec<BridgeVlanInfo> {
    let mut flags = Flags::empty();
    flags.set(Flags::Pvid, range.tagging.pvid);
    flags.set(Flags::Untagged, range.tagging.untagged);
    if range.first == range.last {
        return vec![BridgeVlanInfo { flags, vid: range.first }];
    }
    vec![
        BridgeVlanInfo { flags: flags | Flags::RangeBegin, vid: range.first },
        BridgeVlanInfo { flags: flags | Flags::RangeEnd, vid: range.last },
    ]
}

/// Lists the VLANs of all ports of a namespace. Only ranges, rather than each VLAN.
pub(in crate::kernel) fn list(netns: &mut NetnsHandle) -> Result<Dump, NetlinkError> {
    let mut request = LinkMessage::default();
    request.header.interface_family = AddressFamily::Bridge;
    request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::BrvlanCompressed]));
    netns.socket.dump(&RouteNetlinkMessage::GetLink(request))
}

/// The VLANs in a listing, by the index of the port or the bridge.
pub(in crate::kernel) fn listed<'a>(items: impl Iterator<Item = &'a [u8]>) -> Result<HashMap<u32, Vlans>, DecodeError> {
    // Network cards with a switch of their own send a message about that beside the bridge's.
    let mut ranges: HashMap<u32, Vec<VlanRange>> = HashMap::new();
    for item in items {
        ranges.entry(LinkHeader::parse(item)?.index).or_default().extend(decode(item)?);
    }
    Ok(ranges.into_iter().map(|(index, ranges)| (index, Vlans::new(ranges))).collect())
}

/// The VLANs in a message about a port.
fn decode(item: &[u8]) -> Result<Vec<VlanRange>, DecodeError> {
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
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::super::round_trip::bytes;
    use super::*;

    fn any_vlans() -> impl Strategy<Value = Vlans> {
        let tagging = any::<(bool, bool)>().prop_map(|(pvid, untagged)| Tagging { pvid, untagged });
        // Few numbers, so that some follow one another and become a range.
        btree_map(1..40_u16, tagging, 0..30)
            .prop_map(|all| Vlans::new(all.into_iter().map(|(vlan, tagging)| VlanRange::one(vlan, tagging)).collect()))
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(vlans in any_vlans(), is_bridge in any::<bool>()) {
            let mut message = LinkMessage::default();
            message.attributes.push(encode(is_bridge, &vlans));
            prop_assert_eq!(Vlans::new(decode(&bytes(&message)).unwrap()), vlans);
        }
    }

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
        assert_eq!(Vlans::new(decode(&item).unwrap()).to_string(), "5 pvid untagged, 20-30, 31 untagged");
        assert_eq!(Vlans::new(decode(&item[..LinkHeader::default().buffer_len()]).unwrap()).to_string(), "none");
    }
}
