//! Permanent neighbours.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::kernel::netlink::Refusal;
use crate::kernel::space::Space;
use crate::lab::Neighbour;

/// Adds an entry, or puts it in the place of the one for the same address.
pub(super) fn set(space: &mut Space, neighbour: &Neighbour) -> Result<(), Refusal> {
    let mut message = message(space, neighbour)?;
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(neighbour.mac.0.to_vec()));
    space.socket.change(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Removes an entry.
pub(super) fn delete(space: &mut Space, neighbour: &Neighbour) -> Result<(), Refusal> {
    let message = message(space, neighbour)?;
    space.socket.change(RouteNetlinkMessage::DelNeighbour(message), 0)
}

fn message(space: &mut Space, neighbour: &Neighbour) -> Result<NeighbourMessage, Refusal> {
    let mut message = NeighbourMessage::default();
    message.header.family = if neighbour.address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.ifindex = space.index(&neighbour.dev)?;
    message.attributes.push(NeighbourAttribute::Destination(neighbour.address.into()));
    Ok(message)
}
