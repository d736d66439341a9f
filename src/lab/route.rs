//! Routes, policy rules and permanent neighbours, as concrete as the kernel keeps them.
//!
//! Every default is already filled in (metric, table, scope, outgoing interface), so that two routes are the same
//! exactly when they are equal.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::{IfName, Mac};

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Route {
    /// The routing table; 254 is `main`.
    pub table: u32,
    /// The destination, truncated to its prefix; `0.0.0.0/0` and `::/0` are `default`.
    pub to: IpNet,
    /// The metric (priority; lower wins). IPv4 has 0 where none is given, IPv6 1024.
    pub metric: u32,
    /// What happens to a packet that matches.
    pub kind: RouteKind,
    /// The next hop, of the same family as `to`.
    pub via: Option<IpAddr>,
    /// The outgoing interface; none for the kinds that drop.
    pub dev: Option<IfName>,
    /// The preferred source address.
    pub source: Option<IpAddr>,
    /// The scope; always [`RouteScope::Global`] for IPv6.
    pub scope: RouteScope,
    /// The next hop is taken to be on the interface's link even if no subnet says so.
    pub onlink: bool,
}

/// Where the kernel holds a route: there is only one in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteSlot {
    /// The routing table.
    pub table: u32,
    /// The destination.
    pub to: IpNet,
    /// The metric.
    pub metric: u32,
}

/// What a route does (rtm_type, see `ip-route(8)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteKind {
    /// Forward it.
    Unicast,
    /// Drop it silently.
    Blackhole,
    /// Drop it and answer "host unreachable".
    Unreachable,
    /// Drop it and answer "administratively prohibited".
    Prohibit,
}

/// How far a destination is (rtm_scope).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RouteScope {
    /// Anywhere (`RT_SCOPE_UNIVERSE`).
    Global,
    /// Within this site.
    Site,
    /// On the attached link.
    Link,
    /// On this host.
    Host,
}

/// The main routing table (`RT_TABLE_MAIN`).
pub const MAIN_TABLE: u32 = 254;

impl Route {
    /// Its place.
    pub fn slot(&self) -> RouteSlot {
        RouteSlot { table: self.table, to: self.to, metric: self.metric }
    }

    /// Whether the kernel holds the two in the same place: adding one where the other is means replacing it.
    pub fn same_slot(&self, other: &Self) -> bool {
        self.slot() == other.slot()
    }

    /// Whether the destination is an IPv6 one.
    pub fn is_ipv6(&self) -> bool {
        self.to.addr().is_ipv6()
    }
}

impl RouteKind {
    /// The word of `ip route`; nothing for an ordinary route.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unicast => "",
            Self::Blackhole => "blackhole ",
            Self::Unreachable => "unreachable ",
            Self::Prohibit => "prohibit ",
        }
    }
}

impl fmt::Display for RouteScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "global",
            Self::Site => "site",
            Self::Link => "link",
            Self::Host => "host",
        })
    }
}

/// The route as `ip route` spells it, which is also what comes after `ip route add`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.word())?;
        match self.to.prefix_len() {
            0 => f.write_str("default")?,
            _ => write!(f, "{}", self.to)?,
        }
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        if let Some(dev) = &self.dev {
            write!(f, " dev {dev}")?;
        }
        if self.table != MAIN_TABLE {
            write!(f, " table {}", self.table)?;
        }
        let default_metric = if self.is_ipv6() { 1024 } else { 0 };
        if self.metric != default_metric {
            write!(f, " metric {}", self.metric)?;
        }
        if let Some(source) = self.source {
            write!(f, " src {source}")?;
        }
        if self.scope != self.default_scope() {
            write!(f, " scope {}", self.scope)?;
        }
        if self.onlink {
            f.write_str(" onlink")?;
        }
        Ok(())
    }
}

impl Route {
    /// The scope that `ip route` gives a route that names none.
    pub fn default_scope(&self) -> RouteScope {
        match (self.kind, self.via) {
            (RouteKind::Unicast, None) if !self.is_ipv6() => RouteScope::Link,
            _ => RouteScope::Global,
        }
    }
}

/// A policy routing rule (`ip rule`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PolicyRule {
    /// Its priority: rules are asked in ascending order.
    pub priority: u32,
    /// Whether it is a rule for IPv6.
    pub ipv6: bool,
    /// Source prefix; none: any.
    pub from: Option<IpNet>,
    /// Destination prefix; none: any.
    pub to: Option<IpNet>,
    /// The interface the packet came in through.
    pub iif: Option<IfName>,
    /// The interface the socket is bound to.
    pub oif: Option<IfName>,
    /// Firewall mark and mask.
    pub fwmark: Option<(u32, u32)>,
    /// What a match does.
    pub action: RuleAction,
}

impl PolicyRule {
    /// How much it says. Of rules of one priority, those that say more are removed first: the kernel removes the first
    /// one that has what the request says (`rule_find` in the kernel), and perhaps more.
    pub fn conditions(&self) -> usize {
        let conditions =
            [self.from.is_some(), self.to.is_some(), self.iif.is_some(), self.oif.is_some(), self.fwmark.is_some()];
        conditions.iter().filter(|says| **says).count()
    }
}

/// What a policy rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// Look the destination up in a table.
    Table(u32),
    /// Look it up in the table of the VRF that the packet came in through, or is bound to.
    Vrf,
    /// Drop silently.
    Blackhole,
    /// Drop and answer "network unreachable".
    Unreachable,
    /// Drop and answer "administratively prohibited".
    Prohibit,
}

/// The rule as it comes after `ip rule add`.
impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "priority {}", self.priority)?;
        match self.from {
            Some(from) => write!(f, " from {from}")?,
            None => f.write_str(" from all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        if let Some(iif) = &self.iif {
            write!(f, " iif {iif}")?;
        }
        if let Some(oif) = &self.oif {
            write!(f, " oif {oif}")?;
        }
        if let Some((mark, mask)) = self.fwmark {
            write!(f, " fwmark {mark:#x}/{mask:#x}")?;
        }
        match self.action {
            RuleAction::Table(table) => write!(f, " lookup {table}"),
            RuleAction::Vrf => f.write_str(" l3mdev"),
            RuleAction::Blackhole => f.write_str(" blackhole"),
            RuleAction::Unreachable => f.write_str(" unreachable"),
            RuleAction::Prohibit => f.write_str(" prohibit"),
        }
    }
}

/// A permanent neighbour entry: which hardware address answers for an IP address on an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Neighbour {
    /// The interface.
    pub dev: IfName,
    /// The neighbour's IP address.
    pub address: IpAddr,
    /// The hardware address that has it.
    pub mac: Mac,
}
