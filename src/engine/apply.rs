//! Makes the kernel look like a lab.

use std::time::{Duration, Instant};

use super::state::{Journal, LabState, own_unattached};
use super::{EngineError, Event, Interrupts, Listener, UndoError, unattached};
use crate::kernel::{Kernel, Scope};
use crate::lab::{Lab, LabName, NsName, SysctlKey};
use crate::plan::{self, Conflict, Plan, PlannedStep, Step};

/// How often a plan is made anew when the kernel shows something else than what was set: a step may have side effects
/// that the plan did not foresee, and somebody may change things meanwhile.
const ROUNDS: usize = 3;

/// A plan, and what stands in its way.
#[derive(Debug)]
pub struct Planned {
    /// What is to be done.
    pub plan: Plan,
    /// What is not the lab's own and would have to be touched.
    pub conflicts: Vec<Conflict>,
}

/// What an apply did.
#[derive(Debug)]
pub struct Applied {
    /// The steps that were done.
    pub steps: Vec<PlannedStep>,
    /// How long it took, from the first look at the kernel to the last.
    pub elapsed: Duration,
}

/// Compares a lab with the kernel; changes nothing.
pub fn plan(lab: &Lab) -> Result<Planned, EngineError> {
    look(&mut Kernel::open()?, lab)
}

fn look(kernel: &mut Kernel, lab: &Lab) -> Result<Planned, EngineError> {
    let mut live = kernel.observe(&Scope { lab: &lab.name, desired: Some(lab) })?;
    unattached::keep_own(kernel, &lab.name, &mut live)?;
    Ok(Planned { plan: plan::plan(lab, &live), conflicts: plan::conflicts(lab, &live) })
}

/// Makes the kernel look like the lab; `text` is the topology file, kept with the lab's state.
pub fn apply(lab: &Lab, text: &str, wait: bool, tell: Listener<'_>) -> Result<Applied, EngineError> {
    let mut stop = Interrupts::hold();
    let start = Instant::now();
    let state = LabState::lock(&lab.name, wait, &mut stop, tell)?;
    let is_new = state.is_new()?;
    let mut run = Run { kernel: Kernel::open()?, stop, tell, claimed: Vec::new(), done: Vec::new() };
    let recalled = if is_new { run.kernel.recall_settings(&lab.name).map_err(Into::into) } else { Ok(()) };
    let converged = recalled.and_then(|()| run.converge(lab, &state)).and_then(|()| run.go_on());
    match converged.and_then(|()| finish(&state, lab, text, &run.done)) {
        Ok(()) => {
            // A signal that comes now comes too late: it must not end us as if we had undone anything.
            let _ = run.stop.pending();
            Ok(Applied { steps: run.done, elapsed: start.elapsed() })
        }
        Err(error) => {
            let error = run.undo(error, &lab.name);
            // What is left of the attempt is a folder; the error that matters is the one before.
            let _ = run.kernel.tidy();
            let _ = if is_new { state.remove() } else { Ok(()) };
            Err(error)
        }
    }
}

/// Notes that the lab is applied; nothing is written where nothing has changed.
fn finish(state: &LabState, lab: &Lab, text: &str, done: &[PlannedStep]) -> Result<(), EngineError> {
    if done.is_empty() && super::saved_topology(&lab.name)?.as_deref() == Some(text) {
        return Ok(());
    }
    state.write_journal(&Journal::new(&lab.name, "applied", Vec::new()))?;
    state.write_unattached(&unattached::wanted(lab))?;
    // Last, so that what is undone because of an error here leaves the topology of before.
    state.write_topology(text)
}

/// One apply under way: what has been done so far, to be undone if it must.
struct Run<'a> {
    kernel: Kernel,
    stop: Interrupts,
    tell: Listener<'a>,
    /// Host settings that the lab has claimed just now.
    claimed: Vec<SysctlKey>,
    done: Vec<PlannedStep>,
}

