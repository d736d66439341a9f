//! What network policies need of a cluster: nodes that enforce them, and packets between pods of one node that pass the
//! rules.

use super::body::Body;
use super::layout::{Layout, Node};
use super::piece::{Entry, Place};

/// What a node has for policies.
pub fn of_node(layout: &Layout<'_>, node: &Node<'_>, body: &mut Body) {
    if layout.policies.is_empty() {
        return;
    }
    let place = body.place;
    let pods = place.list(node.subnets.iter().map(|subnet| place.scalar(subnet)));
    let conntrack = layout.policy_conntrack.map(|own| Place(own.span).field("conntrack", own.value.name()));
    let policies = [place.entry("pods", pods)].into_iter().chain(conntrack);
    body.network_policies = Some(place.entry("network_policies", place.map(policies)));
}

/// The parts of a file that policies are.
pub fn entries(layout: &Layout<'_>, cluster: Place) -> impl Iterator<Item = Entry> {
    let policies = layout.policies.iter().map(|policy| policy.0.clone());
    let policies = (!layout.policies.is_empty()).then(|| cluster.entry("policies", cluster.list(policies)));
    let labels = layout.namespace_labels.map(|labels| cluster.entry("namespace_labels", labels.0.clone()));
    policies.into_iter().chain(labels)
}
