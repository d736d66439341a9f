//! Virtual interfaces, which one message makes, by themselves or on a parent: the kinds and their options.

use std::fmt;
use std::net::Ipv4Addr;

use serde::Serialize;

use super::{Gre, IfName, InterfaceRef, NsName, Vxlan, Wireguard};

/// An interface that is neither a veth nor a bridge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VirtualInterface {
    /// One end of a tunnel that carries Ethernet frames in UDP packets (RFC 7348).
    Vxlan(Vxlan),
    /// A further MAC address of its parent, as an interface of its own.
    Macvlan {
        /// Its parent; it may be in another namespace. Live `None`: in one that we do not look at.
        parent: Option<InterfaceRef>,
        /// Whom it speaks to.
        mode: MacvlanMode,
    },
    /// Further IP addresses of its parent, under the parent's MAC address.
    Ipvlan {
        /// As with a macvlan.
        parent: Option<InterfaceRef>,
        /// What it passes on.
        mode: IpvlanMode,
    },
    /// What arrives at its parent with a VLAN's tag (IEEE 802.1Q).
    Vlan {
        /// As with a macvlan.
        parent: Option<InterfaceRef>,
        /// The VLAN, 1 to 4094.
        id: u16,
    },
    /// One end of a tunnel that carries IPv4 packets in IPv4 packets (RFC 2003).
    Ipip {
        /// The address that its packets come from. Live: none, if it is left to the routing table.
        local: Option<Ipv4Addr>,
        /// The other end; none: the gateway of the route that leads into the tunnel.
        remote: Option<Ipv4Addr>,
    },
    /// One end of a tunnel that carries packets of IPv4 and IPv6 in IPv4 packets (RFC 2784, RFC 2890).
    Gre(Gre),
    /// An interface whose packets travel encrypted, in datagrams of UDP, to the peer that each is for.
    Wireguard(Wireguard),
    /// An interface that leads nowhere.
    Dummy,
    /// A routing table for its ports, and for no others (Documentation/networking/vrf.rst of the kernel).
    Vrf {
        /// The table.
        table: u32,
    },
}

/// The kinds of [`VirtualInterface`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VirtualKind {
    /// [`VirtualInterface::Vxlan`].
    Vxlan,
    /// [`VirtualInterface::Macvlan`].
    Macvlan,
    /// [`VirtualInterface::Ipvlan`].
    Ipvlan,
    /// [`VirtualInterface::Vlan`].
    Vlan,
    /// [`VirtualInterface::Ipip`].
    Ipip,
    /// [`VirtualInterface::Gre`].
    Gre,
    /// [`VirtualInterface::Wireguard`].
    Wireguard,
    /// [`VirtualInterface::Dummy`].
    Dummy,
    /// [`VirtualInterface::Vrf`].
    Vrf,
}

/// Whom a macvlan speaks to, of the others on its parent (`mode` in ip-link(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MacvlanMode {
    /// Each other directly.
    Bridge,
    /// None.
    Private,
    /// Each other, if the switch behind the parent sends frames back.
    Vepa,
    /// There are no others: it has the parent for itself, MAC address included.
    Passthru,
}

/// What an ipvlan passes on (Documentation/networking/ipvlan.rst of the kernel).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IpvlanMode {
    /// Frames, broadcasts included.
    L2,
    /// Packets, routed by the parent's namespace.
    L3,
    /// As L3, through the parent namespace's packet filter.
    L3s,
}

/// The most interfaces that may be stacked on one another, the lowest one included (MAX_NEST_DEV in the kernel).
pub const MAX_STACKING: usize = 8;

/// Interfaces that the kernel itself puts into every namespace when a tunnel module is loaded, and that cannot be
/// removed (see `net.core.fb_tunnels_only_for_init_net` in the kernel's sysctl documentation).
const FALLBACK_TUNNELS: [&str; 9] =
    ["tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0"];

impl IfName {
    /// Whether the kernel itself puts an interface of this name into every namespace.
    pub fn is_fallback_tunnel(&self) -> bool {
        FALLBACK_TUNNELS.contains(&self.as_str())
    }
}

