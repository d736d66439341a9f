//! Link-local addresses of IPv6, of which the kernel gives each interface one by itself (RFC 4862).

use std::net::{IpAddr, Ipv6Addr};

use crate::lab::Interface;

/// Whether an address is one of them.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Whether an interface has a link-local address: by the file, or made from its MAC address.
pub(super) fn has(interface: &Interface, address: IpAddr) -> bool {
    interface.addresses.iter().any(|own| own.ip() == address) || made(interface) == Some(address)
}

/// The link-local address that an interface sends from, where the lab knows it.
pub(super) fn of(interface: &Interface) -> Option<IpAddr> {
    let mut written = interface.addresses.iter().map(|own| own.ip());
    written.find(|own| is_link_local(*own)).or_else(|| made(interface))
}

/// What the kernel makes from a MAC address, where the lab knows it (`addrconf_ifid_eui48`).
fn made(interface: &Interface) -> Option<IpAddr> {
    let [a, b, c, d, e, f] = interface.mac?.0;
    Some(Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]).into())
}
