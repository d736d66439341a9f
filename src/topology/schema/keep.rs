//! What programs add to a namespace and the lab leaves alone, as it is written.

use std::borrow::Cow;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{Fields, OneOrMany, Read, Spanned};
use super::scalar::{Scalar, Wrong, not};
use super::scalar_net::Prefix;
use crate::lab::ROUTE_PROTOCOL;
use crate::topology::diagnostics::{Collector, nearest};
use crate::topology::yaml::{Node, Value};

/// Routes and addresses that programs add, and that the lab leaves alone.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Keep {
    /// Routes with these protocols (`proto` in `ip route`): words such as `zebra`, `bird`, `ospf`, `bgp`, or numbers.
    pub routes: Option<OneOrMany<Spanned<RouteProtocol>>>,
    /// Addresses: these themselves, those in these subnets, or those with these protocols (`proto` in `ip address`).
    pub addresses: Option<OneOrMany<Spanned<KeptAddress>>>,
}

/// The same, as a piece of the tree that is put into several namespaces.
pub struct KeepEverywhere(pub Vec<Node>);

/// Who has added a route.
#[derive(Debug, Clone, Copy)]
pub struct RouteProtocol(pub u8);

/// Which addresses are meant.
#[derive(Debug, Clone, Copy)]
pub enum KeptAddress {
    By(u8),
    In(IpNet),
}

/// The protocols of programs: those of iproute2 (`rt_protos`), and of FRR (its `rt_netlink.h`).
const PROGRAMS: [(&str, u8); 25] = [
    ("gated", 8),
    ("ra", 9),
    ("mrt", 10),
    ("zebra", 11),
    ("bird", 12),
    ("dnrouted", 13),
    ("xorp", 14),
    ("ntk", 15),
    ("dhcp", 16),
    ("keepalived", 18),
    ("babel", 42),
    ("openr", 99),
    ("bgp", 186),
    ("isis", 187),
    ("ospf", 188),
    ("rip", 189),
    ("ripng", 190),
    ("nhrp", 191),
    ("eigrp", 192),
    ("ldp", 193),
    ("sharp", 194),
    ("pbr", 195),
    ("zstatic", 196),
    ("openfabric", 197),
    ("srte", 198),
];

/// Protocols that say nothing of a program, and why their routes cannot be kept.
const NO_PROGRAMS: [(&str, u8, &str); 6] = [
    ("unspec", 0, "says nothing of who has added a route"),
    ("redirect", 1, "is the kernel's own, whose routes are left alone anyway"),
    ("kernel", 2, "is the kernel's own, whose routes are left alone anyway"),
    ("boot", 3, "is what `ip route add` writes, whoever runs it"),
    ("static", 4, "is what people write"),
    ("nslab", ROUTE_PROTOCOL, "is nslab's own"),
];

/// The kernel's own word for addresses from a router's advertisement (`IFAPROT_KERNEL_RA`).
const KERNEL_RA: (&str, u8) = ("kernel_ra", 2);

fn number(text: &str) -> Option<u8> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Scalar for RouteProtocol {
    const WHAT: &'static str = "the protocol of a routing daemon: zebra, bird, ospf, bgp … or a number up to 255";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let number = number(text);
        if let Some((word, of, why)) = NO_PROGRAMS.iter().find(|(word, of, _)| *word == text || number == Some(*of)) {
            let named = if number.is_some() { format!("{of} (`{word}`)") } else { format!("`{word}`") };
            let help = "a daemon marks its routes with a protocol of its own, which `ip route` shows";
            return Err(Wrong::new(format!("{named} {why}")).help(help));
        }
        let known = PROGRAMS.iter().find(|(word, _)| *word == text).map(|(_, of)| *of);
        known.or(number).map(Self).ok_or_else(|| unknown::<Self>(text, None))
    }

    fn schema() -> Schema {
        let words: Vec<&str> = PROGRAMS.iter().map(|(word, _)| *word).collect();
        json_schema!({ "anyOf": [{ "enum": words }, { "type": "integer", "minimum": 5, "maximum": 255 }] })
    }
}

impl Scalar for KeptAddress {
    const WHAT: &'static str = "an address, a subnet, or the protocol of a program: keepalived … or a number up to 255";

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.contains(['.', ':', '/']) {
            return Prefix::parse(text).map(|Prefix(net)| Self::In(net));
        }
        let number = number(text);
        if matches!(number, Some(0 | 1 | 3)) {
            let message = format!("{text} is the kernel's own, or nobody's, and no program's");
            return Err(Wrong::new(message).help("write the address itself"));
        }
        let known = PROGRAMS.iter().chain([&KERNEL_RA]).find(|(word, _)| *word == text).map(|(_, of)| *of);
        known.or(number).map(Self::By).ok_or_else(|| unknown::<Self>(text, Some(KERNEL_RA.0)))
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["string", "integer"], "description": Self::WHAT })
    }
}

fn unknown<T: Scalar>(text: &str, further: Option<&'static str>) -> Wrong {
    let words = PROGRAMS.iter().map(|(word, _)| *word).chain(further).filter(|word| word.len() > 2);
    let wrong = not::<T>(text);
    match nearest(&text.to_ascii_lowercase(), words) {
        Some(meant) => wrong.help(format!("did you mean `{meant}`?")),
        None => wrong,
    }
}

impl Read for Keep {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`keep`", found)?;
        let keep = Self { routes: fields.optional("routes"), addresses: fields.optional("addresses") };
        fields.end();
        Some(keep)
    }
}

impl Read for KeepEverywhere {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        OneOrMany::<Keep>::read(node, found)?;
        Some(Self(match &node.value {
            Value::List(items) => items.clone(),
            Value::Map(_) | Value::Scalar(_) | Value::Null => vec![node.clone()],
        }))
    }
}

impl JsonSchema for KeepEverywhere {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "What programs add".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        OneOrMany::<Keep>::json_schema(generator)
    }
}
