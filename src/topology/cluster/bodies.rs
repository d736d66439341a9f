//! What the cluster means: the namespaces of nodes, pods and the bridge between them, their links, and the
//! groups.

use ipnet::IpNet;

use super::body::{Body, UPLINK};
use super::layout::{Layout, Node as Endpoint};
use super::names::{GROUPS, LAN, LAN_BRIDGE, LB, ROUTER};
use super::numbers;
use super::piece::{Entry, Place};
use super::pods::Pod;
use super::{dns, ingress, network_policies, routing, services, tunnels};
use crate::topology::schema::{Egress, Routing, Spanned, Text};
use crate::topology::yaml::Node;

/// The other interface of the router's link, at that bridge.
const ROUTER_PORT: &str = "router-lan";
/// The other interface of the load balancer's link.
const LB_PORT: &str = "lb-lan";
/// The bridge of a node's pods.
const POD_BRIDGE: &str = "v-net-0";

/// The parts of a file that the cluster means; `cluster` is the place of its key.
pub fn entries(layout: &Layout<'_>, cluster: Place) -> Vec<Entry> {
    let mut namespaces = vec![cluster.entry(LAN, lan(layout, cluster))];
    let mut links: Vec<Node> = layout.nodes.iter().map(node_link).collect();
    if layout.routing == Routing::Router {
        namespaces.push(cluster.entry(ROUTER, router(layout, cluster)));
        links.push(link(cluster, [[ROUTER, UPLINK], [LAN, ROUTER_PORT]]));
    }
    if let Some(first) = layout.lb.first() {
        let place = Place(first.span);
        namespaces.push(place.entry(LB, services::load_balancer(layout, place)));
        links.push(link(place, [[LB, UPLINK], [LAN, LB_PORT]]));
    }
    let (mut nodes, mut pods) = (Vec::new(), Vec::new());
    for node in &layout.nodes {
        let place = Place(node.name.span);
        namespaces.push(place.entry(&node.name.value, member(layout, node)));
        nodes.push(place.scalar(&node.name.value));
        for pod in &node.pods {
            let place = Place(pod.name.span);
            namespaces.push(place.entry(&pod.name.value, pod_body(layout, node, pod)));
            links.push(pod_link(node, pod));
            pods.push(place.scalar(&pod.name.value));
        }
    }
    let groups = GROUPS.into_iter().zip([nodes, pods]);
    let groups = cluster.map(groups.map(|(name, list)| cluster.entry(name, cluster.list(list))));
    let parts =
        [("namespaces", cluster.map(namespaces)), ("links", cluster.list(links)), ("groups", groups)].into_iter();
    let services = (!layout.services.is_empty()).then(|| ("services", cluster.list(layout.services.clone())));
    let rules = layout.ingress.iter().map(|own| own.0.clone());
    let rules = (!layout.ingress.is_empty()).then(|| ("ingress", cluster.list(rules)));
    let parts = parts.chain(services).chain(rules).map(|(key, part)| cluster.entry(key, part));
    parts.chain(network_policies::entries(layout, cluster)).collect()
}

/// The bridge between the nodes: a namespace of its own, so that the host is left alone.
fn lan(layout: &Layout<'_>, cluster: Place) -> Node {
    let mut body = Body::new(cluster);
    let ports = layout.nodes.iter().map(|node| Place(node.name.span).scalar(&node.lan_port));
    let router = (layout.routing == Routing::Router).then(|| cluster.scalar(ROUTER_PORT));
    let lb = (!layout.lb.is_empty()).then(|| cluster.scalar(LB_PORT));
    body.bridge(LAN_BRIDGE, Vec::new(), ports.chain(router).chain(lb).collect(), None);
    body.node()
}

