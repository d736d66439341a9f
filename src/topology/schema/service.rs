//! Services, in Kubernetes' words.

use std::net::IpAddr;

use schemars::{JsonSchema, Schema, json_schema};

use super::read::{Fields, Named, Read, Spanned};
use super::scalar::{Scalar, Wrong, not, word_of_kubernetes, words};
use super::scalar_lab::Text;
use super::scalar_net::Prefix;
use super::service_family::{IpFamily, IpFamilyPolicy};
use crate::lab::{IpProtocol, NsName, PortProtocol};
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// A service: an address, and rules on every node that lead from there to its pods. Its keys are those of Kubernetes'
/// `metadata` and `spec`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
pub struct Service {
    /// Its name.
    pub name: Spanned<DnsLabel>,
    /// Its Kubernetes namespace; `default` by default.
    pub namespace: Option<Spanned<DnsLabel>>,
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`; `ClusterIP` by default.
    #[schemars(rename = "type")]
    pub kind: Option<Spanned<ServiceType>>,
    /// Its ports.
    #[schemars(default)]
    pub ports: Vec<ServicePort>,
    /// The labels of its pods, in its Kubernetes namespace.
    #[schemars(default)]
    pub selector: Named<Text, Spanned<Text>>,
    /// Its pods by name, instead of a selector.
    #[schemars(default)]
    pub pods: Vec<Spanned<NsName>>,
    /// Whom it leads to, instead of pods: also somebody outside the cluster.
    #[schemars(default)]
    pub endpoints: Vec<Endpoint>,
    /// Its address, or `None` for a headless one; in a cluster made from its name by default.
    #[schemars(rename = "clusterIP")]
    pub cluster_ip: Option<Spanned<ClusterIp>>,
    /// The same as a list, of an address of each family: the first is `clusterIP`.
    #[schemars(rename = "clusterIPs", default)]
    pub cluster_ips: Vec<Spanned<ClusterIp>>,
    /// In a cluster: the families of its addresses, `IPv4` and `IPv6`, the first one first; by default the family of
    /// the first `service_network`. Of a headless one: the families of the addresses that its name stands for.
    #[schemars(default)]
    pub ip_families: Vec<Spanned<IpFamily>>,
    /// In a cluster: `SingleStack`, the default, for an address of one family; `PreferDualStack` for one of each
    /// that the cluster has; `RequireDualStack` for one of both.
    pub ip_family_policy: Option<Spanned<IpFamilyPolicy>>,
    /// Further addresses at which nodes take its packets, if these come to them.
    #[schemars(rename = "externalIPs", default)]
    pub external_ips: Vec<Spanned<IpAddr>>,
    /// The address of its load balancer, whose packets come to the nodes.
    #[schemars(rename = "loadBalancerIP")]
    pub load_balancer_ip: Option<Spanned<IpAddr>>,
    /// Who may use the load balancer's address; everybody by default.
    #[schemars(default)]
    pub load_balancer_source_ranges: Vec<Spanned<Prefix>>,
    /// `ClientIP`: a client comes to the same pod again. `None` by default.
    pub session_affinity: Option<Spanned<Affinity>>,
    /// For how long.
    pub session_affinity_config: Option<AffinityConfig>,
    /// `Local`: packets from outside go to pods of the node that they come to. `Cluster` by default.
    pub external_traffic_policy: Option<Spanned<TrafficPolicy>>,
    /// Of the type LoadBalancer with `externalTrafficPolicy: Local`: the port of every node at which a load
    /// balancer asks whether the node has pods of the service; in a cluster made from its name by default.
    pub health_check_node_port: Option<Spanned<u16>>,
    /// `Local`: packets from a node's pods go to pods of this node. `Cluster` by default.
    pub internal_traffic_policy: Option<Spanned<TrafficPolicy>>,
    /// Whether pods that are not ready count, too; false by default.
    pub publish_not_ready_addresses: Option<Spanned<bool>>,
    /// Of the type `ExternalName`: the name that it stands for.
    pub external_name: Option<Spanned<Text>>,
}

/// A port of a service.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServicePort {
    /// Its name; needed where there are several.
    pub name: Option<Spanned<DnsLabel>>,
    /// `TCP`, `UDP` or `SCTP`; `TCP` by default.
    pub protocol: Option<Spanned<ServiceProtocol>>,
    /// The port of the service.
    pub port: Spanned<u16>,
    /// The port of the pods, or its name there; the same by default.
    pub target_port: Option<Spanned<TargetPort>>,
    /// The port on every node, from 30000 to 32767; in a cluster made from its name by default.
    pub node_port: Option<Spanned<u16>>,
}

/// Where a port of a service leads to.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Endpoint {
    /// The address, which a namespace has.
    pub address: Spanned<IpAddr>,
    /// The port there.
    pub port: Spanned<u16>,
    /// The name of the service's port that leads there; needed where that has one.
    pub name: Option<Spanned<DnsLabel>>,
}

/// For how long a client comes to the same pod.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AffinityConfig {
    /// By its address.
    #[schemars(rename = "clientIP")]
    pub client_ip: Option<ClientIpConfig>,
}

/// For how long an address is remembered.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ClientIpConfig {
    /// In seconds, from 1 to 86400; 10800 by default.
    #[schemars(rename = "timeoutSeconds")]
    pub timeout: Option<Spanned<u32>>,
}

/// A name as DNS has it: 1 to 63 small letters, digits and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DnsLabel(pub String);

/// Who a service is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceType {
    ClusterIp,
    NodePort,
    LoadBalancer,
    ExternalName,
}

/// The address of a service in the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterIp {
    Headless,
    Address(IpAddr),
}

/// Whether a client comes to the same pod again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affinity {
    None,
    ClientIp,
}

/// Which pods packets go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrafficPolicy {
    Cluster,
    Local,
}

/// A protocol of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceProtocol(pub IpProtocol);

/// A port of pods, by its number or by its name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetPort {
    Number(u16),
    Name(String),
}

/// A port of a pod with its protocol: `8080`, `53/udp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodPort {
    pub number: u16,
    pub protocol: PortProtocol,
}

const TYPES: [(&str, ServiceType); 4] = [
    ("ClusterIP", ServiceType::ClusterIp),
    ("NodePort", ServiceType::NodePort),
    ("LoadBalancer", ServiceType::LoadBalancer),
    ("ExternalName", ServiceType::ExternalName),
];
const AFFINITIES: [(&str, Affinity); 2] = [("None", Affinity::None), ("ClientIP", Affinity::ClientIp)];
const POLICIES: [(&str, TrafficPolicy); 2] = [("Cluster", TrafficPolicy::Cluster), ("Local", TrafficPolicy::Local)];
const PROTOCOLS: [(&str, ServiceProtocol); 3] = [
    ("TCP", ServiceProtocol(IpProtocol::Tcp)),
    ("UDP", ServiceProtocol(IpProtocol::Udp)),
    ("SCTP", ServiceProtocol(IpProtocol::Sctp)),
];

impl Scalar for DnsLabel {
    const WHAT: &'static str = "a name of 1 to 63 small letters, digits and `-`, with none of these at its ends";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let fits = (1..=63).contains(&text.len()) && !text.starts_with('-') && !text.ends_with('-');
        let is_plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits && is_plain { Ok(Self(text.to_owned())) } else { Err(not::<Self>(text)) }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" })
    }
}

