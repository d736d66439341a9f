//! Addresses of interfaces, as `ip addr` adds and removes them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use libc::{IFA_ADDRESS, IFA_LOCAL, RTA_DST, RTA_OIF};
use netlink_packet_core::{DecodeError, Emitable, NLM_F_CREATE, NLM_F_REPLACE, parse_ip, parse_u32};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeader, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::route::{RouteHeader, RouteMessage, RouteProtocol, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::accept_gone;
use crate::kernel::netlink::{Dump, NetlinkError, attributes};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{Address, IfName};
use crate::steps::{AddressStep, Presence};

/// How often the route to an IPv6 peer is looked for, and how long to wait in between: at most a second together.
const PEER_PAUSES: u32 = 1000;
const PEER_PAUSE: Duration = Duration::from_millis(1);

/// Who has added an address (`IFA_PROTO` of linux/if_addr.h).
const IFA_PROTO: u16 = 11;

/// Runs a step.
pub(in crate::kernel) fn run(netns: &mut NetnsHandle, step: &AddressStep) -> Result<(), NetlinkError> {
    let AddressStep { interface, change } = step;
    match change {
        Presence::Add(address) => add(netns, &interface.name, *address),
        Presence::Remove(address) => accept_gone(delete(netns, &interface.name, *address)),
    }
}

/// Gives an interface an address; it may have it already.
fn add(netns: &mut NetnsHandle, name: &IfName, address: Address) -> Result<(), NetlinkError> {
    let mut message = encode(netns.index(name)?, address);
    if address.is_ipv6() {
        // Without duplicate address detection, which would keep it unusable for a second.
        message.header.flags = AddressHeaderFlags::Nodad;
    } else if address.ip().is_loopback() {
        message.header.scope = AddressScope::Host;
    }
    netns.socket.change(RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)?;
    match address.peer() {
        Some(IpNet::V6(peer)) => wait_for_peer(netns, name, address, peer.addr().into()),
        Some(IpNet::V4(_)) | None => Ok(()),
    }
}

/// Waits for the route to an IPv6 peer. Unlike that to the address's own prefix, the kernel adds it a moment later
/// (addrconf_dad_work), and until then no route leads through the peer. An interface that is down has neither.
fn wait_for_peer(netns: &mut NetnsHandle, name: &IfName, own: Address, peer: IpAddr) -> Result<(), NetlinkError> {
    let index = netns.index(name)?;
    for _ in 0..PEER_PAUSES {
        let mut request = RouteMessage::default();
        request.header.address_family = AddressFamily::Inet6;
        let dump = netns.socket.dump(&RouteNetlinkMessage::GetRoute(request))?;
        let routes: Vec<IpNet> =
            dump.items().filter_map(|item| connected(item, index).transpose()).collect::<Result<_, _>>()?;
        if routes.contains(&peer.into()) || !routes.contains(&own.subnet()) {
            break;
        }
        std::thread::sleep(PEER_PAUSE);
    }
    Ok(())
}

/// The destination of a route that the kernel added for an interface.
fn connected(item: &[u8], index: u32) -> Result<Option<IpNet>, DecodeError> {
    let header = RouteHeader::parse(item)?;
    let (mut to, mut is_here) = (None, false);
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        match attribute? {
            (RTA_DST, value) => to = Some(parse_ip(value)?),
            (RTA_OIF, value) => is_here = parse_u32(value)? == index,
            _ => {}
        }
    }
    let is_connected = header.protocol == RouteProtocol::Kernel && header.kind == RouteType::Unicast && is_here;
    Ok(to.filter(|_| is_connected).and_then(|to| IpNet::new(to, header.destination_prefix_length).ok()))
}

/// Takes an address from an interface.
fn delete(netns: &mut NetnsHandle, name: &IfName, address: Address) -> Result<(), NetlinkError> {
    let message = encode(netns.index(name)?, address);
    netns.socket.change(RouteNetlinkMessage::DelAddress(message), 0)
}

/// Lists the addresses of all interfaces of a namespace.
pub(in crate::kernel) fn list(netns: &mut NetnsHandle) -> Result<Dump, NetlinkError> {
    netns.socket.dump(&RouteNetlinkMessage::GetAddress(AddressMessage::default()))
}

/// The addresses of all interfaces of a namespace, whatever these are.
pub(in crate::kernel) fn all(netns: &mut NetnsHandle) -> Result<BTreeSet<Address>, NetlinkError> {
    let listed = list(netns)?;
    let mut addresses = BTreeSet::new();
    for item in listed.items() {
        addresses.extend(decode(&AddressHeader::parse(item)?, item)?);
    }
    Ok(addresses)
}

fn encode(index: u32, address: Address) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.prefix_len = address.prefix_len();
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(address.ip()));
    let remote = address.peer().map_or(address.ip(), |peer| peer.addr());
    message.attributes.push(AddressAttribute::Address(remote));
    message
}

/// An interface's address, with its prefix length or its peer.
pub(in crate::kernel) fn decode(header: &AddressHeader, item: &[u8]) -> Result<Option<Address>, DecodeError> {
    let (mut address, mut local) = (None, None);
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        match attribute? {
            (IFA_ADDRESS, value) => address = Some(parse_ip(value)?),
            (IFA_LOCAL, value) => local = Some(parse_ip(value)?),
            _ => {}
        }
    }
    // IPv6 has a local address only beside a peer's.
    let (Some(ip), Some(remote)) = (local.or(address), address.or(local)) else { return Ok(None) };
    let remote = IpNet::new(remote, header.prefix_len).map_err(|error| DecodeError::from(error.to_string()))?;
    let address = Address::with_peer(ip, remote);
    address.map(Some).ok_or_else(|| DecodeError::from("an address and its peer are of different families".to_owned()))
}

/// The protocol number of who has added an address; none where nobody has said so, or the kernel does not keep it.
pub(in crate::kernel) fn protocol(header: &AddressHeader, item: &[u8]) -> Result<Option<u8>, DecodeError> {
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        if let (IFA_PROTO, [protocol]) = attribute? {
            return Ok(Some(*protocol));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::round_trip::{INDEX, address, bytes, ip};
    use super::*;

    fn any_address(ipv6: bool) -> impl Strategy<Value = Address> {
        let with_peer = (ip(ipv6), address(ipv6)).prop_map(|(ip, peer)| Address::with_peer(ip, peer).unwrap());
        prop_oneof![address(ipv6).prop_map(Address::from), with_peer]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(address in any::<bool>().prop_flat_map(any_address)) {
            let bytes = bytes(&encode(INDEX, address));
            let header = AddressHeader::parse(&bytes).unwrap();
            prop_assert_eq!(header.index, INDEX);
            prop_assert_eq!(decode(&header, &bytes).unwrap(), Some(address));
        }
    }
}
