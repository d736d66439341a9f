//! Ingress of a cluster: the pods of the controllers, and their service.

use super::piece::{Entry, Place};
use super::pods::Pod;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{
    Cluster, ClusterIngress, IngressPorts, NameOrPod, Read, Spanned, TrafficPolicy, WrittenService,
};
use crate::topology::yaml::Node;

/// How many controllers there can be.
const MOST_REPLICAS: usize = 100;
/// The Kubernetes namespace of the controllers, their service there, and their label.
const NAMESPACE: &str = "ingress-nginx";
const SERVICE: &str = "ingress-nginx-controller";
const LABEL: (&str, &str) = ("app.kubernetes.io/name", "ingress-nginx");

/// Adds the pods of the controllers, one after the other on the nodes, and their service.
pub fn add(cluster: &mut Cluster, found: &mut Collector<'_>) {
    let own = cluster.ingress.first().map(|first| first.0.span);
    let of_rules = own.map(|span| ClusterIngress { span, ..ClusterIngress::default() });
    let Some(controller) = cluster.ingress_controller.take().or(of_rules) else { return };
    let place = Place(controller.span);
    let nodes = cluster.nodes.entries.len();
    let replicas = controller.replicas.as_ref().map_or(1, |written| {
        let many = usize::try_from(written.value).unwrap_or(usize::MAX);
        if many > MOST_REPLICAS {
            let message = format!("{many} ingress controllers; a cluster has {MOST_REPLICAS} at most");
            found.add(Diagnostic::new(Code::TooMany, written.span, message));
        }
        many.min(MOST_REPLICAS)
    });
    for number in 1..=replicas {
        let pod = NameOrPod::read(&pod(number, place), found);
        let node = cluster.nodes.entries.get_mut((number - 1) % nodes.max(1));
        if let (Some(NameOrPod(mut pod)), Some((_, node))) = (pod, node) {
            pod.ingress_controller = Some(own_part(&controller));
            node.of_manifests.push(NameOrPod(pod));
        }
    }
    let service = WrittenService::read(&service(&controller, place), found);
    cluster.services.extend(service);
}

/// What makes a namespace a controller.
fn own_part(controller: &ClusterIngress) -> Node {
    let class = controller.class.as_ref().map(|class| Place(class.span).field("class", &class.value.0));
    Place(controller.span).map(class)
}

fn pod(number: usize, place: Place) -> Node {
    place.map([
        place.field("name", format!("ingress-nginx-{number}")),
        place.field("namespace", NAMESPACE),
        place.entry("labels", place.map([place.field(LABEL.0, LABEL.1)])),
        place.entry("ports", place.map([place.field("http", 80), place.field("https", 443)])),
    ])
}

fn service(controller: &ClusterIngress, place: Place) -> Node {
    let port = |name: &str, number: u16, node_port: Option<&Spanned<u16>>| {
        let own = [place.field("name", name), place.field("port", number), place.field("targetPort", name)];
        let node_port = node_port.map(|port| Place(port.span).field("nodePort", port.value));
        place.map(own.into_iter().chain(node_port))
    };
    let of = |of: fn(&IngressPorts) -> Option<&Spanned<u16>>| controller.node_ports.as_ref().and_then(of);
    let ports =
        [port("http", 80, of(|ports| ports.http.as_ref())), port("https", 443, of(|ports| ports.https.as_ref()))];
    let address = controller.load_balancer_ip.as_ref();
    let kind = if address.is_some() { "LoadBalancer" } else { "NodePort" };
    let mut entries: Vec<Entry> = vec![
        place.field("name", SERVICE),
        place.field("namespace", NAMESPACE),
        place.field("type", kind),
        place.entry("selector", place.map([place.field(LABEL.0, LABEL.1)])),
        place.entry("ports", place.list(ports)),
        place.field("ipFamilyPolicy", "PreferDualStack"),
    ];
    entries.extend(address.map(|own| Place(own.span).field("loadBalancerIP", own.value)));
    entries.extend(controller.external_traffic_policy.as_ref().map(|policy| {
        let name = if policy.value == TrafficPolicy::Local { "Local" } else { "Cluster" };
        Place(policy.span).field("externalTrafficPolicy", name)
    }));
    place.map(entries)
}

/// What a pod is that is a controller.
pub fn of_pod(pod: &Pod<'_>) -> Option<Entry> {
    let own = pod.ingress_controller?;
    Some(Place(own.span).entry("ingress_controller", own.clone()))
}
