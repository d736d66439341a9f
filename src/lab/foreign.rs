//! Objects that the model has no words for, in the kernel's own.

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{ChainId, Family, IfName, LinkOption, RouteSlot, Table, VxlanSlot};

/// The objects of a namespace that the model has no words for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Routes with a type of service, metrics, several next hops, an encapsulation …
    pub routes: Vec<ForeignRoute>,
    /// Policy rules with further conditions or actions.
    pub rules: Vec<ForeignRule>,
    /// Forwarding entries of VXLAN interfaces that lead to another port, through another interface …
    pub fdb: Vec<ForeignFdbEntry>,
    /// Virtual interfaces of a kind that the model has, with options that it has not. They are among the interfaces as
    /// well.
    pub interfaces: BTreeMap<IfName, ForeignInterface>,
    /// Whatever else decides what becomes of a packet: tables of other programs, for one.
    pub others: Vec<ForeignOther>,
}

/// What a foreign object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignKind {
    /// A route.
    Route {
        /// Whether its destination is an IPv6 one.
        ipv6: bool,
    },
    /// A policy rule.
    PolicyRule {
        /// Whether it is a rule for IPv6.
        ipv6: bool,
    },
    /// A permanent forwarding entry.
    FdbEntry,
    /// An entry that a person has put into the forwarding database of a bridge.
    BridgeFdbEntry {
        /// Whether it is about the bridge itself, and not one of its ports.
        of_bridge: bool,
        /// Whether its frames are for the namespace itself.
        is_local: bool,
    },
    /// A neighbour entry that stands for an address of somebody else, or that nobody is asked for.
    Neighbour,
    /// An option of an interface; only set back, never removed.
    LinkOption(&'static LinkOption),
    /// A sysctl of one interface that is against what the file says of the namespace; only set back. Its message is the
    /// value that it is to have.
    Switch,
    /// A queueing discipline, with its classes and filters.
    Qdisc,
    /// A nexthop object.
    NextHop {
        /// Its number.
        id: u32,
        /// The protocol number of who has added it.
        protocol: u8,
    },
    /// A policy of the transformation of packets (IPsec).
    XfrmPolicy,
    /// A state of the transformation of packets (IPsec).
    XfrmState,
    /// An interface whose name no file can say.
    Interface {
        /// Its index.
        index: u32,
    },
    /// The name of the loopback, where it is not `lo`; only set back, never removed.
    LoopbackName,
    /// A table of nf_tables that iptables does not show, with all that is in it.
    NftTable {
        /// The number by which the kernel knows it.
        handle: u64,
    },
    /// A table of legacy iptables; it cannot be removed, only emptied.
    LegacyTable {
        /// Which iptables.
        family: Family,
    },
    /// A chain of a lab in `host` that the installed iptables does not show, with its rules, and the rules that lead to
    /// it.
    LabChain {
        /// The address family.
        family: Family,
        /// The table that it is in.
        table: Table,
        /// Whether that is a table of legacy iptables, or else of nf_tables.
        is_legacy: bool,
    },
}

/// An object in the kernel's own words: enough to remove it, and to put it back, without listing it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignObject {
    /// What it is.
    pub kind: ForeignKind,
    /// Its words for people, as `ip` or `bridge` spells it, as well as we can.
    pub text: String,
    /// The body of the netlink message that names it; of a table, all that it takes to make it again.
    pub message: Vec<u8>,
}

/// A route that the model cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRoute {
    /// The route.
    pub object: ForeignObject,
    /// The interface that it leaves through; none, where there are several, or it is one that drops.
    pub dev: Option<IfName>,
    /// The place that it takes from a route of the model; none where no such route can have its place.
    pub slot: Option<RouteSlot>,
    /// Whether it carries nslab's protocol number, and is this lab's.
    pub is_ours: bool,
    /// The protocol number of who has added it.
    pub protocol: u8,
}

/// A policy rule that the model cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRule {
    /// The rule.
    pub object: ForeignObject,
    /// Its priority.
    pub priority: u32,
    /// Whether it is a rule for IPv6.
    pub ipv6: bool,
    /// Whether it carries nslab's protocol number.
    pub is_ours: bool,
}

/// A permanent forwarding entry that the model cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignFdbEntry {
    /// The entry.
    pub object: ForeignObject,
    /// The VXLAN interface.
    pub dev: IfName,
}

/// Any other object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignOther {
    /// The object.
    pub object: ForeignObject,
    /// The interface that it is on, and goes with; none where it is the namespace's.
    pub dev: Option<IfName>,
}

