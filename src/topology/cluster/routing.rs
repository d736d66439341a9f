//! How packets get to pods on other nodes: the routes of nodes, pods and the router, way by way.

use ipnet::IpNet;

use super::body::{Body, UPLINK};
use super::layout::{Layout, Node as Endpoint};
use super::numbers;
use super::piece::Place;
use super::pods::Pod;
use super::tunnels;
use crate::lab::{IfName, Mac};
use crate::topology::schema::Routing;
use crate::topology::yaml::Node;

/// The MAC address of a node's interfaces of its pods' links where there is no bridge, as Calico has it. They may all
/// have the same: each is alone with its pod.
const NODE_END: Mac = Mac([0xee; 6]);

/// The address of the same ends that pods have as their IPv6 gateway. It is said and not left to the kernel, which
/// makes one of the MAC address that an interface has when it comes up, and keeps that one.
const GATEWAY: &str = "fe80::1";

/// What a node has for the way.
pub fn of_node(layout: &Layout<'_>, node: &Endpoint<'_>, body: &mut Body) {
    let others = layout.nodes.iter().filter(|other| other.name.value != node.name.value).collect::<Vec<_>>();
    match layout.routing {
        Routing::Routes | Routing::Routed => others.iter().for_each(|other| routes_to(other, body)),
        Routing::Router => layout.node_networks.iter().for_each(|network| default_via_first(*network, body)),
        Routing::Vxlan => tunnels::vxlan(node, &others, body),
        Routing::Ipip => tunnels::ipip(node, &others, body),
    }
    if layout.routing.has_bridges() {
        let smaller = |pod: &Pod<'_>| {
            let place = Place(pod.name.span);
            Some(place.entry(&pod.node_end, place.map([tunnels::pod_mtu(layout)?])))
        };
        body.interfaces.extend(node.pods.iter().filter_map(smaller));
    } else {
        // What no pod has must not go out again by a default route.
        for subnet in &node.subnets {
            let place = body.place;
            body.routes.push(place.map([place.field("to", subnet), place.field("type", "blackhole")]));
        }
        node.pods.iter().for_each(|pod| answer_for_others(layout, pod, body));
    }
}

/// What a pod has for the way.
pub fn of_pod(layout: &Layout<'_>, node: &Endpoint<'_>, body: &mut Body) {
    for subnet in &node.subnets {
        match subnet {
            _ if layout.routing.has_bridges() => default_via_first(*subnet, body),
            // The whole world is taken to be on the link: the pod asks for every address, and the node answers.
            IpNet::V4(_) => body.routes.push(route(body.place, "default", [("dev", UPLINK)])),
            IpNet::V6(_) => body.routes.push(route(body.place, "default", [("via", GATEWAY), ("dev", UPLINK)])),
        }
    }
}

/// What the router has for the way: it knows which node has which pods, and the nodes only know the router.
pub fn of_router(layout: &Layout<'_>, body: &mut Body) {
    layout.nodes.iter().for_each(|node| routes_to(node, body));
    body.forwarding = true;
    // A router that sends a packet back where it came from tells the sender of the shorter way; the nodes would then
    // learn the routes after all.
    for of in ["all", UPLINK] {
        body.sysctls.push(body.place.field(&format!("net.ipv4.conf.{of}.send_redirects"), 0));
    }
}

/// Routes to a node's subnets, at the place of the node.
fn routes_to(node: &Endpoint<'_>, body: &mut Body) {
    let place = Place(node.name.span);
    for subnet in &node.subnets {
        let via = node.address_like(*subnet).map(|via| route(place, &subnet.to_string(), [("via", &*via.to_string())]));
        body.routes.extend(via);
    }
}

/// A default route to the first address of a subnet: the node's bridge, or the router.
fn default_via_first(subnet: IpNet, body: &mut Body) {
    if let Some(first) = numbers::nth(subnet, 1) {
        body.routes.push(route(body.place, "default", [("via", &*first.to_string())]));
    }
}

/// The node's interface of a pod's link has no address. It answers for every address that the node has a way to, at
/// once.
fn answer_for_others(layout: &Layout<'_>, pod: &Pod<'_>, body: &mut Body) {
    let place = Place(pod.name.span);
    let end = &pod.node_end;
    let is_ipv6 = pod.addresses.iter().any(|own| own.value.addr().is_ipv6());
    let addresses = is_ipv6.then(|| place.entry("addresses", place.list([place.scalar(format!("{GATEWAY}/64"))])));
    let has = addresses.into_iter().chain([place.field("mac", NODE_END)]).chain(tunnels::pod_mtu(layout));
    body.interfaces.push(place.entry(end, place.map(has)));
    for own in &pod.addresses {
        body.routes.push(route(place, &own.value.addr().to_string(), [("dev", end.as_str())]));
    }
    if pod.addresses.iter().any(|own| own.value.addr().is_ipv4()) {
        body.sysctls.push(place.field(&setting("conf", end, "proxy_arp"), 1));
        body.sysctls.push(place.field(&setting("neigh", end, "proxy_delay"), 0));
    }
}

/// An interface's setting. A dot in its name is a slash in the key.
fn setting(of: &str, interface: &IfName, what: &str) -> String {
    format!("net.ipv4.{of}.{}.{what}", interface.as_str().replace('.', "/"))
}

fn route<'v>(place: Place, to: &str, more: impl IntoIterator<Item = (&'static str, &'v str)>) -> Node {
    let more = more.into_iter().map(|(key, value)| place.field(key, value));
    place.map(std::iter::once(place.field("to", to)).chain(more))
}
