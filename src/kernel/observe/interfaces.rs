//! The interfaces of one namespace, put together from its listings: interfaces, addresses, VLANs of ports.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use indexmap::IndexMap;
use ipnet::IpNet;
use netlink_packet_core::{DecodeError, Emitable};
use netlink_packet_route::address::{AddressHeader, AddressScope};
use netlink_packet_route::link::LinkMessage;

use crate::kernel::netlink::{NetlinkError, printable};
use crate::kernel::netns::NetnsHandle;
use crate::kernel::objects::interface::{self, RawInterface};
use crate::kernel::objects::{
    Decoded, address, address_attributes, bridge, bridge_port, link_option, loopback, program, sysctl, veth,
    virtual_interface, vlans,
};
use crate::lab::{
    Address, AlteredAddress, ForeignInterface, ForeignKind, ForeignObject, ForeignOther, IfName, Interface,
    InterfaceKind, LabName, Mark, Namespace, PortForwarding, PortOptions, Route, RouteKind, SysctlKey, SysctlValue,
    VirtualKind, Vlans,
};

/// The interfaces of one namespace.
#[derive(Default)]
pub(super) struct Interfaces {
    /// Interfaces by name; peers and parents are not known yet.
    pub by_name: IndexMap<IfName, Interface>,
    /// Names by index.
    pub names: HashMap<u32, IfName>,
    /// The interfaces of veth pairs.
    pub veths: Vec<Veth>,
    /// Virtual interfaces with a parent, which is not known yet.
    pub stacked: Vec<StackedInterface>,
    /// Marks that say more than whose they are.
    pub marks: Vec<Mark>,
    /// Whether the namespace notes that programs of a lab run in it.
    pub has_programs: bool,
    /// What sysctls of the namespace were before a lab set them.
    pub original_sysctls: BTreeMap<SysctlKey, SysctlValue>,
    /// Addresses with attributes that nslab does not give them.
    pub altered_addresses: BTreeMap<(IfName, Address), AlteredAddress>,
    /// Who has added addresses, where they say so.
    pub address_protocols: BTreeMap<(IfName, Address), u8>,
    /// Virtual interfaces with options that the model cannot express.
    pub foreign: BTreeMap<IfName, ForeignInterface>,
    /// The interfaces that have an alternative name which another one could want as its name.
    pub alternative_names: BTreeMap<IfName, IfName>,
    /// Interfaces whose names no file can say, and the loopback's name if it is not `lo`.
    pub unspeakable: Vec<ForeignOther>,
    /// What else somebody has added or changed and no file can ask for.
    pub others: Vec<ForeignOther>,
    /// The interfaces on which IPv6 is switched off.
    pub without_ipv6: Vec<IfName>,
    /// The interfaces from which no IPv4 packet is forwarded.
    pub without_forwarding: Vec<IfName>,
    /// The indexes of bridges that are up and speak no STP.
    quiet_bridges: HashSet<u32>,
    /// Interfaces without an alias that are in a group.
    groups: Vec<(IfName, u32)>,
    /// Interfaces with the alias of a lab that are not in its group.
    ungrouped: Vec<(IfName, LabName)>,
}

/// What one interface of a veth pair says about the other.
pub(super) struct Veth {
    /// This interface's index.
    pub index: u32,
    /// The other's index, in its own namespace.
    pub peer: u32,
    /// This namespace's number for the other's namespace; none: this one.
    pub netns: Option<i32>,
}

/// What a virtual interface says about its parent.
pub(super) struct StackedInterface {
    /// The virtual interface.
    pub name: IfName,
    /// The parent's index, in its own namespace.
    pub parent: u32,
    /// This namespace's number for the parent's namespace; none: this one.
    pub netns: Option<i32>,
}

impl Interfaces {
    /// Gives the lab the interfaces that have its group and no alias yet: those that were just being made when
    /// nslab was killed. Which they are. None where another lab has the same group: they could be its.
    pub fn own_by_group(&mut self, lab: &LabName) -> Vec<IfName> {
        let shares_group = |owner: &LabName| owner != lab && owner.group() == lab.group();
        if self.by_name.values().filter_map(|interface| interface.owner.as_ref()).any(shares_group) {
            return Vec::new();
        }
        let of_lab = self.groups.iter().filter(|(_, group)| *group == lab.group());
        let names: Vec<IfName> = of_lab.map(|(name, _)| name.clone()).collect();
        for name in &names {
            if let Some(interface) = self.by_name.get_mut(name) {
                interface.owner = Some(lab.clone());
            }
        }
        names
    }

