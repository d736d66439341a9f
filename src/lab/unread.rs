//! What a look at a namespace could not show: the part, and why.

use std::fmt;

use super::{ForeignKind, NsName, SysctlKey};

/// A part of a namespace that could not be read. What is observed of it means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// The namespace.
    pub ns: NsName,
    /// The part.
    pub part: Part,
    /// What was tried, and what the kernel said.
    pub why: String,
}

/// A part of a namespace that is read by itself: the rest can be read where it cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All of it: it cannot be entered, or its interfaces cannot be listed.
    Everything,
    /// Addresses; and routes, of which it cannot be said without them which the kernel has made.
    Addresses,
    /// The VLANs of ports and bridges.
    Vlans,
    /// Routes.
    Routes,
    /// Policy rules.
    PolicyRules,
    /// Permanent neighbour entries.
    Neighbours,
    /// Proxies of neighbours.
    Proxies,
    /// Forwarding entries.
    FdbEntries,
    /// WireGuard interfaces: their options, keys and peers.
    Wireguard,
    /// Queueing disciplines.
    Qdiscs,
    /// Nexthop objects.
    NextHops,
    /// Policies and states of IPsec.
    Xfrm,
    /// One sysctl.
    Sysctl(SysctlKey),
    /// The firewall.
    Firewall,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everything => "interfaces",
            Self::Addresses => "addresses",
            Self::Vlans => "VLANs",
            Self::Routes => "routes",
            Self::PolicyRules => "policy rules",
            Self::Neighbours => "neighbours",
            Self::Proxies => "proxies of neighbours",
            Self::FdbEntries => "forwarding entries",
            Self::Wireguard => "WireGuard interfaces",
            Self::Qdiscs => "qdiscs",
            Self::NextHops => "nexthop objects",
            Self::Xfrm => "xfrm policies and states",
            Self::Sysctl(key) => return write!(f, "sysctl {key}"),
            Self::Firewall => "firewall rules",
        })
    }
}

impl Part {
    /// Whether it is all, or has what a lab can have in `host` besides interfaces.
    pub fn may_hold_a_labs(&self) -> bool {
        match self {
            Self::Everything | Self::Addresses | Self::Routes | Self::PolicyRules | Self::Firewall => true,
            Self::Vlans
            | Self::Neighbours
            | Self::Proxies
            | Self::FdbEntries
            | Self::Wireguard
            | Self::Qdiscs
            | Self::NextHops
            | Self::Xfrm
            | Self::Sysctl(_) => false,
        }
    }

    /// Whether objects of a kind that the model has no words for are in it.
    pub(super) fn has(&self, kind: ForeignKind) -> bool {
        match kind {
            ForeignKind::Route { .. } => matches!(self, Self::Routes | Self::Addresses),
            ForeignKind::PolicyRule { .. } => *self == Self::PolicyRules,
            ForeignKind::FdbEntry | ForeignKind::BridgeFdbEntry { .. } => *self == Self::FdbEntries,
            ForeignKind::Neighbour => matches!(self, Self::Neighbours | Self::Proxies),
            ForeignKind::Qdisc => *self == Self::Qdiscs,
            ForeignKind::NextHop { .. } => *self == Self::NextHops,
            ForeignKind::XfrmPolicy | ForeignKind::XfrmState => *self == Self::Xfrm,
            ForeignKind::NftTable { .. } | ForeignKind::LegacyTable { .. } | ForeignKind::LabChain { .. } => {
                *self == Self::Firewall
            }
            ForeignKind::LinkOption(_)
            | ForeignKind::Switch
            | ForeignKind::Interface { .. }
            | ForeignKind::LoopbackName => false,
        }
    }
}
