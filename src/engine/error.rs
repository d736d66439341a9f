//! What can go wrong while a command does its work, in the words that people read.

use std::fmt;
use std::net::IpAddr;

use nix::sys::signal::Signal;
use thiserror::Error;

use super::EngineCode;
use crate::check::CheckError;
use crate::kernel::process::ExecError;
use crate::kernel::{KernelCode, KernelError};
use crate::lab::{IfName, LabName, NsName, ProgramRef, ShareError};
use crate::plan::PlannedStep;
use crate::preflight::Finding;

/// Why a command could not do its work.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The lab cannot be applied to this machine; nothing was changed.
    #[error("{}", listed("nothing was changed, because of this:", &helped_once(.0)))]
    Preconditions(Vec<Finding>),
    /// Another nslab is working on this lab, and we are not to wait.
    #[error("another nslab is working on lab {0}; nothing was changed")]
    Busy(LabName),
    /// The kernel refused something before the first change.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A step failed.
    #[error("{0}{1}")]
    Step(Box<KernelError>, UndoError),
    /// Every step was done, but the kernel does not show it.
    #[error("the kernel did not keep the change; still to do: {}{undo}", texts(.rest))]
    NotKept {
        /// The steps that a new plan still has.
        rest: Vec<PlannedStep>,
        /// How the undoing went.
        undo: UndoError,
    },
    /// A signal ended it.
    #[error("interrupted by {signal}{undo}")]
    Interrupted {
        /// The signal.
        signal: Signal,
        /// How the undoing went.
        undo: UndoError,
    },
    /// Some steps of a removal failed; all others were done.
    #[error("{}", listed("some of it could not be removed:", .0))]
    Leftovers(Vec<String>),
    /// Some parts of namespaces could not be read; all else was done.
    #[error("{}", listed("this could not be looked at, and is left as it is:", .0))]
    NotRead(Vec<String>),
    /// The checks could not be run.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// A command could not be started.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// There is no such lab.
    #[error("there is no lab {0}; `nslab list` shows the labs on this machine")]
    NoSuchLab(LabName),
    /// A lab has no such namespace.
    #[error("lab {lab} has no namespace {ns}; {}", did_you_mean(.lab, .meant))]
    NoSuchNamespace {
        /// The lab.
        lab: LabName,
        /// The namespace.
        ns: NsName,
        /// The one of its namespaces that may have been meant.
        meant: Option<String>,
    },
    /// A lab runs no such program.
    #[error("lab {lab} runs no program {program}; {}", did_you_mean(.lab, .meant))]
    NoSuchProgram {
        /// The lab.
        lab: LabName,
        /// The program.
        program: ProgramRef,
        /// The one of its programs that may have been meant.
        meant: Option<String>,
    },
    /// This machine cannot be that namespace of a lab.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// This machine has not the address of the machine of a lab that it is to be.
    #[error(
        "this machine is not {node}: no interface has all of its addresses of the file, {}\nthey have {}",
        words(.addresses.iter(), "of which there are none"),
        words(.own.iter().map(|(address, dev)| format!("{address} ({dev})")), "none")
    )]
    NotThisMachine {
        /// The namespace that it is to be.
        node: NsName,
        /// Its addresses by the file.
        addresses: Vec<IpAddr>,
        /// This machine's addresses, each with its interface.
        own: Vec<(IpAddr, IfName)>,
    },
    /// A lab is applied to this machine alone, and not as one of several.
    #[error("lab {0} is on this machine alone: `nslab check {0}` is enough, unless it is applied with `--as`")]
    NotShared(LabName),
    /// Nobody holds the checks of a lab open.
    #[error(
        "the checks of lab {0} are not open on this machine: nobody opened them, they were ended already, or a quarter of \
         an hour is over\nopen them on all machines: nslab check {0} --open"
    )]
    NotOpen(LabName),
    /// What a machine says of checks cannot be had.
    #[error("{0}")]
    Sides(String),
    /// What the machines of a lab say of its checks does not belong together.
    #[error("{0}")]
    SidesDiffer(String),
    /// A file is not what a machine says of checks.
    #[error("{file} is not what `nslab check LAB --end` prints: {why}")]
    BadSide {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// A lab is applied to this machine as something else.
    #[error(
        "on this machine, lab {lab} is applied {}, and not {}\n{}; or remove it first: nslab destroy {lab}",
        applied_as(.before), applied_as(.node), as_before(.before)
    )]
    AppliedOtherwise {
        /// The lab.
        lab: LabName,
        /// Which machine of it this is; none: all of it is here.
        before: Option<NsName>,
        /// Which it is to be.
        node: Option<NsName>,
    },
    /// The topology of a lab as it was applied is not kept.
    #[error("the topology of lab {0} as it was applied is not kept; name its file instead")]
    TopologyNotKept(LabName),
    /// Directly after an apply, a plan is not empty: it has this step.
    #[error("after apply there is still something to do: {0}")]
    NotSettled(String),
    /// After a lab was destroyed, the host is not what it was before the lab.
    #[error("after destroy the host is not what it was before:{0}")]
    HostChanged(String),
}

/// How undoing went: how many steps were undone, and what could not be.
#[derive(Debug, Default)]
pub struct UndoError {
    /// Steps that were undone.
    pub undone: usize,
    /// Whether these were left instead, to be looked at.
    pub is_left: bool,
    /// What went wrong meanwhile.
    pub failed: Vec<String>,
}

