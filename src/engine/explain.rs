//! Why checks have failed: one pair of each group that failed alike is traced.

use std::time::Duration;

use indexmap::IndexMap;

use super::EngineError;
use super::trace::{Tracer, Tracing};
use crate::check::{self, Explained, Outcome, PairResult, Report};
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
    if !report.passed() {
        let tracer = if sends { Tracer::new(lab).ok() } else { None };
        with(tracer, lab, file, report);
    }
}

/// The same of a lab that was looked at after its checks; without a tracer, no packet is sent.
pub(super) fn with(tracer: Option<Tracer<'_>>, lab: &Lab, file: &str, report: &mut Report) {
    let explained = tracer.and_then(|tracer| explained(tracer, lab, file, report).ok()).unwrap_or_default();
    if explained.is_empty() {
        report.hints.splice(0..0, check::idle_routers(lab, &report.checks));
    }
    report.explained = explained;
}

fn explained(mut tracer: Tracer<'_>, lab: &Lab, file: &str, report: &Report) -> Result<Vec<Explained>, EngineError> {
    let chosen = Chosen::default();
    let failed: Vec<Failed<'_>> = failed(lab, report).take(MOST_FAILURES).collect();
    let tracings: Vec<Tracing<'_>> =
        failed.iter().map(|(check, probe, _)| of_pair((check, probe), file, &chosen)).collect();
    let mut groups: IndexMap<String, Vec<&Failed<'_>>> = IndexMap::new();
    for (one, cause) in failed.iter().zip(tracer.obstacles(&tracings)) {
        let (check, _, pair) = one;
        let cause = cause.unwrap_or_else(|| format!("{} {}", pair.from, pair.result));
        groups.entry(format!("{:?} {cause}", check.expect)).or_default().push(one);
    }
    let mut causes: IndexMap<(Expect, String, Option<String>), Explained> = IndexMap::new();
    for pairs in groups.values().take(MOST_GROUPS) {
        let Some((check, probe, pair)) = pairs.first() else { continue };
        let end = as_promised(check.expect, tracer.trace(&of_pair((check, probe), file, &chosen))?.end);
        let Some(end) = since_then(check, &pair.saw, end) else { continue };
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

/// What is told of what is answered now, though something should have been and was not when the check was made; none:
/// the network did as promised then, too, and is not why.
fn since_then(check: &Check, saw: &Outcome, end: Ending) -> Option<Ending> {
    if !end.answered || end.namespace.is_some() || check.expect != Expect::Reachable {
        return Some(end);
    }
    match saw {
        Outcome::Silence | Outcome::Unreachable { .. } | Outcome::NotSent { .. } | Outcome::Refused { .. } => {
            let what = "it arrives now, and is answered; when the check was made, it was not".to_owned();
            Some(Ending { what, besides: Vec::new(), ..end })
        }
        Outcome::Answered
        | Outcome::Stalled
        | Outcome::NoAnswer { .. }
        | Outcome::Ran { .. }
        | Outcome::NoProbe { .. } => check.seen_as.map(|_| end),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(saw: &Outcome, expect: Expect, end: Ending) -> Option<String> {
        let check = Check {
            name: String::new(),
            line: 1,
            protocol: crate::lab::Protocol::Icmp,
            asks: None,
            size: None,
            expect,
            seen_as: None,
            answered_by: None,
            spread: None,
            retries: 0,
            timeout: TIMEOUT,
            probes: Vec::new(),
        };
        since_then(&check, saw, end).map(|end| end.what)
    }

    #[test]
    fn what_has_vanished_is_not_told_as_an_answer() {
        let answered = || Ending { answered: true, what: "blue answers".to_owned(), ..Ending::default() };
        let gone = "it arrives now, and is answered; when the check was made, it was not";
        assert_eq!(told(&Outcome::Silence, Expect::Reachable, answered()).as_deref(), Some(gone));
        assert_eq!(told(&Outcome::Refused { by: None }, Expect::Reachable, answered()).as_deref(), Some(gone));
        assert_eq!(told(&Outcome::Answered, Expect::Reachable, answered()), None);
        assert_eq!(told(&Outcome::Silence, Expect::Unanswered, answered()).as_deref(), Some("blue answers"));
        let lost = Ending { what: "blue has no route".to_owned(), ..Ending::default() };
        assert_eq!(told(&Outcome::Silence, Expect::Reachable, lost).as_deref(), Some("blue has no route"));
    }
}
