//! The cluster with all its numbers, subnets and addresses: what the shorthand leaves open is filled in, and every
//! fault of its own is found.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::diagnostics::{Collector, Diagnostic, Span};
use super::super::schema::{self, Cluster, Egress, Pods, Prefix, ProxyMode, Routing, Spanned, Text};
use super::addresses::{self, Addresses};
use super::names::{LAN_BRIDGE, Names, is_new};
use super::numbers;
use super::piece::Entry;
use super::pods::{self, Pod};
use super::service_addresses as services;
use crate::lab::{Family, IfName, NsName, PolicyConntrack};
use crate::topology::code::Code;
use crate::topology::yaml::Node as Tree;

/// A cluster in which nothing is left open.
pub struct Layout<'w> {
    /// One for each family.
    pub node_networks: Vec<IpNet>,
    /// One for each family.
    pub pod_networks: Vec<IpNet>,
    pub routing: Routing,
    /// Where the routing is written, if it is.
    pub routing_at: Span,
    pub egress: Egress,
    /// What the nodes keep.
    pub keep: &'w [Tree],
    /// The networks of services, one for each family, where there are any.
    pub service_networks: Vec<IpNet>,
    /// The addresses of the load balancer, with their prefix lengths, where there is one.
    pub lb: Vec<Spanned<IpNet>>,
    /// How pods ask the cluster's name servers, where it has any.
    pub dns: Option<&'w schema::ClusterDns>,
    /// How nodes lead packets for services to pods.
    pub proxy_mode: ProxyMode,
    /// The services with their addresses, as pieces of the tree.
    pub services: Vec<Tree>,
    /// The rules for ingress controllers, as they are written.
    pub ingress: &'w [schema::WrittenIngress],
    /// The network policies, as they are written.
    pub policies: &'w [schema::WrittenPolicy],
    /// What becomes of connections that a change of policies forbids, if it is written.
    pub policy_conntrack: Option<&'w Spanned<PolicyConntrack>>,
    /// The labels of Kubernetes namespaces, as they are written.
    pub namespace_labels: Option<&'w schema::WrittenLabels>,
    pub nodes: Vec<Node<'w>>,
}

/// A node.
pub struct Node<'w> {
    pub name: &'w Spanned<NsName>,
    /// Its addresses in the node networks, with their prefix lengths.
    pub addresses: Vec<Spanned<IpNet>>,
    /// Its subnets of the pod networks.
    pub subnets: Vec<IpNet>,
    /// The other interface of its link, at the bridge between the nodes.
    pub lan_port: IfName,
    pub labels: &'w [(Spanned<Text>, Spanned<Text>)],
    /// Its programs, as they are written.
    pub run: &'w [Entry],
    /// Its built-in servers, as they are written.
    pub serve: &'w [Tree],
    /// What it finds in `/etc/resolv.conf`, where that is written.
    pub dns: Option<&'w schema::WrittenResolver>,
    pub pods: Vec<Pod<'w>>,
}
/// How many nodes a cluster can have: a port of the bridge for each, and one for the router (see `BR_MAX_PORTS` in the
/// kernel's br_private.h, of which 0 is none).
const MAX_NODES: usize = 1022;
/// How many pods are worth making: more than one kernel carries as namespaces.
const MAX_PODS: usize = 20_000;
/// How many routes between nodes are worth making.
const MAX_ROUTES: usize = 200_000;

impl<'w> Node<'w> {
    /// One with what its author says of it.
    fn new(
        name: &'w Spanned<NsName>,
        addresses: Vec<Spanned<IpNet>>,
        (subnets, lan_port): (Vec<IpNet>, IfName),
        written: &'w schema::ClusterNode,
        pods: Vec<Pod<'w>>,
    ) -> Self {
        let labels = &written.labels.entries;
        let run = written.run.as_ref().map_or(&[][..], |run| &run.0);
        let serve = written.serve.as_ref().map_or(&[][..], |serve| &serve.0);
        let dns = written.dns.as_ref();
        Self { name, addresses, subnets, lan_port, labels, run, serve, dns, pods }
    }

    /// Its address of the family of a subnet.
    pub fn address_like(&self, subnet: IpNet) -> Option<IpAddr> {
        self.addresses.iter().map(|own| own.value.addr()).find(|own| own.is_ipv4() == subnet.addr().is_ipv4())
    }
}

