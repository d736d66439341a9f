//! Interfaces of any kind: what the kernel says about each, and what can be set on all of them. What is special about a
//! kind is in that kind's own file.

use std::collections::BTreeSet;

use libc::{
    ARPHRD_ETHER, IFLA_ADDRESS, IFLA_AF_SPEC, IFLA_GROUP, IFLA_IFALIAS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU,
    IFLA_OPERSTATE,
};
use netlink_packet_core::{DecodeError, Emitable, NLM_F_CREATE, NLM_F_EXCL, parse_i32, parse_mac, parse_u8, parse_u32};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkHeader, LinkLayerType, LinkMessage};

use super::accept_gone;
use crate::kernel::netlink::{Dump, NetlinkError, Socket, attributes, name_text};
use crate::kernel::netns::NetnsHandle;
use crate::lab::{IfName, InterfaceFlags, InterfaceRef, LabName, Mac};
use crate::steps::InterfaceStep;

/// The settings of a family in IFLA_AF_SPEC (linux/if_link.h), and the place of one of them (linux/ipv6.h).
const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_CONF: u16 = 2;
const DEVCONF_DISABLE_IPV6: usize = 26;

/// States of linux/if.h.
const IF_OPER_UNKNOWN: u8 = 0;
const IF_OPER_UP: u8 = 6;

/// One interface as the kernel describes it: names and indexes not looked up yet.
pub(in crate::kernel) struct RawInterface<'a> {
    pub header: LinkHeader,
    /// All attributes.
    pub attributes: &'a [u8],
    /// Whether IPv4 packets that come in through it are forwarded; none where it has no IPv4.
    pub ipv4_forwarding: Option<bool>,
    /// Whether IPv6 is switched off on it.
    pub ipv6_off: bool,
    pub name: Option<&'a str>,
    /// The same as it is: it need not be UTF-8.
    pub name_bytes: &'a [u8],
    pub alias: Option<&'a str>,
    /// The MAC address, where it is an Ethernet interface.
    pub mac: Option<Mac>,
    pub mtu: Option<u32>,
    /// The interface group; 0 unless it was put into one.
    pub group: u32,
    /// Whether the kernel has made of its carrier what it should (RFC 2863): it is up, or of a kind that cannot say.
    pub is_operational: bool,
    /// The index of the bridge or VRF that it is a port of.
    pub master: Option<u32>,
    /// The index of a veth's peer, or of the parent of a virtual interface, in its own namespace.
    pub link: Option<u32>,
    /// This namespace's number for the namespace that `link` is in; none: this one. Of a tunnel, the namespace of its
    /// packets.
    pub link_netns: Option<i32>,
    /// The kernel's word for its kind; none for hardware, and for the loopback.
    pub kind: Option<&'a str>,
    /// The options of its kind (IFLA_INFO_DATA).
    pub data: &'a [u8],
    /// The kernel's word for the kind of what it is a port of.
    pub port_kind: Option<&'a str>,
    /// The options of its kind of port (IFLA_INFO_SLAVE_DATA).
    pub port_data: &'a [u8],
}

impl RawInterface<'_> {
    /// Whether it is the namespace's loopback.
    pub fn is_loopback(&self) -> bool {
        self.header.flags.contains(LinkFlags::Loopback)
    }

    /// Whether it is administratively up.
    pub fn is_up(&self) -> bool {
        self.header.flags.contains(LinkFlags::Up)
    }

    /// The flags that a person can set.
    pub fn flags(&self) -> InterfaceFlags {
        let has = |flag| self.header.flags.contains(flag);
        InterfaceFlags {
            arp: !has(LinkFlags::Noarp),
            multicast: has(LinkFlags::Multicast),
            promisc: has(LinkFlags::Promisc),
            allmulticast: has(LinkFlags::Allmulti),
        }
    }
}

/// Lists the interfaces of a namespace.
pub(in crate::kernel) fn list(netns: &mut NetnsHandle) -> Result<Dump, NetlinkError> {
    dump(&mut netns.socket)
}

/// The same, of the namespace that a socket is of.
pub(in crate::kernel) fn dump(socket: &mut Socket) -> Result<Dump, NetlinkError> {
    let mut request = LinkMessage::default();
    request.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    socket.dump(&RouteNetlinkMessage::GetLink(request))
}

