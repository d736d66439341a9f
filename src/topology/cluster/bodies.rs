//! What the cluster stands for: the namespaces of nodes, pods and the switch between them, their cables, and the groups.

use ipnet::IpNet;

use super::layout::{GROUPS, LAN, LAN_BRIDGE, Layout, Node as Endpoint, ROUTER};
use super::numbers;
use super::piece::{Entry, Place};
use super::pods::Pod;
use super::{tunnels, ways};
use crate::topology::schema::{Egress, Routing, Spanned, Text};
use crate::topology::yaml::Node;

/// The other end of the router's cable, at that switch.
const ROUTER_PORT: &str = "router-lan";
/// The switch of a node's pods.
const POD_BRIDGE: &str = "v-net-0";
/// The interface by which nodes, pods and the router are connected.
pub const UPLINK: &str = "eth0";

/// A namespace's body, part by part.
pub struct Body {
    pub place: Place,
    pub interfaces: Vec<Entry>,
    pub bridges: Vec<Entry>,
    pub vxlans: Vec<Entry>,
    pub ipips: Vec<Entry>,
    pub routes: Vec<Node>,
    pub neighbours: Vec<Node>,
    pub sysctls: Vec<Entry>,
    pub forwarding: bool,
    pub nat: Vec<Node>,
    pub labels: Vec<Entry>,
}

