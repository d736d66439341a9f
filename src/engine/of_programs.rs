//! Steps on programs, carried out by the supervisor of their lab.

use std::collections::BTreeSet;

use crate::kernel::{Kernel, KernelError};
use crate::lab::{NsName, Places, Program, ProgramRef};
use crate::programs;
use crate::steps::{ProgramStep, Step};

/// Runs steps on programs that go together, of which one is the first: all of them are started, or all ended. With
/// `keeps`, those are left that were started with one that cannot be. An error says where that one is written.
///
/// # Errors
/// A program cannot be started or ended, or a signal came.
pub(super) fn run(
    kernel: &mut Kernel,
    first: &ProgramStep,
    group: &[Step],
    (keeps, places): (bool, &Places),
) -> Result<(), KernelError> {
    let steps: Vec<&ProgramStep> = group.iter().filter_map(Step::program).collect();
    let namespaces: BTreeSet<NsName> = steps.iter().map(|step| step.program.ns.clone()).collect();
    let wanted = |step: &&ProgramStep| Some((step.program.clone(), step.change.wanted()?.as_ref().clone()));
    let to_start: Vec<(ProgramRef, Program)> = steps.iter().filter_map(wanted).collect();
    if !to_start.is_empty() {
        // Noted before: what is started is found, whatever comes.
        namespaces.iter().try_for_each(|ns| kernel.note_programs(ns))?;
        return programs::start(&first.lab, &namespaces, &to_start, (keeps, places));
    }
    let names: Vec<ProgramRef> = steps.iter().map(|step| step.program.clone()).collect();
    let grace = steps.iter().filter_map(|step| step.change.former()).map(|program| program.stop.grace).max();
    programs::end(&first.lab, &namespaces, &names, grace.unwrap_or_default())?;
    let left = programs::list(&first.lab)?.unwrap_or_default();
    for ns in namespaces.iter().filter(|ns| !left.keys().any(|program| program.ns == **ns)) {
        // The namespace may be gone, and the note with it.
        let _ = kernel.forget_programs(ns);
    }
    Ok(())
}
