//! What the cluster makes and what the file itself says, put together.

use std::collections::HashMap;

use super::super::diagnostics::{Collector, Diagnostic};
use super::super::yaml::{Node, Value};
use super::piece::Entry;
use crate::topology::code::Code;

/// Puts what the cluster makes under a key of the file: at this place, or where the file has that key already. How many
/// keys are new.
pub fn into_file(file: &mut Vec<Entry>, place: usize, (key, made): Entry, found: &mut Collector<'_>) -> usize {
    match file.iter_mut().find(|(own, _)| word(own) == word(&key)) {
        Some((_, own)) => {
            let own_value = std::mem::replace(own, Node { value: Value::Null, span: own.span });
            *own = joined(word(&key), made, own_value, found);
            0
        }
        None => {
            file.insert(place, (key, made));
            1
        }
    }
}

/// Two values of a key in one: maps are joined, lists follow each other. A single value cannot be there twice.
fn joined(key: Option<&str>, made: Node, own: Node, found: &mut Collector<'_>) -> Node {
    let (made_span, own_span) = (made.span, own.span);
    let value = match (made.value, own.value) {
        (value, Value::Null) | (Value::Null, value) => value,
        (Value::Map(entries), Value::Map(more)) => Value::Map(maps(entries, more, found)),
        (Value::List(mut items), Value::List(more)) => {
            items.extend(more);
            Value::List(items)
        }
        // What is said of ports may be an entry of their list, too.
        (Value::List(mut items), value @ Value::Map(_)) if key == Some("ports") => {
            items.push(Node { value, span: own_span });
            Value::List(items)
        }
        (value, own) => {
            let message = match (&value, &own) {
                (Value::Scalar(text), Value::Scalar(_)) => format!("the cluster has a value for this already: {text}"),
                _ => "the cluster has something of another kind here".to_owned(),
            };
            found.add(
                Diagnostic::new(Code::ClusterConflict, own_span, message)
                    .help("leave it out".to_owned())
                    .also(made_span, "the cluster's"),
            );
            value
        }
    };
    Node { value, span: own_span }
}

fn maps(mut made: Vec<Entry>, own: Vec<Entry>, found: &mut Collector<'_>) -> Vec<Entry> {
    let index: HashMap<String, usize> =
        made.iter().enumerate().filter_map(|(at, (key, _))| Some((word(key)?.to_owned(), at))).collect();
    for (key, value) in own {
        let slot = word(&key).and_then(|word| made.get_mut(*index.get(word)?));
        match slot {
            Some((_, there)) => {
                let before = std::mem::replace(there, Node { value: Value::Null, span: there.span });
                *there = joined(word(&key), before, value, found);
            }
            None => made.push((key, value)),
        }
    }
    made
}

fn word(key: &Node) -> Option<&str> {
    match &key.value {
        Value::Scalar(text) => Some(text),
        _ => None,
    }
}
