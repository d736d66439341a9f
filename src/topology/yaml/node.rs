//! The tree: values with their places in the file.

use crate::topology::diagnostics::Span;

/// A value with its place in the file.
#[derive(Debug, Clone)]
pub(in crate::topology) struct Node {
    pub value: Value,
    pub span: Span,
}

/// What is there.
#[derive(Debug, Clone)]
pub(in crate::topology) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// Moves it behind other files, of which the last ends there.
    pub fn move_behind(&mut self, begin: usize) {
        self.span = self.span.behind(begin);
        match &mut self.value {
            Value::Null | Value::Scalar(_) => {}
            Value::List(items) => items.iter_mut().for_each(|item| item.move_behind(begin)),
            Value::Map(entries) => {
                for (key, value) in entries {
                    key.move_behind(begin);
                    value.move_behind(begin);
                }
            }
        }
    }

    /// A file with one check in the place of its own.
    pub fn with_checks(&self, check: Self) -> Self {
        const CHECKS: &str = "checks";
        let span = check.span;
        let key = Self { value: Value::Scalar(CHECKS.to_owned()), span };
        let list = Self { value: Value::List(vec![check]), span };
        let own = match &self.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null | Value::Scalar(_) | Value::List(_) => &[],
        };
        let others = own.iter().filter(|(key, _)| !matches!(&key.value, Value::Scalar(key) if key == CHECKS));
        Self { value: Value::Map(others.cloned().chain([(key, list)]).collect()), span: self.span }
    }

    /// How many values it has.
    pub fn count(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::count).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|(key, value)| key.count() + value.count()).sum::<usize>(),
        }
    }
}
