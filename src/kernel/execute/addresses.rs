//! Addresses of interfaces, given and taken as `ip addr` does.

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandle;
use crate::lab::IfName;

/// Gives an interface an address; it may have it already.
pub(super) fn add(netns: &mut NetnsHandle, name: &IfName, address: IpNet) -> Result<(), NetlinkError> {
    let mut message = message(netns, name, address)?;
    if address.addr().is_ipv6() {
        // Without duplicate address detection: for a second, nobody could use it.
        message.header.flags = AddressHeaderFlags::Nodad;
    } else if address.addr().is_loopback() {
        message.header.scope = AddressScope::Host;
    }
    netns.socket.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Takes an address from an interface.
pub(super) fn delete(netns: &mut NetnsHandle, name: &IfName, address: IpNet) -> Result<(), NetlinkError> {
    let message = message(netns, name, address)?;
    netns.socket.change(RouteNetlinkMessage::DelAddress(message), 0)
}

fn message(netns: &mut NetnsHandle, name: &IfName, address: IpNet) -> Result<AddressMessage, NetlinkError> {
    let mut message = AddressMessage::default();
    message.header.family = if address.addr().is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.prefix_len = address.prefix_len();
    message.header.index = netns.index(name)?;
    message.attributes.push(AddressAttribute::Local(address.addr()));
    message.attributes.push(AddressAttribute::Address(address.addr()));
    Ok(message)
}
