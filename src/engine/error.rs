//! What can go wrong while a plan is run, in the words that the person at the keyboard reads.

use std::fmt;
use std::io;

use nix::sys::signal::Signal;
use thiserror::Error;

use crate::kernel::KernelError;
use crate::lab::LabName;
use crate::plan::PlannedStep;
use crate::preflight::Finding;

/// Why a lab could not be applied or removed.
#[derive(Debug, Error)]
pub enum EngineError {
    /// Something stands in the way; nothing was touched.
    #[error("{}", listed("nothing was touched, because this stands in the way:", .0))]
    Obstacles(Vec<Finding>),
    /// Another nslab works on this lab, and we were told not to wait.
    #[error("another nslab is working on lab {0} just now; nothing was touched")]
    Busy(LabName),
    /// The system could not be looked at, or lacks something; nothing was touched.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The journal could not be written; nothing was touched.
    #[error("cannot write the journal: {0}")]
    Journal(#[from] io::Error),
    /// A step failed.
    #[error("{0}{1}")]
    Step(Box<KernelError>, UndoError),
    /// Everything was done, but the kernel does not show it.
    #[error("the kernel does not keep what was set; still to do: {}{undo}", .rest.iter().map(|s| s.step.text()).collect::<Vec<_>>().join("; "))]
    NotKept {
        /// The steps that a new plan still has.
        rest: Vec<PlannedStep>,
        /// How the undoing went.
        undo: UndoError,
    },
    /// Somebody interrupted.
    #[error("interrupted by {signal}{undo}")]
    Interrupted {
        /// The signal.
        signal: Signal,
        /// How the undoing went.
        undo: UndoError,
    },
    /// Some steps of a removal failed; all others were done.
    #[error("{}", listed("not everything could be removed:", .0))]
    Leftovers(Vec<String>),
}

/// How undoing went: how many steps were undone, and what could not be.
#[derive(Debug, Default)]
pub struct UndoError {
    /// Steps that were undone.
    pub undone: usize,
    /// What went wrong meanwhile.
    pub failed: Vec<String>,
}

impl fmt::Display for UndoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.undone, self.failed.is_empty()) {
            (0, true) => f.write_str("\nnothing had been changed"),
            (n, true) => write!(f, "\nthe {n} steps done before it were undone"),
            (n, false) => {
                write!(f, "\nof the steps done before it, {n} were undone; these could not be:")?;
                self.failed.iter().try_for_each(|failed| write!(f, "\n  {failed}"))
            }
        }
    }
}

impl EngineError {
    /// The error, with how the undoing went.
    pub(super) fn with(mut self, outcome: UndoError) -> Self {
        match &mut self {
            Self::Step(_, undo) | Self::NotKept { undo, .. } | Self::Interrupted { undo, .. } => *undo = outcome,
            _ if outcome.failed.is_empty() => {}
            // Before the first step there is little to undo; what could not be is told first.
            _ => return Self::Leftovers([outcome.failed, vec![self.to_string()]].concat()),
        }
        self
    }

    /// The exit code that says it: 3, or 128 and the signal's number.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted { signal, .. } => 128_u8.wrapping_add(*signal as u8),
            _ => 3,
        }
    }
}

fn listed(head: &str, items: &[impl ToString]) -> String {
    let lines: Vec<String> =
        items.iter().map(|item| format!("\n  {}", item.to_string().replace('\n', "\n      "))).collect();
    format!("{head}{}", lines.concat())
}
