//! DNS of a cluster: the pods that serve it, their service, and what each pod finds in `/etc/resolv.conf`.

use ipnet::IpNet;

use super::layout::{Layout, Node as Endpoint};
use super::numbers;
use super::piece::{Entry, Place};
use super::pods::Pod;
use super::service_addresses;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{Cluster, ClusterDns, DnsPolicy, NameOrPod, Read, Resolver, WrittenService};
use crate::topology::yaml::Node;

/// The zone of a cluster, where the file does not say.
const ZONE: &str = "cluster.local";
/// Which address of the service network is that of the name servers: as kubeadm has it.
const PLACE: u128 = 10;
/// How many name servers there are, where there are nodes enough: as kubeadm has it.
const REPLICAS: usize = 2;
/// How many there can be.
const MOST_REPLICAS: usize = 100;

/// Adds the pods of the name servers, one after the other on the nodes, and their service.
pub fn add(cluster: &mut Cluster, found: &mut Collector<'_>) {
    let Some(dns) = cluster.dns.take() else { return };
    let place = Place(dns.span);
    let nodes = cluster.nodes.entries.len();
    let replicas = match &dns.replicas {
        None => REPLICAS.min(nodes),
        Some(written) => {
            let many = usize::try_from(written.value).unwrap_or(usize::MAX);
            if many > MOST_REPLICAS {
                let message = format!("{many} name servers; a cluster has {MOST_REPLICAS} at most");
                found.add(Diagnostic::new(Code::TooMany, written.span, message));
            }
            many.min(MOST_REPLICAS)
        }
    };
    for number in 0..replicas {
        let pod = NameOrPod::read(&pod(&dns, number + 1, place), found);
        let node = cluster.nodes.entries.get_mut(number % nodes.max(1));
        if let (Some(pod), Some((_, node))) = (pod, node) {
            node.of_manifests.push(pod);
        }
    }
    let service = service(&service_addresses::written(cluster), place);
    cluster.services.extend(WrittenService::read(&service, found));
    cluster.dns = Some(dns);
}

/// A pod that serves names.
fn pod(dns: &ClusterDns, number: usize, place: Place) -> Node {
    let mut names = Vec::new();
    names.extend(dns.zone.as_ref().map(|zone| Place(zone.span).field("zone", zone.value.as_str())));
    names.extend(dns.pods.as_ref().map(|pods| Place(pods.span).field("pods", pods.value.name())));
    let mut server = vec![place.field("dns", 53), place.entry("cluster_names", place.map(names))];
    server.extend(dns.ttl.as_ref().map(|ttl| Place(ttl.span).field("ttl", ttl.value)));
    server.extend(dns.forward.as_ref().map(|to| Place(to.span).field("forward", &to.value)));
    place.map([
        place.field("name", format!("coredns-{number}")),
        place.field("namespace", "kube-system"),
        place.entry("labels", place.map([place.field("k8s-app", "kube-dns")])),
        place.entry("ports", place.map([place.field("dns", "53/udp"), place.field("dns-tcp", "53/tcp")])),
        place.field("dnsPolicy", "Default"),
        place.entry("serve", place.list([place.map(server)])),
    ])
}

fn service(networks: &[IpNet], place: Place) -> Node {
    let port = |name: &str, protocol: &str| {
        place.map([place.field("name", name), place.field("protocol", protocol), place.field("port", 53)])
    };
    let addresses = networks.iter().filter_map(|network| numbers::nth(*network, PLACE));
    place.map([
        place.field("name", "kube-dns"),
        place.field("namespace", "kube-system"),
        place.entry("selector", place.map([place.field("k8s-app", "kube-dns")])),
        place.entry("ports", place.list([port("dns", "UDP"), port("dns-tcp", "TCP")])),
        place.entry("clusterIPs", place.list(addresses.map(|address| place.scalar(address)))),
    ])
}

/// The lines of a `/etc/resolv.conf`.
#[derive(Default)]
struct Lines {
    nameservers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

/// What a node finds there, which is what its author says.
pub fn of_node(node: &Endpoint<'_>) -> Option<Entry> {
    let written = node.dns?;
    Some(Place(written.resolver.span).entry("dns", written.tree.clone()))
}

/// What a pod finds there: as kubelet writes it, by the pod's `dnsPolicy` and `dnsConfig` (`pkg/kubelet/network/dns`).
pub fn of_pod(layout: &Layout<'_>, node: &Endpoint<'_>, pod: &Pod<'_>) -> Option<Entry> {
    let place = Place(pod.dns_policy.map_or(pod.name.span, |policy| policy.span));
    let policy = pod.dns_policy.map_or(DnsPolicy::ClusterFirst, |policy| policy.value);
    let of_node = node.dns.map(|written| Lines::of(&written.resolver)).unwrap_or_default();
    let server = layout.service_networks.first().and_then(|network| numbers::nth(*network, PLACE));
    let mut lines = match (policy, layout.dns.zip(server)) {
        (DnsPolicy::ClusterFirst | DnsPolicy::ClusterFirstWithHostNet, Some((dns, server))) => {
            let zone = dns.zone.as_ref().map_or(ZONE, |zone| zone.value.as_str());
            let namespace = pod.namespace.map_or("default", |own| &own.value.0);
            let own = ["", "svc.", &format!("{namespace}.svc.")].map(|before| format!("{before}{zone}"));
            Lines {
                nameservers: vec![server.to_string()],
                search: own.into_iter().rev().chain(of_node.search).collect(),
                options: vec!["ndots:5".to_owned()],
            }
        }
        (DnsPolicy::None, _) => Lines::default(),
        (_, _) => of_node,
    };
    if let Some(config) = pod.dns_config {
        lines.nameservers.extend(config.nameservers.iter().map(|own| own.value.to_string()));
        lines.search.extend(config.searches.iter().map(|own| own.value.0.clone()));
        for option in &config.options {
            let name = &option.name.value.0;
            lines.options.retain(|own| own.split(':').next() != Some(name));
            let value = option.value.as_ref().map(|value| format!(":{}", value.value.0)).unwrap_or_default();
            lines.options.push(format!("{name}{value}"));
        }
    }
    let all = [("nameservers", lines.nameservers), ("search", lines.search), ("options", lines.options)];
    let is_asked = policy == DnsPolicy::None || all.iter().any(|(_, words)| !words.is_empty());
    let list = |words: Vec<String>| {
        let mut once: Vec<String> = Vec::new();
        words.into_iter().for_each(|word| {
            if !once.contains(&word) {
                once.push(word)
            }
        });
        place.list(once.into_iter().map(|word| place.scalar(word)))
    };
    is_asked.then(|| place.entry("dns", place.map(all.map(|(key, words)| place.entry(key, list(words))))))
}

impl Lines {
    fn of(Resolver { dns, .. }: &Resolver) -> Self {
        Self {
            nameservers: dns.nameservers.iter().map(|own| own.value.to_string()).collect(),
            search: dns.search.iter().map(|own| own.value.0.clone()).collect(),
            options: dns.options.iter().map(|own| own.value.0.clone()).collect(),
        }
    }
}