impl fmt::Display for UndoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_left {
            write!(f, "\nthe {} steps done before it were left, and all programs; ", self.undone)?;
            f.write_str("`nslab status` and `nslab logs` show them, `nslab destroy` removes them")?;
            return self.failed.iter().try_for_each(|failed| write!(f, "\n  {failed}"));
        }
        match (self.undone, self.failed.is_empty()) {
            (0, true) => f.write_str("\nnothing had been changed"),
            (n, true) => write!(f, "\nthe {n} steps done before it were undone"),
            (n, false) => {
                write!(f, "\nof the steps done before it, {n} were undone, and these could not be:")?;
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
            // Before the first step there is little to undo; what could not be undone comes first.
            _ => return Self::Leftovers([outcome.failed, vec![self.to_string()]].concat()),
        }
        self
    }

    /// Whether a program could not be started.
    pub(super) fn is_of_a_program(&self) -> bool {
        matches!(self, Self::Step(error, _) if error.code() == KernelCode::ProgramFailed)
    }

    /// Its code: that of what the kernel refused, if it did.
    pub fn code(&self) -> String {
        match self {
            Self::Preconditions(_) => EngineCode::PreconditionsNotMet.to_string(),
            Self::Busy(_) => EngineCode::LabBusy.to_string(),
            Self::Kernel(error) => error.code().to_string(),
            Self::Step(error, _) => error.code().to_string(),
            Self::NotKept { .. } => EngineCode::ChangeNotKept.to_string(),
            Self::Interrupted { .. } => EngineCode::Interrupted.to_string(),
            Self::Leftovers(_) => EngineCode::NotRemoved.to_string(),
            Self::NotRead(_) => EngineCode::NotRead.to_string(),
            Self::Check(error) => error.code(),
            Self::Exec(error) => error.code().to_string(),
            Self::NoSuchLab(_) => EngineCode::NoSuchLab.to_string(),
            Self::NoSuchNamespace { .. } => EngineCode::NoSuchNamespace.to_string(),
            Self::NoSuchProgram { .. } => EngineCode::NoSuchProgram.to_string(),
            Self::Share(_) => EngineCode::NoSuchMachine.to_string(),
            Self::NotThisMachine { .. } => EngineCode::NotThisMachine.to_string(),
            Self::AppliedOtherwise { .. } => EngineCode::AppliedOtherwise.to_string(),
            Self::NotShared(_) => EngineCode::NotShared.to_string(),
            Self::NotOpen(_) => EngineCode::ChecksNotOpen.to_string(),
            Self::Sides(_) => EngineCode::ChecksNotOpen.to_string(),
            Self::SidesDiffer(_) | Self::BadSide { .. } => EngineCode::SidesDiffer.to_string(),
            Self::TopologyNotKept(_) => EngineCode::TopologyNotKept.to_string(),
            Self::NotSettled(_) => EngineCode::NotSettled.to_string(),
            Self::HostChanged(_) => EngineCode::HostChanged.to_string(),
        }
    }

    /// The exit code that says it: 3; 2 for a name on the command line that nothing has; 128 and the signal's number;
    /// or what a shell has for a command that cannot be started.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted { signal, .. } => 128_u8.wrapping_add(*signal as u8),
            Self::Exec(error) => error.shell_code(),
            Self::NoSuchLab(_)
            | Self::NoSuchNamespace { .. }
            | Self::NoSuchProgram { .. }
            | Self::Share(_)
            | Self::NotShared(_)
            | Self::NotOpen(_)
            | Self::SidesDiffer(_)
            | Self::BadSide { .. }
            | Self::AppliedOtherwise { .. } => 2,
            Self::Preconditions(_)
            | Self::Busy(_)
            | Self::Kernel(_)
            | Self::Step(..)
            | Self::NotKept { .. }
            | Self::Leftovers(_)
            | Self::NotRead(_)
            | Self::Check(_)
            | Self::NotThisMachine { .. }
            | Self::Sides(_)
            | Self::TopologyNotKept(_)
            | Self::NotSettled(_)
            | Self::HostChanged(_) => 3,
        }
    }
}

fn did_you_mean(lab: &LabName, meant: &Option<String>) -> String {
    match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("`nslab status {lab}` shows what it has"),
    }
}

fn applied_as(node: &Option<NsName>) -> String {
    node.as_ref().map_or("as a whole".to_owned(), |node| format!("as {node}"))
}

fn as_before(node: &Option<NsName>) -> String {
    node.as_ref().map_or("leave `--as` away".to_owned(), |node| format!("apply it with `--as {node}`"))
}

fn words(items: impl Iterator<Item = impl ToString>, none: &str) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    if items.is_empty() { none.to_owned() } else { items.join(", ") }
}

fn texts(steps: &[PlannedStep]) -> String {
    steps.iter().map(|planned| planned.step.text()).collect::<Vec<_>>().join("; ")
}

/// The texts of conflicts; of several in a row that are solved in the same way, the last says how.
fn helped_once(conflicts: &[impl ToString]) -> Vec<String> {
    let mut texts: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
    for at in 1..texts.len() {
        if let [.., before, last] = texts.get_mut(..=at).unwrap_or_default()
            && let Some((what, help)) = before.split_once('\n')
            && last.split_once('\n').is_some_and(|(_, of_last)| of_last == help)
        {
            *before = what.to_owned();
        }
    }
    texts
}

fn listed(head: &str, items: &[impl ToString]) -> String {
    let lines: Vec<String> =
        items.iter().map(|item| format!("\n  {}", item.to_string().replace('\n', "\n      "))).collect();
    format!("{head}{}", lines.concat())
}
