//! Interfaces: what kind they are, what they carry, which bridge they are attached to.

use indexmap::IndexSet;
use serde::Serialize;

use super::{
    Address, BridgeOptions, IfName, InterfaceFlags, InterfaceRef, IpvlanMode, LabName, Mac, NsName, PortOptions,
    VirtualInterface, Vlans,
};

/// MTU of an Ethernet interface that was not changed, in bytes (ETH_DATA_LEN).
pub const ETHERNET_MTU: u32 = 1500;

/// So many bytes more than its MTU a link passes on: those of a VLAN tag (`is_skb_forwardable` in the kernel).
pub const VLAN_TAG_LEN: u32 = 4;

/// One interface of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// The lab whose mark (alias, or interface group) it carries.
    pub owner: Option<LabName>,
    /// What it is.
    pub kind: InterfaceKind,
    /// Whether it is administratively up (IFF_UP).
    pub up: bool,
    /// Its MAC address; wanted `None`: whatever the kernel chose.
    pub mac: Option<Mac>,
    /// Its MTU in bytes; wanted `None`: the kernel's default.
    pub mtu: Option<u32>,
    /// Its flags; wanted `None`: those of its kind.
    #[serde(skip)]
    pub flags: Option<InterfaceFlags>,
    /// The bridge, or the VRF, that it is a port of, in the same namespace.
    pub master: Option<IfName>,
    /// Of a port of a bridge and of a bridge's own interface: its VLANs. Wanted `None`: those of [`Vlans::default`].
    /// Live `None`: not asked for, since no bridge of the namespace keeps VLANs apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlans: Option<Vlans>,
    /// Of a port of a bridge: its options. Of any other interface: those of a new port.
    #[serde(skip_serializing_if = "PortOptions::is_default")]
    pub port: PortOptions,
    /// Its addresses with their prefix lengths. Live: without the link-local addresses that the kernel makes. In the
    /// order of the file, or of the kernel; the first IPv4 address of a subnet is the one that packets leave with.
    pub addresses: IndexSet<Address>,
}

/// What an interface is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceKind {
    /// The loopback that every namespace has.
    Loopback,
    /// One end of a veth pair.
    Veth {
        /// The other end. Live `None`: it is in a namespace that we do not look at.
        peer: Option<InterfaceRef>,
    },
    /// A bridge.
    Bridge(BridgeOptions),
    /// Anything else, by the kernel's word for it (`tun`, or `device` for real hardware).
    Other(String),
    /// An interface that one message makes.
    #[serde(untagged)]
    Virtual(VirtualInterface),
}

impl InterfaceKind {
    /// The flags that the kernel makes an interface of this kind with; none where they are those of its parent, or
    /// where the kind is not known.
    pub fn flags(&self) -> Option<InterfaceFlags> {
        let ethernet = InterfaceFlags::ETHERNET;
        let without = |arp, multicast| Some(InterfaceFlags { arp, multicast, ..ethernet });
        match self {
            Self::Loopback => without(true, false),
            Self::Veth { .. } | Self::Bridge(_) => Some(ethernet),
            Self::Virtual(kind) => match kind {
                VirtualInterface::Vxlan(_) | VirtualInterface::Macvlan { .. } => Some(ethernet),
                VirtualInterface::Ipvlan { mode: IpvlanMode::L2, .. } => Some(ethernet),
                VirtualInterface::Ipvlan { mode: IpvlanMode::L3 | IpvlanMode::L3s, .. } => without(false, true),
                VirtualInterface::Vlan { .. } => None,
                VirtualInterface::Ipip { .. }
                | VirtualInterface::Gre(_)
                | VirtualInterface::Wireguard(_)
                | VirtualInterface::Dummy
                | VirtualInterface::Vrf { .. } => without(false, false),
            },
            Self::Other(_) => None,
        }
    }

    /// Gets the peer, or the parent, of one of the same kind.
    pub fn connect_like(&mut self, other: &Self) {
        match self {
            Self::Veth { peer } => {
                if let Self::Veth { peer: others } = other {
                    peer.clone_from(others);
                }
            }
            Self::Virtual(kind) => {
                if let Self::Virtual(other) = other
                    && other.kind() == kind.kind()
                    && let Some(parent) = kind.lower_mut()
                {
                    *parent = other.lower().cloned();
                }
            }
            Self::Loopback | Self::Bridge(_) | Self::Other(_) => {}
        }
    }
}

impl Interface {
    /// An interface that is up, with nothing on it.
    pub fn new(kind: InterfaceKind) -> Self {
        let addresses = IndexSet::new();
        let port = PortOptions::default();
        Self {
            owner: None,
            kind,
            up: true,
            mac: None,
            mtu: None,
            flags: None,
            master: None,
            vlans: None,
            port,
            addresses,
        }
    }

    /// Whether it is a lab's, in a namespace in which the lab has something: in its own, everything is; in `host`, what
    /// carries its mark.
    pub fn is_of(&self, lab: &LabName, ns: &NsName) -> bool {
        !ns.is_host() || self.owner.as_ref() == Some(lab)
    }

    /// The peer, where this is a veth whose peer is known.
    pub fn peer(&self) -> Option<&InterfaceRef> {
        match &self.kind {
            InterfaceKind::Veth { peer } => peer.as_ref(),
            InterfaceKind::Loopback
            | InterfaceKind::Bridge(_)
            | InterfaceKind::Other(_)
            | InterfaceKind::Virtual(_) => None,
        }
    }

    /// Whether it can be the machine's own, of those in `host`: a device, or a link to what is not looked at.
    pub fn is_of_machine(&self) -> bool {
        matches!(self.kind, InterfaceKind::Other(_) | InterfaceKind::Veth { peer: None })
    }

    /// The routing table of the VRF that it is, or is a port of; the master is the interface that it is a port of.
    pub fn vrf_table(&self, master: Option<&Self>) -> Option<u32> {
        master.unwrap_or(self).virtual_interface()?.table()
    }

    /// Its options, where it is a bridge.
    pub fn bridge_options(&self) -> Option<&BridgeOptions> {
        match &self.kind {
            InterfaceKind::Bridge(options) => Some(options),
            InterfaceKind::Loopback
            | InterfaceKind::Veth { .. }
            | InterfaceKind::Virtual(_)
            | InterfaceKind::Other(_) => None,
        }
    }

    /// Its kind and options, where it is a virtual interface.
    pub fn virtual_interface(&self) -> Option<&VirtualInterface> {
        match &self.kind {
            InterfaceKind::Virtual(virtual_interface) => Some(virtual_interface),
            InterfaceKind::Loopback
            | InterfaceKind::Veth { .. }
            | InterfaceKind::Bridge(_)
            | InterfaceKind::Other(_) => None,
        }
    }

    /// The kernel's word for its kind, as after `type` in `ip link`.
    pub fn kind_name(&self) -> &str {
        match &self.kind {
            InterfaceKind::Loopback => "loopback",
            InterfaceKind::Veth { .. } => "veth",
            InterfaceKind::Bridge(_) => "bridge",
            InterfaceKind::Virtual(own) => own.kind().name(),
            InterfaceKind::Other(name) => name,
        }
    }
}
