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
    /// What could not be read, and why; nothing is planned for it.
    pub unread: Vec<String>,
}

/// Compares a lab with the kernel.
///
/// # Errors
/// Privileges are missing, or it cannot be found out which namespaces there are.
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
    let (plan, conflicts) = (plan::plan(lab, live), plan::conflicts(lab, live));
    let unread = live.unread.iter().map(|unread| unread.why.clone()).collect();
    Planned { plan, conflicts, findings: Vec::new(), unread }
}

/// Everything that a comparison with a lab needs.
pub(super) fn all_of(lab: &Lab) -> Scope<'_> {
    Scope { lab: &lab.name, desired: Some(lab), inside: true }
}
