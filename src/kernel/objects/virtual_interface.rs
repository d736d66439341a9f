//! Virtual interfaces other than veth pairs and bridges: one message makes one, with or without a parent.

use std::os::fd::AsRawFd;

use netlink_packet_core::{DecodeError, parse_u16, parse_u32};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoIpTunnel, InfoIpVlan, InfoKind, InfoMacVlan, InfoVlan, InfoVrf, IpVlanMode, LinkAttribute, LinkInfo,
    LinkMessage, MacVlanMode,
};
use nix::errno::Errno;

use super::gre::{self, tunnel_address};
use super::interface::{RawInterface, option};
use super::odd_option::odd_option;
use super::{Decoded, interface, mark, vxlan, wireguard};
use crate::kernel::KernelError;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::{NetnsHandle, NetnsHandles};
use crate::lab::{
    ForeignInterface, IfName, InterfaceRef, IpvlanMode, LabName, Mac, MacvlanMode, NsName, VirtualInterface,
    VirtualKind, Wireguard,
};

/// Options of each kind (linux/if_link.h, linux/if_tunnel.h).
const IFLA_MACVLAN_MODE: u16 = 1;
const IFLA_IPVLAN_MODE: u16 = 1;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VLAN_PROTOCOL: u16 = 5;
const IFLA_IPTUN_LOCAL: u16 = 2;
const IFLA_IPTUN_REMOTE: u16 = 3;
const IFLA_VRF_TABLE: u16 = 1;

/// The protocol of VLANs in a lab, IEEE 802.1Q, in network byte order (linux/if_ether.h).
const ETH_P_8021Q: [u8; 2] = [0x81, 0x00];

/// Makes a virtual interface; it is down. The message is sent in its parent's namespace, where the kernel looks the
/// parent up. `tried` is what an error says was tried.
pub(in crate::kernel) fn add(
    handles: &mut NetnsHandles,
    new: &InterfaceRef,
    virtual_interface: &VirtualInterface,
    settings: (Option<Mac>, Option<u32>),
    lab: &LabName,
    tried: &str,
) -> Result<(), KernelError> {
    let about = |error: NetlinkError| error.about(tried);
    let mark = handles.mark(lab);
    let mut message = interface::new_message(new, settings.0, settings.1, lab);
    let from = virtual_interface.parent(&new.ns).map_or_else(|| new.ns.clone(), |parent| parent.ns);
    if from != new.ns {
        message.attributes.push(LinkAttribute::NetNsFd(handles.get(&new.ns)?.fd().as_raw_fd()));
    }
    let netns = handles.get(&from)?;
    if let Some(parent) = virtual_interface.lower() {
        message.attributes.push(LinkAttribute::Link(netns.index(&parent.name).map_err(about)?));
    }
    let bound_to = bound_to(virtual_interface).map(|dev| netns.index(dev)).transpose().map_err(about)?;
    message.attributes.push(encode(virtual_interface, bound_to));
    match interface::create(netns, message.clone()) {
        Err(error) if error.errno == Errno::EEXIST && from != new.ns => {
            create_by_another_name(handles, new, &from, message, tried)?;
        }
        outcome => outcome.map_err(about)?,
    }
    let netns = handles.get(&new.ns)?;
    netns.forget(&new.name);
    if let VirtualInterface::Wireguard(options) = virtual_interface {
        wireguard::set_options(netns.fd(), &new.name, *options, tried).inspect_err(|_| {
            // The first error is the one to report.
            let _ = interface::delete(netns, &new.name);
        })?;
    }
    mark::set_on_new(netns, new, &mark).map_err(about)
}

/// Makes a virtual interface whose name is one of its parent's namespace too. Kernels before 6.14 look for the name
/// there, and not where the interface is going to be (`__rtnl_newlink`); so it gets a name that neither has, and its
/// own one afterwards.
fn create_by_another_name(
    handles: &mut NetnsHandles,
    new: &InterfaceRef,
    from: &NsName,
    mut message: LinkMessage,
    tried: &str,
) -> Result<(), KernelError> {
    let about = |error: NetlinkError| error.about(tried);
    let temporary = new.temporary_name();
    message.attributes.retain(|attribute| !matches!(attribute, LinkAttribute::IfName(_)));
    message.attributes.push(LinkAttribute::IfName(temporary.to_string()));
    interface::create(handles.get(from)?, message).map_err(about)?;
    let netns = handles.get(&new.ns)?;
    netns.forget(&temporary);
    interface::rename(netns, &temporary, &new.name).map_err(|error| {
        // The first error is the one to report.
        let _ = interface::delete(netns, &temporary);
        about(error)
    })
}

