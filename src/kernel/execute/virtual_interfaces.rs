//! Devices, and the forwarding entries of VXLAN ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE};
use netlink_packet_route::link::{
    InfoData, InfoIpTunnel, InfoIpVlan, InfoKind, InfoMacVlan, InfoVlan, InfoVrf, InfoVxlan, IpVlanMode, LinkAttribute,
    LinkInfo, MacVlanMode,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use nix::errno::Errno;

use super::gone;
use super::links::{create, existing, new_link, set_new_mark};
use crate::kernel::KernelError;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::{NetnsHandle, NetnsHandles};
use crate::kernel::observe;
use crate::lab::{FdbEntry, InterfaceRef, IpvlanMode, LabName, Mac, MacvlanMode, VirtualInterface, Vxlan};
use crate::plan::Step;

/// Makes a device; it is down. The message is sent in the namespace of what it is upon, where the kernel looks that up.
pub(super) fn add(
    handles: &mut NetnsHandles,
    end: &InterfaceRef,
    device: &VirtualInterface,
    settings: (Option<Mac>, Option<u32>),
    lab: &LabName,
    step: &Step,
) -> Result<(), KernelError> {
    let about = |error: NetlinkError| error.about(step.text());
    let mark = handles.mark(lab);
    let mut message = new_link(end, settings.0, settings.1, lab);
    let from = device.parent(&end.ns).map_or_else(|| end.ns.clone(), |parent| parent.ns);
    if from != end.ns {
        message.attributes.push(LinkAttribute::NetNsFd(handles.get(&end.ns)?.fd().as_raw_fd()));
    }
    let netns = handles.get(&from)?;
    describe(netns, device, &mut message.attributes).map_err(about)?;
    create(netns, message).map_err(about)?;
    let netns = handles.get(&end.ns)?;
    netns.forget(&end.name);
    set_new_mark(netns, end, &mark).map_err(about)
}

/// Tells a device what is to change: some of the rest the kernel refuses even where it stays the same.
pub(super) fn set(
    netns: &mut NetnsHandle,
    end: &InterfaceRef,
    from: &VirtualInterface,
    to: &VirtualInterface,
) -> Result<(), NetlinkError> {
    let data = match (from, to) {
        (VirtualInterface::Vxlan(from), VirtualInterface::Vxlan(to)) => {
            let local = to.local.filter(|_| to.local != from.local).map(vxlan_local);
            let learning = (to.learning != from.learning).then_some(InfoVxlan::Learning(to.learning));
            InfoData::Vxlan(local.into_iter().chain(learning).collect())
        }
        (_, VirtualInterface::Macvlan { mode, .. }) => InfoData::MacVlan(macvlan_options(*mode)),
        // The others are made anew (`VirtualInterface::can_become`).
        _ => return Err(Errno::EOPNOTSUPP.into()),
    };
    let mut message = existing(netns, &end.name)?;
    let kind = LinkInfo::Kind(InfoKind::from(to.kind().name()));
    message.attributes.push(LinkAttribute::LinkInfo(vec![kind, LinkInfo::Data(data)]));
    netns.socket.change(RouteNetlinkMessage::NewLink(message), 0)
}

/// What says which kind of device it is, and upon what.
fn describe(
    netns: &mut NetnsHandle,
    device: &VirtualInterface,
    attributes: &mut Vec<LinkAttribute>,
) -> Result<(), NetlinkError> {
    let (kind, data) = match device {
        VirtualInterface::Vxlan(vxlan) => (InfoKind::Vxlan, Some(InfoData::Vxlan(vxlan_options(netns, vxlan)?))),
        VirtualInterface::Macvlan { mode, .. } => (InfoKind::MacVlan, Some(InfoData::MacVlan(macvlan_options(*mode)))),
        VirtualInterface::Ipvlan { mode, .. } => {
            let mode = match mode {
                IpvlanMode::L2 | IpvlanMode::Other => IpVlanMode::L2,
                IpvlanMode::L3 => IpVlanMode::L3,
                IpvlanMode::L3s => IpVlanMode::L3S,
            };
            (InfoKind::IpVlan, Some(InfoData::IpVlan(vec![InfoIpVlan::Mode(mode)])))
        }
        VirtualInterface::Vlan { id, .. } => (InfoKind::Vlan, Some(InfoData::Vlan(vec![InfoVlan::Id(*id)]))),
        VirtualInterface::Ipip { local, remote } => {
            let local = local.map(|local| InfoIpTunnel::Local(local.into()));
            let remote = remote.map(|remote| InfoIpTunnel::Remote(remote.into()));
            (InfoKind::IpIp, Some(InfoData::IpTunnel(local.into_iter().chain(remote).collect())))
        }
        VirtualInterface::Dummy => (InfoKind::Dummy, None),
        VirtualInterface::Vrf { table } => (InfoKind::Vrf, Some(InfoData::Vrf(vec![InfoVrf::TableId(*table)]))),
    };
    if let Some(parent) = device.lower() {
        attributes.push(LinkAttribute::Link(netns.index(&parent.name)?));
    }
    let data = data.map(LinkInfo::Data);
    attributes.push(LinkAttribute::LinkInfo([LinkInfo::Kind(kind)].into_iter().chain(data).collect()));
    Ok(())
}

fn macvlan_options(mode: MacvlanMode) -> Vec<InfoMacVlan> {
    vec![InfoMacVlan::Mode(match mode {
        MacvlanMode::Bridge | MacvlanMode::Other => MacVlanMode::Bridge,
        MacvlanMode::Private => MacVlanMode::Private,
        MacvlanMode::Vepa => MacVlanMode::Vepa,
        MacvlanMode::Passthru => MacVlanMode::Passthrough,
    })]
}

fn vxlan_options(netns: &mut NetnsHandle, vxlan: &Vxlan) -> Result<Vec<InfoVxlan>, NetlinkError> {
    let mut options = vec![InfoVxlan::Id(vxlan.id), InfoVxlan::Port(vxlan.port), InfoVxlan::Learning(vxlan.learning)];
    options.extend(vxlan.local.map(vxlan_local));
    options.extend(vxlan.remote.map(|remote| match remote {
        IpAddr::V4(remote) => InfoVxlan::Group(remote),
        IpAddr::V6(remote) => InfoVxlan::Group6(remote),
    }));
    if let Some(dev) = &vxlan.dev {
        options.push(InfoVxlan::Link(netns.index(dev)?));
    }
    Ok(options)
}

fn vxlan_local(local: IpAddr) -> InfoVxlan {
    match local {
        IpAddr::V4(local) => InfoVxlan::Local(local),
        IpAddr::V6(local) => InfoVxlan::Local6(local),
    }
}

/// Adds a forwarding entry beside those that there are for the same hardware address.
pub(super) fn add_fdb(netns: &mut NetnsHandle, entry: &FdbEntry) -> Result<(), NetlinkError> {
    let mut message = fdb_message(netns, entry)?;
    // As `bridge fdb append … permanent` says it.
    message.header.state = NeighbourState::Other(libc::NUD_PERMANENT | libc::NUD_NOARP);
    netns.socket.change(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_APPEND)
}

/// Removes a forwarding entry.
pub(super) fn delete_fdb(netns: &mut NetnsHandle, entry: &FdbEntry) -> Result<(), NetlinkError> {
    if entry.is_plain() {
        let message = fdb_message(netns, entry)?;
        return netns.socket.change(RouteNetlinkMessage::DelNeighbour(message), 0);
    }
    // It says what the lab has no words for, so it is removed in the kernel's own.
    let index = netns.index(&entry.dev)?;
    // Names are only needed where the entry names an interface: listing them all costs more than the removal.
    let names = match entry.further.contains(" via ") {
        true => observe::links::list(netns)?.names,
        false => HashMap::new(),
    };
    let dump = observe::fdb::dump(netns, index)?;
    for item in dump.items() {
        if observe::fdb::read(item, &entry.dev, &names)?.as_ref() == Some(entry) {
            gone(netns.socket.remove_listed(libc::RTM_DELNEIGH, item))?;
        }
    }
    Ok(())
}

fn fdb_message(netns: &mut NetnsHandle, entry: &FdbEntry) -> Result<NeighbourMessage, NetlinkError> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = netns.index(&entry.dev)?;
    message.header.flags = NeighbourFlags::Own;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(entry.mac.0.to_vec()));
    message.attributes.extend(entry.to.map(|to| NeighbourAttribute::Destination(NeighbourAddress::from(to))));
    Ok(message)
}
