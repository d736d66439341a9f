//! What services need of a cluster: kube-proxy on every node, and what its rules rest on.

use ipnet::IpNet;

use super::body::{Body, UPLINK};
use super::layout::{Layout, Node as Endpoint};
use super::piece::{Entry, Place};
use super::pods::Pod;
use crate::topology::schema::{DnsLabel, ProxyMode, Routing, Spanned};
use crate::topology::yaml::Node;

/// What a node has for services.
pub fn of_node(layout: &Layout<'_>, node: &Endpoint<'_>, body: &mut Body) {
    if layout.service_networks.is_empty() {
        return;
    }
    let place = body.place;
    let mode = layout.proxy_mode;
    // Of each family that services have.
    let nets = |key: &str, nets: &[IpNet]| {
        let is_theirs =
            |net: &&IpNet| layout.service_networks.iter().any(|of| of.addr().is_ipv4() == net.addr().is_ipv4());
        let mut nets: Vec<Node> = nets.iter().filter(is_theirs).map(|net| place.scalar(net)).collect();
        place.entry(key, if nets.len() == 1 { nets.remove(0) } else { place.list(nets) })
    };
    let of_services = (mode == ProxyMode::Nftables).then(|| nets("services", &layout.service_networks));
    let proxy = [place.field("mode", mode.name()), nets("cluster", &layout.pod_networks), nets("pods", &node.subnets)];
    body.kube_proxy = Some(place.entry("kube_proxy", place.map(proxy.into_iter().chain(of_services))));
    // What the node itself sends to a service is routed before the rules change its destination.
    if layout.routing != Routing::Router {
        let route = |network| place.map([place.field("to", network), place.field("dev", UPLINK)]);
        body.routes.extend(layout.service_networks.iter().map(route));
    }
    // Node ports on 127.0.0.1 lead to pods elsewhere (`localhostNodePorts` of kube-proxy, by default).
    if mode == ProxyMode::Iptables && layout.service_networks.iter().any(|network| network.addr().is_ipv4()) {
        body.sysctls.push(place.field("net.ipv4.conf.all.route_localnet", 1));
    }
}

/// The machine in front of the nodes.
pub fn load_balancer(layout: &Layout<'_>, place: Place) -> Node {
    let mut body = Body::new(place);
    body.uplink(&layout.lb, None);
    body.forwarding = true;
    body.load_balancer = Some(place.field("load_balancer", true));
    // Each connection of a client may go to another node.
    for family in ["ipv4", "ipv6"] {
        if layout.lb.iter().any(|own| own.value.addr().is_ipv4() == (family == "ipv4")) {
            body.sysctls.push(place.field(&format!("net.{family}.fib_multipath_hash_policy"), 1));
        }
    }
    // A client that is told of a node by a redirect would go there from then on.
    for dev in ["all", UPLINK] {
        body.sysctls.push(place.field(&format!("net.ipv4.conf.{dev}.send_redirects"), 0));
    }
    body.node()
}

/// What pods on a bridge need: the answer of a pod to another one on the same bridge has to pass the rules that have
/// translated the question, and what pods on the same bridge send each other has to pass those of network policies.
pub fn bridge(layout: &Layout<'_>, place: Place) -> Option<Entry> {
    let is_needed = !layout.service_networks.is_empty() || !layout.policies.is_empty();
    is_needed.then(|| place.field("nf_call_iptables", true))
}

/// The same for IPv6, of which the bridge itself has no option in the file. Policies have it in any case: every pod has
/// an IPv6 link-local address.
pub fn bridge_ipv6(layout: &Layout<'_>, node: &Endpoint<'_>, body: &mut Body) {
    let is_ipv6 = |net: &IpNet| net.addr().is_ipv6();
    let have_services = layout.service_networks.iter().any(is_ipv6) && node.subnets.iter().any(is_ipv6);
    if layout.routing.has_bridges() && (have_services || !layout.policies.is_empty()) {
        body.sysctls.push(body.place.field("net.bridge.bridge-nf-call-ip6tables", 1));
    }
}

/// A pod's port of the bridge: what the pod sends to itself, by way of a service, goes out where it has come in.
pub fn port(layout: &Layout<'_>, pod: &Pod<'_>) -> Node {
    let place = Place(pod.name.span);
    match layout.service_networks.is_empty() {
        false => place.map([place.entry(&pod.node_end, place.map([place.field("hairpin", true)]))]),
        true => place.scalar(&pod.node_end),
    }
}

/// What a pod has for services: the names of its ports, and whether it is ready.
pub fn of_pod(pod: &Pod<'_>, body: &mut Body) {
    for (name, port) in pod.ports {
        let value = Place(port.span).scalar(format!("{}/{}", port.value.number, port.value.protocol));
        body.ports.push((Place(name.span).scalar(&name.value.0), value));
    }
    let names = [("hostname", pod.hostname), ("subdomain", pod.subdomain)];
    let entry =
        |(key, own): (&str, Option<&Spanned<DnsLabel>>)| own.map(|own| Place(own.span).field(key, &own.value.0));
    body.names = names.into_iter().filter_map(entry).collect();
    body.ready = pod.ready.map(|ready| (body.place.scalar("ready"), Place(ready.span).scalar(ready.value)));
}
