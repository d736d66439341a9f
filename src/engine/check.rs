//! Runs the checks of a lab, and says where it is no longer as its file says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::exec::own_etc;
use super::trace::Tracer;
use super::{EngineError, Listener, exec_checks, explain, handshakes, ready, sides};
use crate::check::{self, Report, ResolverFiles};
use crate::lab::{Expect, Lab, NsName, Share};
use crate::topology::OnMachine;

/// Runs the checks of a lab; where a spanning tree may have decided the result before it had formed, again afterwards.
/// Pairs that reach each other already need no tree. Commands run once, and so not before. A promise that is not kept
/// is no error: see [`Report::passed`].
///
/// # Errors
/// Nothing could be checked: a namespace is missing, or the kernel refuses sockets.
pub fn check(lab: &Lab, report: Listener<'_>) -> Result<Report, EngineError> {
    let mut results = run(lab, None, report)?;
    if !results.passed() {
        results.hints.extend(check::unusual_settings(lab, &results.checks));
    }
    Ok(results)
}

fn run(lab: &Lab, share: Option<&Share>, report: Listener<'_>) -> Result<Report, EngineError> {
    if !ready::has_spanning_tree(lab) {
        return once(lab, share);
    }
    let may_repeat = lab.exec_checks.is_empty();
    if may_repeat && lab.checks.iter().all(|check| check.expect == Expect::Reachable) {
        let results = once(lab, share)?;
        if results.passed() {
            return Ok(results);
        }
    }
    ready::wait_for_spanning_trees(lab, report)?;
    once(lab, share)
}

/// Runs all checks once. Commands come first, while nslab listens nowhere: one that connects to a port must find a
/// program there.
fn once(lab: &Lab, share: Option<&Share>) -> Result<Report, EngineError> {
    handshakes::have(lab)?;
    if lab.exec_checks.is_empty() {
        return Ok(check::run(lab, &resolver_files(lab)?, share)?);
    }
    check::is_applied(lab, share)?;
    let begin = Instant::now();
    let of_commands = exec_checks::run(lab);
    let mut results = check::run(lab, &resolver_files(lab)?, share)?;
    results.checks.extend(of_commands);
    // In the order of the file.
    results.checks.sort_by_key(|check| check.line);
    results.elapsed = begin.elapsed();
    Ok(results)
}

/// The files by which those resolve names whose checks go to some.
fn resolver_files(lab: &Lab) -> Result<BTreeMap<NsName, ResolverFiles>, EngineError> {
    let named = lab.checks.iter().flat_map(|check| &check.probes).filter(|probe| probe.to.name.is_some());
    let senders: BTreeSet<&NsName> = named.map(|probe| &probe.from).collect();
    let files = senders.into_iter().map(|ns| {
        let own = own_etc(&lab.name, ns)?;
        let text = |name| own.text(ns, name);
        Ok((ns.clone(), ResolverFiles { hosts: text("hosts"), resolv_conf: text("resolv.conf") }))
    });
    files.collect()
}

/// What a lab is called in commands that are told.
#[derive(Debug, Clone, Copy)]
pub struct Called<'a> {
    /// By whoever asks: its name, or its file.
    pub lab: &'a str,
    /// Its file, for `nslab apply`.
    pub file: &'a str,
}

/// The same for a lab that was applied some time ago: where a promise is not kept, a hint says that the lab is no
/// longer as its file says, if so; and else which settings, of which the file says nothing, are unusual. With
/// `explains`, packets are followed to find out why; see [`explain`](super::explain).
///
/// # Errors
/// As with [`check`].
pub fn check_later(lab: &Lab, called: Called<'_>, explains: bool, report: Listener<'_>) -> Result<Report, EngineError> {
    let mut results = run(lab, None, report)?;
    if results.passed() {
        return Ok(results);
    }
    // One look at the lab is for both.
    let tracer = Tracer::new(lab).ok();
    match tracer.as_ref().map(Tracer::drift) {
        Some(0) => results.hints.extend(check::unusual_settings(lab, &results.checks)),
        steps => results.hints.extend(steps.and_then(|steps| check::drift_hint(steps, called.lab))),
    }
    explain::with(tracer.filter(|_| explains), lab, called.file, &mut results);
    Ok(results)
}

/// The same for one of several machines that make a lab together: only what is on it alone is tried, and nothing is
/// followed.
///
/// # Errors
/// As with [`check`].
pub fn check_share(
    lab: &Lab,
    OnMachine { share, whole, .. }: &OnMachine,
    called: Called<'_>,
    report: Listener<'_>,
) -> Result<Report, EngineError> {
    sides::are_closed(&lab.name)?;
    let mut results = run(&sides::with_commands_here(whole, share), Some(share), report)?;
    if !results.passed() {
        results.hints.extend(drift(lab).and_then(|steps| check::drift_hint(steps, called.lab)));
    }
    Ok(results)
}

/// How many steps and conflicts are between a lab and its file, if that can be seen.
pub(super) fn drift(lab: &Lab) -> Option<usize> {
    Some(Tracer::new(lab).ok()?.drift())
}
