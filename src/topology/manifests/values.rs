//! Whether values are what Kubernetes takes: numbers without quotes, labels that are text, keys and values of labels,
//! protocols in capitals. Whoever reads them next is content with less.

use super::fields::{entries, scalar};
use super::object::{Kind, Object};
use crate::lab::PortProtocol;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{LabelKey, LabelValue, Read, Spanned};
use crate::topology::yaml::{Node, Value};

/// Keys below which values are that nslab reads.
const INNER: [&str; 23] = [
    "backend",
    "containers",
    "defaultBackend",
    "egress",
    "from",
    "http",
    "ingress",
    "initContainers",
    "matchExpressions",
    "metadata",
    "namespaceSelector",
    "paths",
    "podSelector",
    "port",
    "ports",
    "rules",
    "selector",
    "service",
    "spec",
    "subsets",
    "template",
    "to",
    "values",
];
/// Keys with labels below them.
const LABELS: [&str; 3] = ["labels", "matchLabels", "nodeSelector"];
/// Keys whose value is a number, or a name.
const NUMBERS: [&str; 7] = ["containerPort", "endPort", "nodePort", "number", "port", "replicas", "targetPort"];

/// Looks at all objects.
pub fn check(objects: &[Object<'_>], found: &mut Collector<'_>) {
    for object in objects {
        // Those of the other two are read as they are.
        let protocols = !matches!(object.kind, Kind::Service | Kind::NetworkPolicy);
        walk(object.body, protocols, found);
    }
}

fn walk(node: &Node, protocols: bool, found: &mut Collector<'_>) {
    match &node.value {
        Value::Map(own) => {
            for (key, value) in own {
                let Some((name, _)) = scalar(key) else { continue };
                match name {
                    "values" => items(value).for_each(|value| is_text(value, found)),
                    // That of a service, and of a ReplicationController.
                    "selector" if entries(node, name).iter().any(|(_, value)| scalar(value).is_some()) => {
                        labels(value, found);
                    }
                    "protocol" if protocols => drop(Spanned::<PortProtocol>::read(value, found)),
                    _ if LABELS.contains(&name) => labels(value, found),
                    _ if NUMBERS.contains(&name) && scalar(value).is_some() => is_number(value, found),
                    _ if INNER.contains(&name) => walk(value, protocols, found),
                    _ => {}
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| walk(item, protocols, found)),
        Value::Null | Value::Scalar(_) => {}
    }
}

fn items(node: &Node) -> impl Iterator<Item = &Node> {
    let items: &[Node] = if let Value::List(items) = &node.value { items } else { &[] };
    items.iter()
}

fn labels(node: &Node, found: &mut Collector<'_>) {
    let Value::Map(entries) = &node.value else { return };
    for (key, value) in entries {
        let _ = Spanned::<LabelKey>::read(key, found);
        is_text(value, found);
        if scalar(value).is_some() {
            let _ = Spanned::<LabelValue>::read(value, found);
        }
    }
}

/// What YAML takes for a number or a truth value is none of a label.
fn is_text(node: &Node, found: &mut Collector<'_>) {
    let Some((text, span)) = scalar(node) else { return };
    let begins = |text: &str| text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
    let kind = match text.to_ascii_lowercase().as_str() {
        "true" | "false" | "yes" | "no" | "on" | "off" => "a truth value",
        _ if begins(text) && text.parse::<f64>().is_ok() => "a number",
        _ => return,
    };
    if !is_quoted(node, found) {
        let message = format!("`{text}` is {kind}, and Kubernetes wants text here");
        found.add(Diagnostic::new(Code::BadValue, span, message).help(format!("write \"{text}\"")));
    }
}

/// A number in quotes is text.
fn is_number(node: &Node, found: &mut Collector<'_>) {
    let Some((text, span)) = scalar(node) else { return };
    if text.parse::<i64>().is_ok() && is_quoted(node, found) {
        let message = format!("\"{text}\" is text, and Kubernetes wants a number here");
        found.add(Diagnostic::new(Code::BadValue, span, message).help(format!("write {text}")));
    }
}

fn is_quoted(node: &Node, found: &Collector<'_>) -> bool {
    found.written(node.span).starts_with(['"', '\''])
}
