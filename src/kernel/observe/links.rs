//! Interfaces and their addresses.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use indexmap::IndexMap;
use ipnet::IpNet;
use libc::{
    ARPHRD_ETHER, IFA_ADDRESS, IFA_LOCAL, IFLA_ADDRESS, IFLA_ALT_IFNAME, IFLA_GROUP, IFLA_IFALIAS, IFLA_IFNAME,
    IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU, IFLA_PROP_LIST,
};
use netlink_packet_core::{DecodeError, Emitable, parse_i32, parse_ip, parse_mac, parse_u8, parse_u32};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressHeader, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkLayerType, LinkMessage};

use super::virtual_interfaces::ParsedVirtual;
use crate::kernel::netlink::{NetlinkError, attributes, name_text};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{
    BridgeOptions, IfName, Interface, InterfaceKind, LabName, Mac, Mark, Namespace, SysctlKey, SysctlValue, noted,
};

/// Options of a bridge (linux/if_link.h).
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_VLAN_FILTERING: u16 = 7;

/// The interfaces of one namespace.
#[derive(Default)]
pub(in crate::kernel) struct Interfaces {
    /// Interfaces by name; the peers of veth ends are not known yet.
    pub by_name: IndexMap<IfName, Interface>,
    /// Names by index.
    pub names: HashMap<u32, IfName>,
    /// The ends of veth pairs.
    pub veths: Vec<Veth>,
    /// Devices that were made upon another interface, which is not known yet.
    pub stacked: Vec<StackedInterface>,
    /// Marks that say what host settings were.
    pub marks: Vec<Mark>,
    /// What sysctls of the namespace were before a lab set them.
    pub former: BTreeMap<SysctlKey, SysctlValue>,
    /// Interfaces without an alias that are in a group.
    groups: Vec<(IfName, u32)>,
    /// Interfaces with the alias of a lab that are not in its group.
    ungrouped: Vec<(IfName, LabName)>,
}

/// What one end of a veth pair says about the other.
pub(in crate::kernel) struct Veth {
    /// This end's index.
    pub index: u32,
    /// The other end's index, in its own namespace.
    pub peer: u32,
    /// This namespace's number for the other end's namespace; none: this one.
    pub netns: Option<i32>,
}

/// What a device says about the interface that it is upon.
pub(in crate::kernel) struct StackedInterface {
    /// The device.
    pub name: IfName,
    /// The other's index, in its own namespace.
    pub parent: u32,
    /// This namespace's number for the other's namespace; none: this one.
    pub netns: Option<i32>,
}

impl Interfaces {
    /// Gives the lab the interfaces that have its group and no alias yet: those that were just being made when
    /// nslab was killed. Which they are.
    pub fn own_by_group(&mut self, lab: &LabName) -> Vec<IfName> {
        let of_lab = self.groups.iter().filter(|(_, group)| *group == lab.group());
        let names: Vec<IfName> = of_lab.map(|(name, _)| name.clone()).collect();
        for name in &names {
            if let Some(link) = self.by_name.get_mut(name) {
                link.owner = Some(lab.clone());
            }
        }
        names
    }

    /// Which interfaces have the lab's alias, but are not in its group.
    pub fn outside_group(&self, lab: &LabName) -> impl Iterator<Item = IfName> {
        self.ungrouped.iter().filter(move |(_, owner)| owner == lab).map(|(name, _)| name.clone())
    }
}

/// Lists the interfaces of a namespace. Those with a name that the lab cannot say (see [`IfName`]) are left out.
pub(in crate::kernel) fn list(netns: &mut NetnsHandle) -> Result<Interfaces, NetlinkError> {
    let mut request = LinkMessage::default();
    request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetLink(request))?;
    let interfaces = listed(dump.items())?;
    netns.learn(interfaces.names.iter().map(|(&index, name)| (name.clone(), index)).collect());
    Ok(interfaces)
}

