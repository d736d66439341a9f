//! Namespaces: which have to be made, and which go.

use super::compared::Compared;
use super::draft::Draft;
use crate::steps::{NamespaceStep, Step};

/// Plans those that are missing.
pub(super) fn add(compared: &Compared<'_>, draft: &mut Draft) {
    for ns in compared.lab.own_namespaces().filter(|ns| !compared.live.namespaces.contains_key(*ns)) {
        let step = NamespaceStep::Add { ns: ns.clone(), lab: compared.lab.name.clone() };
        draft.add(Step::Namespace(step), "it does not exist");
    }
}

/// Plans the removal of those that the file does not have.
pub(super) fn remove(compared: &Compared<'_>, draft: &mut Draft) {
    for (ns, is) in &compared.live.namespaces {
        if !compared.lab.namespaces.contains_key(ns) && is.is.owner.as_ref() == Some(&compared.lab.name) {
            draft.add(Step::Namespace(NamespaceStep::Remove { ns: ns.clone() }), "the file no longer has it");
        }
    }
}