/// What a message says about an interface.
pub(in crate::kernel) fn decode(item: &[u8]) -> Result<RawInterface<'_>, DecodeError> {
    let header = LinkHeader::parse(item)?;
    let after_header = item.get(header.buffer_len()..).unwrap_or_default();
    let is_ethernet = header.link_layer_type == LinkLayerType::from(ARPHRD_ETHER);
    let mut raw = RawInterface {
        header,
        attributes: after_header,
        ipv4_forwarding: None,
        ipv6_off: false,
        name: None,
        name_bytes: &[],
        alias: None,
        mac: None,
        mtu: None,
        group: 0,
        is_operational: true,
        master: None,
        link: None,
        link_netns: None,
        kind: None,
        data: &[],
        port_kind: None,
        port_data: &[],
    };
    for attribute in attributes(after_header) {
        match attribute? {
            (IFLA_IFNAME, value) => (raw.name, raw.name_bytes) = (name_text(value), value),
            (IFLA_IFALIAS, value) => raw.alias = name_text(value),
            (IFLA_ADDRESS, value) if is_ethernet => raw.mac = parse_mac(value).ok().map(Mac),
            (IFLA_MTU, value) => raw.mtu = Some(parse_u32(value)?),
            (IFLA_GROUP, value) => raw.group = parse_u32(value)?,
            (IFLA_OPERSTATE, value) => raw.is_operational = [IF_OPER_UNKNOWN, IF_OPER_UP].contains(&parse_u8(value)?),
            (IFLA_AF_SPEC, value) => (raw.ipv4_forwarding, raw.ipv6_off) = decode_switches(value)?,
            (IFLA_MASTER, value) => raw.master = Some(parse_u32(value)?),
            (IFLA_LINK, value) => raw.link = Some(parse_u32(value)?),
            (IFLA_LINK_NETNSID, value) => raw.link_netns = Some(parse_i32(value)?),
            (IFLA_LINKINFO, value) if !raw.is_loopback() => {
                let info = decode_info(value)?;
                (raw.kind, raw.data) = (info.kind, info.data);
                (raw.port_kind, raw.port_data) = (info.port_kind, info.port_data);
            }
            _ => {}
        }
    }
    Ok(raw)
}

/// Whether IPv4 is forwarded, and whether IPv6 is switched off: the settings of each family are one after the other
/// (`ipv4_devconf` from linux/ip.h, whose numbers begin with 1; `ipv6_devconf` from linux/ipv6.h).
fn decode_switches(families: &[u8]) -> Result<(Option<bool>, bool), DecodeError> {
    let is_on = |settings: Option<&[u8]>, at: usize| {
        let setting = settings?.get(4 * at..4 * (at + 1))?;
        Some(setting != [0; 4])
    };
    let of = |family: i32, settings: u16| {
        let family = u16::try_from(family).ok().map(|family| option(families, family)).transpose()?.flatten();
        family.map_or(Ok(None), |family| option(family, settings))
    };
    let forwarding = is_on(of(libc::AF_INET, IFLA_INET_CONF)?, 0);
    let off = is_on(of(libc::AF_INET6, IFLA_INET6_CONF)?, DEVCONF_DISABLE_IPV6);
    Ok((forwarding, off == Some(true)))
}

/// What IFLA_LINKINFO says: the kernel's word for the kind and its options, and the same of what it is a port of.
#[derive(Default)]
struct Info<'a> {
    kind: Option<&'a str>,
    data: &'a [u8],
    port_kind: Option<&'a str>,
    port_data: &'a [u8],
}

fn decode_info(bytes: &[u8]) -> Result<Info<'_>, DecodeError> {
    let mut info = Info::default();
    for attribute in attributes(bytes) {
        match attribute? {
            (IFLA_INFO_KIND, value) => info.kind = name_text(value),
            (IFLA_INFO_DATA, value) => info.data = value,
            (IFLA_INFO_SLAVE_KIND, value) => info.port_kind = name_text(value),
            (IFLA_INFO_SLAVE_DATA, value) => info.port_data = value,
            _ => {}
        }
    }
    Ok(info)
}

/// The value of one option among those of a kind.
pub(in crate::kernel) fn option(data: &[u8], wanted: u16) -> Result<Option<&[u8]>, DecodeError> {
    for attribute in attributes(data) {
        if let (kind, value) = attribute?
            && kind == wanted
        {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// A message that makes an interface. In `host` it is in the lab's group, which marks it from its first moment.
pub(super) fn new_message(name: &InterfaceRef, mac: Option<Mac>, mtu: Option<u32>, lab: &LabName) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.name.to_string()));
    message.attributes.extend(mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())));
    message.attributes.extend(mtu.map(LinkAttribute::Mtu));
    message.attributes.extend(name.ns.is_host().then(|| LinkAttribute::Group(lab.group())));
    message
}

