//! Probes and verdicts: whether the live lab keeps what its file promises.
//!
//! Nothing has to be installed or to run in the namespaces. nslab opens the sockets of both sides itself, inside
//! the namespaces, and drives all of them from one thread: `stage` sets them up, `attempt` is the sender's side,
//! `respond` the destination's, `ledger` is where the two meet, `verdict` judges, `waves` says when which probe has its
//! turn, `hints` why a probe may have got lost. Knows neither files nor terminals.

mod attempt;
mod batches;
mod code;
mod harness;
mod hints;
mod packet;
mod registry;
mod report;
mod respond;
mod verdict;

use std::rc::Rc;
use std::time::Instant;

pub use code::CheckCode;
use harness::Harness;
pub use hints::drift_hint;
pub use report::{CheckResult, Outcome, PairResult, Report};
use thiserror::Error;

use crate::kernel::KernelError;
use crate::lab::{Expect, Lab, LabName, NsName};

/// Why nothing could be checked.
#[derive(Debug, Error)]
pub enum CheckError {
    /// Namespaces that the checks speak of do not exist.
    #[error("lab {lab} is not there, or not whole: {}\nmake it first: nslab apply FILE", missing_namespaces(.missing))]
    NotApplied {
        /// The lab.
        lab: LabName,
        /// What does not exist.
        missing: Vec<NsName>,
    },
    /// Namespaces of the names that the checks speak of exist, and belong to another lab.
    #[error("lab {lab} is not applied: {}\nsee which labs there are: nslab list", others_namespaces(.others))]
    Others {
        /// The lab.
        lab: LabName,
        /// The namespaces, with the lab that each belongs to.
        others: Vec<(NsName, LabName)>,
    },
    /// A name that the checks speak of leads to another network namespace than one of its own.
    #[error("the name {name} in /run/netns leads to the network namespace of {other}: checks would ask the wrong one")]
    SameNamespace {
        /// The name.
        name: NsName,
        /// The other name of the same namespace.
        other: NsName,
    },
    /// The kernel refused something.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The sockets cannot be waited for.
    #[error("cannot wait for sockets: {0}")]
    Runtime(#[from] std::io::Error),
}

impl CheckError {
    /// Its code.
    pub fn code(&self) -> String {
        match self {
            Self::NotApplied { .. } => CheckCode::LabNotApplied.to_string(),
            Self::Others { .. } => CheckCode::NamespaceOfAnotherLab.to_string(),
            Self::SameNamespace { .. } => CheckCode::NamespaceTwice.to_string(),
            Self::Kernel(error) => error.code().to_string(),
            Self::Runtime(_) => CheckCode::CannotWait.to_string(),
        }
    }
}

/// Runs all checks of a lab at once and says what came of every pair.
///
/// A check that is not kept is no error: see [`Report::passed`]. The limit of open files of this process is raised
/// to what it may be. In a lab with several hundred pairs, its namespaces (never the host) forget the neighbours that they have
/// learned, since the kernel's table for them is small.
///
/// # Errors
/// Nothing could be checked: a namespace is missing, or the kernel refuses sockets.
pub fn run(lab: &Lab) -> Result<Report, CheckError> {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let checks = tokio::task::LocalSet::new().block_on(&runtime, async {
        let stage = Rc::new(Harness::set(lab)?);
        respond::watch(&stage);
        // What is to be refused comes first, while nslab listens nowhere: a port that another check needs is closed until then.
        let refused = batches::run(&stage, lab, |check| check.expect == Expect::Refused).await?;
        respond::listen(&stage, lab)?;
        let others = batches::run(&stage, lab, |check| check.expect != Expect::Refused).await?;
        Ok::<_, CheckError>(batches::results(&lab.checks, refused.into_iter().chain(others).collect()))
    })?;
    let mut report = Report { lab: lab.name.clone(), checks, hints: Vec::new(), elapsed: started.elapsed() };
    if !report.passed() {
        report.hints = hints::idle_routers(lab, &report.checks);
    }
    Ok(report)
}

fn others_namespaces(others: &[(NsName, LabName)]) -> String {
    let of = |(ns, lab): &(NsName, LabName)| format!("namespace {ns} belongs to lab {lab}");
    others.iter().map(of).collect::<Vec<_>>().join(", ")
}

fn missing_namespaces(missing: &[NsName]) -> String {
    match missing {
        [one] => format!("namespace {one} does not exist"),
        [first, rest @ ..] => format!("namespace {first} and {} more do not exist", rest.len()),
        [] => "no namespace is missing".to_owned(),
    }
}
