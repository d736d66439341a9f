//! Checks, as they are written.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, json_schema};

use super::http::{HeaderName, Host, Method, Path, Status};
use super::read::{Fields, Named, OneOrMany, Read, Spanned};
use super::scalar::{Scalar, Wrong, not, word, words};
use super::scalar_lab::Text;
use super::service::DnsLabel;
use crate::lab::{DnsName, DnsType, Expect, Family, IfName, NsName, PacketSize};
use crate::topology::diagnostics::{Collector, Span};
use crate::topology::yaml::Node;

/// A promise about who reaches whom. It is checked for every pair of its two sides.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Check {
    /// What reports call it; made from its two sides by default. Of `dns`: the name that is asked for.
    pub name: Option<Spanned<Text>>,
    /// Where the packet starts: a namespace, a group, `all`, a label such as `role=db`, or a list of these.
    pub from: OneOrMany<Spanned<Selector>>,
    /// Where it goes: the same, or an IP address, a service, `service/web`, or a name, `name/web.lab`; with `%eth0`,
    /// by the link-local address on that link of the sender.
    pub to: OneOrMany<Spanned<Selector>>,
    /// `icmp`, `tcp`, `udp`, or `http` or `dns`, which a program has to answer; `tcp` where a port is given, else
    /// `icmp`.
    pub protocol: Option<Spanned<Protocol>>,
    /// The destination port; of a service, its number or its name, or nothing if it has one port. Of `http`, 80 by
    /// default; of `dns`, 53.
    pub port: Option<Spanned<CheckPort>>,
    /// Of `http`: the path that is asked for, with its query; `/` by default.
    pub path: Option<Spanned<Path>>,
    /// Of `http`: the method; `GET` by default.
    pub method: Option<Spanned<Method>>,
    /// Of `http`: the `Host` header; what `to` says by default.
    pub host: Option<Spanned<Host>>,
    /// Of `http`: the status that the answer must have; 200 by default.
    pub status: Option<Spanned<Status>>,
    /// Of `http`: a text that the body must contain.
    pub contains: Option<Spanned<Text>>,
    /// Of `http`: headers that the answer must have, each with a text that it must contain.
    #[schemars(default)]
    pub header: Named<HeaderName, Spanned<Text>>,
    /// Of `dns`: the type of the records that are asked for; `A` by default.
    #[schemars(rename = "type")]
    pub kind: Option<Spanned<DnsType>>,
    /// Of `dns`: the records that the answer must have, and no others; or NXDOMAIN, NODATA or REFUSED.
    pub answer: Option<OneOrMany<Spanned<Text>>>,
    /// The size of the IP packet in bytes, with its headers, and of the answer; over TCP, of the segments in both
    /// directions. As small as can be by default.
    pub size: Option<Spanned<Size>>,
    /// Don't Fragment: whether packets of this `size` must not be cut into fragments; true by default.
    pub df: Option<Spanned<bool>>,
    /// `reachable`; `unreachable`: it does not arrive; `unanswered`: it arrives, and no answer comes back; `refused`.
    /// `reachable` by default.
    pub expect: Option<Spanned<Expectation>>,
    /// The source address that the destination must see: `itself` (no translation), an address, or a namespace.
    pub seen_as: Option<Spanned<SeenBy>>,
    /// The namespace that must answer, behind a published port.
    pub answered_by: Option<Spanned<NsName>>,
    /// So many connections, of which each endpoint of a service must get its share.
    pub spread: Option<Spanned<u32>>,
    /// The source address to send from; the kernel chooses by default.
    pub source: Option<Spanned<IpAddr>>,
    /// 4 or 6: which address of a namespace is the destination; 4 where it has one.
    pub family: Option<Spanned<Family>>,
    /// How often a probe is tried again; 2, for IPv6 5, or 0 where `unreachable` is expected.
    pub retries: Option<Spanned<u32>>,
    /// How long one try waits: `1s`, `500ms`, or a number of seconds; 1s by default.
    pub timeout: Option<Spanned<Duration>>,
    /// Where it is in the file.
    #[schemars(skip)]
    pub span: Span,
}

/// One side of a check, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Every namespace but `host`.
    All,
    /// A namespace or a group.
    Name(String),
    /// Every namespace with this label.
    Label(String, String),
    /// An address, whoever has it.
    Address(IpAddr),
    /// A service, with or without its Kubernetes namespace.
    Service(String),
    /// A name that the sender resolves by its own files and name servers.
    DnsName(String),
    /// One of these by its link-local address, on the link of an interface of the sender.
    OnLink(Box<Self>, IfName),
}

/// What a check sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Icmp,
    Tcp,
    Udp,
    Http,
    Dns,
}

/// A destination port, or the name that a service has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckPort {
    Number(u16),
    Name(String),
}

/// The size of a packet in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Size(pub u16);

/// What must happen.
#[derive(Debug, Clone, Copy)]
pub struct Expectation(pub Expect);

/// The source that the destination must see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenBy {
    Itself,
    Address(IpAddr),
    Namespace(NsName),
}

