//! Addresses of interfaces, as `ip addr` adds and removes them.

use ipnet::IpNet;
use libc::{IFA_ADDRESS, IFA_LOCAL};
use netlink_packet_core::{DecodeError, Emitable, NLM_F_CREATE, NLM_F_REPLACE, parse_ip};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeader, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::accept_gone;
use crate::kernel::netlink::{Dump, NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::IfName;
use crate::steps::{AddressStep, Presence};

/// Runs a step.
pub(in crate::kernel) fn run(netns: &mut NetnsHandle, step: &AddressStep) -> Result<(), NetlinkError> {
    let AddressStep { interface, change } = step;
    match change {
        Presence::Add(address) => add(netns, &interface.name, *address),
        Presence::Remove(address) => accept_gone(delete(netns, &interface.name, *address)),
    }
}

/// Gives an interface an address; it may have it already.
fn add(netns: &mut NetnsHandle, name: &IfName, address: IpNet) -> Result<(), NetlinkError> {
    let mut message = encode(netns.index(name)?, address);
    if address.addr().is_ipv6() {
        // Without duplicate address detection, which would keep it unusable for a second.
        message.header.flags = AddressHeaderFlags::Nodad;
    } else if address.addr().is_loopback() {
        message.header.scope = AddressScope::Host;
    }
    netns.socket.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Takes an address from an interface.
fn delete(netns: &mut NetnsHandle, name: &IfName, address: IpNet) -> Result<(), NetlinkError> {
    let message = encode(netns.index(name)?, address);
    netns.socket.change(RouteNetlinkMessage::DelAddress(message), 0)
}

/// Lists the addresses of all interfaces of a namespace.
pub(in crate::kernel) fn list(netns: &mut NetnsHandle) -> Result<Dump, NetlinkError> {
    netns.socket.dump(&RouteNetlinkMessage::GetAddress(AddressMessage::default()))
}

fn encode(index: u32, address: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.addr().is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.prefix_len = address.prefix_len();
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(address.addr()));
    message.attributes.push(AddressAttribute::Address(address.addr()));
    message
}

/// An interface's address with its prefix length; of a point-to-point address, the local one.
pub(in crate::kernel) fn decode(header: &AddressHeader, item: &[u8]) -> Result<Option<IpNet>, DecodeError> {
    let (mut address, mut local) = (None, None);
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        match attribute? {
            (IFA_ADDRESS, value) => address = Some(parse_ip(value)?),
            (IFA_LOCAL, value) => local = Some(parse_ip(value)?),
            _ => {}
        }
    }
    let net = |address| IpNet::new(address, header.prefix_len).map_err(|error| DecodeError::from(error.to_string()));
    local.or(address).map(net).transpose()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::round_trip::{INDEX, address, bytes};
    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(address in any::<bool>().prop_flat_map(address)) {
            let bytes = bytes(&encode(INDEX, address));
            let header = AddressHeader::parse(&bytes).unwrap();
            prop_assert_eq!(header.index, INDEX);
            prop_assert_eq!(decode(&header, &bytes).unwrap(), Some(address));
        }
    }
}