impl Scalar for ServiceType {
    const WHAT: &'static str = "a type of service: ClusterIP, NodePort, LoadBalancer or ExternalName";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &TYPES)
    }

    fn schema() -> Schema {
        words(&TYPES)
    }
}

impl Scalar for ClusterIp {
    const WHAT: &'static str = "an IP address, or None for a headless service";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) if text == "None" => Ok(Self::Headless),
            Err(_) => Err(not::<Self>(text)),
        }
    }
}

impl Scalar for Affinity {
    const WHAT: &'static str = "an affinity: None or ClientIP";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &AFFINITIES)
    }

    fn schema() -> Schema {
        words(&AFFINITIES)
    }
}

impl Scalar for TrafficPolicy {
    const WHAT: &'static str = "a policy: Cluster or Local";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &POLICIES)
    }

    fn schema() -> Schema {
        words(&POLICIES)
    }
}

impl Scalar for ServiceProtocol {
    const WHAT: &'static str = "a protocol of a service: TCP, UDP or SCTP";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &PROTOCOLS)
    }

    fn schema() -> Schema {
        words(&PROTOCOLS)
    }
}

/// The name of a port: at most 15 small letters, digits and `-`, and a letter among them (RFC 6335, section 5.1).
fn is_port_name(text: &str) -> bool {
    text.len() <= 15 && DnsLabel::parse(text).is_ok() && text.bytes().any(|b| b.is_ascii_lowercase())
}

impl Scalar for TargetPort {
    const WHAT: &'static str = "a port from 1 to 65535, or the name of one of a pod's ports";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match u16::parse(text) {
            Ok(number) => Ok(Self::Number(number)),
            Err(_) if is_port_name(text) => Ok(Self::Name(text.to_owned())),
            Err(_) => Err(not::<Self>(text)),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["integer", "string"] })
    }
}

impl Scalar for PodPort {
    const WHAT: &'static str = "a port with its protocol, such as 8080, 8080/tcp or 53/udp";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "tcp" => PortProtocol::Tcp,
            "udp" => PortProtocol::Udp,
            "sctp" => PortProtocol::Sctp,
            _ => return Err(not::<Self>(text)),
        };
        Ok(Self { number: u16::parse(number).map_err(|_| not::<Self>(text))?, protocol })
    }

    fn schema() -> Schema {
        json_schema!({ "description": Self::WHAT, "type": ["integer", "string"] })
    }
}