impl VirtualKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Vxlan,
        Self::Macvlan,
        Self::Ipvlan,
        Self::Vlan,
        Self::Ipip,
        Self::Gre,
        Self::Wireguard,
        Self::Dummy,
        Self::Vrf,
    ];

    /// The kernel's word for it, as after `type` in `ip link`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vxlan => "vxlan",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Vlan => "vlan",
            Self::Ipip => "ipip",
            Self::Gre => "gre",
            Self::Wireguard => "wireguard",
            Self::Dummy => "dummy",
            Self::Vrf => "vrf",
        }
    }

    /// The kernel's module for it.
    pub fn module(self) -> &'static str {
        match self {
            Self::Vlan => "8021q",
            Self::Gre => "ip_gre",
            Self::Vxlan | Self::Macvlan | Self::Ipvlan | Self::Ipip | Self::Wireguard | Self::Dummy | Self::Vrf => {
                self.name()
            }
        }
    }

    /// Whether IP packets without Ethernet frames go through it, to another end that is set beforehand.
    pub fn is_tunnel_of_packets(self) -> bool {
        match self {
            Self::Ipip | Self::Gre => true,
            Self::Vxlan | Self::Macvlan | Self::Ipvlan | Self::Vlan | Self::Wireguard | Self::Dummy | Self::Vrf => {
                false
            }
        }
    }

    /// Whether Ethernet frames go through it, so that it has a MAC address and can be a parent.
    pub fn is_ethernet(self) -> bool {
        !self.is_tunnel_of_packets() && self != Self::Wireguard
    }
}

impl VirtualInterface {
    /// Which kind it is.
    pub fn kind(&self) -> VirtualKind {
        match self {
            Self::Vxlan(_) => VirtualKind::Vxlan,
            Self::Macvlan { .. } => VirtualKind::Macvlan,
            Self::Ipvlan { .. } => VirtualKind::Ipvlan,
            Self::Vlan { .. } => VirtualKind::Vlan,
            Self::Ipip { .. } => VirtualKind::Ipip,
            Self::Gre(_) => VirtualKind::Gre,
            Self::Wireguard(_) => VirtualKind::Wireguard,
            Self::Dummy => VirtualKind::Dummy,
            Self::Vrf { .. } => VirtualKind::Vrf,
        }
    }

    /// Its parent, as `link` says in `ip link add`.
    pub fn lower(&self) -> Option<&InterfaceRef> {
        match self {
            Self::Macvlan { parent, .. } | Self::Ipvlan { parent, .. } | Self::Vlan { parent, .. } => parent.as_ref(),
            Self::Vxlan(_) | Self::Ipip { .. } | Self::Gre(_) | Self::Wireguard(_) | Self::Dummy | Self::Vrf { .. } => {
                None
            }
        }
    }

    /// The same, to be noted where it was found out; none, where the kind has no parent.
    pub fn lower_mut(&mut self) -> Option<&mut Option<InterfaceRef>> {
        match self {
            Self::Macvlan { parent, .. } | Self::Ipvlan { parent, .. } | Self::Vlan { parent, .. } => Some(parent),
            Self::Vxlan(_) | Self::Ipip { .. } | Self::Gre(_) | Self::Wireguard(_) | Self::Dummy | Self::Vrf { .. } => {
                None
            }
        }
    }

    /// The interface that has to be there for a virtual interface in the namespace `ns`: when that goes, the kernel
    /// takes this one along.
    pub fn parent(&self, ns: &NsName) -> Option<InterfaceRef> {
        match self {
            Self::Vxlan(vxlan) => vxlan.dev.as_ref().map(|dev| InterfaceRef { ns: ns.clone(), name: dev.clone() }),
            Self::Macvlan { parent, .. } | Self::Ipvlan { parent, .. } | Self::Vlan { parent, .. } => parent.clone(),
            Self::Ipip { .. } | Self::Gre(_) | Self::Wireguard(_) | Self::Dummy | Self::Vrf { .. } => None,
        }
    }

    /// Its routing table, if it is a VRF.
    pub fn table(&self) -> Option<u32> {
        match self {
            Self::Vrf { table } => Some(*table),
            Self::Vxlan(_)
            | Self::Macvlan { .. }
            | Self::Ipvlan { .. }
            | Self::Vlan { .. }
            | Self::Ipip { .. }
            | Self::Gre(_)
            | Self::Wireguard(_)
            | Self::Dummy => None,
        }
    }

