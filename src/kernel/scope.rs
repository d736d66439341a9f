//! What is asked of the kernel, and what carries marks.

use std::collections::BTreeSet;

use crate::lab::{IfName, Lab, LabName, NsName};

/// What to observe.
pub struct Scope<'a> {
    /// Whose things: every namespace with this lab's mark is observed, wanted or not.
    pub lab: &'a LabName,
    /// What is wanted: says which namespaces, sysctls and link-local addresses are of interest besides.
    pub desired: Option<&'a Lab>,
    /// Whether to look into the lab's own namespaces; or else only their marks are read, which is enough to remove
    /// them.
    pub inside: bool,
}

impl Scope<'_> {
    /// Whether a namespace is wanted.
    pub(super) fn wants(&self, ns: &NsName) -> bool {
        self.desired.is_some_and(|lab| lab.namespaces.contains_key(ns))
    }
}

/// What carries the mark of one lab.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    /// Namespaces, and leftover files of those that were being made or removed when nslab was killed.
    pub namespaces: BTreeSet<NsName>,
    /// Interfaces in `host`.
    pub interfaces: BTreeSet<IfName>,
}