/// The interfaces that a listing tells of.
pub(super) fn listed<'a>(items: impl Iterator<Item = &'a [u8]>) -> Result<Interfaces, DecodeError> {
    let mut interfaces = Interfaces::default();
    let (mut masters, mut devices) = (Vec::new(), Vec::new());
    for item in items {
        let seen = read(item)?;
        let Some(name) = seen.name.and_then(|name| name.parse::<IfName>().ok()) else { continue };
        interfaces.names.insert(seen.header.index, name.clone());
        if name.is_lo() {
            interfaces.former = former(item)?;
        }
        if let (InterfaceKind::Veth { .. }, Some(peer)) = (&seen.kind, seen.peer) {
            interfaces.veths.push(Veth { index: seen.header.index, peer, netns: seen.peer_netns });
        }
        if let (None, 1..) = (seen.alias, seen.group) {
            interfaces.groups.push((name.clone(), seen.group));
        }
        if let Some(told) = seen.device {
            if let Some(parent) = seen.peer {
                interfaces.stacked.push(StackedInterface { name: name.clone(), parent, netns: seen.peer_netns });
            }
            devices.push((name.clone(), told, seen.peer_netns.is_some()));
        }
        masters.extend(seen.master.map(|master| (name.clone(), master)));
        let mark = seen.alias.and_then(Mark::parse);
        let outside = mark.iter().filter(|mark| mark.lab.group() != seen.group);
        interfaces.ungrouped.extend(outside.map(|mark| (name.clone(), mark.lab.clone())));
        interfaces.marks.extend(mark.iter().filter(|mark| !mark.settings.is_empty()).cloned());
        let link = Interface {
            owner: mark.map(|mark| mark.lab),
            kind: seen.kind,
            up: seen.header.flags.contains(LinkFlags::Up),
            mac: seen.mac,
            mtu: seen.mtu,
            master: None,
            vlans: None,
            addresses: Default::default(),
        };
        interfaces.by_name.insert(name, link);
    }
    for (name, master) in masters {
        if let Some(link) = interfaces.by_name.get_mut(&name) {
            link.master = interfaces.names.get(&master).cloned();
        }
    }
    for (name, told, is_elsewhere) in devices {
        let kind = told.bound(&interfaces.names, is_elsewhere);
        if let Some(link) = interfaces.by_name.get_mut(&name) {
            link.kind = kind;
        }
    }
    Ok(interfaces)
}

/// The notes of former values in a message about a loopback.
pub(in crate::kernel) fn former(item: &[u8]) -> Result<BTreeMap<SysctlKey, SysctlValue>, DecodeError> {
    let behind = item.get(LinkHeader::default().buffer_len()..).unwrap_or_default();
    let mut former = BTreeMap::new();
    for attribute in attributes(behind) {
        let (IFLA_PROP_LIST, names) = attribute? else { continue };
        for name in attributes(names) {
            let (IFLA_ALT_IFNAME, name) = name? else { continue };
            former.extend(name_text(name).and_then(noted));
        }
    }
    Ok(former)
}

/// The alias in a message about an interface.
pub(super) fn alias(item: &[u8]) -> Result<Option<String>, DecodeError> {
    Ok(read(item)?.alias.map(str::to_owned))
}

/// The name and the hardware address in a message about an interface.
pub(super) fn identity(item: &[u8]) -> Result<Option<(IfName, Option<Mac>)>, DecodeError> {
    let seen = read(item)?;
    Ok(seen.name.and_then(|name| name.parse().ok()).map(|name| (name, seen.mac)))
}

/// One interface as the kernel tells it.
struct RawInterface<'a> {
    header: LinkHeader,
    name: Option<&'a str>,
    alias: Option<&'a str>,
    kind: InterfaceKind,
    device: Option<ParsedVirtual>,
    mac: Option<Mac>,
    mtu: Option<u32>,
    group: u32,
    master: Option<u32>,
    peer: Option<u32>,
    peer_netns: Option<i32>,
}

fn read(item: &[u8]) -> Result<RawInterface<'_>, DecodeError> {
    let header = LinkHeader::parse(item)?;
    let is_loopback = header.flags.contains(LinkFlags::Loopback);
    let kind = if is_loopback { InterfaceKind::Loopback } else { InterfaceKind::Other("device".to_owned()) };
    let behind = item.get(header.buffer_len()..).unwrap_or_default();
    let is_ethernet = header.link_layer_type == LinkLayerType::from(ARPHRD_ETHER);
    let mut seen = RawInterface {
        header,
        name: None,
        alias: None,
        kind,
        device: None,
        mac: None,
        mtu: None,
        group: 0,
        master: None,
        peer: None,
        peer_netns: None,
    };
    for attribute in attributes(behind) {
        let (kind, value) = attribute?;
        match kind {
            IFLA_IFNAME => seen.name = name_text(value),
            IFLA_IFALIAS => seen.alias = name_text(value),
            IFLA_ADDRESS if is_ethernet => seen.mac = parse_mac(value).ok().map(Mac),
            IFLA_MTU => seen.mtu = Some(parse_u32(value)?),
            IFLA_GROUP => seen.group = parse_u32(value)?,
            IFLA_MASTER => seen.master = Some(parse_u32(value)?),
            IFLA_LINK => seen.peer = Some(parse_u32(value)?),
            IFLA_LINK_NETNSID => seen.peer_netns = Some(parse_i32(value)?),
            IFLA_LINKINFO if !is_loopback => read_kind(value, &mut seen)?,
            _ => {}
        }
    }
    Ok(seen)
}