    /// Which interfaces have the lab's alias, but are not in its group.
    pub fn outside_group(&self, lab: &LabName) -> impl Iterator<Item = IfName> {
        self.ungrouped.iter().filter(move |(_, owner)| owner == lab).map(|(name, _)| name.clone())
    }

    /// The VXLAN interfaces, by index.
    pub fn vxlans(&self) -> impl Iterator<Item = (u32, &IfName)> {
        let is_vxlan = |name: &IfName| {
            let interface = self.by_name.get(name);
            interface.is_some_and(|interface| interface.kind_name() == VirtualKind::Vxlan.name())
        };
        self.names.iter().filter(move |(_, name)| is_vxlan(name)).map(|(&index, name)| (index, name))
    }

    /// Whether the kernel asks nobody for an address on an interface (arp_constructor, ndisc_constructor).
    pub fn needs_no_neighbour(&self, dev: &IfName, address: IpAddr) -> bool {
        let Some(interface) = self.by_name.get(dev) else { return true };
        let asks = interface.flags.is_some_and(|flags| flags.arp) && !dev.is_lo();
        let is_broadcast = |own: &Address| own.subnet().broadcast() == address || own.subnet().network() == address;
        let is_for_all = match address {
            IpAddr::V4(address) => address.is_multicast() || address.is_broadcast() || address.is_unspecified(),
            IpAddr::V6(address) => address.is_multicast() || address.is_unspecified(),
        };
        !asks || is_for_all || (address.is_ipv4() && interface.addresses.iter().any(is_broadcast))
    }

    /// Whether the kernel makes a route with one of the addresses (fib_add_ifaddr, addrconf_prefix_route).
    pub fn makes_routes(&self) -> impl Fn(&Route) -> bool {
        let mut made = HashSet::new();
        for (name, interface) in &self.by_name {
            for own in &interface.addresses {
                made.insert((name, true, IpNet::from(own.ip())));
                made.extend(own.subnets().map(|subnet| (name, false, subnet)));
                // All of a loopback's subnets are the namespace's own.
                made.extend(own.subnets().filter(|_| name.is_lo()).map(|subnet| (name, true, subnet)));
            }
        }
        move |route| {
            let is_local = route.kind == RouteKind::Local;
            if !(is_local || route.kind == RouteKind::Unicast) || route.via.is_some() || !route.nexthops.is_empty() {
                return false;
            }
            // Link-local addresses are not among those that are noted, nor interfaces that no file can name.
            let is_unknown = matches!(route.to, IpNet::V6(to) if to.addr().is_unicast_link_local());
            is_unknown || route.dev.as_ref().is_none_or(|dev| made.contains(&(dev, is_local, route.to)))
        }
    }

    /// Notes of IPv4 addresses that packets for them do not arrive, since somebody has removed the kernel's route.
    /// Those of IPv6 get theirs a moment after they are added.
    pub fn note_lost_local(&mut self, local: &HashSet<IpAddr>) {
        for (name, interface) in self.by_name.iter().filter(|(name, interface)| interface.up && !name.is_lo()) {
            let of_ipv4 = interface.addresses.iter().filter(|address| !address.is_ipv6());
            for address in of_ipv4.filter(|address| !local.contains(&address.ip())) {
                let altered = self.altered_addresses.entry((name.clone(), *address));
                let altered = altered.or_insert(AlteredAddress { words: Vec::new(), in_place: false });
                altered.words.push("no route in the table local".to_owned());
                altered.in_place = false;
            }
        }
    }

