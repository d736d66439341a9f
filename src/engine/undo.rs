//! Undoing: back to what there was when the run began.
//!
//! First the inverse of each step, last one first, so that the firewall goes before what it guards. Then the kernel is
//! looked at again, and what differs from the beginning (what the kernel took along, what had no inverse) is planned like
//! any other difference.

use super::apply::{Run, all_of, look};
use super::{EngineError, Event, UndoError};
use crate::lab::NsName;
use crate::plan::{self, PlannedStep, Step};

impl Run<'_> {
    /// Undoes what was done, and puts how that went into the error.
    pub(super) fn undo(mut self, error: EngineError) -> EngineError {
        let done = std::mem::take(&mut self.done);
        let mut outcome = UndoError { undone: done.len(), failed: Vec::new() };
        if !done.is_empty() {
            (self.tell)(Event::Undoing(done.len()));
            self.run_inverses(&done);
            self.return_to_the_beginning(&mut outcome);
        }
        self.forget_the_attempt(&mut outcome);
        error.with(outcome)
    }

    /// Runs the inverses. What one of them cannot do, the second look will find.
    fn run_inverses(&mut self, done: &[PlannedStep]) {
        let made: Vec<&NsName> = done
            .iter()
            .filter_map(|planned| match &planned.step {
                Step::AddNamespace { ns, .. } => Some(ns),
                _ => None,
            })
            .collect();
        for planned in done.iter().rev() {
            // What is in a namespace that this run made goes with it.
            let goes_along = made.contains(&&planned.step.namespace());
            let inverse = planned.step.inverse().filter(|inverse| !goes_along || inverse.removes_namespace());
            if let Some(inverse) = inverse {
                let _ = self.kernel.run(&[inverse]);
            }
        }
    }

    /// Plans and runs what still differs from the beginning.
    fn return_to_the_beginning(&mut self, outcome: &mut UndoError) {
        match look(&mut self.kernel, &all_of(self.lab)) {
            Err(error) => outcome.failed.push(error.to_string()),
            Ok(now) => {
                for planned in plan::way_back(&self.lab.name, &self.before, &now).steps {
                    if let Err(error) = self.kernel.run(&[planned.step]) {
                        outcome.failed.push(error.to_string());
                    }
                }
            }
        }
    }

    /// Gives back the host settings that this run claimed, or all of them if the lab was not there before, and removes
    /// what was noted of it.
    fn forget_the_attempt(&mut self, outcome: &mut UndoError) {
        outcome.failed.extend(self.try_to_forget().err().map(|error| error.to_string()));
    }

    fn try_to_forget(&mut self) -> Result<(), EngineError> {
        let lab = &self.lab.name;
        let is_applied = self.state.is_applied()?;
        let claimed = if is_applied { std::mem::take(&mut self.claimed) } else { self.kernel.claimed_settings(lab)? };
        for key in &claimed {
            self.kernel.run(&[Step::RestoreSysctl { key: key.clone(), lab: lab.clone() }])?;
        }
        if is_applied && !claimed.is_empty() {
            self.kernel.note_settings(lab)?;
        }
        self.kernel.tidy()?;
        self.state.remove_if_unused()
    }
}
