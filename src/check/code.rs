//! The codes of checks that could not be run.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

/// Why nothing could be checked. Its name is the variant's in kebab case; its comment is its line in `docs/codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckCode {
    /// Sockets cannot be waited for.
    CannotWait,
    /// Namespaces of the lab do not exist.
    LabNotApplied,
    /// Namespaces that the checks name belong to another lab.
    NamespaceOfAnotherLab,
    /// Two names lead to the same network namespace.
    NamespaceTwice,
}

impl fmt::Display for CheckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
