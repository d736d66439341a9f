//! Whether a port of a bridge forwards yet. Knows nothing of how long it is worth waiting.
//!
//! The kernel handles the events of interfaces that come up in lots of a hundred, and leaves the rest for up to a
//! second (net/core/link_watch.c); meanwhile a port is `disabled`. Since 6.10 or so, to be asked for a single interface
//! makes it handle that one's event at once.

use libc::{IFLA_CARRIER, IFLA_INFO_SLAVE_DATA, IFLA_LINKINFO};
use netlink_packet_core::{DecodeError, Emitable, parse_u8};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkHeader, LinkMessage};

use super::netlink::{NetlinkError, attributes};
use super::netns::NetnsHandle;
use crate::lab::IfName;

/// The state of a port (linux/if_link.h), and the two of its states in which it stays (BR_STATE_… in
/// linux/if_bridge.h).
const IFLA_BRPORT_STATE: u16 = 1;
const BR_STATE_FORWARDING: u8 = 3;
const BR_STATE_BLOCKING: u8 = 4;

/// What a port of a bridge does with frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortState {
    /// It passes them on.
    Forwarding,
    /// The spanning tree has it pass nothing on, since frames have another way.
    Blocking,
    /// Nothing, since the other side of its link is down: it is as ready as it can be.
    NoCarrier,
    /// Nothing yet.
    NotYet,
}

/// Asks for one port.
pub(super) fn port_state(netns: &mut NetnsHandle, port: &IfName) -> Result<PortState, NetlinkError> {
    let mut message = LinkMessage::default();
    message.header.index = netns.index(port)?;
    let answer = netns.socket.get(RouteNetlinkMessage::GetLink(message))?;
    Ok(decode(&answer)?)
}

fn decode(item: &[u8]) -> Result<PortState, DecodeError> {
    let (mut carrier, mut state) = (true, None);
    for attribute in attributes(item.get(LinkHeader::default().buffer_len()..).unwrap_or_default()) {
        match attribute? {
            (IFLA_CARRIER, value) => carrier = parse_u8(value)? != 0,
            (IFLA_LINKINFO, value) => state = decode_state(value)?,
            _ => {}
        }
    }
    Ok(match state {
        _ if !carrier => PortState::NoCarrier,
        Some(BR_STATE_FORWARDING) => PortState::Forwarding,
        Some(BR_STATE_BLOCKING) => PortState::Blocking,
        _ => PortState::NotYet,
    })
}

fn decode_state(info: &[u8]) -> Result<Option<u8>, DecodeError> {
    for attribute in attributes(info) {
        let (IFLA_INFO_SLAVE_DATA, data) = attribute? else { continue };
        for option in attributes(data) {
            if let (IFLA_BRPORT_STATE, value) = option? {
                return parse_u8(value).map(Some);
            }
        }
    }
    Ok(None)
}
