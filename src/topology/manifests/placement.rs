//! Which node a pod is on: the one that is named for it, or the one that its name chooses among those that it may be
//! on. No pod moves because another one comes; if a node comes, only those move that it takes ("rendezvous hashing").

use std::collections::{HashMap, HashSet};

use super::workloads::{Names, Pods, Template};
use crate::lab::fnv1a;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{Cluster, ClusterNode, NameOrPod, Pod, Pods as WrittenPods};

/// The label that every node has: its name.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// Another, which many manifests ask for.
const LINUX: (&str, &str) = ("kubernetes.io/os", "linux");

/// Puts pods on the nodes of a cluster. Where the topology has a pod of the same name, of which it says nothing that
/// a manifest does, it says where this one is, and what runs in it.
pub fn place(pods: Vec<Pods<'_>>, cluster: &mut Cluster, found: &mut Collector<'_>) {
    let places = places(cluster);
    let mut used = HashSet::new();
    let mut on_nodes: Vec<Vec<NameOrPod>> = cluster.nodes.entries.iter().map(|_| Vec::new()).collect();
    for Pods { names, like } in pods {
        let nodes = nodes_of(&like, cluster, found);
        let made: Vec<(Option<Pod>, Option<usize>)> = match names {
            Names::One => vec![(like.pod("", found), None)],
            Names::Counted { many } => (1..=many).map(|n| (like.pod(&format!("-{n}"), found), None)).collect(),
            Names::Ordinals { first, many } => {
                let numbers = (0..many).map(|n| u64::from(first) + u64::from(n));
                numbers.map(|number| (like.ordinal(number, found), None)).collect()
            }
            Names::EveryNode => {
                let name = |at: &usize| cluster.nodes.entries.get(*at).map(|(name, _)| name.value.to_string());
                let every = nodes.iter().filter_map(|at| Some((*at, name(at)?)));
                every.map(|(at, name)| (like.pod(&format!("-{name}"), found), Some(at))).collect()
            }
        };
        for (pod, node) in made {
            let Some(mut pod) = pod else { continue };
            let place = places.get(pod.name.value.as_str());
            let by_name = || chosen(pod.name.value.as_str(), &nodes, cluster);
            let Some(node) = place.map(|(at, _)| *at).or(node).or_else(by_name) else { continue };
            if let Some((_, place)) = place {
                (pod.address, pod.run, pod.serve) = (place.address.clone(), place.run.clone(), place.serve.clone());
                used.insert((node, pod.name.value.clone()));
            }
            if let Some(on_node) = on_nodes.get_mut(node) {
                on_node.push(NameOrPod(pod));
            }
        }
    }
    for (at, ((_, node), pods)) in cluster.nodes.entries.iter_mut().zip(on_nodes).enumerate() {
        node.of_manifests = pods;
        if let Some(WrittenPods::List(list)) = &mut node.pods {
            list.retain(|pod| !is_bare(pod) || !used.remove(&(at, pod.0.name.value.clone())));
        }
    }
}

/// The pods of the topology that may be places of a manifest's, by their names, with their nodes.
fn places(cluster: &Cluster) -> HashMap<&str, (usize, &Pod)> {
    let mut places = HashMap::new();
    for (at, (_, node)) in cluster.nodes.entries.iter().enumerate() {
        let Some(WrittenPods::List(list)) = &node.pods else { continue };
        for NameOrPod(pod) in list.iter().filter(|pod| is_bare(pod)) {
            places.entry(pod.name.value.as_str()).or_insert((at, pod));
        }
    }
    places
}

fn is_bare(pod: &NameOrPod) -> bool {
    let Pod { namespace, labels, ports, ready, hostname, subdomain, dns_policy, dns_config, .. } = &pod.0;
    let has_dns = hostname.is_some() || subdomain.is_some() || dns_policy.is_some() || dns_config.is_some();
    !has_dns && namespace.is_none() && ready.is_none() && labels.entries.is_empty() && ports.entries.is_empty()
}

/// The nodes on which pods may be.
fn nodes_of(like: &Template<'_>, cluster: &Cluster, found: &mut Collector<'_>) -> Vec<usize> {
    let nodes = || cluster.nodes.entries.iter().enumerate();
    if let Some((name, at)) = like.node_name {
        let own: Vec<usize> = nodes().filter(|(_, (own, _))| own.value.as_str() == name).map(|(at, _)| at).collect();
        if own.is_empty() {
            let names = cluster.nodes.entries.iter().map(|(name, _)| name.value.as_str());
            let fault = Diagnostic::new(Code::UnknownName, at, format!("there is no node `{name}`"));
            let help = found.did_you_mean(name, names);
            found.add(fault.help(help));
        }
        return own;
    }
    let mut own: Vec<usize> = nodes().map(|(at, _)| at).collect();
    for (key, value, at) in &like.node_selector {
        own.retain(|node| {
            cluster
                .nodes
                .entries
                .get(*node)
                .is_some_and(|(name, node)| has_label(name.value.as_str(), node, (key, value)))
        });
        if own.is_empty() {
            let message = format!("no node has the label `{key}: {value}` (and those before it)");
            let help = format!("nodes have `{HOSTNAME}`, and the `labels` that the topology gives them");
            found.add(Diagnostic::new(Code::UnknownLabel, *at, message).help(help));
            break;
        }
    }
    own
}

fn has_label(name: &str, node: &ClusterNode, (key, value): (&str, &str)) -> bool {
    let written =
        node.labels.entries.iter().any(|(own, is)| (own.value.0.as_str(), is.value.0.as_str()) == (key, value));
    written || (key, value) == (HOSTNAME, name) || (key, value) == LINUX
}

/// The node that a pod's name chooses: the one that has drawn the highest number for it.
fn chosen(pod: &str, nodes: &[usize], cluster: &Cluster) -> Option<usize> {
    let drawn = |at: &usize| {
        let name = cluster.nodes.entries.get(*at)?.0.value.as_str();
        Some((draw(pod, name), std::cmp::Reverse(name)))
    };
    nodes.iter().copied().max_by_key(|at| drawn(at))
}

/// The number that a node draws for a pod.
fn draw(pod: &str, node: &str) -> u64 {
    mixed(u64::from(fnv1a(pod)) << 32 | u64::from(fnv1a(node)))
}

/// A number in which every bit depends on every bit of another (the last steps of `splitmix64`). Names that differ in
/// their last letter have hashes that differ little.
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_gets_its_share() {
        let nodes = ["node1", "node2", "node3", "node4"];
        let mut shares = [0; 4];
        for n in 1..=4_000 {
            let pod = format!("web-{n}");
            let best = (0..4).max_by_key(|at| draw(&pod, nodes[*at])).unwrap();
            shares[best] += 1;
        }
        // Six standard deviations of a share of 1,000 are 164.
        assert!(shares.iter().all(|share| (836..=1_164).contains(share)), "{shares:?}");
    }
}
