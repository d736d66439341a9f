//! Network policies, and the labels of Kubernetes namespaces that they ask for.

use std::collections::HashMap;

use super::fields::{self, get, required};
use super::keys;
use super::object::{Kind, Object};
use super::services::named;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{Cluster, Read, Spanned, WrittenLabels, WrittenPolicy};
use crate::topology::yaml::{Node, Value};

/// Adds the policies and the labels of namespaces to a cluster.
pub fn add(objects: &[Object<'_>], cluster: &mut Cluster, found: &mut Collector<'_>) {
    for object in objects.iter().filter(|object| object.kind == Kind::NetworkPolicy) {
        let Some(spec) = required(object.body, "spec", "a NetworkPolicy", found) else { continue };
        fields::check(spec, "`spec`", &keys::POLICY, found);
        let mut entries = named(object);
        if let Value::Map(written) = &spec.value {
            let known = |key: &Node| fields::scalar(key).is_some_and(|(key, _)| keys::POLICY.read.contains(&key));
            entries.extend(written.iter().filter(|(key, _)| known(key)).cloned());
        }
        let tree = Node { value: Value::Map(entries), span: object.name.span };
        cluster.policies.extend(WrittenPolicy::read(&tree, found));
    }
    namespaces(objects, cluster, found);
}

/// Labels of namespaces stand beside those that the topology gives.
fn namespaces(objects: &[Object<'_>], cluster: &mut Cluster, found: &mut Collector<'_>) {
    let own = cluster.namespace_labels.take();
    let span = own.as_ref().map_or_else(Span::default, |own| own.0.span);
    let mut all = match own {
        Some(WrittenLabels(Node { value: Value::Map(entries), .. })) => entries,
        _ => Vec::new(),
    };
    let known: HashMap<String, Span> =
        all.iter().filter_map(|(name, _)| fields::scalar(name)).map(|(name, at)| (name.to_owned(), at)).collect();
    for object in objects.iter().filter(|object| object.kind == Kind::Namespace) {
        if let Some(spec) = object.spec() {
            fields::check(spec, "`spec`", &keys::NAMESPACE, found);
        }
        let Some(labels) = get(object.metadata, "labels") else { continue };
        let Spanned { value: name, span } = &object.name;
        if let Some(first) = known.get(name) {
            let message = format!("the labels of the namespace `{name}` are given twice");
            found.add(Diagnostic::new(Code::NameTwice, *span, message).also(*first, "here"));
            continue;
        }
        let entry = (Node { value: Value::Scalar(name.clone()), span: *span }, labels.clone());
        let alone = Node { value: Value::Map(vec![entry.clone()]), span: *span };
        if WrittenLabels::read(&alone, found).is_some() {
            all.push(entry);
        }
    }
    cluster.namespace_labels = (!all.is_empty()).then_some(WrittenLabels(Node { value: Value::Map(all), span }));
}
