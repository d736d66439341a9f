//! Circles in a graph: the sets of nodes of which each leads to all others.

use std::collections::{BTreeMap, BTreeSet};

/// The sets of more than one node, or of a node that leads to itself.
pub fn among(edges: &BTreeSet<(String, String)>) -> Vec<BTreeSet<String>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().push(to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = next.keys().map(|node| (*node, reached_from(node, &next))).collect();
    let mut circles: Vec<BTreeSet<String>> = Vec::new();
    for (node, others) in reached.iter().filter(|(node, others)| others.contains(*node)) {
        let back = others.iter().filter(|other| reached.get(**other).is_some_and(|from| from.contains(node)));
        let circle: BTreeSet<String> = back.map(ToString::to_string).collect();
        if !circles.contains(&circle) {
            circles.push(circle);
        }
    }
    circles
}

fn reached_from<'a>(node: &str, next: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let (mut reached, mut todo) = (BTreeSet::new(), next.get(node).cloned().unwrap_or_default());
    while let Some(other) = todo.pop() {
        if reached.insert(other) {
            todo.extend(next.get(other).into_iter().flatten());
        }
    }
    reached
}
