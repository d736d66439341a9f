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
