//! Options of a port of a bridge.

use serde::{Serialize, Serializer};

/// The options of a bridge's port that the language knows (`ip link … type bridge_slave`, see `ip-link(8)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PortOptions {
    /// Whether a frame may leave through the port that it came in through (`hairpin`).
    pub hairpin: bool,
    /// Whether it gets nothing from other isolated ports, and they nothing from it (`isolated`).
    pub isolated: bool,
    /// Whether the bridge learns which MAC addresses are behind it (`learning`).
    pub learning: bool,
    /// Whether frames for MAC addresses that the bridge does not know leave through it (`flood`).
    pub flood: bool,
    /// What it does with frames, where that is for a person to say: the bridge speaks no STP. (`state`)
    #[serde(skip_serializing_if = "PortForwarding::is_default")]
    pub forwarding: PortForwarding,
    /// Further options, which a file cannot say: those that are not as on a new port.
    #[serde(skip_serializing_if = "PortSwitches::is_empty")]
    pub altered: PortSwitches,
}

/// What a port does with frames (BR_STATE_… in linux/if_bridge.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PortForwarding {
    /// It drops them all.
    Disabled,
    /// The same; it may come to forward.
    Listening,
    /// The same; the bridge learns from them.
    Learning,
    /// It passes them on.
    #[default]
    Forwarding,
    /// It drops them all, but those of STP.
    Blocking,
}

/// An option of a port that is on or off (`ip link … type bridge_slave`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortSwitch {
    /// Frames of STP close it.
    Guard,
    /// It never leads to the root of the spanning tree.
    RootBlock,
    /// A multicast group is left at once.
    FastLeave,
    /// The bridge answers ARP in the place of others.
    ProxyArp,
    /// The same, as access points need it.
    ProxyArpWifi,
    /// Frames for unknown multicast groups leave through it.
    McastFlood,
    /// Multicast frames become unicast ones.
    McastToUnicast,
    /// VLANs are put into tunnels.
    VlanTunnel,
    /// Broadcast frames leave through it.
    BcastFlood,
    /// Neighbours are not asked for through it.
    NeighSuppress,
    /// Only known MAC addresses are heard.
    Locked,
}

/// Some switches, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortSwitches(u16);

impl PortForwarding {
    /// The kernel's number for it.
    pub fn number(self) -> u8 {
        match self {
            Self::Disabled => 0,
            Self::Listening => 1,
            Self::Learning => 2,
            Self::Forwarding => 3,
            Self::Blocking => 4,
        }
    }

    /// The one with a number of the kernel's.
    pub fn from_number(number: u8) -> Option<Self> {
        let all = [Self::Disabled, Self::Listening, Self::Learning, Self::Forwarding, Self::Blocking];
        all.into_iter().find(|state| state.number() == number)
    }

    fn is_default(&self) -> bool {
        *self == Self::Forwarding
    }
}

impl PortSwitch {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Guard,
        Self::RootBlock,
        Self::FastLeave,
        Self::ProxyArp,
        Self::ProxyArpWifi,
        Self::McastFlood,
        Self::McastToUnicast,
        Self::VlanTunnel,
        Self::BcastFlood,
        Self::NeighSuppress,
        Self::Locked,
    ];

    /// The word of `ip link` for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::RootBlock => "root_block",
            Self::FastLeave => "fastleave",
            Self::ProxyArp => "proxy_arp",
            Self::ProxyArpWifi => "proxy_arp_wifi",
            Self::McastFlood => "mcast_flood",
            Self::McastToUnicast => "mcast_to_unicast",
            Self::VlanTunnel => "vlan_tunnel",
            Self::BcastFlood => "bcast_flood",
            Self::NeighSuppress => "neigh_suppress",
            Self::Locked => "locked",
        }
    }

    /// Whether it is on on a new port.
    pub fn is_on_by_default(self) -> bool {
        match self {
            Self::McastFlood | Self::BcastFlood => true,
            Self::Guard
            | Self::RootBlock
            | Self::FastLeave
            | Self::ProxyArp
            | Self::ProxyArpWifi
            | Self::McastToUnicast
            | Self::VlanTunnel
            | Self::NeighSuppress
            | Self::Locked => false,
        }
    }
}

impl PortSwitches {
    /// Adds a switch.
    pub fn insert(&mut self, switch: PortSwitch) {
        self.0 |= 1 << switch as u16;
    }

    /// Whether a switch is among them.
    pub fn contains(self, switch: PortSwitch) -> bool {
        self.0 & (1 << switch as u16) != 0
    }

    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// The switches that are different on a port with these altered and on one with others altered, each with what it
    /// is on the other.
    pub fn changes(self, to: Self) -> impl Iterator<Item = (PortSwitch, bool)> {
        let differing = PortSwitch::ALL.into_iter().filter(move |&one| self.contains(one) != to.contains(one));
        differing.map(move |switch| (switch, switch.is_on_by_default() != to.contains(switch)))
    }
}

/// Their words.
impl Serialize for PortSwitches {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(PortSwitch::ALL.into_iter().filter(|&switch| self.contains(switch)).map(PortSwitch::word))
    }
}

/// What the kernel makes a port with (new_nbp in its br_if.c).
impl Default for PortOptions {
    fn default() -> Self {
        Self {
            hairpin: false,
            isolated: false,
            learning: true,
            flood: true,
            forwarding: PortForwarding::Forwarding,
            altered: PortSwitches::default(),
        }
    }
}

impl PortOptions {
    /// Whether they are those of a new port.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