/// Changes the options that differ: some of the others the kernel refuses even where they stay the same.
pub(in crate::kernel) fn set(
    netns: &mut NetnsHandle,
    name: &InterfaceRef,
    from: &VirtualInterface,
    to: &VirtualInterface,
) -> Result<(), NetlinkError> {
    use VirtualInterface::{Dummy, Gre, Ipip, Ipvlan, Macvlan, Vlan, Vrf, Vxlan, Wireguard};
    let data = match (from, to) {
        (Vxlan(from), Vxlan(to)) => InfoData::Vxlan(vxlan::encode_changes(from, to)),
        (_, Macvlan { mode, .. }) => InfoData::MacVlan(vec![encode_macvlan_mode(*mode)]),
        // These are made anew (`VirtualInterface::can_become`), or changed in another way.
        (_, Vxlan(_) | Ipvlan { .. } | Vlan { .. } | Ipip { .. } | Gre(_) | Wireguard(_) | Dummy | Vrf { .. }) => {
            return Err(Errno::EOPNOTSUPP.into());
        }
    };
    let mut message = interface::existing_message(netns, &name.name)?;
    let kind = LinkInfo::Kind(InfoKind::from(to.kind().name()));
    message.attributes.push(LinkAttribute::LinkInfo(vec![kind, LinkInfo::Data(data)]));
    netns.socket.change(RouteNetlinkMessage::NewLink(message), 0)
}

/// The interface that the packets of a tunnel are bound to.
fn bound_to(virtual_interface: &VirtualInterface) -> Option<&IfName> {
    use VirtualInterface::{Dummy, Gre, Ipip, Ipvlan, Macvlan, Vlan, Vrf, Vxlan, Wireguard};
    match virtual_interface {
        Vxlan(vxlan) => vxlan.dev.as_ref(),
        Macvlan { .. } | Ipvlan { .. } | Vlan { .. } | Ipip { .. } | Gre(_) | Wireguard(_) | Dummy | Vrf { .. } => None,
    }
}

/// The kind with its options; `bound_to` is the index of the interface that the packets of a tunnel are bound to.
fn encode(virtual_interface: &VirtualInterface, bound_to: Option<u32>) -> LinkAttribute {
    let (kind, data) = match virtual_interface {
        VirtualInterface::Vxlan(vxlan) => (InfoKind::Vxlan, Some(InfoData::Vxlan(vxlan::encode(vxlan, bound_to)))),
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
        VirtualInterface::Gre(own) => (InfoKind::GreTun, Some(InfoData::GreTun(gre::encode(own)))),
        // Its options are for another part of the kernel.
        VirtualInterface::Wireguard(_) => (InfoKind::Wireguard, None),
        VirtualInterface::Dummy => (InfoKind::Dummy, None),
        VirtualInterface::Vrf { table } => (InfoKind::Vrf, Some(InfoData::Vrf(vec![InfoVrf::TableId(*table)]))),
    };
    let data = data.map(LinkInfo::Data);
    LinkAttribute::LinkInfo([LinkInfo::Kind(kind)].into_iter().chain(data).collect())
}

/// The virtual interface, if it is of a kind that a lab can have; its parent is not known yet, and neither are the
/// options of WireGuard.
pub(in crate::kernel) fn decode(
    raw: &RawInterface<'_>,
    name_of: impl Fn(u32) -> Option<IfName>,
) -> Result<Option<Decoded<VirtualInterface, ForeignInterface>>, DecodeError> {
    let Some(kind) = VirtualKind::ALL.into_iter().find(|kind| raw.kind == Some(kind.name())) else { return Ok(None) };
    let (parent, data) = (None, raw.data);
    let foreign = |what: &str| Ok(Some(foreign(format!("{} {what}", kind.name()))));
    let odd = odd_option(kind, data)?;
    Ok(Some(Decoded::Known(match kind {
        // A tunnel whose packets are in another namespace than the tunnel, which no lab has.
        VirtualKind::Vxlan | VirtualKind::Ipip | VirtualKind::Gre if raw.link_netns.is_some() => {
            return foreign("of another namespace");
        }
        VirtualKind::Vxlan => match vxlan::decode(data, name_of)? {
            Decoded::Known(vxlan) => match odd {
                None => VirtualInterface::Vxlan(vxlan),
                Some(word) => {
                    let text = format!("vxlan{vxlan} {word}");
                    return Ok(Some(Decoded::Foreign(ForeignInterface { text, vxlan: Some(vxlan.slot()) })));
                }
            },
            Decoded::Foreign(foreign) => return Ok(Some(Decoded::Foreign(foreign))),
        },
        _ if odd.is_some() => return foreign(odd.unwrap_or_default()),
        VirtualKind::Macvlan => {
            let mode = option(data, IFLA_MACVLAN_MODE)?.map(parse_u32).transpose()?;
            let Some(mode) = decode_macvlan_mode(mode) else { return foreign("in another mode") };
            VirtualInterface::Macvlan { parent, mode }
        }
        VirtualKind::Ipvlan => {
            let mode = option(data, IFLA_IPVLAN_MODE)?.map(parse_u16).transpose()?;
            let Some(mode) = decode_ipvlan_mode(mode) else { return foreign("in another mode") };
            VirtualInterface::Ipvlan { parent, mode }
        }
        VirtualKind::Vlan if option(data, IFLA_VLAN_PROTOCOL)?.is_some_and(|protocol| protocol != ETH_P_8021Q) => {
            return foreign("of another protocol");
        }
        VirtualKind::Vlan => {
            VirtualInterface::Vlan { parent, id: option(data, IFLA_VLAN_ID)?.map_or(Ok(0), parse_u16)? }
        }
        VirtualKind::Ipip => VirtualInterface::Ipip {
            local: tunnel_address(data, IFLA_IPTUN_LOCAL)?,
            remote: tunnel_address(data, IFLA_IPTUN_REMOTE)?,
        },
        VirtualKind::Gre => match gre::decode(data)? {
            Some(gre) => VirtualInterface::Gre(gre),
            None => return foreign("with other flags or keys"),
        },
        VirtualKind::Wireguard => VirtualInterface::Wireguard(Wireguard { listen_port: 0, fwmark: 0 }),
        VirtualKind::Dummy => VirtualInterface::Dummy,
        VirtualKind::Vrf => VirtualInterface::Vrf { table: option(data, IFLA_VRF_TABLE)?.map_or(Ok(0), parse_u32)? },
    })))
}

