//! Routes as a file has them.

use std::net::IpAddr;

use schemars::{JsonSchema, Schema};

use super::read::{Fields, Read, Spanned};
use super::scalar::{Scalar, Wrong, not, word, words};
use super::scalar_net::{Destination, TableId};
use crate::lab::{IfName, RouteKind, RouteScope};
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
    /// The interface; found from `via` by default, and of a local route `lo`.
    pub dev: Option<Spanned<IfName>>,
    /// Its metric: the lower wins. 0 (IPv4) or 1024 (IPv6) by default.
    pub metric: Option<Spanned<u32>>,
    /// The source address that packets from here get.
    pub source: Option<Spanned<IpAddr>>,
    /// The routing table; `main` by default, of a local route `local`.
    pub table: Option<Spanned<TableId>>,
    /// What happens to packets; `unicast` by default.
    #[schemars(rename = "type")]
    pub kind: Option<Spanned<RouteType>>,
    /// How far the destination is (IPv4).
    pub scope: Option<Spanned<Scope>>,
    /// Whether the next router is taken to be on the link even if no subnet says so; false by default.
    pub onlink: Option<Spanned<bool>>,
    /// The size in bytes of the largest packets that are sent this way; that of the interface by default.
    pub mtu: Option<Spanned<u32>>,
    /// Several next hops, among which flows are spread, instead of `via` and `dev`.
    #[schemars(default)]
    pub nexthops: Vec<NextHop>,
}

/// One of several next hops.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct NextHop {
    /// The next router's address.
    pub via: Option<Spanned<IpAddr>>,
    /// The interface; found from `via` by default.
    pub dev: Option<Spanned<IfName>>,
    /// How many flows go this way, compared with the others: from 1 to 256; 1 by default.
    pub weight: Option<Spanned<Weight>>,
    /// Where it is in the file.
    #[schemars(skip)]
    pub span: Span,
}

/// The weight of a next hop.
#[derive(Debug, Clone, Copy)]
pub struct Weight(pub u16);

impl Scalar for Weight {
    const WHAT: &'static str = "a weight from 1 to 256";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let weight = u32::parse(text).ok().filter(|weight| (1..=256).contains(weight));
        weight.and_then(|weight| u16::try_from(weight).ok()).map(Self).ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": 256 })
    }
}

impl Read for NextHop {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a next hop", found)?;
        let hop = Self {
            via: fields.optional("via"),
            dev: fields.optional("dev"),
            weight: fields.optional("weight"),
            span: fields.head(),
        };
        fields.end();
        Some(hop)
    }
}

/// What a route does.
#[derive(Debug, Clone, Copy)]
pub struct RouteType(pub RouteKind);

/// How far a destination is.
#[derive(Debug, Clone, Copy)]
pub struct Scope(pub RouteScope);

const ROUTE_TYPES: [(&str, RouteType); 6] = [
    ("unicast", RouteType(RouteKind::Unicast)),
    ("local", RouteType(RouteKind::Local)),
    ("throw", RouteType(RouteKind::Throw)),
    ("blackhole", RouteType(RouteKind::Blackhole)),
    ("unreachable", RouteType(RouteKind::Unreachable)),
    ("prohibit", RouteType(RouteKind::Prohibit)),
];
const SCOPES: [(&str, Scope); 4] = [
    ("global", Scope(RouteScope::Global)),
    ("site", Scope(RouteScope::Site)),
    ("link", Scope(RouteScope::Link)),
    ("host", Scope(RouteScope::Host)),
];

impl Scalar for RouteType {
    const WHAT: &'static str = "a route's type: unicast, local, throw, blackhole, unreachable or prohibit";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &ROUTE_TYPES)
    }

    fn schema() -> Schema {
        words(&ROUTE_TYPES)
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
        let mtu = fields.optional("mtu");
        let nexthops = fields.or_empty("nexthops");
        fields.end();
        Some(Self { to: to?, via, dev, metric, source, table, kind, scope, onlink, mtu, nexthops })
    }
}
