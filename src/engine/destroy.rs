//! Removes a lab: everything that carries its mark, and then its state.

use std::time::{Duration, Instant};

use super::apply::look;
use super::state::{Journal, LabState};
use super::{EngineError, Event, Interrupts, Listener};
use crate::kernel::{Kernel, Scope};
use crate::lab::LabName;
use crate::plan::{PlannedStep, teardown};
use crate::steps::Step;

/// What a removal did.
#[derive(Debug)]
pub struct Destroyed {
    /// The steps that were done; none where there was nothing of the lab.
    pub steps: Vec<PlannedStep>,
    /// How long it took; the kernel goes on freeing memory afterwards.
    pub elapsed: Duration,
}

/// Removes a lab. What fails does not stop the rest; nothing to do is success.
pub fn destroy(lab: &LabName, wait: bool, tell: Listener<'_>) -> Result<Destroyed, EngineError> {
    // A lab half removed is of no use to anybody: once begun, the removal is finished before a signal is heard.
    let mut stop = Interrupts::hold();
    let start = Instant::now();
    let state = LabState::lock(lab, wait, &mut stop, tell)?;
    let mut kernel = Kernel::open()?;
    if state.is_new()? {
        kernel.recall_settings(lab)?;
    }
    let live = look(&mut kernel, &Scope { lab, desired: None, inside: false })?;
    let steps = teardown(lab, &live, &kernel.claimed_settings(lab)?);
    if !steps.is_empty() {
        state.write_journal(&Journal::new(lab, "destroying", steps.iter().map(|s| s.step.text()).collect()))?;
    }
    tell(Event::Planned(steps.len()));
    let mut failed = Vec::new();
    for group in steps.chunk_by(|a, b| b.step.batches_with(&a.step)) {
        let only: Vec<Step> = group.iter().map(|planned| planned.step.clone()).collect();
        match kernel.run(&only) {
            Ok(()) => group.iter().for_each(|planned| tell(Event::Done(planned))),
            Err(error) => failed.push(error.to_string()),
        }
    }
    // What a run that was killed may have left in the host.
    failed.extend(kernel.tidy().err().map(|error| error.to_string()));
    if !failed.is_empty() {
        return Err(EngineError::Leftovers(failed));
    }
    state.remove()?;
    Ok(Destroyed { steps, elapsed: start.elapsed() })
}
