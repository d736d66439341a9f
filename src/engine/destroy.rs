//! Removes a lab: everything that carries its mark, and then its state.

use std::time::{Duration, Instant};

use super::lock::lock;
use super::{EngineError, Event, Interrupts, Listener, Machine, flows, host_settings};
use crate::kernel::Scope;
use crate::lab::LabName;
use crate::plan::{PlannedStep, teardown};
use crate::state::{Activity, Journal};
use crate::steps::Step;

/// What a removal did.
#[derive(Debug)]
pub struct Destroyed {
    /// The steps that were done; none where there was nothing to remove.
    pub steps: Vec<PlannedStep>,
    /// How long it took; the kernel goes on freeing memory afterwards.
    pub elapsed: Duration,
}

/// Removes a lab. A step that fails does not stop the rest; having nothing to remove is no error.
///
/// # Errors
/// Something could not be removed.
pub fn destroy(lab: &LabName, wait: bool, report: Listener<'_>) -> Result<Destroyed, EngineError> {
    // Half a lab is of no use: once begun, the removal is finished before a signal is handled.
    let mut stop = Interrupts::hold();
    let start = Instant::now();
    let folder = lock(lab, wait, &mut stop, report)?;
    let mut machine = Machine::open()?;
    if folder.is_new()? {
        host_settings::recall(&mut machine.kernel, lab)?;
    }
    let (live, unread) = machine.observe_most(&Scope { lab, desired: None, inside: false })?;
    let steps = teardown(lab, &live, &host_settings::claimed_by(lab)?);
    if !steps.is_empty() {
        let texts = steps.iter().map(|planned| planned.step.text()).collect();
        folder.write_journal(&Journal::new(lab, Activity::Destroying, texts))?;
    }
    report(Event::Planned(steps.len()));
    let mut failed: Vec<String> = unread.into_iter().map(|(_, error)| error.to_string()).collect();
    for group in steps.chunk_by(|a, b| b.step.batches_with(&a.step)) {
        let only: Vec<Step> = group.iter().map(|planned| planned.step.clone()).collect();
        match machine.run(&only) {
            Ok(()) => group.iter().for_each(|planned| report(Event::Done(planned))),
            Err(error) => failed.push(error.to_string()),
        }
    }
    // Nothing of the lab's rules is left.
    failed.extend(flows::forget_stale(&mut machine.kernel, |_| None, &steps).err().map(|error| error.to_string()));
    failed.extend(left(&mut machine, lab));
    // What a run that was killed may have left in the host.
    failed.extend(machine.tidy().err().map(|error| error.to_string()));
    if !failed.is_empty() {
        return Err(EngineError::Leftovers(failed));
    }
    folder.remove()?;
    Ok(Destroyed { steps, elapsed: start.elapsed() })
}

/// The lab's chains that the kernel still has, where a program only said that it had removed them.
fn left(machine: &mut Machine, lab: &LabName) -> Vec<String> {
    match machine.kernel.chains_left(lab) {
        Ok(chains) => chains.iter().map(|chain| format!("chain {chain} of host is still there")).collect(),
        Err(error) => vec![error.to_string()],
    }
}
