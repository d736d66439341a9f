//! The `cluster` shorthand: nodes and pods become namespaces, links and groups of the plain language.
//!
//! `layout` fills in every number and address (`addresses` those of nodes, `pods` those of pods, `service_addresses`
//! those of services), `dns` adds name servers and `ingress` its controllers, `bodies` says what is in each namespace,
//! `routing` and `tunnels` how packets get from node to node, `services` what services need of nodes, and `merge` puts
//! it all into the file's own tree. Every new piece of the tree has the place of the shorthand that it is made from, so
//! that a mistake which is found later is reported where its author can fix it.

mod addresses;
mod bodies;
mod body;
mod dns;
mod ingress;
mod layout;
mod merge;
mod names;
mod network_policies;
mod numbers;
mod piece;
mod pods;
mod routing;
mod service_addresses;
mod services;
mod tunnels;

use std::path::Path;

use super::code::Code;
use super::diagnostics::{Collector, Diagnostic};
use super::manifests;
use super::schema::{Cluster, Read};
use super::yaml::{Node, Value};
use crate::lab::{Origin, Origins};

/// The file without its cluster, and with what the cluster means; and which piece of it asks for which kind of
/// interfaces. A cluster that has faults stays where it is.
pub(super) fn expand(tree: Node, folder: Option<&Path>, found: &mut Collector<'_>) -> (Node, Origins) {
    let mut origins = Origins::new();
    let Node { value: Value::Map(mut file), span } = tree else { return (tree, origins) };
    if let Some(mut place) = file.iter().position(|(key, _)| is(key, "cluster")) {
        let (key, body) = file.remove(place);
        let before = found.count();
        let mut written = match body.value {
            Value::Null => None,
            _ => Cluster::read(&body, found),
        };
        if let Some(written) = &mut written {
            manifests::read(written, folder, found);
            dns::add(written, found);
            ingress::add(written, found);
        }
        let layout = written.as_ref().map(|written| layout::lay_out(written, found));
        own_groups(&file, found);
        match layout {
            Some(layout) if found.count() == before && can_take(&file) => {
                if let Some(kind) = tunnels::kind(layout.routing) {
                    let (line, column) = found.place(layout.routing_at);
                    origins.insert(kind, Origin { words: format!("routing: {}", kind.name()), line, column });
                }
                for made in bodies::entries(&layout, piece::Place(key.span)) {
                    place += merge::into_file(&mut file, place, made, found);
                }
            }
            None if found.count() == before => {}
            _ => file.insert(place, (key, body)),
        }
    }
    (Node { value: Value::Map(file), span }, origins)
}

fn is(key: &Node, name: &str) -> bool {
    matches!(&key.value, Value::Scalar(text) if text == name)
}

/// The groups of the cluster are not the file's.
fn own_groups(file: &[piece::Entry], found: &mut Collector<'_>) {
    let groups = file.iter().filter(|(key, _)| is(key, "groups")).filter_map(|(_, groups)| match &groups.value {
        Value::Map(groups) => Some(groups),
        _ => None,
    });
    for (key, _) in groups.flatten() {
        if let Some(name) = names::GROUPS.iter().find(|name| is(key, name)) {
            found.add(Diagnostic::new(
                Code::ReservedName,
                key.span,
                format!("the cluster makes the group `{name}`; choose another name"),
            ));
        }
    }
}

/// Whether the file's own parts are of the kinds that what the cluster makes can be joined with.
fn can_take(file: &[piece::Entry]) -> bool {
    file.iter().all(|(key, value)| match value.value {
        Value::Null => true,
        Value::Map(_) => !is(key, "links"),
        Value::List(_) => !is(key, "namespaces") && !is(key, "groups"),
        Value::Scalar(_) => !["namespaces", "groups", "links"].iter().any(|name| is(key, name)),
    })
}
