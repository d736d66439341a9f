//! Virtual interfaces other than veth pairs and bridges: one message makes one, with or without a parent.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;

use netlink_packet_core::{DecodeError, parse_ip, parse_u16, parse_u32};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoIpTunnel, InfoIpVlan, InfoKind, InfoMacVlan, InfoVlan, InfoVrf, IpVlanMode, LinkAttribute, LinkInfo,
    MacVlanMode,
};
use nix::errno::Errno;

use super::interface::{RawInterface, option};
use super::{interface, mark, vxlan};
use crate::kernel::KernelError;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::{NetnsHandle, NetnsHandles};
use crate::lab::{
    IfName, InterfaceKind, InterfaceRef, IpvlanMode, LabName, Mac, MacvlanMode, VirtualInterface, VirtualKind,
};

/// Options of each kind (linux/if_link.h, linux/if_tunnel.h).
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_IPTUN_LOCAL: u16 = 2;
const IFLA_IPTUN_REMOTE: u16 = 3;
const IFLA_VRF_TABLE: u16 = 1;

/// Makes a virtual interface; it is down. The message is sent in its parent's namespace, where the kernel looks the parent up.
/// `tried` is what an error says was tried.
pub(in crate::kernel) fn add(
    handles: &mut NetnsHandles,
    new: &InterfaceRef,
    device: &VirtualInterface,
    settings: (Option<Mac>, Option<u32>),
    lab: &LabName,
    tried: &str,
) -> Result<(), KernelError> {
    let about = |error: NetlinkError| error.about(tried);
    let mark = handles.mark(lab);
    let mut message = interface::new_message(new, settings.0, settings.1, lab);
    let from = device.parent(&new.ns).map_or_else(|| new.ns.clone(), |parent| parent.ns);
    if from != new.ns {
        message.attributes.push(LinkAttribute::NetNsFd(handles.get(&new.ns)?.fd().as_raw_fd()));
    }
    let netns = handles.get(&from)?;
    if let Some(parent) = device.lower() {
        message.attributes.push(LinkAttribute::Link(netns.index(&parent.name).map_err(about)?));
    }
    message.attributes.push(encode(netns, device).map_err(about)?);
    interface::create(netns, message).map_err(about)?;
    let netns = handles.get(&new.ns)?;
    netns.forget(&new.name);
    mark::set_on_new(netns, new, &mark).map_err(about)
}

/// Changes the options that differ: some of the others the kernel refuses even where they stay the same.
pub(in crate::kernel) fn set(
    netns: &mut NetnsHandle,
    name: &InterfaceRef,
    from: &VirtualInterface,
    to: &VirtualInterface,
) -> Result<(), NetlinkError> {
    use VirtualInterface::{Dummy, Ipip, Ipvlan, Macvlan, Vlan, Vrf, Vxlan};
    let data = match (from, to) {
        (Vxlan(from), Vxlan(to)) => InfoData::Vxlan(vxlan::encode_changes(from, to)),
        (_, Macvlan { mode, .. }) => InfoData::MacVlan(vec![encode_macvlan_mode(*mode)]),
        // These are made anew (`VirtualInterface::can_become`).
        (_, Vxlan(_) | Ipvlan { .. } | Vlan { .. } | Ipip { .. } | Dummy | Vrf { .. }) => {
            return Err(Errno::EOPNOTSUPP.into());
        }
    };
    let mut message = interface::existing_message(netns, &name.name)?;
    let kind = LinkInfo::Kind(InfoKind::from(to.kind().name()));
    message.attributes.push(LinkAttribute::LinkInfo(vec![kind, LinkInfo::Data(data)]));
    netns.socket.change(RouteNetlinkMessage::NewLink(message), 0)
}