/// Fills in what is left open. Worth something only where no fault is found.
pub fn lay_out<'w>(cluster: &'w Cluster, found: &mut Collector<'_>) -> Layout<'w> {
    let most = if few_enough(cluster, found) { MAX_NODES } else { 0 };
    let node_networks = addresses::networks(&cluster.node_network.0, found);
    let pod_networks = addresses::networks(&cluster.pod_network.0, found);
    let (routing, routing_at) = match &cluster.routing {
        Some(Spanned { value, span }) => (*value, *span),
        None => (Routing::Routes, Span::default()),
    };
    for pods in &cluster.pod_network.0 {
        room(pods, &node_networks, routing, found);
    }
    let mut names = Names::new(routing, cluster.lb.is_some());
    let mut ports = HashMap::new();
    let mut numbers = HashMap::new();
    let mut addresses = Addresses::new(node_networks.clone());
    let mut nodes = Vec::new();
    for (name, written) in cluster.nodes.entries.iter().take(most) {
        if !names.take(name, found) {
            continue;
        }
        let Some(number) = number(name, written, &mut numbers, found) else { continue };
        let subnets = subnets(&number, &pod_networks, found);
        let own = addresses.of_node(name, &number, written, found);
        if routing == Routing::Router {
            addresses::not_the_routers(&own, found);
        }
        let pods = pods::of_node((&name.value, number.value), &subnets, written, &mut names, found);
        let Some(lan_port) = lan_port(name, &mut ports, found) else { continue };
        nodes.push(Node::new(name, own, (subnets, lan_port), written, pods));
    }
    if most > 0 {
        addresses.finish(&cluster.node_network.0, cluster.nodes.entries.len(), routing, found);
    }
    let egress = cluster.egress.as_ref().map_or(Egress::None, |egress| egress.value);
    let keep = cluster.keep.as_ref().map_or(&[][..], |keep| &keep.0);
    let service_networks = services::networks(cluster, (&node_networks, &pod_networks), found);
    let services = services::with_addresses(&cluster.services, &service_networks, found);
    let proxy_mode = cluster.proxy_mode.as_ref().map_or(ProxyMode::Iptables, |mode| mode.value);
    let lb = cluster.lb.as_ref().map_or(&[][..], |given| &given.0);
    let lb = addresses::of_machine(lb, &node_networks, found);
    Layout {
        node_networks,
        pod_networks,
        routing,
        routing_at,
        egress,
        dns: cluster.dns.as_ref(),
        keep,
        service_networks,
        lb,
        proxy_mode,
        services,
        ingress: &cluster.ingress,
        policies: &cluster.policies,
        policy_conntrack: cluster.policy_conntrack.as_ref(),
        namespace_labels: cluster.namespace_labels.as_ref(),
        nodes,
    }
}

/// The bridge's interface of a node's link, which must not have the name of the bridge between the nodes.
fn lan_port(name: &Spanned<NsName>, taken: &mut HashMap<IfName, Span>, found: &mut Collector<'_>) -> Option<IfName> {
    let port = numbers::interface("", name.value.as_str(), "-lan")?;
    if port.as_str() == LAN_BRIDGE {
        let message = format!(
            "a node cannot be called `{}`: its veth pair would have the name of the bridge `{port}` that it is attached to",
            name.value
        );
        found.add(Diagnostic::new(Code::ReservedName, name.span, message).help("choose another name".to_owned()));
        return None;
    }
    is_new(taken, &port, name, found).then_some(port)
}

