//! The machine's own interfaces by which others can reach it, with their addresses.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressHeader, AddressMessage};

use super::KernelError;
use super::netlink::{NetlinkError, Socket};
use super::objects::{address, interface};
use crate::lab::{IfName, is_global};

/// An interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnInterface {
    /// Its name.
    pub name: IfName,
    /// Whether it is administratively up.
    pub is_up: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The addresses that others can reach it by.
    pub addresses: Vec<IpAddr>,
}

/// The interfaces of this thread's network namespace, without its loopback, in the kernel's order.
///
/// # Errors
/// The kernel refuses to list them.
pub fn list() -> Result<Vec<OwnInterface>, KernelError> {
    let tried = "list the addresses of this machine";
    let mut socket = Socket::open().map_err(|error| KernelError::new(tried).with_io(&error))?;
    all(&mut socket).map_err(|error| error.about(tried))
}

fn all(socket: &mut Socket) -> Result<Vec<OwnInterface>, NetlinkError> {
    let links = interface::dump(socket)?;
    let addresses = socket.dump(&RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    let mut own = Vec::new();
    for item in links.items() {
        let link = interface::decode(item)?;
        let name = link.name.and_then(|name| name.parse().ok()).filter(|_| !link.is_loopback());
        if let (Some(name), Some(mtu)) = (name, link.mtu) {
            let interface = OwnInterface { name, is_up: link.is_up(), mtu, addresses: Vec::new() };
            own.push((link.header.index, interface));
        }
    }
    for item in addresses.items() {
        let header = AddressHeader::parse(item)?;
        let holder = own.iter_mut().find(|(index, _)| *index == header.index);
        let address = address::decode(&header, item)?.map(|address| address.ip()).filter(|own| is_global(*own));
        holder.into_iter().for_each(|(_, holder)| holder.addresses.extend(address));
    }
    Ok(own.into_iter().map(|(_, interface)| interface).collect())
}
