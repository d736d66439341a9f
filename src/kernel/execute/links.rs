//! Interfaces: made in place, changed, removed.

use std::collections::BTreeSet;
use std::os::fd::AsRawFd;

use netlink_packet_core::{Emitable, NLM_F_CREATE, NLM_F_EXCL, parse_u32};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkHeader, LinkInfo,
    LinkMessage,
};

use super::gone;
use crate::kernel::KernelError;
use crate::kernel::netlink::{NetlinkError, attributes, name_text};
use crate::kernel::netns::{NetnsHandle, NetnsHandles};
use crate::lab::{BridgeOptions, IfName, InterfaceRef, LabName, Mac, Mark};
use crate::plan::{Step, VethEnd};

/// Makes a veth pair with one message that puts both ends in their places: moving an end afterwards costs thirty times
/// as much.
///
/// The message is sent in the peer's namespace, where the peer then is by default; the main end is sent
/// from there to its own. It is the one that can be up, and a bridge's port, from the start.
pub(super) fn add_veth(
    handles: &mut NetnsHandles,
    main: &VethEnd,
    peer: &VethEnd,
    lab: &LabName,
    step: &Step,
) -> Result<(), KernelError> {
    let about = |error: NetlinkError| error.about(step.text());
    let mut message = new_veth(main, lab);
    let netns = handles.get(&main.end.ns)?;
    if let Some(master) = &main.master {
        // An interface's index counts in the namespace that the interface is put into.
        message.attributes.push(LinkAttribute::Controller(netns.index(master).map_err(about)?));
    }
    if main.up {
        message.header.flags |= LinkFlags::Up;
        message.header.change_mask |= LinkFlags::Up;
    }
    if main.end.ns != peer.end.ns {
        message.attributes.push(LinkAttribute::NetNsFd(netns.fd().as_raw_fd()));
    }
    let mark = handles.mark(lab);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(new_veth(peer, lab)))),
    ]));
    create(handles.get(&peer.end.ns)?, message).map_err(about)?;
    for end in [&main.end, &peer.end] {
        let netns = handles.get(&end.ns)?;
        netns.forget(&end.name);
        set_new_mark(netns, end, &mark).map_err(about)?;
    }
    Ok(())
}

/// Makes a bridge; it is down.
pub(super) fn add_bridge(
    netns: &mut NetnsHandle,
    end: &InterfaceRef,
    options: BridgeOptions,
    mac: Option<Mac>,
    mtu: Option<u32>,
    mark: &Mark,
) -> Result<(), NetlinkError> {
    let mut message = new_link(end, mac, mtu, &mark.lab);
    message.attributes.push(bridge_info(options, BridgeOptions::default()));
    create(netns, message)?;
    netns.forget(&end.name);
    set_new_mark(netns, end, mark)
}

/// Removes an interface.
pub(super) fn delete(netns: &mut NetnsHandle, name: &IfName) -> Result<(), NetlinkError> {
    let message = existing(netns, name)?;
    netns.forget(name);
    netns.socket.change(RouteNetlinkMessage::DelLink(message), 0)
}

/// Removes a lab's interfaces: with one message those in its group, if the group holds nothing else; or else one by one.
pub(super) fn delete_group(netns: &mut NetnsHandle, group: u32, names: &[IfName]) -> Result<(), NetlinkError> {
    let is_ours = |name: &String| names.iter().any(|ours| ours.as_str() == name);
    let (in_group, others) = members(netns, group)?;
    if !in_group.iter().all(is_ours) {
        // A peer may have taken it along.
        return names.iter().try_for_each(|name| gone(delete(netns, name)));
    }
    names.iter().for_each(|name| netns.forget(name));
    if !in_group.is_empty() {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(group));
        netns.socket.change(RouteNetlinkMessage::DelLink(message), 0)?;
    }
    // Somebody may have taken an interface out of the group. Where there is none any more, the kernel has taken it along with
    // its peer's namespace.
    let mut outside = names.iter().filter(|name| others.contains(name.as_str()));
    outside.try_for_each(|name| gone(delete(netns, name)))
}

/// The names of all interfaces in a group, and of all others; also of those that a lab cannot say.
fn members(netns: &mut NetnsHandle, group: u32) -> Result<(BTreeSet<String>, BTreeSet<String>), NetlinkError> {
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let (mut members, mut others) = (BTreeSet::new(), BTreeSet::new());
    for item in dump.items() {
        let (mut name, mut is_member) = (String::new(), false);
        for attribute in attributes(item.get(LinkHeader::default().buffer_len()..).unwrap_or_default()) {
            match attribute? {
                (libc::IFLA_IFNAME, value) => name = name_text(value).unwrap_or_default().to_owned(),
                (libc::IFLA_GROUP, value) => is_member = parse_u32(value)? == group,
                _ => {}
            }
        }
        if is_member {
            members.insert(name)
        } else {
            others.insert(name)
        };
    }
    Ok((members, others))
}

