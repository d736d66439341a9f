//! New pieces of the YAML tree, each at the place of the shorthand that it is made from.

use std::fmt::Display;

use super::super::diagnostics::Span;
use super::super::yaml::{Node, Value};

/// A key and its value.
pub type Entry = (Node, Node);

/// Makes pieces for one place of the file.
#[derive(Clone, Copy)]
pub struct Place(pub Span);

impl Place {
    pub fn scalar(self, text: impl Display) -> Node {
        Node { value: Value::Scalar(text.to_string()), span: self.0 }
    }

    pub fn list(self, items: impl IntoIterator<Item = Node>) -> Node {
        Node { value: Value::List(items.into_iter().collect()), span: self.0 }
    }

    pub fn map(self, entries: impl IntoIterator<Item = Entry>) -> Node {
        Node { value: Value::Map(entries.into_iter().collect()), span: self.0 }
    }

    pub fn entry(self, key: impl Display, value: Node) -> Entry {
        (self.scalar(key), value)
    }

    /// A key with a single value.
    pub fn field(self, key: &str, value: impl Display) -> Entry {
        self.entry(key, self.scalar(value))
    }
}