/// Whether so many nodes can be: a few lines of the file stand for all of them, and for ways between every two.
fn few_enough(cluster: &Cluster, found: &mut Collector<'_>) -> bool {
    let nodes = &cluster.nodes.entries;
    let every_two = nodes.len().saturating_mul(nodes.len()).saturating_mul(cluster.pod_network.0.len());
    let router = cluster.routing.as_ref().is_some_and(|routing| routing.value == Routing::Router);
    let before = found.count();
    let Some((last, _)) = nodes.last() else { return true };
    let pods = nodes.iter().map(|(_, node)| node.of_manifests.len() + node.pods.as_ref().map_or(0, Pods::count));
    let pods = pods.fold(0_usize, usize::saturating_add);
    if pods > MAX_PODS {
        let message = format!("{pods} pods; a cluster has {MAX_PODS} at most");
        found.add(Diagnostic::new(Code::TooMany, last.span, message));
    }
    if nodes.len() > MAX_NODES {
        let message = format!("{} nodes; the bridge between them takes {MAX_NODES} at most", nodes.len());
        found.add(Diagnostic::new(Code::TooMany, last.span, message));
    } else if every_two > MAX_ROUTES && !router {
        let message =
            format!("with {} nodes, each with a route to every other, there are {every_two} routes", nodes.len());
        found.add(Diagnostic::new(Code::TooMany, last.span, message).help("write `routing: router`".to_owned()));
    }
    found.count() == before
}

/// Whether a pod network can be cut into subnets, and can be reached over the nodes' network without being a part of
/// it.
fn room(pods: &Spanned<Prefix>, node_networks: &[IpNet], routing: Routing, found: &mut Collector<'_>) {
    let Prefix(net) = pods.value;
    let length = numbers::node_prefix(Family::of(net.addr()));
    if net.prefix_len() > length {
        let message = format!("{net} is too small: every node gets a /{length} of it");
        found.add(Diagnostic::new(Code::NetworkTooSmall, pods.span, message));
    }
    match node_networks.iter().find(|nodes| nodes.addr().is_ipv4() == net.addr().is_ipv4()) {
        Some(nodes) if nodes.contains(&net) || net.contains(nodes) => {
            let message = format!("the pod network {net} and the node network {nodes} overlap");
            found.add(Diagnostic::new(Code::SubnetsOverlap, pods.span, message));
        }
        None if routing != Routing::Vxlan => {
            let message = format!("the node network has no subnet of the family of {net}");
            let help =
                "packets for pods go from node to node: add a subnet to `node_network`, or write `routing: vxlan`"
                    .to_owned();
            found.add(Diagnostic::new(Code::FamilyMismatch, pods.span, message).help(help));
        }
        _ => {}
    }
    if routing == Routing::Ipip && net.addr().is_ipv6() {
        let message = format!("{net} is IPv6, and tunnels of the kind `ipip` carry IPv4 only");
        found.add(Diagnostic::new(Code::Ipv4Only, pods.span, message).help("write `routing: vxlan`".to_owned()));
    }
}

/// The number of a node, and where it is in the file.
fn number(
    name: &Spanned<NsName>,
    node: &schema::ClusterNode,
    taken: &mut HashMap<u32, Span>,
    found: &mut Collector<'_>,
) -> Option<Spanned<u32>> {
    let of_name = || numbers::of_node(name.value.as_str()).map(|value| Spanned { value, span: name.span });
    let Some(number) = node.number.clone().or_else(of_name) else {
        let message =
            format!("`{}` does not end in a number, which would choose its subnet of the pod network", name.value);
        found.add(Diagnostic::new(Code::NoNumber, name.span, message).help("give it a `number`".to_owned()));
        return None;
    };
    if let Some(first) = taken.insert(number.value, number.span) {
        let message = format!("`{}` has the number {} of another node, and so its subnet", name.value, number.value);
        let fault = Diagnostic::new(Code::NumberTwice, number.span, message).also(first, "the other");
        found.add(fault.help("give one of them another `number`".to_owned()));
        return None;
    }
    Some(number)
}

/// A node's subnets of the pod networks.
fn subnets(number: &Spanned<u32>, pod_networks: &[IpNet], found: &mut Collector<'_>) -> Vec<IpNet> {
    let mut subnets = Vec::new();
    for network in pod_networks {
        let length = numbers::node_prefix(Family::of(network.addr()));
        match numbers::subnet(*network, number.value) {
            Some(subnet) => subnets.push(subnet),
            // That there is not even one is a fault already.
            None if network.prefix_len() > length => {}
            None => {
                let message = format!("{network} has no subnet of the number {}", number.value);
                let last = (1_u128 << (length - network.prefix_len())) - 1;
                let help = format!("cut into /{length}, it has the numbers 0 to {last}; give the node a `number`");
                found.add(Diagnostic::new(Code::NumberOutOfRange, number.span, message).help(help));
            }
        }
    }
    subnets
}
