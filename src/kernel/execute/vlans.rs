//! VLANs of bridges' ports.

use netlink_packet_route::link::{
    AfSpecBridge, BridgeFlag, BridgeVlanInfo, BridgeVlanInfoFlags, LinkAttribute, LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::links::existing;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandle;
use crate::lab::{IfName, VlanRange, Vlans};

/// Puts a port, or the bridge itself, into other VLANs; what is new comes first, so that there is a VLAN for frames without
/// a tag at any moment.
pub(super) fn set(
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
    let mut message = existing(netns, name)?;
    message.header.interface_family = AddressFamily::Bridge;
    // Of a port, the bridge is told; a bridge is told itself.
    let told = is_bridge.then_some(AfSpecBridge::Flags(BridgeFlag::LowerDev));
    let infos = vlans.ranges().iter().flat_map(range).map(AfSpecBridge::VlanInfo);
    message.attributes.push(LinkAttribute::AfSpecBridge(told.into_iter().chain(infos).collect()));
    Ok(message)
}

/// A single VLAN, or the two ends of a range.
fn range(range: &VlanRange) -> Vec<BridgeVlanInfo> {
    let mut flags = BridgeVlanInfoFlags::empty();
    flags.set(BridgeVlanInfoFlags::Pvid, range.tagging.pvid);
    flags.set(BridgeVlanInfoFlags::Untagged, range.tagging.untagged);
    if range.first == range.last {
        return vec![BridgeVlanInfo { flags, vid: range.first }];
    }
    vec![
        BridgeVlanInfo { flags: flags | BridgeVlanInfoFlags::RangeBegin, vid: range.first },
        BridgeVlanInfo { flags: flags | BridgeVlanInfoFlags::RangeEnd, vid: range.last },
    ]
}
