//! Probes and verdicts: whether the live lab keeps what its file promises.
//!
//! Nothing has to be installed or to run in the namespaces. nslab opens the sockets of both sides itself, inside the
//! namespaces, and drives all of them from one thread: `names` finds the address of a name as its sender would
//! (`resolver` reads the files for it), `harness` opens the sockets, `attempt` is the sender's side, `respond` the
//! destination's, `exchange` what both say over TCP, `http` and `dns` what programs are asked, `registry` is where the
//! two meet, `verdict` judges what `observation` holds, `exec` what commands have come to, `summary` puts it into a few
//! words, `batches` says which probes run when, `hints` why a probe may have got lost (`policy_hints` where policies
//! are why), `spread` how many connections come to each endpoint of a service, and `settings` what is unusual on its
//! way. This room knows nothing of files, plans or terminals.

mod attempt;
mod batches;
mod code;
mod dns;
mod error;
mod exchange;
mod exec;
mod harness;
mod hints;
mod http;
mod names;
mod observation;
mod packet;
mod policy_hints;
mod refusals;
mod registry;
mod report;
mod resolver;
mod respond;
mod settings;
mod spread;
mod summary;
mod verdict;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

pub use code::CheckCode;
pub use error::CheckError;
pub use exec::exec_result;
use harness::Harness;
pub use harness::is_applied;
pub use hints::{drift_hint, idle_routers, losses};
pub use names::place_at;
pub use report::{CheckResult, Explained, NotSentCause, Outcome, PairResult, Report};
pub use resolver::ResolverFiles;
pub use settings::{first_unusual, unusual_settings};

use names::Names;

use crate::lab::{Check, Expect, Lab, NsName};

/// Runs all checks of a lab at once, with a result for every pair.
///
/// Names are resolved first, by the `files` of their senders.
///
/// A check that is not kept is no error: see [`Report::passed`]. The limit of open files of this process is raised to
/// what it may be. In a lab with several hundred pairs, its namespaces (never the host) forget the neighbours that they
/// have learned, since the kernel's table for them is small.
///
/// # Errors
/// Nothing could be checked: a namespace is missing, or the kernel refuses sockets.
pub fn run(lab: &Lab, files: &BTreeMap<NsName, ResolverFiles>) -> Result<Report, CheckError> {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (lab, checks, losses) = tokio::task::LocalSet::new().block_on(&runtime, async {
        let names = match Names::are_in(lab) {
            true => is_applied(lab).map(|()| Names::resolve(lab, files))?.await?,
            false => Names::default(),
        };
        let lab = names.placed(lab);
        let harness = Rc::new(Harness::set(&lab, names)?);
        respond::watch(&harness);
        // What is to be refused, and what is asked of programs, comes first, while nslab listens nowhere: a port that
        // another check needs is still closed.
        let is_of_others = |check: &Check| check.expect == Expect::Refused || check.asks.is_some();
        let mut before = batches::run(&harness, &lab, is_of_others).await?;
        refusals::ask_again(&harness, &lab.checks, &mut before.results).await?;
        respond::listen(&harness, &lab)?;
        let others = batches::run(&harness, &lab, |check| !is_of_others(check)).await?;
        let losses = [before.losses, others.losses];
        let results = before.results.into_iter().chain(others.results).collect();
        let results = batches::results(&lab.checks, results);
        Ok::<_, CheckError>((lab, results, losses))
    })?;
    let mut report =
        Report { lab: lab.name.clone(), checks, hints: Vec::new(), explained: Vec::new(), elapsed: started.elapsed() };
    if !report.passed() {
        report.hints.extend(policy_hints::hints(&lab, &report.checks));
        report.hints.extend(hints::losses(&losses));
    }
    Ok(report)
}
