//! DNS of a cluster, as it is written: its servers, and how pods ask them, in Kubernetes' words.

use std::net::IpAddr;

use schemars::{JsonSchema, Schema};

use super::etc_files::{HostName, Resolver};
use super::read::{Fields, Read, Spanned, head};
use super::scalar::{Scalar, Wrong, word_of_kubernetes, words};
use super::scalar_lab::Text;
use crate::dns::PodNames;
use crate::lab::{DnsName, NsName};
use crate::topology::diagnostics::{Collector, Span};
use crate::topology::yaml::Node;

/// The name servers of a cluster: pods `coredns-1`, `coredns-2` … of nslab's own, behind the service
/// `kube-system/kube-dns`. Write `{}` for what kubeadm sets up.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ClusterDns {
    /// The zone of all names; `cluster.local` by default.
    pub zone: Option<Spanned<DnsName>>,
    /// Which names pods have by their addresses: `insecure`, the default, `verified` or `disabled`.
    pub pods: Option<Spanned<PodNames>>,
    /// For how many seconds others may keep an answer; 30 by default.
    pub ttl: Option<Spanned<u32>>,
    /// The namespace whose name server is asked for names outside; by default, that is refused.
    pub forward: Option<Spanned<NsName>>,
    /// How many of these pods there are; 2 by default, or one where there is one node.
    pub replicas: Option<Spanned<u32>>,
    /// Its place in the file.
    #[schemars(skip)]
    pub span: Span,
}

/// What a pod finds in `/etc/resolv.conf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsPolicy {
    /// The cluster's name servers.
    ClusterFirst,
    /// The same: it is meant for pods in the network of their node, which there are none of.
    ClusterFirstWithHostNet,
    /// What its node has.
    Default,
    /// What its `dnsConfig` says.
    None,
}

/// What a pod finds there besides.
#[derive(JsonSchema, Clone)]
#[schemars(deny_unknown_fields)]
pub struct DnsConfig {
    /// Further name servers.
    #[schemars(default)]
    pub nameservers: Vec<Spanned<IpAddr>>,
    /// Further domains to search.
    #[schemars(default)]
    pub searches: Vec<Spanned<HostName>>,
    /// Options, instead of those of the same name.
    #[schemars(default)]
    pub options: Vec<DnsConfigOption>,
}

/// An option of the resolver.
#[derive(JsonSchema, Clone)]
#[schemars(deny_unknown_fields)]
pub struct DnsConfigOption {
    /// Its name: `ndots`.
    pub name: Spanned<Text>,
    /// Its value, where it has one.
    pub value: Option<Spanned<Text>>,
}

/// What is in the `/etc/resolv.conf` of a node, and its place in the tree, which becomes a part of the namespace.
pub struct WrittenResolver {
    pub resolver: Resolver,
    pub tree: Node,
}

const POLICIES: [(&str, DnsPolicy); 4] = [
    ("ClusterFirst", DnsPolicy::ClusterFirst),
    ("ClusterFirstWithHostNet", DnsPolicy::ClusterFirstWithHostNet),
    ("Default", DnsPolicy::Default),
    ("None", DnsPolicy::None),
];

impl Scalar for DnsPolicy {
    const WHAT: &'static str = "a policy of DNS: ClusterFirst, Default, None or ClusterFirstWithHostNet";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &POLICIES)
    }

    fn schema() -> Schema {
        words(&POLICIES)
    }
}

impl Read for ClusterDns {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`dns` of a cluster", found)?;
        let dns = Self {
            zone: fields.optional("zone"),
            pods: fields.optional("pods"),
            ttl: fields.optional("ttl"),
            forward: fields.optional("forward"),
            replicas: fields.optional("replicas"),
            span: head(node),
        };
        fields.end();
        Some(dns)
    }
}

impl Read for DnsConfig {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`dnsConfig`", found)?;
        let config = Self {
            nameservers: fields.or_empty("nameservers"),
            searches: fields.or_empty("searches"),
            options: fields.or_empty("options"),
        };
        fields.end();
        Some(config)
    }
}

impl Read for DnsConfigOption {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "an option of `dnsConfig`", found)?;
        let name = fields.required("name");
        let value = fields.optional("value");
        fields.end();
        Some(Self { name: name?, value })
    }
}

impl Read for WrittenResolver {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        Some(Self { resolver: Resolver::read(node, found)?, tree: node.clone() })
    }
}
