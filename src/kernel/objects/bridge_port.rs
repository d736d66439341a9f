//! Options of a bridge's port.

use netlink_packet_core::{DecodeError, DefaultNla, parse_u8};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoBridgePort, InfoPortData, InfoPortKind, LinkAttribute, LinkInfo};

use super::bridge;
use super::interface::{self, RawInterface};
use crate::kernel::netlink::{NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{IfName, PortForwarding, PortOptions, PortSwitch};
use crate::steps::BridgePortStep;

/// Options of a port (linux/if_link.h).
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_LEARNING: u16 = 8;
const IFLA_BRPORT_UNICAST_FLOOD: u16 = 9;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFLA_BRPORT_STATE: u16 = 1;

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
    let other = |attribute, value: u8| InfoBridgePort::Other(DefaultNla::new(attribute, vec![value]));
    add(to.forwarding != from.forwarding, other(IFLA_BRPORT_STATE, to.forwarding.number()));
    for (switch, on) in from.altered.changes(to.altered) {
        add(true, other(number(switch), u8::from(on)));
    }
    let data = LinkInfo::PortData(InfoPortData::BridgePort(options));
    LinkAttribute::LinkInfo(vec![LinkInfo::PortKind(InfoPortKind::Bridge), data])
}

/// The number of a switch (linux/if_link.h).
fn number(switch: PortSwitch) -> u16 {
    match switch {
        PortSwitch::Guard => 5,
        PortSwitch::RootBlock => 6,
        PortSwitch::FastLeave => 7,
        PortSwitch::ProxyArp => 10,
        PortSwitch::ProxyArpWifi => 12,
        PortSwitch::McastFlood => 27,
        PortSwitch::McastToUnicast => 28,
        PortSwitch::VlanTunnel => 29,
        PortSwitch::BcastFlood => 30,
        PortSwitch::NeighSuppress => 32,
        PortSwitch::Locked => 39,
    }
}

/// Whether the state of a port is nobody's but the person's who set it: its bridge is up and speaks no STP, and the
/// kernel has seen the port come up (which, with many others, may take it a second).
pub(in crate::kernel) fn state_is_set_by_hand(raw: &RawInterface<'_>, is_quiet: impl Fn(u32) -> bool) -> bool {
    raw.is_up() && raw.is_operational && raw.master.is_some_and(is_quiet)
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
            (IFLA_BRPORT_STATE, value) => {
                options.forwarding = PortForwarding::from_number(parse_u8(value)?).unwrap_or_default();
            }
            (kind, value) => {
                let switch = PortSwitch::ALL.into_iter().find(|&switch| number(switch) == kind);
                if let Some(switch) = switch
                    && (parse_u8(value)? != 0) != switch.is_on_by_default()
                {
                    options.altered.insert(switch);
                }
            }
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
        fn what_is_encoded_is_decoded(
            [hairpin, isolated, learning, flood] in any::<[bool; 4]>(),
            state in 0..5_u8,
            switches in prop::collection::vec(prop::sample::select(PortSwitch::ALL.to_vec()), 0..4),
        ) {
            let mut options = PortOptions { hairpin, isolated, learning, flood, ..PortOptions::default() };
            options.forwarding = PortForwarding::from_number(state).unwrap();
            switches.into_iter().for_each(|switch| options.altered.insert(switch));
            let mut message = LinkMessage::default();
            message.attributes.push(encode(options, PortOptions::default()));
            let bytes = bytes(&message);
            prop_assert_eq!(decode(&interface::decode(&bytes).unwrap()).unwrap(), options);
        }
    }
}