    /// Notes what a message says about one interface.
    fn add(&mut self, name: &IfName, raw: &RawInterface<'_>) -> Result<(), DecodeError> {
        let (kind, foreign) = kind(raw, &self.names)?;
        self.foreign.extend(foreign.map(|foreign| (name.clone(), foreign)));
        match (&kind, raw.link) {
            (InterfaceKind::Veth { .. }, Some(peer)) => {
                self.veths.push(Veth { index: raw.header.index, peer, netns: raw.link_netns });
            }
            (InterfaceKind::Virtual(_), Some(parent)) => {
                self.stacked.push(StackedInterface { name: name.clone(), parent, netns: raw.link_netns });
            }
            _ => {}
        }
        self.others.extend(link_option::changed(raw, name)?);
        self.without_ipv6.extend(raw.ipv6_off.then(|| name.clone()));
        self.without_forwarding.extend((raw.ipv4_forwarding == Some(false)).then(|| name.clone()));
        if let (None, 1..) = (raw.alias, raw.group) {
            self.groups.push((name.clone(), raw.group));
        }
        let mark = raw.alias.and_then(Mark::parse);
        let outside = mark.iter().filter(|mark| mark.lab.group() != raw.group);
        self.ungrouped.extend(outside.map(|mark| (name.clone(), mark.lab.clone())));
        self.marks.extend(mark.iter().filter(|mark| mark.says_more()).cloned());
        let interface = Interface {
            owner: mark.map(|mark| mark.lab),
            kind,
            up: raw.is_up(),
            mac: raw.mac,
            mtu: raw.mtu,
            flags: Some(raw.flags()),
            master: raw.master.and_then(|master| self.names.get(&master).cloned()),
            vlans: None,
            port: self.port_options(raw)?,
            addresses: Default::default(),
        };
        self.by_name.insert(name.clone(), interface);
        Ok(())
    }

    /// The options of a port; with its state only where that is set by hand.
    fn port_options(&self, raw: &RawInterface<'_>) -> Result<PortOptions, DecodeError> {
        let mut options = bridge_port::decode(raw)?;
        if !bridge_port::state_is_set_by_hand(raw, |bridge| self.quiet_bridges.contains(&bridge)) {
            options.forwarding = PortForwarding::Forwarding;
        }
        Ok(options)
    }
}

/// What an interface is, and what the model cannot express of that; its peer or parent is not known yet.
fn kind(
    raw: &RawInterface<'_>,
    names: &HashMap<u32, IfName>,
) -> Result<(InterfaceKind, Option<ForeignInterface>), DecodeError> {
    let word = match raw.kind {
        _ if raw.is_loopback() => return Ok((InterfaceKind::Loopback, None)),
        Some(veth::KIND) => return Ok((InterfaceKind::Veth { peer: None }, None)),
        Some(bridge::KIND) => return Ok((InterfaceKind::Bridge(bridge::decode_options(raw.data)?), None)),
        other => other.unwrap_or("device").to_owned(),
    };
    Ok(match virtual_interface::decode(raw, |index| names.get(&index).cloned())? {
        Some(Decoded::Known(known)) => (InterfaceKind::Virtual(known), None),
        Some(Decoded::Foreign(foreign)) => (InterfaceKind::Other(word), Some(foreign)),
        None => (InterfaceKind::Other(word), None),
    })
}

/// Lists the interfaces of a namespace. Those with a name that the lab cannot say (see [`IfName`]) are apart.
pub(super) fn list(netns: &mut NetnsHandle) -> Result<Interfaces, NetlinkError> {
    let dump = interface::list(netns)?;
    let interfaces = listed(dump.items())?;
    netns.learn(interfaces.names.iter().map(|(&index, name)| (name.clone(), index)).collect());
    Ok(interfaces)
}

/// The interfaces of a listing.
pub(super) fn listed<'a>(items: impl Iterator<Item = &'a [u8]>) -> Result<Interfaces, DecodeError> {
    let mut interfaces = Interfaces::default();
    let mut all = Vec::new();
    let mut renamed = None;
    for item in items {
        let raw = interface::decode(item)?;
        let speakable = raw.name.and_then(|name| name.parse::<IfName>().ok());
        let name = match speakable {
            // Known by what it is: somebody may have renamed it, and given `lo` to another interface.
            name if raw.is_loopback() => {
                interfaces.original_sysctls = sysctl::decode_notes(item)?;
                interfaces.has_programs = program::is_noted(item)?;
                renamed = name.is_none_or(|name| !name.is_lo()).then(|| renamed_loopback(&raw));
                IfName::lo()
            }
            Some(name) if !name.is_lo() => name,
            Some(_) | None => {
                interfaces.unspeakable.push(unspeakable(&raw));
                continue;
            }
        };
        interfaces.names.insert(raw.header.index, name.clone());
        let others = sysctl::alternative_names(item)?.into_iter().filter_map(|other| other.parse().ok());
        interfaces.alternative_names.extend(others.map(|other: IfName| (other, name.clone())));
        if raw.kind == Some(bridge::KIND) && raw.is_up() && !bridge::decode_options(raw.data)?.stp {
            interfaces.quiet_bridges.insert(raw.header.index);
        }
        all.push((name, raw));
    }
    for (name, raw) in &all {
        interfaces.add(name, raw)?;
    }
    // What has taken the name `lo` goes first.
    interfaces.unspeakable.extend(renamed);
    Ok(interfaces)
}

