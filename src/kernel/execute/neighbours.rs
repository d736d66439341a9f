//! Permanent neighbours.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandle;
use crate::lab::Neighbour;

/// Adds an entry, or puts it in the place of the one for the same address.
pub(super) fn set(netns: &mut NetnsHandle, neighbour: &Neighbour) -> Result<(), NetlinkError> {
    let mut message = message(netns, neighbour)?;
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(neighbour.mac.0.to_vec()));
    netns.socket.change(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Removes an entry.
pub(super) fn delete(netns: &mut NetnsHandle, neighbour: &Neighbour) -> Result<(), NetlinkError> {
    let message = message(netns, neighbour)?;
    netns.socket.change(RouteNetlinkMessage::DelNeighbour(message), 0)
}

fn message(netns: &mut NetnsHandle, neighbour: &Neighbour) -> Result<NeighbourMessage, NetlinkError> {
    let mut message = NeighbourMessage::default();
    message.header.family = if neighbour.address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.ifindex = netns.index(&neighbour.dev)?;
    message.attributes.push(NeighbourAttribute::Destination(neighbour.address.into()));
    Ok(message)
}
