//! The routes and policy rules of `host` that no interface belongs to: each lab lists its own, one a line.
//!
//! The kernel keeps one number with them, which says that nslab made them, but not for which lab.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::folder::Folder;
use super::labs::labs;
use crate::kernel::KernelError;
use crate::lab::{LabName, PolicyRule, Route, fnv1a};

pub(super) const FILE: &str = "deviceless-routes";

/// What identifies a route or a policy rule: all of it, as JSON on one line.
///
/// A line of the file that is damaged is the identity of nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity(String);

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Object<'a> {
    Route(&'a Route),
    Rule(&'a PolicyRule),
}

impl Identity {
    /// Of a route.
    pub(crate) fn of_route(route: &Route) -> Self {
        Self::of(&Object::Route(route))
    }

    /// Of a policy rule.
    pub(crate) fn of_rule(rule: &PolicyRule) -> Self {
        Self::of(&Object::Rule(rule))
    }

    /// What a mark, which has little room, has of it.
    pub(crate) fn hash(&self) -> u32 {
        fnv1a(&self.0)
    }

    fn of(object: &Object<'_>) -> Self {
        // Their keys are strings, so this cannot fail.
        Self(serde_json::to_string(object).unwrap_or_default())
    }
}

/// Writes a lab's list into its folder.
///
/// # Errors
/// The list cannot be written.
pub(super) fn write(folder: &Folder, identities: &BTreeSet<Identity>) -> Result<(), KernelError> {
    let text: String = identities.iter().map(|identity| format!("{}\n", identity.0)).collect();
    folder.write(FILE, &text)
}

/// What a lab lists; none where it has no list.
///
/// # Errors
/// The list is there and cannot be read.
pub(crate) fn listed_by(lab: &LabName) -> Result<Option<BTreeSet<Identity>>, KernelError> {
    let text = Folder::of_lab(lab)?.map_or(Ok(None), |folder| folder.read(FILE))?;
    Ok(text.map(|text| text.lines().map(|line| Identity(line.to_owned())).collect()))
}

/// The lists of all other labs that have one.
///
/// # Errors
/// One of them cannot be read.
pub(crate) fn listed_by_others(lab: &LabName) -> Result<BTreeMap<LabName, BTreeSet<Identity>>, KernelError> {
    let mut lists = BTreeMap::new();
    for other in labs()?.into_iter().filter(|other| other != lab) {
        if let Some(list) = listed_by(&other)? {
            lists.insert(other, list);
        }
    }
    Ok(lists)
}
