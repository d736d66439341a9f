//! Ingress controllers, as they are written: that a namespace is one, and those of a cluster.

use std::net::IpAddr;

use schemars::JsonSchema;

use super::ingress::Ingress;
use super::network_policy::PolicyName;
use super::read::{Fields, Read, Spanned, head};
use super::service::TrafficPolicy;
use crate::topology::diagnostics::{Collector, Span};
use crate::topology::yaml::Node;

/// A namespace runs nginx, whose configuration is made of the file's `ingress`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IngressController {
    /// Its class; `nginx` by default.
    pub class: Option<Spanned<PolicyName>>,
    /// Where it is written.
    #[schemars(skip)]
    pub span: Span,
}

/// The ingress controllers of a cluster: pods `ingress-nginx-1` … behind the service
/// `ingress-nginx/ingress-nginx-controller`, which has a port on every node.
#[derive(JsonSchema, Default)]
#[schemars(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClusterIngress {
    /// Their class; `nginx` by default.
    pub class: Option<Spanned<PolicyName>>,
    /// How many of these pods there are; 1 by default.
    pub replicas: Option<Spanned<u32>>,
    /// The address of the service's load balancer; none by default.
    #[schemars(rename = "loadBalancerIP")]
    pub load_balancer_ip: Option<Spanned<IpAddr>>,
    /// `Local`: packets from outside go to controllers of the node that they come to, and keep their source. `Cluster`
    /// by default.
    pub external_traffic_policy: Option<Spanned<TrafficPolicy>>,
    /// The ports of the service on every node; made from its name by default.
    pub node_ports: Option<IngressPorts>,
    /// Where it is written.
    #[schemars(skip)]
    pub span: Span,
}

/// Ports on every node.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IngressPorts {
    /// For HTTP.
    pub http: Option<Spanned<u16>>,
    /// For HTTPS.
    pub https: Option<Spanned<u16>>,
}

/// An ingress that has been read, and its place in the tree, which becomes a part of the file.
pub struct WrittenIngress(pub Node);

impl Read for IngressController {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`ingress_controller`", found)?;
        let controller = Self { class: fields.optional("class"), span: head(node) };
        fields.end();
        Some(controller)
    }
}

impl Read for ClusterIngress {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`ingress_controller` of a cluster", found)?;
        let controller = Self {
            class: fields.optional("class"),
            replicas: fields.optional("replicas"),
            load_balancer_ip: fields.optional("loadBalancerIP"),
            external_traffic_policy: fields.optional("externalTrafficPolicy"),
            node_ports: fields.optional("nodePorts"),
            span: head(node),
        };
        fields.end();
        Some(controller)
    }
}

impl Read for IngressPorts {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`nodePorts`", found)?;
        let ports = Self { http: fields.optional("http"), https: fields.optional("https") };
        fields.end();
        Some(ports)
    }
}

impl Read for WrittenIngress {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        Ingress::read(node, found).map(|_| Self(node.clone()))
    }
}
