//! Routes, policy rules and neighbours, as they are written.

use std::net::IpAddr;

use schemars::{JsonSchema, Schema};

use super::read::{Fields, Read, Spanned};
use super::scalar::{Scalar, Wrong, word, words};
use super::scalar_net::{Destination, Mark, Prefix, TableId};
use crate::lab::{Family, IfName, Mac, RouteKind, RouteScope};
use crate::topology::diagnostics::{Collector, Span};
use crate::topology::yaml::Node;

/// A route.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Route {
    /// Where it leads: a subnet, an address, or `default`.
    pub to: Spanned<Destination>,
    /// The next router's address.
    pub via: Option<Spanned<IpAddr>>,
    /// The interface; found from `via` where none is given.
    pub dev: Option<Spanned<IfName>>,
    /// Its metric: the lower wins. 0 (IPv4) or 1024 (IPv6) where none is given.
    pub metric: Option<Spanned<u32>>,
    /// The source address that packets from here get.
    pub source: Option<Spanned<IpAddr>>,
    /// The routing table; `main` where none is given.
    pub table: Option<Spanned<TableId>>,
    /// What happens to packets; `unicast` where nothing is said.
    #[schemars(rename = "type")]
    pub kind: Option<Spanned<RouteType>>,
    /// How far the destination is (IPv4).
    pub scope: Option<Spanned<Scope>>,
    /// Whether the next router is taken to be on the link even if no subnet says so; false where nothing is said.
    pub onlink: Option<Spanned<bool>>,
}

/// A policy routing rule.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PolicyRule {
    /// Its priority: lower ones are asked first. 1000 and its position in the list where none is given.
    pub priority: Option<Spanned<u32>>,
    /// Packets from this subnet.
    pub from: Option<Spanned<Prefix>>,
    /// Packets to this subnet.
    pub to: Option<Spanned<Prefix>>,
    /// Packets that came in through this interface.
    pub iif: Option<Spanned<IfName>>,
    /// Packets of sockets that are bound to this interface.
    pub oif: Option<Spanned<IfName>>,
    /// Packets with this firewall mark.
    pub fwmark: Option<Spanned<Mark>>,
    /// The routing table that decides.
    pub table: Option<Spanned<TableId>>,
    /// What happens instead.
    #[schemars(rename = "type")]
    pub kind: Option<Spanned<RuleType>>,
    /// 4 or 6; that of `from` and `to` where nothing is said, else 4.
    pub family: Option<Spanned<Family>>,
    /// Where it stands.
    #[schemars(skip)]
    pub span: Span,
}

/// A permanent entry of the neighbour table.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Neighbour {
    /// The neighbour's IP address.
    pub to: Spanned<IpAddr>,
    /// Its hardware address.
    pub mac: Spanned<Mac>,
    /// The interface; found from `to` where none is given.
    pub dev: Option<Spanned<IfName>>,
}

/// What a route does.
#[derive(Debug, Clone, Copy)]
pub struct RouteType(pub RouteKind);

/// What a rule does other than look into a table.
#[derive(Debug, Clone, Copy)]
pub enum RuleType {
    Blackhole,
    Unreachable,
    Prohibit,
}

/// How far a destination is.
#[derive(Debug, Clone, Copy)]
pub struct Scope(pub RouteScope);

const ROUTE_TYPES: [(&str, RouteType); 4] = [
    ("unicast", RouteType(RouteKind::Unicast)),
    ("blackhole", RouteType(RouteKind::Blackhole)),
    ("unreachable", RouteType(RouteKind::Unreachable)),
    ("prohibit", RouteType(RouteKind::Prohibit)),
];
const RULE_TYPES: [(&str, RuleType); 3] =
    [("blackhole", RuleType::Blackhole), ("unreachable", RuleType::Unreachable), ("prohibit", RuleType::Prohibit)];
const SCOPES: [(&str, Scope); 4] = [
    ("global", Scope(RouteScope::Global)),
    ("site", Scope(RouteScope::Site)),
    ("link", Scope(RouteScope::Link)),
    ("host", Scope(RouteScope::Host)),
];

impl Scalar for RouteType {
    const WHAT: &'static str = "a route's type: unicast, blackhole, unreachable or prohibit";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &ROUTE_TYPES)
    }

    fn schema() -> Schema {
        words(&ROUTE_TYPES)
    }
}

impl Scalar for RuleType {
    const WHAT: &'static str = "a rule's type: blackhole, unreachable or prohibit";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &RULE_TYPES)
    }

    fn schema() -> Schema {
        words(&RULE_TYPES)
    }
}

impl Scalar for Scope {
    const WHAT: &'static str = "a scope: global, site, link or host";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &SCOPES)
    }

    fn schema() -> Schema {
        words(&SCOPES)
    }
}

impl Scalar for Family {
    const WHAT: &'static str = "an address family: 4 or 6";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &[("4", Self::Ipv4), ("6", Self::Ipv6)])
    }

    fn schema() -> Schema {
        schemars::json_schema!({ "enum": [4, 6] })
    }
}

impl Read for Route {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a route", found)?;
        let to = fields.required("to");
        let via = fields.optional("via");
        let dev = fields.optional("dev");
        let metric = fields.optional("metric");
        let source = fields.optional("source");
        let table = fields.optional("table");
        let kind = fields.optional("type");
        let scope = fields.optional("scope");
        let onlink = fields.optional("onlink");
        fields.end();
        Some(Self { to: to?, via, dev, metric, source, table, kind, scope, onlink })
    }
}

impl Read for PolicyRule {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a policy rule", found)?;
        let rule = Self {
            priority: fields.optional("priority"),
            from: fields.optional("from"),
            to: fields.optional("to"),
            iif: fields.optional("iif"),
            oif: fields.optional("oif"),
            fwmark: fields.optional("fwmark"),
            table: fields.optional("table"),
            kind: fields.optional("type"),
            family: fields.optional("family"),
            span: fields.head(),
        };
        fields.end();
        Some(rule)
    }
}

impl Read for Neighbour {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a neighbour", found)?;
        let to = fields.required("to");
        let mac = fields.required("mac");
        let dev = fields.optional("dev");
        fields.end();
        Some(Self { to: to?, mac: mac?, dev })
    }
}