/// Brings an interface up or down.
pub(super) fn set_up(netns: &mut NetnsHandle, name: &IfName, up: bool) -> Result<(), NetlinkError> {
    let mut message = existing(netns, name)?;
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    message.header.change_mask = LinkFlags::Up;
    netns.socket.change(RouteNetlinkMessage::SetLink(message), 0)
}

/// Changes an interface's MTU.
pub(super) fn set_mtu(netns: &mut NetnsHandle, name: &IfName, mtu: u32) -> Result<(), NetlinkError> {
    set(netns, name, LinkAttribute::Mtu(mtu))
}

/// Changes an interface's hardware address.
pub(super) fn set_mac(netns: &mut NetnsHandle, name: &IfName, mac: Mac) -> Result<(), NetlinkError> {
    set(netns, name, LinkAttribute::Address(mac.0.to_vec()))
}

/// Makes an interface a port of a bridge or a VRF, or nobody's.
pub(super) fn set_master(netns: &mut NetnsHandle, name: &IfName, master: Option<&IfName>) -> Result<(), NetlinkError> {
    let index = master.map_or(Ok(0), |master| netns.index(master))?;
    set(netns, name, LinkAttribute::Controller(index))
}

/// Changes those options of a bridge that are not as they should be.
pub(super) fn set_bridge(
    netns: &mut NetnsHandle,
    name: &IfName,
    from: BridgeOptions,
    to: BridgeOptions,
) -> Result<(), NetlinkError> {
    let mut message = existing(netns, name)?;
    message.attributes.push(bridge_info(to, from));
    // RTM_SETLINK leaves the options of a kind alone.
    netns.socket.change(RouteNetlinkMessage::NewLink(message), 0)
}

/// One end of a pair to be made, with one queue for each direction (see [`Step::AddVeth`]).
fn new_veth(end: &VethEnd, lab: &LabName) -> LinkMessage {
    let mut message = new_link(&end.end, end.mac, end.mtu, lab);
    message.attributes.extend([LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)]);
    message
}

/// An interface to be made. In `host` it is in the lab's group, which marks it from its first moment.
pub(super) fn new_link(end: &InterfaceRef, mac: Option<Mac>, mtu: Option<u32>, lab: &LabName) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(end.name.to_string()));
    message.attributes.extend(mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())));
    message.attributes.extend(mtu.map(LinkAttribute::Mtu));
    message.attributes.extend(end.ns.is_host().then(|| LinkAttribute::Group(lab.group())));
    message
}

pub(super) fn create(netns: &mut NetnsHandle, message: LinkMessage) -> Result<(), NetlinkError> {
    netns.socket.change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Sets the alias of an interface, and in `host` its group: the marks of a lab.
pub(in crate::kernel) fn mark(
    netns: &mut NetnsHandle,
    end: &InterfaceRef,
    alias: &str,
    group: u32,
) -> Result<(), NetlinkError> {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(end.name.to_string()));
    message.attributes.push(LinkAttribute::IfAlias(alias.to_owned()));
    message.attributes.extend(end.ns.is_host().then_some(LinkAttribute::Group(group)));
    netns.socket.change(RouteNetlinkMessage::SetLink(message), 0)
}

/// Sets the alias of a new interface in `host`, which cannot be given at creation. Where that fails, the interface
/// goes again.
pub(super) fn set_new_mark(netns: &mut NetnsHandle, end: &InterfaceRef, mark: &Mark) -> Result<(), NetlinkError> {
    if !end.ns.is_host() {
        return Ok(());
    }
    self::mark(netns, end, &mark.to_string(), mark.lab.group()).inspect_err(|_| {
        // The error that is told is the first one.
        let _ = delete(netns, &end.name);
    })
}

fn bridge_info(to: BridgeOptions, from: BridgeOptions) -> LinkAttribute {
    let mut options = Vec::new();
    if to.stp != from.stp {
        options.push(InfoBridge::StpState(match to.stp {
            true => BridgeStpState::KernelStp,
            false => BridgeStpState::Disabled,
        }));
    }
    if to.vlan_filtering != from.vlan_filtering {
        options.push(InfoBridge::VlanFiltering(to.vlan_filtering));
    }
    LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(options))])
}

pub(super) fn existing(netns: &mut NetnsHandle, name: &IfName) -> Result<LinkMessage, NetlinkError> {
    let mut message = LinkMessage::default();
    message.header.index = netns.index(name)?;
    Ok(message)
}

fn set(netns: &mut NetnsHandle, name: &IfName, attribute: LinkAttribute) -> Result<(), NetlinkError> {
    let mut message = existing(netns, name)?;
    message.attributes.push(attribute);
    netns.socket.change(RouteNetlinkMessage::SetLink(message), 0)
}
