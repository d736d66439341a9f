//! Network policies, and the labels of Kubernetes namespaces that they ask for.

use super::fields::{self, get, required};
use super::keys;
use super::object::{Kind, Object};
use super::services::named;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{Cluster, Read, WrittenLabels, WrittenPolicy};
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
    let namespaces = objects.iter().filter(|object| object.kind == Kind::Namespace);
    for object in namespaces {
        if let Some(spec) = object.spec() {
            fields::check(spec, "`spec`", &keys::NAMESPACE, found);
        }
        let Some(labels) = get(object.metadata, "labels") else { continue };
        let name = Node { value: Value::Scalar(object.name.value.clone()), span: object.name.span };
        let tree = Node { value: Value::Map(vec![(name, labels.clone())]), span: object.name.span };
        let Some(read) = WrittenLabels::read(&tree, found) else { continue };
        match &mut cluster.namespace_labels {
            Some(labels) => join(&mut labels.0, read.0, found),
            none => *none = Some(read),
        }
    }
}

/// Labels that the topology gives a namespace stand beside those of its manifest.
fn join(all: &mut Node, more: Node, found: &mut Collector<'_>) {
    let (Value::Map(all), Value::Map(more)) = (&mut all.value, more.value) else { return };
    for (name, labels) in more {
        let word = fields::scalar(&name).map(|(word, _)| word);
        let Some((first, _)) = all.iter().find(|(own, _)| fields::scalar(own).map(|(word, _)| word) == word) else {
            all.push((name, labels));
            continue;
        };
        let message = format!("the labels of the namespace `{}` are given twice", word.unwrap_or_default());
        found.add(Diagnostic::new(Code::NameTwice, name.span, message).also(first.span, "here"));
    }
}
