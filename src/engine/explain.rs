//! Why checks have failed: one pair of each group that failed alike is traced.

use std::time::Duration;

use indexmap::IndexMap;

use super::EngineError;
use super::trace::{Tracer, Tracing};
use crate::check::{self, Explained, PairResult, Report};
use crate::forwarding::Chosen;
use crate::lab::{Check, Expect, Lab, Probe};
use crate::trace::Ending;

/// So many groups are traced: each may wait for an answer that does not come.
const MOST_GROUPS: usize = 12;

/// So many failures are looked at to make groups of them.
const MOST_FAILURES: usize = 2000;

/// How long a trace waits.
const TIMEOUT: Duration = Duration::from_millis(500);

/// A pair that has failed, with what was probed.
type Failed<'a> = (&'a Check, Probe, &'a PairResult);

/// Adds to a report why its checks have failed, as far as it can be found out; `file` is what `nslab apply` is to be
/// called with. Where no packet is to be sent for that, or none can be, the model says what it can. What cannot be
/// explained is no error of the checks; nothing is done where all have passed.
pub fn explain(lab: &Lab, file: &str, sends: bool, report: &mut Report) {
    if report.passed() {
        return;
    }
    let explained = if sends { explained(lab, file, report).unwrap_or_default() } else { Vec::new() };
    if explained.is_empty() {
        report.hints.splice(0..0, check::idle_routers(lab, &report.checks));
    }
    report.explained = explained;
}

fn explained(lab: &Lab, file: &str, report: &Report) -> Result<Vec<Explained>, EngineError> {
    let mut tracer = Tracer::new(lab)?;
    let chosen = Chosen::default();
    let mut groups: IndexMap<String, Vec<Failed<'_>>> = IndexMap::new();
    for (check, probe, pair) in failed(lab, report).take(MOST_FAILURES) {
        let cause = tracer
            .obstacle(&of_pair((check, &probe), file, &chosen))
            .unwrap_or_else(|| format!("{} {}", pair.from, pair.result));
        groups.entry(format!("{:?} {cause}", check.expect)).or_default().push((check, probe, pair));
    }
    let mut causes: IndexMap<(Expect, String, Option<String>), Explained> = IndexMap::new();
    for pairs in groups.values().take(MOST_GROUPS) {
        let Some((check, probe, _)) = pairs.first() else { continue };
        let end = as_promised(check.expect, tracer.trace(&of_pair((check, probe), file, &chosen))?.end);
        // Where the network does as promised, it is not why.
        let is_as_promised = end.answered && end.namespace.is_none();
        if is_as_promised && check.expect == Expect::Reachable && check.seen_as.is_none() {
            continue;
        }
        let names = pairs.iter().map(|(.., pair)| format!("{} → {} ({})", pair.from, pair.to, pair.protocol));
        let key = (check.expect, end.what.clone(), end.namespace.clone());
        causes.entry(key).or_insert_with(|| Explained { pairs: Vec::new(), end }).pairs.extend(names);
    }
    Ok(causes.into_values().collect())
}

fn of_pair<'a>((check, probe): (&'a Check, &'a Probe), file: &'a str, chosen: &'a Chosen) -> Tracing<'a> {
    // What is to be refused, and what a program is asked for, nslab does not answer in its place.
    let answers = check.asks.is_none() && check.expect != Expect::Refused;
    Tracing { check, probe, answers, timeout: TIMEOUT.min(check.timeout), file, chosen }
}

/// What should not arrive and does has met no obstacle, whatever becomes of the answer.
fn as_promised(expect: Expect, end: Ending) -> Ending {
    match (expect, &end.arrived) {
        (Expect::Unreachable, Some(ns)) => Ending {
            what: format!("it arrives at {ns}: nothing on the way there keeps it"),
            namespace: Some(ns.clone()),
            arrived: end.arrived,
            ..Ending::default()
        },
        (_, _) => end,
    }
}

/// What was sent: to the address of a name, if it has one.
fn as_sent(lab: &Lab, check: &Check, probe: &Probe, pair: &PairResult) -> Option<Probe> {
    let mut probe = probe.clone();
    if probe.to.name.is_some() {
        check::place_at(lab, check, &mut probe, pair.address?);
    }
    Some(probe)
}

fn failed<'a>(lab: &'a Lab, report: &'a Report) -> impl Iterator<Item = Failed<'a>> {
    let probed = report.checks.iter().filter(|check| !check.is_of_command());
    lab.checks.iter().zip(probed).flat_map(move |(check, result)| {
        let pairs = check.probes.iter().zip(&result.pairs).filter(|(_, pair)| !pair.passed);
        pairs.filter_map(move |(probe, pair)| Some((check, as_sent(lab, check, probe, pair)?, pair)))
    })
}
