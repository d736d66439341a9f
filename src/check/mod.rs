//! Probes and verdicts: whether the live lab keeps what its file promises.
//!
//! Nothing has to be installed or to run in the namespaces. nslab opens the sockets of both sides itself, inside the
//! namespaces, and drives all of them from one thread: `names` finds the address of a name as its sender would
//! (`resolver` reads the files for it), `harness` opens the sockets, `attempt` is the sender's side, `respond` the
//! destination's, `exchange` what both say over TCP, `http` and `dns` what programs are asked, `registry` is where the
//! two meet, `verdict` judges what `observation` holds, `exec` what commands have come to, `side` what one of several
//! machines says (`stand_by` holds its sockets open, `others` and `left` are what it cannot judge, `join` does,
//! `greetings` prove that it has heard the others), `summary` puts it into a few words, `batches` says which probes run
//! when, `hints` why a probe may have got lost (`policy_hints` where policies are why), `spread` how many connections
//! come to each endpoint of a service, and `settings` what is unusual on its way. This room knows nothing of files,
//! plans or terminals.

mod attempt;
mod batches;
mod code;
mod dns;
mod error;
mod exchange;
mod exec;
mod greetings;
mod harness;
mod hints;
mod http;
mod join;
mod left;
mod names;
mod observation;
mod others;
mod packet;
mod policy_hints;
mod refusals;
mod registry;
mod report;
mod resolver;
mod respond;
mod settings;
mod side;
mod spread;
mod stand_by;
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
pub use join::join;
pub use names::place_at;
pub use report::{CheckResult, Explained, NotSentCause, Outcome, PairResult, Report};
pub use resolver::ResolverFiles;
pub use settings::{first_unusual, unusual_settings};
pub use side::Side;
pub use stand_by::{END, READY, SAY, SEND, stand_by};

use names::Names;

use registry::Registry;

use crate::lab::{Check, Expect, Lab, NsName, Share};

/// Runs all checks of a lab at once, with a result for every pair.
///
/// Names are resolved first, by the `files` of their senders. Where several machines make the lab, only pairs are tried
/// that are on this one, of which `share` says what that is; a hint says how many are not.
///
/// A check that is not kept is no error: see [`Report::passed`]. The limit of open files of this process is raised to
/// what it may be. In a lab with several hundred pairs, its namespaces (never the host) forget the neighbours that they
/// have learned, since the kernel's table for them is small.
///
/// # Errors
/// Nothing could be checked: a namespace is missing, or the kernel refuses sockets.
pub fn run(lab: &Lab, files: &BTreeMap<NsName, ResolverFiles>, share: Option<&Share>) -> Result<Report, CheckError> {
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (lab, checks, losses) = tokio::task::LocalSet::new().block_on(&runtime, async {
        let names = match Names::are_in(lab) {
            true => is_applied(lab, share).map(|()| Names::resolve(lab, files))?.await?,
            false => Names::default(),
        };
        let lab = names.placed(lab);
        let harness = Rc::new(Harness::set(&lab, names, share, Registry::new())?);
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
    if share.is_some() {
        report.hints.extend(without_others(&mut report.checks, &lab));
    }
    if !report.passed() {
        report.hints.extend(policy_hints::hints(&lab, &report.checks));
        report.hints.extend(hints::losses(&losses));
    }
    Ok(report)
}

/// Leaves out the checks of which this machine has tried nothing; how many pairs it has not tried, as a hint.
fn without_others(checks: &mut Vec<CheckResult>, lab: &Lab) -> Option<String> {
    let tried: usize = checks.iter().map(|check| check.pairs.len()).sum();
    let all: usize = lab.checks.iter().map(|check| check.probes.len()).sum();
    checks.retain(|check| !check.pairs.is_empty());
    let left = all.saturating_sub(tried);
    let how = "`nslab check LAB --open`, `--send` and `--end` on all of them, and `--join`, check those as well";
    (left > 0).then(|| format!("{left} of {all} pairs have to do with other machines, and were not tried: {how}"))
}
