//! Bridges and their options.

use netlink_packet_core::{DecodeError, parse_u8, parse_u32};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{BridgeStpState, InfoBridge, InfoData, InfoKind, LinkAttribute, LinkInfo};

use super::{interface, mark};
use crate::kernel::netlink::{NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{BridgeOptions, IfName, InterfaceRef, Mac, Mark};

/// The kernel's word for the kind.
pub(in crate::kernel) const KIND: &str = "bridge";

/// Options of a bridge (linux/if_link.h).
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_VLAN_FILTERING: u16 = 7;

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
    if to.vlan_filtering != from.vlan_filtering {
        options.push(InfoBridge::VlanFiltering(to.vlan_filtering));
    }
    LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(options))])
}

/// The options of a bridge, from IFLA_INFO_DATA.
pub(in crate::kernel) fn decode_options(data: &[u8]) -> Result<BridgeOptions, DecodeError> {
    let mut options = BridgeOptions::default();
    for attribute in attributes(data) {
        match attribute? {
            (IFLA_BR_STP_STATE, value) => options.stp = parse_u32(value)? != 0,
            (IFLA_BR_VLAN_FILTERING, value) => options.vlan_filtering = parse_u8(value)? != 0,
            _ => {}
        }
    }
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
        fn what_is_encoded_is_decoded(stp in any::<bool>(), vlan_filtering in any::<bool>()) {
            let options = BridgeOptions { stp, vlan_filtering };
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
        assert_eq!(decode_options(&data).unwrap(), BridgeOptions { stp: false, vlan_filtering: true });
        let data = attribute(IFLA_BR_STP_STATE, &1_u32.to_ne_bytes());
        assert_eq!(decode_options(&data).unwrap(), BridgeOptions { stp: true, vlan_filtering: false });
    }
}