impl Body {
    fn new(place: Place) -> Self {
        Self {
            place,
            interfaces: Vec::new(),
            bridges: Vec::new(),
            vxlans: Vec::new(),
            ipips: Vec::new(),
            routes: Vec::new(),
            neighbours: Vec::new(),
            sysctls: Vec::new(),
            forwarding: false,
            nat: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// The body as it would be written, without the parts in which nothing is.
    fn node(self) -> Node {
        let place = self.place;
        let map = |key, entries: Vec<Entry>| (!entries.is_empty()).then(|| place.entry(key, place.map(entries)));
        let list = |key, items: Vec<Node>| (!items.is_empty()).then(|| place.entry(key, place.list(items)));
        let parts = [
            map("interfaces", self.interfaces),
            map("bridges", self.bridges),
            map("vxlans", self.vxlans),
            map("ipips", self.ipips),
            list("routes", self.routes),
            list("neighbours", self.neighbours),
            map("sysctls", self.sysctls),
            self.forwarding.then(|| place.field("forwarding", true)),
            list("nat", self.nat),
            map("labels", self.labels),
        ];
        place.map(parts.into_iter().flatten())
    }

    /// An interface of these addresses.
    fn uplink(&mut self, addresses: &[Spanned<IpNet>], mtu: Option<Entry>) {
        let list = self.place.list(addresses.iter().map(|own| Place(own.span).scalar(own.value)));
        let has = [self.place.entry("addresses", list)].into_iter().chain(mtu);
        self.interfaces.push(self.place.entry(UPLINK, self.place.map(has)));
    }

    /// A bridge of these ports.
    fn bridge(&mut self, name: &str, addresses: Vec<Node>, ports: Vec<Node>) {
        let parts = [("addresses", addresses), ("ports", ports)].into_iter().filter(|(_, items)| !items.is_empty());
        let body = self.place.map(parts.map(|(key, items)| self.place.entry(key, self.place.list(items))));
        self.bridges.push(self.place.entry(name, body));
    }
}

/// The parts of a file that the cluster stands for; `cluster` is the place of its key.
pub fn entries(layout: &Layout<'_>, cluster: Place) -> [Entry; 3] {
    let mut namespaces = vec![cluster.entry(LAN, lan(layout, cluster))];
    let mut links: Vec<Node> = layout.nodes.iter().map(node_cable).collect();
    if layout.routing == Routing::Router {
        namespaces.push(cluster.entry(ROUTER, router(layout, cluster)));
        links.push(cable(cluster, [[ROUTER, UPLINK], [LAN, ROUTER_PORT]]));
    }
    let (mut nodes, mut pods) = (Vec::new(), Vec::new());
    for node in &layout.nodes {
        let place = Place(node.name.span);
        namespaces.push(place.entry(&node.name.value, member(layout, node)));
        nodes.push(place.scalar(&node.name.value));
        for pod in &node.pods {
            let place = Place(pod.name.span);
            namespaces.push(place.entry(&pod.name.value, pod_body(layout, node, pod)));
            links.push(pod_cable(node, pod));
            pods.push(place.scalar(&pod.name.value));
        }
    }
    let groups = GROUPS.into_iter().zip([nodes, pods]);
    [
        cluster.entry("namespaces", cluster.map(namespaces)),
        cluster.entry("links", cluster.list(links)),
        cluster.entry("groups", cluster.map(groups.map(|(name, list)| cluster.entry(name, cluster.list(list))))),
    ]
}

/// The switch between the nodes: a namespace of its own, so that the host is left alone.
fn lan(layout: &Layout<'_>, cluster: Place) -> Node {
    let mut body = Body::new(cluster);
    let ports = layout.nodes.iter().map(|node| Place(node.name.span).scalar(&node.lan_port));
    let router = (layout.routing == Routing::Router).then(|| cluster.scalar(ROUTER_PORT));
    body.bridge(LAN_BRIDGE, Vec::new(), ports.chain(router).collect());
    body.node()
}

fn router(layout: &Layout<'_>, cluster: Place) -> Node {
    let mut body = Body::new(cluster);
    let own = |network: &IpNet| IpNet::new(numbers::nth(*network, 1)?, network.prefix_len()).ok();
    let addresses = layout.node_networks.iter().filter_map(own).map(|value| Spanned { value, span: cluster.0 });
    body.uplink(&addresses.collect::<Vec<_>>(), None);
    body.labels.push(cluster.field("role", "router"));
    ways::of_router(layout, &mut body);
    body.node()
}

fn member(layout: &Layout<'_>, node: &Endpoint<'_>) -> Node {
    let place = Place(node.name.span);
    let mut body = Body::new(place);
    body.uplink(&node.addresses, None);
    body.forwarding = true;
    if layout.routing.has_bridges() {
        let own = |subnet: &IpNet| Some(place.scalar(IpNet::new(numbers::nth(*subnet, 1)?, subnet.prefix_len()).ok()?));
        let ports = node.pods.iter().map(|pod| Place(pod.name.span).scalar(&pod.node_end));
        body.bridge(POD_BRIDGE, node.subnets.iter().filter_map(own).collect(), ports.collect());
    }
    ways::of_node(layout, node, &mut body);
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
    ways::of_pod(layout, node, &mut body);
    let namespace = pod.namespace.map(|name| Place(name.span).field("namespace", &name.value.0));
    let label = |(key, value): &&(Spanned<Text>, Spanned<Text>)| (text(key), text(value));
    body.labels = namespace.into_iter().chain(pod.labels.iter().map(label)).collect();
    body.node()
}

/// Text that the author wrote, where it stands.
fn text(written: &Spanned<Text>) -> Node {
    Place(written.span).scalar(&written.value.0)
}

/// The cable between a node and the switch.
fn node_cable(node: &Endpoint<'_>) -> Node {
    cable(Place(node.name.span), [[node.name.value.as_str(), UPLINK], [LAN, node.lan_port.as_str()]])
}

/// The cable between a pod and its node.
fn pod_cable(node: &Endpoint<'_>, pod: &Pod<'_>) -> Node {
    let ends = [[pod.name.value.as_str(), UPLINK], [node.name.value.as_str(), pod.node_end.as_str()]];
    cable(Place(pod.name.span), ends)
}

fn cable(place: Place, ends: [[&str; 2]; 2]) -> Node {
    place.list(ends.map(|end| place.scalar(end.join("/"))))
}