impl Read for Service {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a service", found)?;
        let name = fields.required("name");
        let namespace = fields.optional("namespace");
        let kind = fields.optional("type");
        let ports = fields.or_empty("ports");
        let selector = fields.or_empty("selector");
        let pods = fields.or_empty("pods");
        let endpoints = fields.or_empty("endpoints");
        let cluster_ip = fields.optional("clusterIP");
        let cluster_ips = fields.or_empty("clusterIPs");
        let ip_families = fields.or_empty("ipFamilies");
        let ip_family_policy = fields.optional("ipFamilyPolicy");
        let external_ips = fields.or_empty("externalIPs");
        let load_balancer_ip = fields.optional("loadBalancerIP");
        let load_balancer_source_ranges = fields.or_empty("loadBalancerSourceRanges");
        let session_affinity = fields.optional("sessionAffinity");
        let session_affinity_config = fields.optional("sessionAffinityConfig");
        let external_traffic_policy = fields.optional("externalTrafficPolicy");
        let health_check_node_port = fields.optional("healthCheckNodePort");
        let internal_traffic_policy = fields.optional("internalTrafficPolicy");
        let publish_not_ready_addresses = fields.optional("publishNotReadyAddresses");
        let external_name = fields.optional("externalName");
        fields.end();
        Some(Self {
            name: name?,
            namespace,
            kind,
            ports,
            selector,
            pods,
            endpoints,
            cluster_ip,
            cluster_ips,
            ip_families,
            ip_family_policy,
            external_ips,
            load_balancer_ip,
            load_balancer_source_ranges,
            session_affinity,
            session_affinity_config,
            external_traffic_policy,
            health_check_node_port,
            internal_traffic_policy,
            publish_not_ready_addresses,
            external_name,
        })
    }
}

impl Read for ServicePort {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a port of a service", found)?;
        let name = fields.optional("name");
        let protocol = fields.optional("protocol");
        let port = fields.required("port");
        let target_port = fields.optional("targetPort");
        let node_port = fields.optional("nodePort");
        fields.end();
        Some(Self { name, protocol, port: port?, target_port, node_port })
    }
}

impl Read for Endpoint {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "an endpoint of a service", found)?;
        let address = fields.required("address");
        let port = fields.required("port");
        let name = fields.optional("name");
        fields.end();
        Some(Self { address: address?, port: port?, name })
    }
}

impl Read for AffinityConfig {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`sessionAffinityConfig`", found)?;
        let client_ip = fields.optional("clientIP");
        fields.end();
        Some(Self { client_ip })
    }
}

impl Read for ClientIpConfig {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`clientIP`", found)?;
        let timeout = fields.optional("timeoutSeconds");
        fields.end();
        Some(Self { timeout })
    }
}

impl Service {
    /// `NAMESPACE/NAME`.
    pub fn full_name(&self) -> String {
        let namespace = self.namespace.as_ref().map_or(DEFAULT_NAMESPACE, |namespace| &namespace.value.0);
        format!("{namespace}/{}", self.name.value.0)
    }

    /// Its type.
    pub fn kind(&self) -> ServiceType {
        self.kind.as_ref().map_or(ServiceType::ClusterIp, |kind| kind.value)
    }

    /// Whether it has a port on every node.
    pub fn has_node_ports(&self) -> bool {
        matches!(self.kind(), ServiceType::NodePort | ServiceType::LoadBalancer)
    }

    /// Whether a load balancer asks nodes for pods of it: only some of them have any that packets from outside reach.
    pub fn is_health_checked(&self) -> bool {
        let policy = self.external_traffic_policy.as_ref().map(|policy| policy.value);
        self.kind() == ServiceType::LoadBalancer && policy == Some(TrafficPolicy::Local)
    }

    /// Its addresses as they are written: all of them, or the first.
    pub fn cluster_ips(&self) -> impl Iterator<Item = &Spanned<ClusterIp>> {
        let only = self.cluster_ip.as_ref().filter(|_| self.cluster_ips.is_empty());
        self.cluster_ips.iter().chain(only)
    }

    /// Whether it has no address, and so no rules: a name alone.
    pub fn is_name(&self) -> bool {
        self.is_headless() || self.kind() == ServiceType::ExternalName
    }

    /// Whether its name stands for its pods.
    pub fn is_headless(&self) -> bool {
        self.cluster_ips().any(|own| own.value == ClusterIp::Headless)
    }
}

impl ServicePort {
    /// Its protocol.
    pub fn protocol(&self) -> IpProtocol {
        self.protocol.as_ref().map_or(IpProtocol::Tcp, |protocol| protocol.value.0)
    }
}

/// The Kubernetes namespace of what names none.
pub const DEFAULT_NAMESPACE: &str = "default";