    /// Its options, if it is a VXLAN interface.
    pub fn vxlan(&self) -> Option<&Vxlan> {
        match self {
            Self::Vxlan(vxlan) => Some(vxlan),
            Self::Macvlan { .. }
            | Self::Ipvlan { .. }
            | Self::Vlan { .. }
            | Self::Ipip { .. }
            | Self::Gre(_)
            | Self::Wireguard(_)
            | Self::Dummy
            | Self::Vrf { .. } => None,
        }
    }

    /// Whether all that it takes to make it is known.
    pub fn is_complete(&self) -> bool {
        match self {
            Self::Macvlan { parent, .. } | Self::Ipvlan { parent, .. } | Self::Vlan { parent, .. } => parent.is_some(),
            Self::Vxlan(_) | Self::Ipip { .. } | Self::Gre(_) | Self::Wireguard(_) | Self::Dummy | Self::Vrf { .. } => {
                true
            }
        }
    }

    /// Whether it can be made into another without being made anew. The kernel changes neither the number nor the port
    /// of a VXLAN end (vxlan_nl2conf), takes none of its addresses away, and lets no macvlan begin or cease to have its
    /// parent for itself (macvlan_changelink).
    pub fn can_become(&self, other: &Self) -> bool {
        match self {
            Self::Vxlan(is) => {
                let Self::Vxlan(to) = other else { return false };
                let family = |vxlan: &Vxlan| vxlan.local.map(|local| local.is_ipv6());
                let (local, learning) = (to.local, to.learning);
                family(is) == family(to) && Vxlan { local, learning, ..is.clone() } == *to
            }
            Self::Macvlan { parent: is, mode: from } => {
                let Self::Macvlan { parent: to, mode } = other else { return false };
                let is_shared = |mode: &MacvlanMode| *mode != MacvlanMode::Passthru;
                is == to && is_shared(from) && is_shared(mode)
            }
            Self::Wireguard(_) => matches!(other, Self::Wireguard(_)),
            Self::Ipvlan { .. }
            | Self::Vlan { .. }
            | Self::Ipip { .. }
            | Self::Gre(_)
            | Self::Dummy
            | Self::Vrf { .. } => false,
        }
    }

    /// The options of `ip link set … type` that make another one into this one.
    pub fn changes_from(&self, from: &Self) -> String {
        let mut options = String::new();
        match self {
            Self::Vxlan(to) => {
                let Self::Vxlan(from) = from else { return options };
                if let Some(local) = to.local.filter(|_| to.local != from.local) {
                    options += &format!(" local {local}");
                }
                if to.learning != from.learning {
                    options += if to.learning { " learning" } else { " nolearning" };
                }
            }
            Self::Macvlan { mode, .. } => options += &format!(" mode {}", mode.name()),
            Self::Wireguard(to) => {
                let Self::Wireguard(from) = from else { return options };
                options += &to.changes_from(from);
            }
            // These are made anew.
            Self::Ipvlan { .. }
            | Self::Vlan { .. }
            | Self::Ipip { .. }
            | Self::Gre(_)
            | Self::Dummy
            | Self::Vrf { .. } => {}
        }
        options
    }
}

impl MacvlanMode {
    /// `ip`'s word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
            Self::Passthru => "passthru",
        }
    }
}

impl IpvlanMode {
    /// `ip`'s word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::L3 => "l3",
            Self::L3s => "l3s",
        }
    }
}

/// What comes after `type` in `ip link`.
impl fmt::Display for VirtualInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().name())?;
        match self {
            Self::Vxlan(vxlan) => vxlan.fmt(f),
            Self::Macvlan { mode, .. } => write!(f, " mode {}", mode.name()),
            Self::Ipvlan { mode, .. } => write!(f, " mode {}", mode.name()),
            Self::Vlan { id, .. } => write!(f, " id {id}"),
            Self::Ipip { local, remote } => {
                let option = |word: &str, address: &Option<Ipv4Addr>| {
                    address.map(|address| format!(" {word} {address}")).unwrap_or_default()
                };
                write!(f, "{}{}", option("local", local), option("remote", remote))
            }
            Self::Gre(gre) => gre.fmt(f),
            Self::Wireguard(wireguard) => wireguard.fmt(f),
            Self::Dummy => Ok(()),
            Self::Vrf { table } => write!(f, " table {table}"),
        }
    }
}
