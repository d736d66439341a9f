//! The `cluster` shorthand, as it is written.

use std::borrow::Cow;
use std::net::IpAddr;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::cluster_dns::{ClusterDns, DnsConfig, DnsPolicy, WrittenResolver};
use super::etc_files::Resolver;
use super::ingress::Ingress;
use super::ingress_controller::{ClusterIngress, WrittenIngress};
use super::keep::KeepEverywhere;
use super::kube_proxy::ProxyMode;
use super::network_policy::{LabelKey, LabelValue, NetworkPolicy};
use super::program::{Programs, WrittenPrograms};
use super::read::{Fields, Named, OneOrMany, Read, Spanned};
use super::scalar::{Scalar, Wrong, not, word, words};
use super::scalar_lab::Text;
use super::scalar_net::Prefix;
use super::server::{Server, WrittenServers};
use super::service::{DnsLabel, PodPort, Service};
use crate::lab::{NsName, PolicyConntrack};
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::{Node as Tree, Value};

/// Nodes on a network, each with pods in a subnet of its own. It is expanded into namespaces, links and groups.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Cluster {
    /// The network between the nodes: a subnet, or one of each family.
    pub node_network: OneOrMany<Spanned<Prefix>>,
    /// The network of all pods, cut into a /24 (IPv6: a /64) for each node: a subnet, or one of each family.
    pub pod_network: OneOrMany<Spanned<Prefix>>,
    /// How packets get to pods on other nodes; `routes` by default.
    pub routing: Option<Spanned<Routing>>,
    /// `masquerade`: pods reach whatever is no pod under their node's address. `none` by default.
    pub egress: Option<Spanned<Egress>>,
    /// What programs add on the nodes, and the lab leaves alone: `[routes: zebra]`.
    pub keep: Option<KeepEverywhere>,
    /// The network of the services' addresses, or one of each family; 10.96.0.0/12 by default.
    pub service_network: Option<OneOrMany<Spanned<Prefix>>>,
    /// The address, in the node network, of a machine `lb` in front of the nodes: it spreads what comes for the
    /// `loadBalancerIP` of services over the nodes that have pods of them. None by default.
    pub lb: Option<OneOrMany<Spanned<IpAddr>>>,
    /// The cluster's name servers, `{}` for what kubeadm sets up; none by default.
    pub dns: Option<ClusterDns>,
    /// How nodes lead packets for services to pods, as kube-proxy does: `iptables`, the default.
    pub proxy_mode: Option<Spanned<ProxyMode>>,
    /// The services.
    #[schemars(with = "Vec<Service>", default)]
    pub services: Vec<WrittenService>,
    /// Network policies.
    #[schemars(with = "Vec<NetworkPolicy>", default)]
    pub policies: Vec<WrittenPolicy>,
    /// Rules for requests of HTTP, for the cluster's ingress controllers.
    #[schemars(with = "Vec<Ingress>", default)]
    pub ingress: Vec<WrittenIngress>,
    /// The ingress controllers, which a cluster with `ingress` has in any case.
    pub ingress_controller: Option<ClusterIngress>,
    /// What becomes of connections that a change of policies forbids: `keep`, the default, or `forget`.
    pub policy_conntrack: Option<Spanned<PolicyConntrack>>,
    /// The labels of Kubernetes namespaces, for policies. Each has `kubernetes.io/metadata.name` by itself.
    #[schemars(with = "Named<DnsLabel, Named<LabelKey, Spanned<LabelValue>>>", default)]
    pub namespace_labels: Option<WrittenLabels>,
    /// Files of Kubernetes manifests, beside this file, whose pods, services and policies are the cluster's, too.
    #[schemars(default)]
    pub kubernetes: Vec<Spanned<Text>>,
    /// The nodes by name.
    pub nodes: Named<NsName, Node>,
}

/// A service with its place in the tree, which becomes a part of the file.
pub struct WrittenService {
    pub service: Service,
    pub tree: Tree,
}

/// A policy that has been read, and its place in the tree, which becomes a part of the file.
pub struct WrittenPolicy(pub Tree);

/// The labels of Kubernetes namespaces, as a piece of the tree, which becomes a part of the file.
pub struct WrittenLabels(pub Tree);

