//! What programs in a namespace find in `/etc`: `hosts` and `dns`.

use std::borrow::Cow;
use std::net::IpAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{Fields, Named, OneOrMany, Read, Spanned, head};
use super::scalar::{Scalar, Wrong, not, word, words};
use crate::topology::diagnostics::{Collector, Span, nearest};
use crate::topology::yaml::{Node, Value};

/// The `/etc/hosts` of a namespace.
pub enum Hosts {
    /// One of the two that there are anyway.
    As(Spanned<HostsOf>),
    /// These names and no others; and the place of the first.
    Own(Named<HostName, OneOrMany<Spanned<IpAddr>>>, Span),
}

/// Whose `/etc/hosts` it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostsOf {
    Lab,
    Machine,
}

/// The name of a host, as it is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(pub String);

/// The `/etc/resolv.conf` of a namespace; a server or a list of them is one that says nothing else.
pub struct Resolver {
    pub dns: Dns,
    /// Its place in the file.
    pub span: Span,
}

/// What is in it.
#[derive(JsonSchema, Default)]
#[schemars(deny_unknown_fields)]
pub struct Dns {
    /// The servers that are asked, at most three (`nameserver`).
    #[schemars(default)]
    pub nameservers: Vec<Spanned<IpAddr>>,
    /// What is put behind names with fewer dots than `ndots`, in this order (`search`).
    #[schemars(default)]
    pub search: Vec<Spanned<HostName>>,
    /// Options of resolv.conf(5): `ndots:5`, `timeout:1`, `rotate` …
    #[schemars(default)]
    pub options: Vec<Spanned<ResolverOption>>,
}

/// An option of the resolver, as it is written in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolverOption(pub String);

const HOSTS_OF: [(&str, HostsOf); 2] = [("lab", HostsOf::Lab), ("machine", HostsOf::Machine)];

/// The options of resolv.conf(5), with the largest number of those that take one.
const OPTIONS: [(&str, Option<u32>); 15] = [
    ("debug", None),
    ("ndots", Some(15)),
    ("timeout", Some(30)),
    ("attempts", Some(5)),
    ("rotate", None),
    ("no-aaaa", None),
    ("no-check-names", None),
    ("inet6", None),
    ("edns0", None),
    ("single-request", None),
    ("single-request-reopen", None),
    ("no-tld-query", None),
    ("use-vc", None),
    ("no-reload", None),
    ("trust-ad", None),
];

impl Scalar for HostsOf {
    const WHAT: &'static str = "`lab` (the names of all its namespaces), `machine` (its own file), or a map of names";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &HOSTS_OF)
    }

    fn schema() -> Schema {
        words(&HOSTS_OF)
    }
}

impl Scalar for HostName {
    const WHAT: &'static str = "the name of a host or domain: letters, digits, `-`, `_` and dots between them";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(is_plain)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let fits = text.len() <= 253 && text.split('.').all(is_label) && text.parse::<IpAddr>().is_err();
        if fits { Ok(Self(text.to_owned())) } else { Err(not::<Self>(text)) }
    }
}

impl Scalar for ResolverOption {
    const WHAT: &'static str = "an option of resolv.conf(5), such as ndots:5 or rotate";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
        let known = OPTIONS.iter().find(|(word, _)| *word == name);
        match (known, number) {
            (None, _) => Err(match nearest(name, OPTIONS.iter().map(|(word, _)| *word)) {
                Some(meant) => not::<Self>(text).help(format!("did you mean `{meant}`?")),
                None => not::<Self>(text),
            }),
            (Some((_, None)), None) => Ok(Self(text.to_owned())),
            (Some((_, None)), Some(_)) => Err(Wrong::new(format!("`{name}` takes no number"))),
            (Some((_, Some(most))), number) => match number.and_then(|number| number.parse::<u32>().ok()) {
                Some(number) if number <= *most => Ok(Self(format!("{name}:{number}"))),
                _ => Err(Wrong::new(format!("`{name}` takes a number up to {most}: {name}:1"))),
            },
        }
    }
}

impl Read for Hosts {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => Named::read(node, found).map(|names| Self::Own(names, head(node))),
            Value::Scalar(_) | Value::List(_) | Value::Null => Spanned::read(node, found).map(Self::As),
        }
    }
}

impl Read for Resolver {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let dns = match node.value {
            Value::Scalar(_) | Value::List(_) => {
                let servers = OneOrMany::read(node, found)?;
                Dns { nameservers: servers.0, ..Dns::default() }
            }
            Value::Map(_) | Value::Null => Dns::read(node, found)?,
        };
        Some(Self { dns, span: head(node) })
    }
}

impl Read for Dns {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`dns`", found)?;
        let dns = Self {
            nameservers: fields.or_empty("nameservers"),
            search: fields.or_empty("search"),
            options: fields.or_empty("options"),
        };
        fields.end();
        Some(dns)
    }
}

impl JsonSchema for Resolver {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Resolver".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let servers = OneOrMany::<Spanned<IpAddr>>::json_schema(generator);
        json_schema!({ "anyOf": [servers, generator.subschema_for::<Dns>()] })
    }
}

impl JsonSchema for Hosts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Hosts".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let addresses = OneOrMany::<Spanned<IpAddr>>::json_schema(generator);
        json_schema!({ "anyOf": [HostsOf::schema(), { "type": "object", "additionalProperties": addresses }] })
    }
}
