//! The objects of the kernel's network, one file each: what nslab says to the kernel about one (encode) beside what it
//! understands of the kernel's answer (decode), so that the two agree. Nothing here knows which objects are wanted, or
//! puts the objects of a namespace together.

pub(super) mod address;
pub(super) mod address_attributes;
pub(super) mod bridge;
pub(super) mod bridge_fdb;
pub(super) mod bridge_port;
pub(super) mod fdb_entry;
pub(super) mod foreign;
pub(super) mod foreign_neighbour;
mod foreign_route;
mod gre;
pub(super) mod interface;
pub(super) mod link_option;
pub(super) mod loopback;
pub(super) mod mark;
pub(super) mod namespace;
pub(super) mod neighbour;
mod next_hop;
pub(super) mod next_hop_object;
mod odd_option;
pub(super) mod policy_rule;
pub(super) mod program;
pub(super) mod qdisc;
#[cfg(test)]
mod round_trip;
pub(super) mod route;
pub(super) mod route_exceptions;
mod rtnexthop;
pub(super) mod sysctl;
pub(super) mod veth;
pub(super) mod virtual_interface;
pub(super) mod vlans;
pub(super) mod vxlan;
pub(super) mod wireguard;
pub(super) mod xfrm;

use super::netlink::NetlinkError;

/// What a message of the kernel's describes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded<K, F> {
    /// An object that the model can express.
    Known(K),
    /// One that it cannot.
    Foreign(F),
}

/// The outcome of a removal: that there is nothing to remove (any more) is no failure.
pub(super) fn accept_gone(outcome: Result<(), NetlinkError>) -> Result<(), NetlinkError> {
    outcome.or_else(|error| if error.is_gone() { Ok(()) } else { Err(error) })
}