/// A machine of the cluster.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Node {
    /// Which of the pod network's subnets is its own; the number that its name ends in, by default.
    pub number: Option<Spanned<u32>>,
    /// Its address in the node network, or one of each family; made from its number by default.
    pub address: Option<OneOrMany<Spanned<IpAddr>>>,
    /// Labels by which checks, and pods of manifests, can select it.
    #[schemars(default)]
    pub labels: Named<Text, Spanned<Text>>,
    /// Programs that run on it, by name.
    #[schemars(with = "Programs", default)]
    pub run: Option<WrittenPrograms>,
    /// Built-in servers on it.
    #[schemars(with = "Vec<Server>", default)]
    pub serve: Option<WrittenServers>,
    /// What programs on it find in `/etc/resolv.conf`: name servers, or a map. Without it, the machine's.
    #[schemars(with = "Option<Resolver>")]
    pub dns: Option<WrittenResolver>,
    /// Its pods: how many there are, or a list of them.
    pub pods: Option<Pods>,
    /// Its pods that manifests make.
    #[schemars(skip)]
    pub of_manifests: Vec<NameOrPod>,
}

/// The pods of a node.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Pods {
    /// So many, with names made from the numbers of node and pod: `pod-3-1`.
    Count(Spanned<PodCount>),
    /// These.
    List(Vec<NameOrPod>),
}

/// How many pods a node has.
#[derive(Debug, Clone, Copy)]
pub struct PodCount(pub u32);

/// A pod with more than a name.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Pod {
    /// Its name, which is the namespace's.
    pub name: Spanned<NsName>,
    /// Its address in the node's subnet, or one of each family; made from its name by default.
    pub address: Option<OneOrMany<Spanned<IpAddr>>>,
    /// Its Kubernetes namespace, which becomes the label `namespace`.
    pub namespace: Option<Spanned<Text>>,
    /// Labels by which checks can select it.
    #[schemars(default)]
    pub labels: Named<Text, Spanned<Text>>,
    /// Names of its ports, for services: `{ http: 8080 }`.
    #[schemars(default)]
    pub ports: Named<DnsLabel, Spanned<PodPort>>,
    /// Whether services lead to it; true by default.
    pub ready: Option<Spanned<bool>>,
    /// Programs that run in it, its containers, by name.
    #[schemars(with = "Programs", default)]
    pub run: Option<WrittenPrograms>,
    /// Built-in servers in it.
    #[schemars(with = "Vec<Server>", default)]
    pub serve: Option<WrittenServers>,
    /// Its name in the headless service that `subdomain` names; by default, its address with dashes.
    pub hostname: Option<Spanned<DnsLabel>>,
    /// The headless service in which it has its `hostname`.
    pub subdomain: Option<Spanned<DnsLabel>>,
    /// What it finds in `/etc/resolv.conf`: `ClusterFirst`, the default, `Default`, `None` or
    /// `ClusterFirstWithHostNet`.
    #[schemars(rename = "dnsPolicy")]
    pub dns_policy: Option<Spanned<DnsPolicy>>,
    /// What it finds there besides.
    #[schemars(rename = "dnsConfig")]
    pub dns_config: Option<DnsConfig>,
    /// What makes it an ingress controller of the cluster.
    #[schemars(skip)]
    pub ingress_controller: Option<Tree>,
}

/// A pod: its name alone, or a map.
pub struct NameOrPod(pub Pod);

/// How packets get to pods on other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routing {
    /// A route to each other node's subnet on every node.
    Routes,
    /// One router has these routes; it is every node's gateway.
    Router,
    /// No bridge: a route to each pod, and the node answers for all the others (proxy ARP), as Calico does.
    Routed,
    /// A VXLAN between the nodes, as Flannel has it.
    Vxlan,
    /// As `Routed`, and tunnels of IPv4 in IPv4 between the nodes, as Calico has them.
    Ipip,
}

/// Under which address pods reach what is no pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Egress {
    /// Their own.
    None,
    /// Their node's.
    Masquerade,
}

impl Pod {
    /// One of which nothing is said but its name.
    pub fn new(name: Spanned<NsName>) -> Self {
        let (address, namespace, labels, ports, ready) = Default::default();
        let (hostname, subdomain, run, serve, dns_policy, dns_config) = Default::default();
        Self {
            name,
            address,
            namespace,
            labels,
            ports,
            ready,
            hostname,
            subdomain,
            run,
            serve,
            dns_policy,
            dns_config,
            ingress_controller: Default::default(),
        }
    }
}

impl Pods {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Count(count) => usize::try_from(count.value.0).unwrap_or(usize::MAX),
            Self::List(list) => list.len(),
        }
    }
}

impl Routing {
    /// Whether the pods of a node are attached to a bridge there.
    pub fn has_bridges(self) -> bool {
        !matches!(self, Self::Routed | Self::Ipip)
    }
}

const ROUTINGS: [(&str, Routing); 5] = [
    ("routes", Routing::Routes),
    ("router", Routing::Router),
    ("routed", Routing::Routed),
    ("vxlan", Routing::Vxlan),
    ("ipip", Routing::Ipip),
];
const EGRESSES: [(&str, Egress); 2] = [("none", Egress::None), ("masquerade", Egress::Masquerade)];

