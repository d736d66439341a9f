//! Bridges and their options.

use std::ops::RangeInclusive;

use netlink_packet_core::{DecodeError, parse_u8, parse_u16, parse_u32};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{BridgeStpState, InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo};

use super::{interface, mark};
use crate::kernel::netlink::{NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{BridgeOptions, IfName, InterfaceRef, Mac, Mark};

/// The kernel's word for the kind.
pub(in crate::kernel) const KIND: &str = "bridge";

/// Options of a bridge (linux/if_link.h).
const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_AGEING_TIME: u16 = 4;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_VLAN_FILTERING: u16 = 7;
const IFLA_BR_GROUP_FWD_MASK: u16 = 9;
const IFLA_BR_ROOT_ID: u16 = 10;
const IFLA_BR_BRIDGE_ID: u16 = 11;
const IFLA_BR_TOPOLOGY_CHANGE: u16 = 14;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const IFLA_BR_NF_CALL_IPTABLES: u16 = 36;

/// The forward delays that a bridge with STP takes, in hundredths of a second (BR_MIN_FORWARD_DELAY and
/// BR_MAX_FORWARD_DELAY in the kernel's br_private.h).
const STANDARD_DELAYS: RangeInclusive<u32> = 200..=3000;

/// Makes a bridge; it is down.
pub(in crate::kernel) fn add(
    netns: &mut NetnsHandle,
    bridge: &InterfaceRef,
    options: BridgeOptions,
    mac: Option<Mac>,
    mtu: Option<u32>,
    mark: &Mark,
) -> Result<(), NetlinkError> {
    let mut message = interface::new_message(bridge, mac, mtu, &mark.lab);
    message.attributes.push(encode_options(options, BridgeOptions::default()));
    interface::create(netns, message)?;
    netns.forget(&bridge.name);
    mark::set_on_new(netns, bridge, mark)
}

/// Changes those options of a bridge that are not as they should be.
pub(in crate::kernel) fn set(
    netns: &mut NetnsHandle,
    name: &IfName,
    from: BridgeOptions,
    to: BridgeOptions,
) -> Result<(), NetlinkError> {
    // With STP on, the kernel takes no other forward delay than the standard allows; a way back may lead to one.
    let is_odd = to.forward_delay.is_some_and(|delay| !STANDARD_DELAYS.contains(&delay));
    let without_stp = BridgeOptions { stp: to.stp, ..from };
    if from.stp && !to.stp && is_odd && without_stp != to {
        set(netns, name, from, without_stp)?;
        return set(netns, name, without_stp, to).inspect_err(|_| drop(set(netns, name, without_stp, from)));
    }
    let mut message = interface::existing_message(netns, name)?;
    message.attributes.push(encode_options(to, from));
    // RTM_SETLINK leaves the options of a kind alone.
    netns.socket.change(RouteNetlinkMessage::NewLink(message), 0)
}

/// The options that differ from what is there.
fn encode_options(to: BridgeOptions, from: BridgeOptions) -> LinkAttribute {
    let mut options = Vec::new();
    if to.stp != from.stp {
        options.push(InfoBridge::StpState(match to.stp {
            true => BridgeStpState::KernelStp,
            false => BridgeStpState::Disabled,
        }));
    }
    let mut add = |differs: bool, option: InfoBridge| options.extend(differs.then_some(option));
    add(to.vlan_filtering != from.vlan_filtering, InfoBridge::VlanFiltering(to.vlan_filtering));
    add(to.mcast_snooping != from.mcast_snooping, InfoBridge::MulticastSnooping(to.mcast_snooping));
    add(to.group_fwd_mask != from.group_fwd_mask, InfoBridge::GroupFwdMask(to.group_fwd_mask));
    add(to.nf_call_iptables != from.nf_call_iptables, InfoBridge::NfCallIpTables(to.nf_call_iptables));
    let changed = |from: Option<u32>, to: Option<u32>| to.filter(|_| to != from);
    options.extend(changed(from.forward_delay, to.forward_delay).map(InfoBridge::ForwardDelay));
    options.extend(changed(from.ageing_time, to.ageing_time).map(InfoBridge::AgeingTime));
    LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(options))])
}

/// The options of a bridge, from IFLA_INFO_DATA.
pub(in crate::kernel) fn decode_options(data: &[u8]) -> Result<BridgeOptions, DecodeError> {
    let mut options = BridgeOptions::default();
    let (mut root, mut own, mut changes) = (&[][..], &[][..], false);
    for attribute in attributes(data) {
        match attribute? {
            (IFLA_BR_STP_STATE, value) => options.stp = parse_u32(value)? != 0,
            (IFLA_BR_VLAN_FILTERING, value) => options.vlan_filtering = parse_u8(value)? != 0,
            (IFLA_BR_FORWARD_DELAY, value) => options.forward_delay = Some(parse_u32(value)?),
            (IFLA_BR_AGEING_TIME, value) => options.ageing_time = Some(parse_u32(value)?),
            (IFLA_BR_ROOT_ID, value) => root = value,
            (IFLA_BR_BRIDGE_ID, value) => own = value,
            (IFLA_BR_TOPOLOGY_CHANGE, value) => changes = parse_u8(value)? != 0,
            (IFLA_BR_MCAST_SNOOPING, value) => options.mcast_snooping = parse_u8(value)? != 0,
            (IFLA_BR_GROUP_FWD_MASK, value) => options.group_fwd_mask = parse_u16(value)?,
            (IFLA_BR_NF_CALL_IPTABLES, value) => options.nf_call_iptables = parse_u8(value)? != 0,
            _ => {}
        }
    }
    // In a spanning tree, the root says the delay; while the tree changes, entries age within two delays.
    options.forward_delay = options.forward_delay.filter(|_| !options.stp || root == own);
    options.ageing_time = options.ageing_time.filter(|_| !options.stp || !changes);
    Ok(options)
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::link::LinkMessage;
    use proptest::prelude::*;

    use super::super::round_trip::bytes;
    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(flags in any::<[bool; 4]>(), times in any::<[u32; 2]>(), mask in any::<u16>()) {
            let [stp, vlan_filtering, mcast_snooping, nf_call_iptables] = flags;
            let [forward_delay, ageing_time] = times;
            let options = BridgeOptions {
                stp,
                vlan_filtering,
                forward_delay: Some(forward_delay),
                ageing_time: Some(ageing_time),
                mcast_snooping,
                group_fwd_mask: mask,
                nf_call_iptables,
            };
            let mut message = LinkMessage::default();
            message.attributes.push(encode_options(options, BridgeOptions::default()));
            let bytes = bytes(&message);
            prop_assert_eq!(decode_options(interface::decode(&bytes).unwrap().data).unwrap(), options);
        }
    }

    /// IFLA_INFO_DATA of a bridge, for kernels that cannot make one with VLAN filtering.
    #[test]
    fn options_of_a_bridge_are_read() {
        let attribute = |kind: u16, value: &[u8]| {
            let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let data =
            [attribute(IFLA_BR_STP_STATE, &0_u32.to_ne_bytes()), attribute(IFLA_BR_VLAN_FILTERING, &[1])].concat();
        assert_eq!(decode_options(&data).unwrap(), BridgeOptions { vlan_filtering: true, ..BridgeOptions::default() });
        let data = attribute(IFLA_BR_STP_STATE, &1_u32.to_ne_bytes());
        assert_eq!(decode_options(&data).unwrap(), BridgeOptions { stp: true, ..BridgeOptions::default() });
    }
}