/// The kind of an interface, from IFLA_LINKINFO, which those lack that no driver of a kind made.
fn read_kind(info: &[u8], seen: &mut RawInterface<'_>) -> Result<(), DecodeError> {
    let (mut word, mut data) = (None, &[][..]);
    for attribute in attributes(info) {
        match attribute? {
            (IFLA_INFO_KIND, value) => word = name_text(value),
            (IFLA_INFO_DATA, value) => data = value,
            _ => {}
        }
    }
    match word {
        Some("veth") => seen.kind = InterfaceKind::Veth { peer: None },
        Some("bridge") => seen.kind = InterfaceKind::Bridge(read_bridge(data)?),
        Some(other) => {
            seen.kind = InterfaceKind::Other(other.to_owned());
            seen.device = ParsedVirtual::read(other, data)?;
        }
        None => {}
    }
    Ok(())
}

fn read_bridge(data: &[u8]) -> Result<BridgeOptions, DecodeError> {
    let mut options = BridgeOptions::default();
    for attribute in attributes(data) {
        match attribute? {
            (IFLA_BR_STP_STATE, value) => options.stp = parse_u32(value)? != 0,
            (IFLA_BR_VLAN_FILTERING, value) => options.vlan_filtering = parse_u8(value)? != 0,
            _ => {}
        }
    }
    Ok(options)
}

/// Adds the addresses to the interfaces. Interface-local IPv6 addresses are the kernel's own doing, and left out unless they
/// are wanted just there. Of a point-to-point address, only the local side is told.
pub(super) fn add_addresses(
    netns: &mut NetnsHandle,
    interfaces: &mut Interfaces,
    desired: Option<&Namespace>,
) -> Result<(), NetlinkError> {
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    Ok(add_listed_addresses(dump.items(), interfaces, desired)?)
}

/// Adds the addresses that a listing tells of.
pub(super) fn add_listed_addresses<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    interfaces: &mut Interfaces,
    desired: Option<&Namespace>,
) -> Result<(), DecodeError> {
    for item in items {
        let header = AddressHeader::parse(item)?;
        let Some(name) = interfaces.names.get(&header.index) else { continue };
        let Some(address) = read_address(&header, item)? else { continue };
        let is_link_local = header.scope == AddressScope::Link
            && matches!(address.addr(), IpAddr::V6(address) if address.is_unicast_link_local());
        let is_wanted = || {
            let link = desired.and_then(|desired| desired.interfaces.get(name));
            link.is_some_and(|link| link.addresses.contains(&address))
        };
        if is_link_local && !is_wanted() {
            continue;
        }
        if let Some(link) = interfaces.by_name.get_mut(name) {
            link.addresses.insert(address);
        }
    }
    Ok(())
}

/// An interface's address with its prefix length; of a point-to-point address, the local side.
pub(in crate::kernel) fn read_address(header: &AddressHeader, item: &[u8]) -> Result<Option<IpNet>, DecodeError> {
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
    use super::*;

    /// IFLA_INFO_DATA of a bridge, for kernels that cannot make one with VLAN filtering.
    #[test]
    fn options_of_a_bridge_are_read() {
        let attribute = |kind: u16, value: &[u8]| {
            let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes
        };
        let data =
            [attribute(IFLA_BR_STP_STATE, &0_u32.to_ne_bytes()), attribute(IFLA_BR_VLAN_FILTERING, &[1])].concat();
        assert_eq!(read_bridge(&data).unwrap(), BridgeOptions { stp: false, vlan_filtering: true });
        let data = attribute(IFLA_BR_STP_STATE, &1_u32.to_ne_bytes());
        assert_eq!(read_bridge(&data).unwrap(), BridgeOptions { stp: true, vlan_filtering: false });
    }
}