/// The name of a loopback that is not called `lo`.
fn renamed_loopback(raw: &RawInterface<'_>) -> ForeignOther {
    let (text, message) = (printable(raw.name_bytes), loopback::named(raw.name_bytes));
    ForeignOther { object: ForeignObject { kind: ForeignKind::LoopbackName, text, message }, dev: None }
}

/// An interface whose name no file can say, or whose name is the loopback's.
fn unspeakable(raw: &RawInterface<'_>) -> ForeignOther {
    let index = raw.header.index;
    let mut message = LinkMessage::default();
    message.header.index = index;
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    let object =
        ForeignObject { kind: ForeignKind::Interface { index }, text: printable(raw.name_bytes), message: bytes };
    ForeignOther { object, dev: None }
}

/// Adds the addresses to the interfaces. Interface-local IPv6 addresses are the kernel's own doing, and left out unless
/// they are wanted just there.
pub(super) fn add_addresses(
    netns: &mut NetnsHandle,
    interfaces: &mut Interfaces,
    desired: Option<&Namespace>,
) -> Result<(), NetlinkError> {
    Ok(add_listed_addresses(address::list(netns)?.items(), interfaces, desired)?)
}

/// Adds the addresses of a listing.
pub(super) fn add_listed_addresses<'a>(
    items: impl Iterator<Item = &'a [u8]>,
    interfaces: &mut Interfaces,
    desired: Option<&Namespace>,
) -> Result<(), DecodeError> {
    for item in items {
        let header = AddressHeader::parse(item)?;
        let Some(name) = interfaces.names.get(&header.index) else { continue };
        let Some(address) = address::decode(&header, item)? else { continue };
        let is_link_local = header.scope == AddressScope::Link
            && matches!(address.ip(), IpAddr::V6(address) if address.is_unicast_link_local());
        let is_wanted = || {
            let interface = desired.and_then(|desired| desired.interfaces.get(name));
            interface.is_some_and(|interface| interface.addresses.contains(&address))
        };
        if is_link_local && !is_wanted() {
            continue;
        }
        if let Some(interface) = interfaces.by_name.get_mut(name) {
            interface.addresses.insert(address);
            let altered = address_attributes::altered(&header, item, name, address)?;
            let protocol = address::protocol(&header, item)?;
            interfaces.address_protocols.extend(protocol.map(|protocol| ((name.clone(), address), protocol)));
            interfaces.altered_addresses.extend(altered.map(|altered| ((name.clone(), address), altered)));
        }
    }
    Ok(())
}

/// Adds the VLANs to the ports of bridges and to the bridges. They are asked for only where a bridge keeps VLANs apart,
/// or is to.
pub(super) fn add_vlans(
    netns: &mut NetnsHandle,
    interfaces: &mut Interfaces,
    desired: Option<&Namespace>,
) -> Result<(), NetlinkError> {
    let filters =
        |interface: &Interface| matches!(interface.kind, InterfaceKind::Bridge(options) if options.vlan_filtering);
    let wanted = desired.into_iter().flat_map(|desired| desired.interfaces.values());
    if interfaces.by_name.values().chain(wanted).any(filters) {
        add_listed_vlans(vlans::listed(vlans::list(netns)?.items())?, interfaces);
    }
    Ok(())
}

/// Adds the VLANs of a listing.
pub(super) fn add_listed_vlans(listed: HashMap<u32, Vlans>, interfaces: &mut Interfaces) {
    for (index, vlans) in listed {
        let interface = interfaces.names.get(&index).and_then(|name| interfaces.by_name.get_mut(name));
        let is_bridge = |kind: &InterfaceKind| matches!(kind, InterfaceKind::Bridge(_));
        if let Some(interface) = interface.filter(|port| port.master.is_some() || is_bridge(&port.kind)) {
            interface.vlans = Some(vlans);
        }
    }
}