fn foreign(text: String) -> Decoded<VirtualInterface, ForeignInterface> {
    Decoded::Foreign(ForeignInterface { text, vxlan: None })
}

fn encode_macvlan_mode(mode: MacvlanMode) -> InfoMacVlan {
    InfoMacVlan::Mode(match mode {
        MacvlanMode::Bridge => MacVlanMode::Bridge,
        MacvlanMode::Private => MacVlanMode::Private,
        MacvlanMode::Vepa => MacVlanMode::Vepa,
        MacvlanMode::Passthru => MacVlanMode::Passthrough,
    })
}

/// The numbers are MACVLAN_MODE_… of linux/if_link.h.
fn decode_macvlan_mode(mode: Option<u32>) -> Option<MacvlanMode> {
    match mode? {
        1 => Some(MacvlanMode::Private),
        2 => Some(MacvlanMode::Vepa),
        4 => Some(MacvlanMode::Bridge),
        8 => Some(MacvlanMode::Passthru),
        _ => None,
    }
}

fn encode_ipvlan_mode(mode: IpvlanMode) -> InfoIpVlan {
    InfoIpVlan::Mode(match mode {
        IpvlanMode::L2 => IpVlanMode::L2,
        IpvlanMode::L3 => IpVlanMode::L3,
        IpvlanMode::L3s => IpVlanMode::L3S,
    })
}

/// The numbers are IPVLAN_MODE_… of linux/if_link.h.
fn decode_ipvlan_mode(mode: Option<u16>) -> Option<IpvlanMode> {
    match mode? {
        0 => Some(IpvlanMode::L2),
        1 => Some(IpvlanMode::L3),
        2 => Some(IpvlanMode::L3s),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::round_trip::{INDEX, bytes, dev, gre, ipv4, option_of, vxlan};
    use super::*;

    fn any_device() -> impl Strategy<Value = VirtualInterface> {
        use MacvlanMode::{Bridge, Passthru, Private, Vepa};
        let macvlan = prop_oneof![Just(Bridge), Just(Private), Just(Vepa), Just(Passthru)];
        let ipvlan = prop_oneof![Just(IpvlanMode::L2), Just(IpvlanMode::L3), Just(IpvlanMode::L3s)];
        prop_oneof![
            vxlan().prop_map(VirtualInterface::Vxlan),
            macvlan.prop_map(|mode| VirtualInterface::Macvlan { parent: None, mode }),
            ipvlan.prop_map(|mode| VirtualInterface::Ipvlan { parent: None, mode }),
            (1..=4094_u16).prop_map(|id| VirtualInterface::Vlan { parent: None, id }),
            (option_of(ipv4()), option_of(ipv4())).prop_map(|(local, remote)| VirtualInterface::Ipip { local, remote }),
            gre().prop_map(VirtualInterface::Gre),
            Just(VirtualInterface::Dummy),
            (1..u32::MAX).prop_map(|table| VirtualInterface::Vrf { table }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(virtual_interface in any_device()) {
            let mut message = LinkMessage::default();
            message.attributes.push(encode(&virtual_interface, bound_to(&virtual_interface).map(|_| INDEX)));
            let bytes = bytes(&message);
            let raw = interface::decode(&bytes).unwrap();
            let names = HashMap::from([(INDEX, dev())]);
            let decoded = decode(&raw, |index| names.get(&index).cloned()).unwrap();
            prop_assert_eq!(decoded, Some(Decoded::Known(virtual_interface)));
        }
    }
}
