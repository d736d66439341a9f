//! Routes, as concrete as the kernel keeps them.
//!
//! Every default is already filled in (metric, table, scope, outgoing interface), so that two routes are the same
//! exactly when they are equal.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::{Address, IfName};

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Route {
    /// The routing table; 254 is `main`.
    pub table: u32,
    /// The destination, truncated to its prefix; `0.0.0.0/0` and `::/0` are `default`.
    pub to: IpNet,
    /// The metric (priority; lower wins). IPv4 has 0 by default, IPv6 1024.
    pub metric: u32,
    /// What happens to a packet that matches.
    pub kind: RouteKind,
    /// The next hop, of the same family as `to`.
    pub via: Option<IpAddr>,
    /// The outgoing interface, or of a local route the one that it belongs to; none for the other kinds.
    pub dev: Option<IfName>,
    /// The preferred source address.
    pub source: Option<IpAddr>,
    /// The scope; always [`RouteScope::Global`] for IPv6.
    pub scope: RouteScope,
    /// The next hop is taken to be on the interface's link even if no subnet says so.
    pub onlink: bool,
    /// Packets larger than this are not sent this way (`RTAX_MTU`); none: the interface's MTU counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Two or more next hops, among which flows are spread; then there is no other `via` and `dev`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub nexthops: BTreeSet<NextHop>,
}

/// One of several next hops of a route (`nexthop` in `ip-route(8)`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NextHop {
    /// The gateway, of the same family as the destination.
    pub via: Option<IpAddr>,
    /// The outgoing interface.
    pub dev: IfName,
    /// How many flows go this way, compared with the others: from 1 to 256.
    pub weight: u16,
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
    /// It is for this namespace.
    Local,
    /// Look no further in this table, and ask the next policy rule.
    Throw,
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

/// The kernel's own table of local addresses (`RT_TABLE_LOCAL`).
pub const LOCAL_TABLE: u32 = 255;

/// IPv6 routes have this metric by default (`IP6_RT_PRIO_USER`), and 0 means the same.
pub const DEFAULT_IPV6_METRIC: u32 = 1024;

/// Metric of the routes to connected IPv6 subnets (`IP6_RT_PRIO_ADDRCONF`); IPv4 has 0.
const CONNECTED_IPV6_METRIC: u32 = 256;

impl Route {
    /// Its place.
    pub fn slot(&self) -> RouteSlot {
        RouteSlot { table: self.table, to: self.to, metric: self.metric }
    }

    /// The route without its several next hops: what names it to the kernel, which compares them in an order that is
    /// not known.
    #[must_use]
    pub fn without_nexthops(&self) -> Self {
        Self { nexthops: BTreeSet::new(), ..self.clone() }
    }

    /// Whether the kernel holds the two in the same place: adding one where the other is means replacing it.
    pub fn same_slot(&self, other: &Self) -> bool {
        self.slot() == other.slot()
    }

    /// The routes to its own subnets that the kernel makes with an address of an interface: what metric and scope it
    /// gives them is in fib_add_ifaddr and addrconf_prefix_route.
    pub fn connected(table: u32, dev: &IfName, own: Address) -> impl Iterator<Item = Self> {
        let ipv6 = own.is_ipv6();
        own.connected().map(move |to| Self {
            table,
            to,
            metric: if ipv6 { CONNECTED_IPV6_METRIC } else { 0 },
            kind: RouteKind::Unicast,
            via: None,
            dev: Some(dev.clone()),
            source: (!ipv6).then(|| own.ip()),
            scope: if ipv6 { RouteScope::Global } else { RouteScope::Link },
            onlink: false,
            mtu: None,
            nexthops: BTreeSet::new(),
        })
    }

    /// Whether the kernel may add the same route by itself, with an address.
    pub fn is_like_connected(&self) -> bool {
        let metric = if self.is_ipv6() { CONNECTED_IPV6_METRIC } else { 0 };
        self.kind == RouteKind::Unicast && self.via.is_none() && self.nexthops.is_empty() && self.metric == metric
    }

    /// The ways that it leads: each a gateway, where there is one, and an interface. None for the kinds that lead
    /// nowhere.
    pub fn hops(&self) -> impl Iterator<Item = (Option<IpAddr>, &IfName)> {
        let several = self.nexthops.iter().map(|hop| (hop.via, &hop.dev));
        self.dev.iter().map(|dev| (self.via, dev)).chain(several)
    }

    /// The interfaces that it leaves through.
    pub fn devs(&self) -> impl Iterator<Item = &IfName> {
        self.hops().map(|(_, dev)| dev)
    }

    /// Whether it goes with no interface: the kinds that lead nowhere.
    pub fn is_deviceless(&self) -> bool {
        self.devs().next().is_none()
    }

    /// The gateways that it leads to, each with the interface that it is behind.
    pub fn gateways(&self) -> impl Iterator<Item = (IpAddr, &IfName)> {
        self.hops().filter_map(|(via, dev)| Some((via?, dev)))
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
            Self::Local => "local ",
            Self::Throw => "throw ",
            Self::Blackhole => "blackhole ",
            Self::Unreachable => "unreachable ",
            Self::Prohibit => "prohibit ",
        }
    }

    /// The table where `ip route` puts a route that names none.
    pub fn default_table(self) -> u32 {
        match self {
            Self::Local => LOCAL_TABLE,
            Self::Unicast | Self::Throw | Self::Blackhole | Self::Unreachable | Self::Prohibit => MAIN_TABLE,
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

/// The next hop as `ip route` spells it.
impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nexthop")?;
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        write!(f, " dev {} weight {}", self.dev, self.weight)
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
        if self.table != self.kind.default_table() {
            write!(f, " table {}", self.table)?;
        }
        if self.metric != self.default_metric() {
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
        if let Some(mtu) = self.mtu {
            write!(f, " mtu {mtu}")?;
        }
        self.nexthops.iter().try_for_each(|hop| write!(f, " {hop}"))
    }
}

impl Route {
    /// The metric that a route has that names none.
    pub fn default_metric(&self) -> u32 {
        if self.is_ipv6() { DEFAULT_IPV6_METRIC } else { 0 }
    }

    /// The scope that `ip route` gives a route that names none.
    pub fn default_scope(&self) -> RouteScope {
        let is_on_link = self.via.is_none() && self.nexthops.is_empty();
        match self.kind {
            RouteKind::Unicast if is_on_link && !self.is_ipv6() => RouteScope::Link,
            RouteKind::Local if !self.is_ipv6() => RouteScope::Host,
            RouteKind::Unicast
            | RouteKind::Local
            | RouteKind::Throw
            | RouteKind::Blackhole
            | RouteKind::Unreachable
            | RouteKind::Prohibit => RouteScope::Global,
        }
    }
}
