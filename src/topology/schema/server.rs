//! Built-in servers of a namespace, as they are written.

use std::net::IpAddr;

use schemars::JsonSchema;

use super::dns_zone::{ClusterNames, Zone};
use super::read::{Fields, Named, Read, Spanned};
use super::scalar_lab::Text;
use crate::lab::{DnsName, NsName};
use crate::topology::diagnostics::{Collector, Span};
use crate::topology::yaml::{Node, Value};

/// A built-in server: one of http, tcp, udp and dns with its port.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Server {
    /// A server of HTTP at this port: it says who answers, and who has asked for what.
    pub http: Option<Spanned<u16>>,
    /// A server of TCP at this port: it says who answers, and sends back whatever comes.
    pub tcp: Option<Spanned<u16>>,
    /// A server of UDP at this port: it sends back every datagram.
    pub udp: Option<Spanned<u16>>,
    /// A name server at this port, over UDP and TCP; one in a namespace.
    pub dns: Option<Spanned<u16>>,
    /// The one address of the namespace at which it answers; all of them by default.
    pub address: Option<Spanned<IpAddr>>,
    /// Of HTTP: the status code, from 200 to 599; 200 by default.
    pub status: Option<Spanned<u32>>,
    /// Of HTTP: the text, instead of who answers and who has asked.
    pub text: Option<Spanned<Text>>,
    /// Of DNS: the zones that it has authority for, each with the records of its names.
    #[schemars(default)]
    pub zones: Named<DnsName, Zone>,
    /// Of DNS: the names of the file's services and pods.
    pub cluster_names: Option<ClusterNames>,
    /// Of DNS: for how many seconds others may keep an answer; 300 by default, 30 with `cluster_names`.
    pub ttl: Option<Spanned<u32>>,
    /// Of DNS: the namespace whose name server is asked for everything else; by default, that is refused.
    pub forward: Option<Spanned<NsName>>,
    /// Where it is written.
    #[schemars(skip)]
    pub span: Span,
}

/// Servers that have been read, and their places in the tree, which become a part of several namespaces.
#[derive(Clone)]
pub struct WrittenServers(pub Vec<Node>);

impl Read for Server {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a server", found)?;
        let server = Self {
            http: fields.optional("http"),
            tcp: fields.optional("tcp"),
            udp: fields.optional("udp"),
            dns: fields.optional("dns"),
            address: fields.optional("address"),
            status: fields.optional("status"),
            text: fields.optional("text"),
            zones: fields.or_empty("zones"),
            cluster_names: fields.optional("cluster_names"),
            ttl: fields.optional("ttl"),
            forward: fields.optional("forward"),
            span: fields.head(),
        };
        fields.end();
        Some(server)
    }
}

impl Read for WrittenServers {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        Vec::<Server>::read(node, found)?;
        match &node.value {
            Value::List(items) => Some(Self(items.clone())),
            Value::Map(_) | Value::Scalar(_) | Value::Null => None,
        }
    }
}
