//! A plan in the making.

use std::collections::{BTreeMap, BTreeSet};

use super::planned::PlannedStep;
use crate::lab::{IfName, InterfaceRef, NsName};
use crate::steps::{InterfaceStep, Step, Tier};

/// The reason for what is to be there and is not.
pub(super) const MISSING: &str = "it is missing";
/// The reason for what goes.
pub(super) const EXTRA: &str = "the file does not have it";

/// The steps that are planned so far, and what they do to interfaces.
#[derive(Default)]
pub(super) struct Draft {
    steps: Vec<PlannedStep>,
    /// Interfaces that are made or made anew: whatever was on one of that name is gone.
    pub(super) fresh: BTreeSet<InterfaceRef>,
    /// Interfaces that are removed, by namespace.
    removed: BTreeMap<NsName, BTreeSet<IfName>>,
}

impl Draft {
    pub(super) fn add(&mut self, step: Step, why: impl Into<String>) {
        self.steps.push(PlannedStep { step, why: why.into() });
    }

    /// Adds the removal of an interface.
    pub(super) fn remove(&mut self, interface: &InterfaceRef, tier: Tier, why: &str) {
        self.removed.entry(interface.ns.clone()).or_default().insert(interface.name.clone());
        self.add(Step::Interface(InterfaceStep::Remove { interface: interface.clone(), tier }), why);
    }

    /// Whether an interface's removal is planned.
    pub(super) fn removes(&self, interface: &InterfaceRef) -> bool {
        self.removed.get(&interface.ns).is_some_and(|names| names.contains(&interface.name))
    }

    /// The interfaces of a namespace whose removal is planned.
    pub(super) fn removed_in(&self, ns: &NsName) -> impl Iterator<Item = &IfName> {
        self.removed.get(ns).into_iter().flatten()
    }

    /// How many steps are planned.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The steps that were planned after the first so many.
    pub(super) fn since(&self, len: usize) -> impl Iterator<Item = &Step> {
        self.steps.iter().skip(len).map(|planned| &planned.step)
    }

    pub(super) fn in_order(mut self) -> Vec<PlannedStep> {
        self.steps.sort_by_key(|planned| planned.step.phase());
        self.steps
    }
}