/// Makes an interface where there is none of that name.
pub(super) fn create(netns: &mut NetnsHandle, message: LinkMessage) -> Result<(), NetlinkError> {
    netns.socket.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// A message about an interface that is there.
pub(super) fn existing_message(netns: &mut NetnsHandle, name: &IfName) -> Result<LinkMessage, NetlinkError> {
    let mut message = LinkMessage::default();
    message.header.index = netns.index(name)?;
    Ok(message)
}

/// Runs a step.
pub(in crate::kernel) fn run(netns: &mut NetnsHandle, step: &InterfaceStep) -> Result<(), NetlinkError> {
    match step {
        InterfaceStep::Remove { interface, .. } => accept_gone(delete(netns, &interface.name)),
        InterfaceStep::RemoveFromHost { lab, interfaces } => accept_gone(delete_group(netns, lab.group(), interfaces)),
        InterfaceStep::DownInHost { lab, interfaces } => accept_gone(bring_group_down(netns, lab.group(), interfaces)),
        InterfaceStep::Up { interface, up, .. } => set_up(netns, &interface.name, *up),
        InterfaceStep::Mtu { interface, change, .. } => set(netns, &interface.name, LinkAttribute::Mtu(change.to)),
        InterfaceStep::Mac { interface, change, .. } => {
            set(netns, &interface.name, LinkAttribute::Address(change.to.0.to_vec()))
        }
        InterfaceStep::Flags { interface, change, .. } => set_flags(netns, &interface.name, change.from, change.to),
    }
}

/// Removes an interface.
pub(in crate::kernel) fn delete(netns: &mut NetnsHandle, name: &IfName) -> Result<(), NetlinkError> {
    let message = existing_message(netns, name)?;
    netns.forget(name);
    netns.socket.change(RouteNetlinkMessage::DelLink(message), 0)
}

/// Removes a lab's interfaces.
fn delete_group(netns: &mut NetnsHandle, group: u32, names: &[IfName]) -> Result<(), NetlinkError> {
    let whole = |netns: &mut NetnsHandle, message| {
        names.iter().for_each(|name| netns.forget(name));
        netns.socket.change(RouteNetlinkMessage::DelLink(message), 0)
    };
    change_group(netns, group, names, whole, delete)
}

/// Brings a lab's interfaces down. A group goes down as in ip(8), by a message for a new link that makes none.
fn bring_group_down(netns: &mut NetnsHandle, group: u32, names: &[IfName]) -> Result<(), NetlinkError> {
    let whole = |netns: &mut NetnsHandle, mut message: LinkMessage| {
        message.header.change_mask = LinkFlags::Up;
        netns.socket.change(RouteNetlinkMessage::NewLink(message), 0)
    };
    change_group(netns, group, names, whole, |netns, name| set_up(netns, name, false))
}

/// Changes a lab's interfaces: with one message those in its group, if the group holds nothing else; or else one by
/// one.
fn change_group(
    netns: &mut NetnsHandle,
    group: u32,
    names: &[IfName],
    whole: impl FnOnce(&mut NetnsHandle, LinkMessage) -> Result<(), NetlinkError>,
    one: impl Fn(&mut NetnsHandle, &IfName) -> Result<(), NetlinkError>,
) -> Result<(), NetlinkError> {
    let is_meant = |name: &String| names.iter().any(|meant| meant.as_str() == name);
    let (in_group, others) = members(netns, group)?;
    if !in_group.iter().all(is_meant) {
        // A peer may have taken it along.
        return names.iter().try_for_each(|name| accept_gone(one(netns, name)));
    }
    if !in_group.is_empty() {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(group));
        whole(netns, message)?;
    }
    // An interface may have been taken out of the group by hand. One that is not there any more has gone with its
    // peer's namespace.
    let mut outside = names.iter().filter(|name| others.contains(name.as_str()));
    outside.try_for_each(|name| accept_gone(one(netns, name)))
}

/// The names of all interfaces in a group, and of all others; also of those that a lab cannot say.
fn members(netns: &mut NetnsHandle, group: u32) -> Result<(BTreeSet<String>, BTreeSet<String>), NetlinkError> {
    let dump = list(netns)?;
    let (mut members, mut others) = (BTreeSet::new(), BTreeSet::new());
    for item in dump.items() {
        let raw = decode(item)?;
        let names = if raw.group == group { &mut members } else { &mut others };
        names.insert(raw.name.unwrap_or_default().to_owned());
    }
    Ok((members, others))
}

/// Brings an interface up or down.
fn set_up(netns: &mut NetnsHandle, name: &IfName, up: bool) -> Result<(), NetlinkError> {
    let mut message = existing_message(netns, name)?;
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    message.header.change_mask = LinkFlags::Up;
    netns.socket.change(RouteNetlinkMessage::SetLink(message), 0)
}

/// Changes those flags of an interface that are not as they should be.
fn set_flags(
    netns: &mut NetnsHandle,
    name: &IfName,
    from: InterfaceFlags,
    to: InterfaceFlags,
) -> Result<(), NetlinkError> {
    let mut message = existing_message(netns, name)?;
    message.header.flags = encode_flags(to);
    message.header.change_mask = encode_flags(from) ^ encode_flags(to);
    netns.socket.change(RouteNetlinkMessage::SetLink(message), 0)
}

fn encode_flags(InterfaceFlags { arp, multicast, promisc, allmulticast }: InterfaceFlags) -> LinkFlags {
    let all = [
        (LinkFlags::Noarp, !arp),
        (LinkFlags::Multicast, multicast),
        (LinkFlags::Promisc, promisc),
        (LinkFlags::Allmulti, allmulticast),
    ];
    all.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).collect()
}

/// Gives an interface that is down another name.
pub(super) fn rename(netns: &mut NetnsHandle, from: &IfName, to: &IfName) -> Result<(), NetlinkError> {
    set(netns, from, LinkAttribute::IfName(to.to_string()))
}

pub(super) fn set(netns: &mut NetnsHandle, name: &IfName, attribute: LinkAttribute) -> Result<(), NetlinkError> {
    let mut message = existing_message(netns, name)?;
    message.attributes.push(attribute);
    netns.socket.change(RouteNetlinkMessage::SetLink(message), 0)
}