/// The kind with its options.
fn encode(netns: &mut NetnsHandle, device: &VirtualInterface) -> Result<LinkAttribute, NetlinkError> {
    let (kind, data) = match device {
        VirtualInterface::Vxlan(vxlan) => {
            let dev = vxlan.dev.as_ref().map(|dev| netns.index(dev)).transpose()?;
            (InfoKind::Vxlan, Some(InfoData::Vxlan(vxlan::encode(vxlan, dev))))
        }
        VirtualInterface::Macvlan { mode, .. } => {
            (InfoKind::MacVlan, Some(InfoData::MacVlan(vec![encode_macvlan_mode(*mode)])))
        }
        VirtualInterface::Ipvlan { mode, .. } => {
            (InfoKind::IpVlan, Some(InfoData::IpVlan(vec![encode_ipvlan_mode(*mode)])))
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
    let data = data.map(LinkInfo::Data);
    Ok(LinkAttribute::LinkInfo([LinkInfo::Kind(kind)].into_iter().chain(data).collect()))
}

/// The virtual interface, if it is of a kind that a lab can have; its parent is not known yet.
pub(in crate::kernel) fn decode(
    raw: &RawInterface<'_>,
    name_of: impl Fn(u32) -> Option<IfName>,
) -> Result<Option<InterfaceKind>, DecodeError> {
    let Some(kind) = VirtualKind::ALL.into_iter().find(|kind| raw.kind == Some(kind.name())) else { return Ok(None) };
    let (parent, data) = (None, raw.data);
    let device = match kind {
        // A tunnel whose packets are in another namespace than the tunnel, which no lab has.
        VirtualKind::Vxlan | VirtualKind::Ipip if raw.link_netns.is_some() => {
            return Ok(Some(InterfaceKind::Other(format!("{} of another namespace", kind.name()))));
        }
        VirtualKind::Vxlan => VirtualInterface::Vxlan(vxlan::decode(data, name_of)?),
        VirtualKind::Macvlan => {
            let mode = option(data, IFLA_MACVLAN_MODE)?.map(parse_u32).transpose()?;
            VirtualInterface::Macvlan { parent, mode: decode_macvlan_mode(mode) }
        }
        VirtualKind::Ipvlan => {
            let mode = option(data, IFLA_IPVLAN_MODE)?.map(parse_u16).transpose()?;
            VirtualInterface::Ipvlan { parent, mode: decode_ipvlan_mode(mode) }
        }
        VirtualKind::Vlan => {
            VirtualInterface::Vlan { parent, id: option(data, IFLA_VLAN_ID)?.map_or(Ok(0), parse_u16)? }
        }
        VirtualKind::Ipip => VirtualInterface::Ipip {
            local: tunnel_address(data, IFLA_IPTUN_LOCAL)?,
            remote: tunnel_address(data, IFLA_IPTUN_REMOTE)?,
        },
        VirtualKind::Dummy => VirtualInterface::Dummy,
        VirtualKind::Vrf => VirtualInterface::Vrf { table: option(data, IFLA_VRF_TABLE)?.map_or(Ok(0), parse_u32)? },
    };
    Ok(Some(InterfaceKind::Virtual(device)))
}

/// An address of a tunnel; of zeros, it is none.
fn tunnel_address(data: &[u8], wanted: u16) -> Result<Option<Ipv4Addr>, DecodeError> {
    match option(data, wanted)?.map(parse_ip).transpose()? {
        Some(IpAddr::V4(address)) if !address.is_unspecified() => Ok(Some(address)),
        _ => Ok(None),
    }
}

fn encode_macvlan_mode(mode: MacvlanMode) -> InfoMacVlan {
    InfoMacVlan::Mode(match mode {
        MacvlanMode::Bridge | MacvlanMode::Other => MacVlanMode::Bridge,
        MacvlanMode::Private => MacVlanMode::Private,
        MacvlanMode::Vepa => MacVlanMode::Vepa,
        MacvlanMode::Passthru => MacVlanMode::Passthrough,
    })
}

/// The numbers are MACVLAN_MODE_… of linux/if_link.h.
fn decode_macvlan_mode(mode: Option<u32>) -> MacvlanMode {
    match mode {
        Some(1) => MacvlanMode::Private,
        Some(2) => MacvlanMode::Vepa,
        Some(4) => MacvlanMode::Bridge,
        Some(8) => MacvlanMode::Passthru,
        _ => MacvlanMode::Other,
    }
}

fn encode_ipvlan_mode(mode: IpvlanMode) -> InfoIpVlan {
    InfoIpVlan::Mode(match mode {
        IpvlanMode::L2 | IpvlanMode::Other => IpVlanMode::L2,
        IpvlanMode::L3 => IpVlanMode::L3,
        IpvlanMode::L3s => IpVlanMode::L3S,
    })
}

/// The numbers are IPVLAN_MODE_… of linux/if_link.h.
fn decode_ipvlan_mode(mode: Option<u16>) -> IpvlanMode {
    match mode {
        Some(0) => IpvlanMode::L2,
        Some(1) => IpvlanMode::L3,
        Some(2) => IpvlanMode::L3s,
        _ => IpvlanMode::Other,
    }
}
