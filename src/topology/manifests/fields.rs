//! The keys of an object: which are read, which do not matter, and which would change who reaches whom.

use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::yaml::{Node, Value};

/// The keys of a map of Kubernetes.
pub struct Keys {
    /// Those that are read.
    pub read: &'static [&'static str],
    /// Those that say nothing about who reaches whom.
    pub idle: &'static [&'static str],
    /// Those that do, and that nslab does not have.
    pub matter: &'static [Matter],
}

/// A key that changes who reaches whom.
pub struct Matter {
    pub key: &'static str,
    /// The values that change nothing.
    pub harmless: &'static [&'static str],
    /// What it means that nslab does not have it.
    pub why: &'static str,
    /// Whether the lab would still be what the manifest says, for the most part: then it is a warning.
    pub is_warning: bool,
}

/// Looks at all keys of a map: those that nobody knows are misspelt.
pub fn check(node: &Node, what: &str, keys: &Keys, found: &mut Collector<'_>) {
    let entries = match &node.value {
        Value::Map(entries) => entries,
        Value::Null => return,
        Value::Scalar(_) | Value::List(_) => {
            let message = format!("{what} is a map: `key: value`, or {{ key: value }}");
            found.add(Diagnostic::new(Code::WrongShape, head(node), message));
            return;
        }
    };
    for (key, value) in entries {
        let Some((name, at)) = scalar(key) else {
            found.add(Diagnostic::new(Code::WrongShape, head(key), "a key is a single word"));
            continue;
        };
        if keys.read.contains(&name) || keys.idle.contains(&name) {
            continue;
        }
        match keys.matter.iter().find(|own| own.key == name) {
            Some(own) if own.is_harmless(value) => {}
            Some(own) => {
                let message = format!("`{name}`: {}", own.why);
                match own.is_warning {
                    true => found.tell(Diagnostic::warning(Code::NotModelled, at, message)),
                    false => found.add(Diagnostic::new(Code::NotModelled, at, message)),
                }
            }
            None => {
                let known = keys.read.iter().chain(keys.idle).copied().chain(keys.matter.iter().map(|own| own.key));
                let help = found.did_you_mean(name, known);
                let message = format!("unknown key `{name}` in {what}");
                found.add(Diagnostic::new(Code::UnknownKey, at, message).help(help));
            }
        }
    }
}

impl Matter {
    fn is_harmless(&self, value: &Node) -> bool {
        match &value.value {
            Value::Null => true,
            Value::Scalar(text) => self.harmless.contains(&text.as_str()),
            Value::List(items) => items.iter().all(|item| self.is_harmless(item)),
            Value::Map(entries) => entries.is_empty(),
        }
    }
}

/// The value of a key; a key without a value is as good as none.
pub fn get<'t>(node: &'t Node, key: &str) -> Option<&'t Node> {
    let Value::Map(entries) = &node.value else { return None };
    let (_, value) = entries.iter().find(|(name, _)| matches!(&name.value, Value::Scalar(text) if text == key))?;
    (!matches!(value.value, Value::Null)).then_some(value)
}

/// The value of a key that has to be there.
pub fn required<'t>(node: &'t Node, key: &str, what: &str, found: &mut Collector<'_>) -> Option<&'t Node> {
    let value = get(node, key);
    if value.is_none() {
        found.add(Diagnostic::new(Code::MissingKey, head(node), format!("{what} needs `{key}`")));
    }
    value
}

/// A single value and its place, if it is one.
pub fn scalar(node: &Node) -> Option<(&str, Span)> {
    match &node.value {
        Value::Scalar(text) => Some((text, node.span)),
        _ => None,
    }
}

/// A single value, which anything else is not.
pub fn text<'t>(node: &'t Node, found: &mut Collector<'_>) -> Option<(&'t str, Span)> {
    let text = scalar(node);
    if text.is_none() {
        found.add(Diagnostic::new(Code::WrongShape, head(node), "expected a single value"));
    }
    text
}

/// The items of a list, which anything else is not.
pub fn items<'t>(node: &'t Node, found: &mut Collector<'_>) -> &'t [Node] {
    match &node.value {
        Value::List(items) => items,
        Value::Null => &[],
        Value::Scalar(_) | Value::Map(_) => {
            found.add(Diagnostic::new(Code::WrongShape, head(node), "expected a list"));
            &[]
        }
    }
}

/// The items of a list under a key.
pub fn list<'t>(node: &'t Node, key: &str, found: &mut Collector<'_>) -> &'t [Node] {
    get(node, key).map_or(&[], |list| items(list, found))
}

/// The entries of a map under a key.
pub fn entries<'t>(node: &'t Node, key: &str) -> &'t [(Node, Node)] {
    match get(node, key).map(|map| &map.value) {
        Some(Value::Map(entries)) => entries,
        _ => &[],
    }
}

/// The piece to underline: lists and maps go over many lines, of which the first says enough.
pub fn head(node: &Node) -> Span {
    match &node.value {
        Value::Map(entries) => entries.first().map_or(node.span, |(key, _)| key.span),
        Value::List(items) => items.first().map_or(node.span, head),
        Value::Null | Value::Scalar(_) => node.span,
    }
}