/// A virtual interface with options that the model cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignInterface {
    /// Its kind and options, as after `type` in `ip link`.
    pub text: String,
    /// Of a VXLAN interface: what no other one in the namespace can have.
    pub vxlan: Option<VxlanSlot>,
}

impl Foreign {
    /// All objects that a step can remove and put back.
    pub fn objects(&self) -> impl Iterator<Item = &ForeignObject> {
        let routes = self.routes.iter().map(|route| &route.object);
        let rules = self.rules.iter().map(|rule| &rule.object);
        let fdb = self.fdb.iter().map(|entry| &entry.object);
        routes.chain(rules).chain(fdb).chain(self.others.iter().map(|other| &other.object))
    }

    /// Whether the model has words for everything.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
            && self.rules.is_empty()
            && self.fdb.is_empty()
            && self.interfaces.is_empty()
            && self.others.is_empty()
    }
}

/// The words for people.
impl Serialize for Foreign {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let routes: Vec<&str> = self.routes.iter().map(|route| route.object.text.as_str()).collect();
        let rules: Vec<&str> = self.rules.iter().map(|rule| rule.object.text.as_str()).collect();
        let fdb: Vec<&str> = self.fdb.iter().map(|entry| entry.object.text.as_str()).collect();
        let interfaces: BTreeMap<&IfName, &str> =
            self.interfaces.iter().map(|(name, interface)| (name, interface.text.as_str())).collect();
        let others: Vec<String> = self.others.iter().map(|other| other.object.to_string()).collect();
        let mut out = s.serialize_struct("Foreign", 5)?;
        out.serialize_field("routes", &routes)?;
        out.serialize_field("rules", &rules)?;
        out.serialize_field("fdb", &fdb)?;
        out.serialize_field("interfaces", &interfaces)?;
        if !others.is_empty() {
            out.serialize_field("others", &others)?;
        }
        out.end()
    }
}

impl ForeignKind {
    /// What it is, in words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Route { .. } => "route",
            Self::PolicyRule { .. } => "policy rule",
            Self::FdbEntry | Self::BridgeFdbEntry { .. } => "forwarding entry",
            Self::Neighbour => "neighbour entry",
            Self::LinkOption(_) => "option",
            Self::Switch => "sysctl",
            Self::Qdisc => "qdisc",
            Self::NextHop { .. } => "nexthop",
            Self::XfrmPolicy => "xfrm policy",
            Self::XfrmState => "xfrm state",
            Self::Interface { .. } => "interface",
            Self::LoopbackName => "loopback name",
            Self::NftTable { .. } => "nftables table",
            Self::LegacyTable { family: Family::Ipv4 } => "legacy iptables table",
            Self::LegacyTable { family: Family::Ipv6 } => "legacy ip6tables table",
            Self::LabChain { is_legacy: false, .. } => "nftables chain",
            Self::LabChain { family: Family::Ipv4, .. } => "legacy iptables chain",
            Self::LabChain { family: Family::Ipv6, .. } => "legacy ip6tables chain",
        }
    }
}

impl ForeignObject {
    /// Of an option and of a switch: what it is set back to, as `ip` or `sysctl` has it.
    pub fn set_back(&self) -> Option<String> {
        match self.kind {
            ForeignKind::LinkOption(option) => Some(option.words(option.default)),
            ForeignKind::Switch => {
                let (key, _) = self.text.split_once('=')?;
                Some(format!("{key}={}", String::from_utf8_lossy(&self.message)))
            }
            _ => None,
        }
    }

    /// Whether it is part of IPsec.
    pub fn is_transformation(&self) -> bool {
        matches!(self.kind, ForeignKind::XfrmPolicy | ForeignKind::XfrmState)
    }

    /// Whether it is a table of a firewall, or a chain in one.
    pub fn is_of_a_firewall(&self) -> bool {
        let is_table = matches!(self.kind, ForeignKind::NftTable { .. } | ForeignKind::LegacyTable { .. });
        is_table || self.lab_chain().is_some()
    }

    /// The chain, if it is a chain of a lab.
    pub fn lab_chain(&self) -> Option<ChainId> {
        let ForeignKind::LabChain { family, table, .. } = self.kind else { return None };
        Some(ChainId { family, table, chain: self.text.split_whitespace().last()?.parse().ok()? })
    }
}

/// What it is, and its words.
impl fmt::Display for ForeignObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.text)
    }
}