fn router(layout: &Layout<'_>, cluster: Place) -> Node {
    let mut body = Body::new(cluster);
    let own = |network: &IpNet| IpNet::new(numbers::nth(*network, 1)?, network.prefix_len()).ok();
    let addresses = layout.node_networks.iter().filter_map(own).map(|value| Spanned { value, span: cluster.0 });
    body.uplink(&addresses.collect::<Vec<_>>(), None);
    body.labels.push(cluster.field("role", "router"));
    routing::of_router(layout, &mut body);
    body.node()
}

fn member(layout: &Layout<'_>, node: &Endpoint<'_>) -> Node {
    let place = Place(node.name.span);
    let mut body = Body::new(place);
    body.uplink(&node.addresses, None);
    body.forwarding = true;
    body.labels = node.labels.iter().map(|(key, value)| (text(key), text(value))).collect();
    body.keep = layout.keep.to_vec();
    body.run = node.run.to_vec();
    body.serve = node.serve.to_vec();
    body.dns = dns::of_node(node);
    if layout.routing.has_bridges() {
        let own = |subnet: &IpNet| Some(place.scalar(IpNet::new(numbers::nth(*subnet, 1)?, subnet.prefix_len()).ok()?));
        let ports = node.pods.iter().map(|pod| services::port(layout, pod));
        let option = services::bridge(layout, place);
        body.bridge(POD_BRIDGE, node.subnets.iter().filter_map(own).collect(), ports.collect(), option);
    }
    routing::of_node(layout, node, &mut body);
    services::of_node(layout, node, &mut body);
    network_policies::of_node(layout, node, &mut body);
    services::bridge_ipv6(layout, node, &mut body);
    if layout.egress == Egress::Masquerade {
        for (subnet, network) in node.subnets.iter().zip(&layout.pod_networks) {
            let except = place.entry("except", place.list([place.scalar(network)]));
            let rule = place.map([place.field("source", subnet), except]);
            body.nat.push(place.map([place.entry("masquerade", rule)]));
        }
    }
    body.node()
}

fn pod_body(layout: &Layout<'_>, node: &Endpoint<'_>, pod: &Pod<'_>) -> Node {
    let place = Place(pod.name.span);
    let mut body = Body::new(place);
    let alone = |own: &Spanned<IpNet>| Spanned { value: IpNet::from(own.value.addr()), span: own.span };
    let mtu = tunnels::pod_mtu(layout);
    match layout.routing.has_bridges() {
        true => body.uplink(&pod.addresses, mtu),
        false => body.uplink(&pod.addresses.iter().map(alone).collect::<Vec<_>>(), mtu),
    }
    routing::of_pod(layout, node, &mut body);
    let namespace = pod.namespace.map(|name| Place(name.span).field("namespace", &name.value.0));
    let label = |(key, value): &&(Spanned<Text>, Spanned<Text>)| (text(key), text(value));
    body.labels = namespace.into_iter().chain(pod.labels.iter().map(label)).collect();
    body.run = pod.run.map(|run| run.0.clone()).unwrap_or_default();
    body.serve = pod.serve.map(|serve| serve.0.clone()).unwrap_or_default();
    body.dns = dns::of_pod(layout, node, pod);
    body.ingress_controller = ingress::of_pod(pod);
    services::of_pod(pod, &mut body);
    body.node()
}

/// Text that the author wrote, where it is.
fn text(written: &Spanned<Text>) -> Node {
    Place(written.span).scalar(&written.value.0)
}

/// The link between a node and the bridge.
fn node_link(node: &Endpoint<'_>) -> Node {
    link(Place(node.name.span), [[node.name.value.as_str(), UPLINK], [LAN, node.lan_port.as_str()]])
}

/// The link between a pod and its node.
fn pod_link(node: &Endpoint<'_>, pod: &Pod<'_>) -> Node {
    let ends = [[pod.name.value.as_str(), UPLINK], [node.name.value.as_str(), pod.node_end.as_str()]];
    link(Place(pod.name.span), ends)
}

fn link(place: Place, ends: [[&str; 2]; 2]) -> Node {
    place.list(ends.map(|end| place.scalar(end.join("/"))))
}