const PROTOCOLS: [(&str, Protocol); 5] = [
    ("icmp", Protocol::Icmp),
    ("tcp", Protocol::Tcp),
    ("udp", Protocol::Udp),
    ("http", Protocol::Http),
    ("dns", Protocol::Dns),
];
const EXPECTATIONS: [(&str, Expectation); 4] = [
    ("reachable", Expectation(Expect::Reachable)),
    ("unreachable", Expectation(Expect::Unreachable)),
    ("unanswered", Expectation(Expect::Unanswered)),
    ("refused", Expectation(Expect::Refused)),
];

/// The party as the author wrote it.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Name(name) => f.write_str(name),
            Self::Label(key, value) => write!(f, "{key}={value}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Service(name) => write!(f, "{SERVICE}{name}"),
            Self::DnsName(name) => write!(f, "{DNS_NAME}{name}"),
            Self::OnLink(party, dev) => write!(f, "{party}%{dev}"),
        }
    }
}

impl Scalar for Selector {
    const WHAT: &'static str = "a namespace, a group, all, a label such as role=db, or an IP address";

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text == "all" {
            return Ok(Self::All);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if let Some((party, dev)) = text.split_once('%').filter(|(party, _)| !party.starts_with(DNS_NAME)) {
            let help = "behind % is the sender's interface, as in fe80::1%eth0";
            let dev = dev.parse().map_err(|_| not::<Self>(text).help(help))?;
            return Ok(Self::OnLink(Box::new(Self::parse(party)?), dev));
        }
        if let Some(name) = text.strip_prefix(SERVICE) {
            return Ok(Self::Service(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix(DNS_NAME) {
            let is_whole = name.parse::<DnsName>().is_ok_and(|own| !own.as_str().is_empty() && !name.starts_with('*'));
            let help = "behind name/ is a name of DNS, as in name/web.shop";
            return if is_whole { Ok(Self::DnsName(name.to_owned())) } else { Err(not::<Self>(text).help(help)) };
        }
        if text.contains('/') {
            return Err(not::<Self>(text).help("a check goes to single addresses, or to namespaces by name"));
        }
        Ok(match text.split_once('=') {
            Some((key, value)) => Self::Label(key.trim().to_owned(), value.trim().to_owned()),
            None => Self::Name(text.to_owned()),
        })
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// What a side begins with that is a service.
const SERVICE: &str = "service/";

/// What a side begins with that is a name of DNS.
const DNS_NAME: &str = "name/";

impl Scalar for CheckPort {
    const WHAT: &'static str = "a port from 1 to 65535, or the name of a service's port";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match u16::parse(text) {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if DnsLabel::parse(text).is_ok_and(|name| name.0.bytes().any(|b| b.is_ascii_lowercase())) => {
                Ok(Self::Name(text.to_owned()))
            }
            Err(wrong) => Err(wrong),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "anyOf": [u16::schema(), { "type": "string" }] })
    }
}

impl Scalar for Protocol {
    const WHAT: &'static str = "a way to probe: icmp, tcp, udp, http or dns";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &PROTOCOLS)
    }

    fn schema() -> Schema {
        words(&PROTOCOLS)
    }
}

impl Scalar for Size {
    const WHAT: &'static str = "a size in bytes from 148 to 32767, such as 1500";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let sizes = u32::from(PacketSize::LEAST)..=u32::from(PacketSize::MOST);
        let size = u32::parse(text).ok().filter(|size| sizes.contains(size));
        size.and_then(|size| u16::try_from(size).ok()).map(Self).ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": PacketSize::LEAST, "maximum": PacketSize::MOST })
    }
}

impl Scalar for Expectation {
    const WHAT: &'static str = "an outcome: reachable, unreachable, unanswered or refused";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &EXPECTATIONS)
    }

    fn schema() -> Schema {
        words(&EXPECTATIONS)
    }
}

impl Scalar for SeenBy {
    const WHAT: &'static str = "`itself`, an IP address or a namespace's name";

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text == "itself" {
            return Ok(Self::Itself);
        }
        match (text.parse(), NsName::parse(text)) {
            (Ok(address), _) => Ok(Self::Address(address)),
            (_, Ok(ns)) => Ok(Self::Namespace(ns)),
            _ => Err(not::<Self>(text)),
        }
    }
}

impl Read for Check {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a check", found)?;
        let name = fields.optional("name");
        let from = fields.required("from");
        let to = fields.required("to");
        let protocol = fields.optional("protocol");
        let port = fields.optional("port");
        let path = fields.optional("path");
        let method = fields.optional("method");
        let host = fields.optional("host");
        let status = fields.optional("status");
        let contains = fields.optional("contains");
        let header = fields.or_empty("header");
        let kind = fields.optional("type");
        let answer = fields.optional("answer");
        let size = fields.optional("size");
        let df = fields.optional("df");
        let expect = fields.optional("expect");
        let seen_as = fields.optional("seen_as");
        let answered_by = fields.optional("answered_by");
        let spread = fields.optional("spread");
        let source = fields.optional("source");
        let family = fields.optional("family");
        let retries = fields.optional("retries");
        let timeout = fields.optional("timeout");
        let span = fields.head();
        fields.end();
        let (from, to) = (from?, to?);
        Some(Self {
            name,
            from,
            to,
            protocol,
            port,
            path,
            method,
            host,
            status,
            contains,
            header,
            kind,
            answer,
            size,
            df,
            expect,
            seen_as,
            answered_by,
            spread,
            source,
            family,
            retries,
            timeout,
            span,
        })
    }
}
