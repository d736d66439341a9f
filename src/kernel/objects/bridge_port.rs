//! Options of a bridge's port.

use netlink_packet_core::{DecodeError, parse_u8};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoBridgePort, InfoPortData, InfoPortKind, LinkAttribute, LinkInfo};

use super::bridge;
use super::interface::{self, RawInterface};
use crate::kernel::netlink::{NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{IfName, PortOptions};
use crate::steps::BridgePortStep;

/// Options of a port (linux/if_link.h).
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_LEARNING: u16 = 8;
const IFLA_BRPORT_UNICAST_FLOOD: u16 = 9;
const IFLA_BRPORT_ISOLATED: u16 = 33;

/// Runs a step.
pub(in crate::kernel) fn run(netns: &mut NetnsHandle, step: &BridgePortStep) -> Result<(), NetlinkError> {
    match step {
        BridgePortStep::Master { interface, change, .. } => set_master(netns, &interface.name, change.to.as_ref()),
        BridgePortStep::Options { interface, change } => set(netns, &interface.name, change.from, change.to),
    }
}

/// Makes an interface a port of a bridge or a VRF, or of none.
fn set_master(netns: &mut NetnsHandle, name: &IfName, master: Option<&IfName>) -> Result<(), NetlinkError> {
    let index = master.map_or(Ok(0), |master| netns.index(master))?;
    interface::set(netns, name, LinkAttribute::Controller(index))
}

/// Changes those options of a port that are not as they should be.
fn set(netns: &mut NetnsHandle, name: &IfName, from: PortOptions, to: PortOptions) -> Result<(), NetlinkError> {
    let mut message = interface::existing_message(netns, name)?;
    message.attributes.push(encode(to, from));
    // RTM_SETLINK leaves the options of a port alone.
    netns.socket.change(RouteNetlinkMessage::NewLink(message), 0)
}

/// The options that differ from what is there.
fn encode(to: PortOptions, from: PortOptions) -> LinkAttribute {
    let mut options = Vec::new();
    let mut add = |differs: bool, option: InfoBridgePort| options.extend(differs.then_some(option));
    add(to.hairpin != from.hairpin, InfoBridgePort::HairpinMode(to.hairpin));
    add(to.isolated != from.isolated, InfoBridgePort::Isolated(to.isolated));
    add(to.learning != from.learning, InfoBridgePort::Learning(to.learning));
    add(to.flood != from.flood, InfoBridgePort::UnicastFlood(to.flood));
    let data = LinkInfo::PortData(InfoPortData::BridgePort(options));
    LinkAttribute::LinkInfo(vec![LinkInfo::PortKind(InfoPortKind::Bridge), data])
}

/// The options of a port; of what is no port of a bridge, those of a new one.
pub(in crate::kernel) fn decode(raw: &RawInterface<'_>) -> Result<PortOptions, DecodeError> {
    let mut options = PortOptions::default();
    if raw.port_kind != Some(bridge::KIND) {
        return Ok(options);
    }
    for attribute in attributes(raw.port_data) {
        match attribute? {
            (IFLA_BRPORT_MODE, value) => options.hairpin = parse_u8(value)? != 0,
            (IFLA_BRPORT_ISOLATED, value) => options.isolated = parse_u8(value)? != 0,
            (IFLA_BRPORT_LEARNING, value) => options.learning = parse_u8(value)? != 0,
            (IFLA_BRPORT_UNICAST_FLOOD, value) => options.flood = parse_u8(value)? != 0,
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
        fn what_is_encoded_is_decoded([hairpin, isolated, learning, flood] in any::<[bool; 4]>()) {
            let options = PortOptions { hairpin, isolated, learning, flood };
            let mut message = LinkMessage::default();
            message.attributes.push(encode(options, PortOptions::default()));
            let bytes = bytes(&message);
            prop_assert_eq!(decode(&interface::decode(&bytes).unwrap()).unwrap(), options);
        }
    }
}