impl Run<'_> {
    fn converge(&mut self, lab: &Lab, state: &LabState) -> Result<(), EngineError> {
        let mut planned = look(&mut self.kernel, lab)?;
        for round in 0..ROUNDS {
            if planned.plan.is_empty() {
                return Ok(());
            }
            if round == 0 {
                self.before_the_first_change(lab, &planned, state)?;
            }
            self.run_steps(&planned.plan.steps)?;
            planned = look(&mut self.kernel, lab)?;
        }
        match planned.plan.is_empty() {
            true => Ok(()),
            false => Err(EngineError::NotKept { rest: planned.plan.steps, undo: UndoError::default() }),
        }
    }

    /// Everything that can be refused is refused here; then the journal is written, and host settings are claimed.
    fn before_the_first_change(&mut self, lab: &Lab, planned: &Planned, state: &LabState) -> Result<(), EngineError> {
        if !planned.conflicts.is_empty() {
            return Err(EngineError::Conflicts(planned.conflicts.clone()));
        }
        let steps = &planned.plan.steps;
        self.kernel.can_run(steps.iter().map(|planned| &planned.step))?;
        let before = own_unattached(&lab.name)?.unwrap_or_default();
        state.write_unattached(&unattached::wanted(lab).into_iter().chain(before).collect())?;
        state.write_journal(&Journal::new(&lab.name, "applying", steps.iter().map(|s| s.step.text()).collect()))?;
        if let Some(host) = lab.namespaces.get(&NsName::host()) {
            for key in host.sysctls.keys() {
                // Also where it fails half-way.
                self.claimed.push(key.clone());
                if !self.kernel.claim_setting(key, &lab.name)? {
                    self.claimed.pop();
                }
            }
        }
        if !self.claimed.is_empty() {
            self.kernel.note_settings(&lab.name)?;
        }
        (self.tell)(Event::Planned(steps.len()));
        Ok(())
    }

    fn run_steps(&mut self, steps: &[PlannedStep]) -> Result<(), EngineError> {
        for group in steps.chunk_by(|a, b| b.step.joins(&a.step)) {
            self.go_on()?;
            let only: Vec<Step> = group.iter().map(|planned| planned.step.clone()).collect();
            if let Err(cause) = self.kernel.run(&only) {
                let step = only.iter().map(Step::text).next().unwrap_or_default();
                return Err(EngineError::Step { step, cause: Box::new(cause), undo: UndoError::default() });
            }
            for planned in group {
                (self.tell)(Event::Done(planned));
                self.done.push(planned.clone());
            }
        }
        Ok(())
    }

    /// Nothing, unless somebody wants us to stop.
    fn go_on(&mut self) -> Result<(), EngineError> {
        match self.stop.pending() {
            Some(signal) => Err(EngineError::Interrupted { signal, undo: UndoError::default() }),
            None => Ok(()),
        }
    }

    /// Undoes what was done, last first, and puts how that went into the error.
    fn undo(&mut self, mut error: EngineError, lab: &LabName) -> EngineError {
        let done = std::mem::take(&mut self.done);
        if !done.is_empty() {
            (self.tell)(Event::Undoing(done.len()));
        }
        let mut outcome = UndoError::default();
        for planned in done.iter().rev() {
            let Some(inverse) = planned.step.inverse() else {
                outcome.failed.push(format!("{}: it cannot be brought back", planned.step.text()));
                continue;
            };
            match self.kernel.run(std::slice::from_ref(&inverse)) {
                Ok(()) => outcome.undone += 1,
                Err(failed) => outcome.failed.push(format!("{}: {failed}", inverse.text())),
            }
        }
        let claimed = std::mem::take(&mut self.claimed);
        let had_claimed = !claimed.is_empty();
        for key in claimed {
            let release = Step::RestoreSysctl { key, lab: lab.clone() };
            let released = self.kernel.run(std::slice::from_ref(&release));
            outcome.failed.extend(released.err().map(|failed| format!("{}: {failed}", release.text())));
        }
        if had_claimed {
            let noted = self.kernel.note_settings(lab);
            outcome.failed.extend(noted.err().map(|failed| failed.to_string()));
        }
        match &mut error {
            EngineError::Step { undo, .. }
            | EngineError::NotKept { undo, .. }
            | EngineError::Interrupted { undo, .. } => {
                *undo = outcome;
                error
            }
            _ if outcome.failed.is_empty() => error,
            _ => EngineError::Leftovers(outcome.failed.into_iter().chain([error.to_string()]).collect()),
        }
    }
}
