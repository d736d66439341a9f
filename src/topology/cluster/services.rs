//! What services need of a cluster: kube-proxy on every node, and what its rules rest on.

use ipnet::IpNet;

use super::body::{Body, UPLINK};
use super::layout::{Layout, Node as Endpoint};
use super::piece::{Entry, Place};
use super::pods::Pod;
use crate::topology::schema::{ProxyMode, Routing};
use crate::topology::yaml::Node;

/// What a node has for services.
pub fn of_node(layout: &Layout<'_>, node: &Endpoint<'_>, body: &mut Body) {
    let Some(network) = &layout.service_network else { return };
    let place = body.place;
    let ipv4 = |nets: &[IpNet]| nets.iter().find(|net| net.addr().is_ipv4()).copied();
    let (Some(cluster), Some(pods)) = (ipv4(&layout.pod_networks), ipv4(&node.subnets)) else { return };
    let mode = layout.proxy_mode;
    let of_services = (mode == ProxyMode::Nftables).then(|| place.field("services", network.value));
    let proxy = [place.field("mode", mode.name()), place.field("cluster", cluster), place.field("pods", pods)];
    let proxy = proxy.into_iter().chain(of_services);
    body.kube_proxy = Some(place.entry("kube_proxy", place.map(proxy)));
    // What the node itself sends to a service is routed before the rules change its destination.
    if layout.routing != Routing::Router {
        let route = [place.field("to", network.value), place.field("dev", UPLINK)];
        body.routes.push(place.map(route));
    }
    // Node ports on 127.0.0.1 lead to pods elsewhere (`localhostNodePorts` of kube-proxy, by default).
    if mode == ProxyMode::Iptables {
        body.sysctls.push(place.field("net.ipv4.conf.all.route_localnet", 1));
    }
}

/// What pods on a bridge need: the answer of a pod to another one on the same bridge has to pass the rules that have
/// translated the question, and what pods on the same bridge send each other has to pass those of network policies.
pub fn bridge(layout: &Layout<'_>, place: Place) -> Option<Entry> {
    let is_needed = layout.service_network.is_some() || !layout.policies.is_empty();
    is_needed.then(|| place.field("nf_call_iptables", true))
}

/// A pod's port of the bridge: what the pod sends to itself, by way of a service, goes out where it has come in.
pub fn port(layout: &Layout<'_>, pod: &Pod<'_>) -> Node {
    let place = Place(pod.name.span);
    match layout.service_network {
        Some(_) => place.map([place.entry(&pod.node_end, place.map([place.field("hairpin", true)]))]),
        None => place.scalar(&pod.node_end),
    }
}

/// What a pod has for services: the names of its ports, and whether it is ready.
pub fn of_pod(pod: &Pod<'_>, body: &mut Body) {
    for (name, port) in pod.ports {
        let value = Place(port.span).scalar(format!("{}/{}", port.value.number, port.value.protocol));
        body.ports.push((Place(name.span).scalar(&name.value.0), value));
    }
    body.ready = pod.ready.map(|ready| (body.place.scalar("ready"), Place(ready.span).scalar(ready.value)));
}
