//! Compares a lab with the machine; changes nothing.

use super::{EngineError, Machine, preconditions};
use crate::kernel::Scope;
use crate::lab::{Lab, Observed};
use crate::plan::{self, Conflict, Plan};
use crate::preflight::Finding;

/// A plan, and what keeps it from being carried out.
#[derive(Debug)]
pub struct Planned {
    /// What is to be done.
    pub plan: Plan,
    /// What does not belong to the lab and would have to be changed.
    pub conflicts: Vec<Conflict>,
    /// What the machine lacks; asked only where there is something to do.
    pub findings: Vec<Finding>,
}

/// Compares a lab with the kernel.
///
/// # Errors
/// Privileges are missing, or the kernel refuses to show something.
pub fn plan(lab: &Lab) -> Result<Planned, EngineError> {
    preconditions::demand_privileges(lab)?;
    let live = Machine::open()?.observe(&all_of(lab))?;
    let mut planned = compare(lab, &live);
    if !planned.plan.is_empty() {
        planned.findings = preconditions::find(lab)?;
    }
    Ok(planned)
}

/// The plan from what there is to a lab, and its conflicts.
pub(super) fn compare(lab: &Lab, live: &Observed) -> Planned {
    Planned { plan: plan::plan(lab, live), conflicts: plan::conflicts(lab, live), findings: Vec::new() }
}

/// Everything that a comparison with a lab needs.
pub(super) fn all_of(lab: &Lab) -> Scope<'_> {
    Scope { lab: &lab.name, desired: Some(lab), inside: true }
}