impl Scalar for PodCount {
    const WHAT: &'static str = "a number of pods from 0 to 253, or a list of them";

    fn parse(text: &str) -> Result<Self, Wrong> {
        u32::parse(text).map(Self).map_err(|_| not::<Self>(text))
    }

    fn schema() -> Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 0, "maximum": 253 })
    }
}

impl Scalar for Routing {
    const WHAT: &'static str = "a way to other nodes' pods: routes, router, routed, vxlan or ipip";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &ROUTINGS)
    }

    fn schema() -> Schema {
        words(&ROUTINGS)
    }
}

impl Scalar for Egress {
    const WHAT: &'static str = "a way out: masquerade or none";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &EGRESSES)
    }

    fn schema() -> Schema {
        words(&EGRESSES)
    }
}

impl Read for Cluster {
    fn read(node: &Tree, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a cluster", found)?;
        let node_network = fields.required("node_network");
        let pod_network = fields.required("pod_network");
        let routing = fields.optional("routing");
        let egress = fields.optional("egress");
        let keep = fields.optional("keep");
        let service_network = fields.optional("service_network");
        let lb = fields.optional("lb");
        let dns = fields.optional("dns");
        let proxy_mode = fields.optional("proxy_mode");
        let services = fields.or_empty("services");
        let policies = fields.or_empty("policies");
        let ingress = fields.or_empty("ingress");
        let ingress_controller = fields.optional("ingress_controller");
        let policy_conntrack = fields.optional("policy_conntrack");
        let namespace_labels = fields.optional("namespace_labels");
        let kubernetes = fields.or_empty("kubernetes");
        let nodes = fields.required("nodes");
        fields.end();
        Some(Self {
            node_network: node_network?,
            pod_network: pod_network?,
            routing,
            egress,
            keep,
            service_network,
            lb,
            dns,
            proxy_mode,
            services,
            policies,
            ingress,
            ingress_controller,
            policy_conntrack,
            namespace_labels,
            kubernetes,
            nodes: nodes?,
        })
    }
}

impl Read for WrittenService {
    fn read(node: &Tree, found: &mut Collector<'_>) -> Option<Self> {
        Some(Self { service: Service::read(node, found)?, tree: node.clone() })
    }
}

impl Read for WrittenPolicy {
    fn read(node: &Tree, found: &mut Collector<'_>) -> Option<Self> {
        NetworkPolicy::read(node, found).map(|_| Self(node.clone()))
    }
}

impl Read for WrittenLabels {
    fn read(node: &Tree, found: &mut Collector<'_>) -> Option<Self> {
        Named::<DnsLabel, Named<LabelKey, Spanned<LabelValue>>>::read(node, found).map(|_| Self(node.clone()))
    }
}

impl Read for Node {
    fn read(node: &Tree, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a node of a cluster", found)?;
        let node = Self {
            number: fields.optional("number"),
            address: fields.optional("address"),
            labels: fields.or_empty("labels"),
            run: fields.optional("run"),
            serve: fields.optional("serve"),
            dns: fields.optional("dns"),
            pods: fields.optional("pods"),
            of_manifests: Vec::new(),
        };
        fields.end();
        Some(node)
    }
}

impl Read for Pods {
    fn read(node: &Tree, found: &mut Collector<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(_) => Read::read(node, found).map(Self::Count),
            _ => Read::read(node, found).map(Self::List),
        }
    }
}

impl Read for NameOrPod {
    fn read(node: &Tree, found: &mut Collector<'_>) -> Option<Self> {
        if !matches!(node.value, Value::Map(_)) {
            let name = Read::read(node, found)?;
            return Some(Self(Pod::new(name)));
        }
        let mut fields = Fields::begin(node, "a pod", found)?;
        let name = fields.required("name");
        let address = fields.optional("address");
        let namespace = fields.optional("namespace");
        let labels = fields.or_empty("labels");
        let ports = fields.or_empty("ports");
        let ready = fields.optional("ready");
        let run = fields.optional("run");
        let serve = fields.optional("serve");
        let hostname = fields.optional("hostname");
        let subdomain = fields.optional("subdomain");
        let dns_policy = fields.optional("dnsPolicy");
        let dns_config = fields.optional("dnsConfig");
        fields.end();
        let plain = Pod::new(name?);
        Some(Self(Pod {
            address,
            namespace,
            labels,
            ports,
            ready,
            hostname,
            subdomain,
            run,
            serve,
            dns_policy,
            dns_config,
            ..plain
        }))
    }
}

impl JsonSchema for NameOrPod {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "A pod or its name".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [NsName::schema(), generator.subschema_for::<Pod>()] })
    }
}
