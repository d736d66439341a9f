//! The addresses and routes that the host has, with the interface and the lab that each belongs to.
//!
//! Unlike [`crate::kernel::Kernel::observe`], it also tells of what the lab's words cannot express: the kernel's own
//! routes, other tables, interfaces of any name.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use libc::{
    IFLA_IFALIAS, IFLA_IFNAME, RT_TABLE_LOCAL, RTA_DST, RTA_GATEWAY, RTA_MULTIPATH, RTA_OIF, RTA_PRIORITY, RTA_TABLE,
};
use netlink_packet_core::{DecodeError, Emitable, parse_ip, parse_u32};
use netlink_packet_route::address::{AddressHeader, AddressMessage};
use netlink_packet_route::link::LinkHeader;
use netlink_packet_route::route::{RouteHeader, RouteMessage, RouteProtocol, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::kernel::KernelError;
use crate::kernel::netlink::{NetlinkError, Socket, attributes, name_text};
use crate::kernel::objects::{address, interface};
use crate::lab::{LabName, MAIN_TABLE, ROUTE_PROTOCOL};
use crate::preflight::Taken;

/// An interface: its name and whose it is.
struct HostInterface {
    name: String,
    owner: Option<LabName>,
}

/// Interfaces by index.
type Interfaces = HashMap<u32, HostInterface>;

/// Everything that is taken in the calling thread's namespace: routes first, as they say more.
pub(super) fn taken() -> Result<Vec<Taken>, KernelError> {
    let tried = "list the addresses and routes of the host";
    let mut socket = Socket::open().map_err(|error| KernelError::new(tried).with_io(&error))?;
    all(&mut socket).map_err(|error| error.about(tried))
}

fn all(socket: &mut Socket) -> Result<Vec<Taken>, NetlinkError> {
    let links = interface::dump(socket)?;
    let routes = socket.dump(&RouteNetlinkMessage::GetRoute(RouteMessage::default()))?;
    let addresses = socket.dump(&RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    Ok(listed(links.items(), routes.items(), addresses.items())?)
}

/// What listings of interfaces, routes and addresses tell of.
pub(in crate::kernel) fn listed<'a>(
    links: impl Iterator<Item = &'a [u8]>,
    routes: impl Iterator<Item = &'a [u8]>,
    addresses: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<Taken>, DecodeError> {
    let interfaces = interfaces(links)?;
    let mut taken = Vec::new();
    for item in routes {
        taken.extend(route(item, &interfaces)?);
    }
    for item in addresses {
        taken.extend(address(item, &interfaces)?);
    }
    Ok(taken)
}

fn interfaces<'a>(items: impl Iterator<Item = &'a [u8]>) -> Result<Interfaces, DecodeError> {
    let mut interfaces = Interfaces::new();
    for item in items {
        let header = LinkHeader::parse(item)?;
        let (mut name, mut owner) = (String::new(), None);
        for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
            match attribute? {
                (IFLA_IFNAME, value) => name = name_text(value).unwrap_or_default().to_owned(),
                (IFLA_IFALIAS, value) => owner = name_text(value).and_then(LabName::from_mark),
                _ => {}
            }
        }
        interfaces.insert(header.index, HostInterface { name, owner });
    }
    Ok(interfaces)
}

/// A route that leads somewhere; none for those that drop, and for the kernel's about its own addresses.
fn route(item: &[u8], interfaces: &Interfaces) -> Result<Option<Taken>, DecodeError> {
    let header = RouteHeader::parse(item)?;
    let any: IpAddr = match header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return Ok(None),
    };
    if header.kind != RouteType::Unicast || header.table == RT_TABLE_LOCAL {
        return Ok(None);
    }
    let (mut to, mut via, mut dev, mut several) = (any, None, None, None);
    let (mut table, mut metric) = (u32::from(header.table), 0);
    for attribute in attributes(item.get(header.buffer_len()..).unwrap_or_default()) {
        match attribute? {
            (RTA_DST, value) => to = parse_ip(value)?,
            (RTA_GATEWAY, value) => via = Some(parse_ip(value)?),
            (RTA_OIF, value) => dev = Some(parse_u32(value)?),
            // The first of several next hops (struct rtnexthop): length, flags, hops, interface.
            (RTA_MULTIPATH, value) => several = value.get(4..8).map(parse_u32).transpose()?,
            (RTA_TABLE, value) => table = parse_u32(value)?,
            (RTA_PRIORITY, value) => metric = parse_u32(value)?,
            _ => {}
        }
    }
    let Some(interface) = dev.or(several).and_then(|dev| interfaces.get(&dev)) else { return Ok(None) };
    let net = net(to, header.destination_prefix_length)?.trunc();
    let mut text = if net.prefix_len() == 0 { "route default".to_owned() } else { format!("route {net}") };
    if let Some(via) = via {
        text += &format!(" via {via}");
    }
    text += &format!(" dev {}", interface.name);
    if table != MAIN_TABLE {
        text += &format!(" table {table}");
    }
    Ok(Some(Taken {
        net,
        dev: interface.name.clone(),
        owner: interface.owner.clone(),
        table,
        metric,
        by_nslab: header.protocol == RouteProtocol::from(ROUTE_PROTOCOL),
        goes_with_forwarding: header.protocol == RouteProtocol::Ra && !accepts_anyway(&interface.name),
        text,
    }))
}

/// Whether an interface heeds what routers advertise also where the host forwards (`accept_ra` in ip-sysctl.rst: 2).
fn accepts_anyway(dev: &str) -> bool {
    let setting = std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{dev}/accept_ra"));
    setting.is_ok_and(|value| value.trim() == "2")
}

/// An address: that of an interface which is down has no route.
fn address(item: &[u8], interfaces: &Interfaces) -> Result<Vec<Taken>, DecodeError> {
    let header = AddressHeader::parse(item)?;
    let (Some(address), Some(interface)) = (address::decode(&header, item)?, interfaces.get(&header.index)) else {
        return Ok(Vec::new());
    };
    let taken = |net| Taken {
        net,
        dev: interface.name.clone(),
        owner: interface.owner.clone(),
        table: 0,
        metric: 0,
        by_nslab: false,
        goes_with_forwarding: false,
        text: format!("address {address} dev {}", interface.name),
    };
    Ok(address.subnets().map(taken).collect())
}

fn net(address: IpAddr, length: u8) -> Result<IpNet, DecodeError> {
    IpNet::new(address, length).map_err(|error| DecodeError::from(error.to_string()))
}
