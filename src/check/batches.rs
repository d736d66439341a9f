//! Which probes run when: as many at once as the kernel can bear, each as often as its check allows.

use std::collections::{BTreeSet, HashMap};
use std::iter::repeat;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::attempt::attempt_with_token;
use super::error::CheckError;
use super::harness::Harness;
use super::left;
use super::names::Found;
use super::report::{CheckResult, Outcome, PairResult};
use super::spread;
use super::verdict::{self, Try};
use crate::kernel::losses::Losses;
use crate::lab::{Check, Expect, Lab, NsName, Probe};

/// How many probes start at once: a batch. A probe needs up to two entries in the kernel's table of neighbours, which
/// holds 1,024 by default, for all namespaces of the machine together ([`neighbours`]), and a question for a neighbour
/// takes a place in a processor's queue for each port of a bridge. Where packets were lost all the same ([`Losses`]),
/// those probes that may have suffered from that are tried again, fewer at once.
///
/// [`neighbours`]: crate::kernel::neighbours
const BATCHES: [usize; 5] = [256, 64, 16, SMALLEST_BATCH, SMALLEST_BATCH];

/// So few that they find room wherever there is any: the next batch waits for their results.
const SMALLEST_BATCH: usize = 4;

/// How many namespaces are near each other in the order of the probes: a batch is about a block of them by another
/// block, both ways.
const BLOCK: usize = 11;

/// After how long without a result the next batch starts; what still has no answer goes on beside it.
const QUIET_BEFORE_RETRY: Duration = Duration::from_millis(150);

/// How many neighbours each probe of a batch may leave without an answer on average when the next batch starts: with
/// the largest, that is half of the table.
const MAX_UNANSWERED_NEIGHBOURS: usize = 2;

/// A probe's place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    check: usize,
    probe: usize,
}

impl Place {
    /// The check.
    pub(super) fn check_in(self, checks: &[Check]) -> Option<&Check> {
        checks.get(self.check)
    }

    /// Its two numbers: the check's, and its own there.
    pub(super) fn numbers(self) -> (usize, usize) {
        (self.check, self.probe)
    }

    fn probe_in(self, checks: &[Check]) -> Option<&Probe> {
        self.check_in(checks)?.probes.get(self.probe)
    }
}

/// What came of some probes, in no order.
#[derive(Default)]
pub(super) struct Done {
    pub results: Vec<(Place, PairResult)>,
    /// What packets the machine lost while the last of them were tried, so that silence proves nothing.
    pub losses: Losses,
}

/// Runs every probe of those checks that `takes` says, as far as it starts on this machine. Silence while the machine
/// lost packets proves nothing, nor does an error for want of a neighbour, whoever it was that left no room: those
/// are tried again, fewer at once.
///
/// # Errors
/// The kernel does not let the namespaces forget their neighbours.
pub(super) async fn run(harness: &Rc<Harness>, lab: &Lab, takes: impl Fn(&Check) -> bool) -> Result<Done, CheckError> {
    let checks: Rc<[Check]> = lab.checks.clone().into();
    let mut queue = in_neighbourly_order(&checks);
    queue.retain(|place| {
        let both = place.check_in(&checks).zip(place.probe_in(&checks));
        both.is_some_and(|(check, probe)| takes(check) && harness.sends(check, probe))
    });
    let mut done = Done::default();
    if queue.is_empty() {
        return Ok(done);
    }
    let mut earlier: HashMap<Place, PairResult> = HashMap::new();
    let mut queued_before = usize::MAX;
    for (tried, batch) in (1..).zip(BATCHES.into_iter().chain(repeat(SMALLEST_BATCH))) {
        if done.losses.neighbours > 0 {
            let used = namespaces(&checks, &queue).into_iter().chain(lab.routers());
            harness.forget_neighbours(used, false)?;
        }
        let before = harness.losses();
        let results = round(harness, lab, &checks, &queue, batch).await?;
        done.losses = harness.losses().since(before);
        let known = results.into_iter().map(|(place, pair)| (place, better_known(earlier.remove(&place), pair)));
        let (again, sure): (Vec<_>, Vec<_>) = known.partition(|(place, pair)| {
            let helps = !pair.passed && done.losses.neighbours > 0 && queue.len() < queued_before;
            let proves_nothing = proves_nothing(place.check_in(&checks), pair, done.losses);
            proves_nothing && (tried < most_tries(pair.passed, done.losses) || helps)
        });
        queued_before = queue.len();
        let losses = done.losses;
        done.results.extend(sure.into_iter().map(|(place, pair)| {
            let were_lost = losses.sockets > 0 || losses.neighbours > 0;
            match were_lost && pair.passed && proves_nothing(place.check_in(&checks), &pair, losses) {
                true => (place, pair.unproven(UNSEEN.to_owned())),
                false => (place, pair),
            }
        }));
        if again.is_empty() {
            break;
        }
        earlier = again.into_iter().collect();
        queue.retain(|place| earlier.contains_key(place));
    }
    Ok(done)
}

/// Why silence is not what it seems.
const UNSEEN: &str = "the machine has lost packets each time, and the probe may have been among them";

/// Whether what came of a pair may have come about because packets were lost: its silence, or that nobody has seen it
/// arrive, whatever its sender saw.
fn proves_nothing(check: Option<&Check>, pair: &PairResult, losses: Losses) -> bool {
    let may_arrive = check.is_none_or(|check| check.expect != Expect::Unreachable);
    let may_be_answered = matches!(pair.saw, Outcome::Answered | Outcome::NoAnswer { .. });
    let is_unseen = losses.sockets > 0 && !may_arrive && pair.passed && may_be_answered;
    (pair.saw.may_come_of_losses() || is_unseen) && (may_arrive || pair.answered_by.is_none())
}

/// What is known of a pair after one more try: that a probe arrived before is not forgotten.
fn better_known(before: Option<PairResult>, now: PairResult) -> PairResult {
    let has_arrived = |before: &PairResult| before.answered_by.is_some() && !now.passed && now.answered_by.is_none();
    before.filter(has_arrived).unwrap_or(now)
}

/// How often a probe is tried that gets no answer, and longer where each try brings some answers. While a table is
/// full, nothing new gets through; a full queue loses some packets, so that silence twice over is enough for a promise
/// of silence. Who looks at what arrives, and has missed some of it, may have missed it each time.
fn most_tries(passed: bool, losses: Losses) -> usize {
    match losses {
        Losses { neighbours: 0, queue: 0, sockets: 0 } => 1,
        Losses { neighbours: 0, sockets: 0, .. } if passed => 2,
        Losses { .. } => BATCHES.len(),
    }
}

/// Runs every probe of a queue once, with so many more at once.
async fn round(
    harness: &Rc<Harness>,
    lab: &Lab,
    checks: &Rc<[Check]>,
    queue: &[Place],
    most: usize,
) -> Result<Vec<(Place, PairResult)>, CheckError> {
    let several = queue.len() > most || most < BATCHES[0];
    let mut used = BTreeSet::new();
    let mut running = JoinSet::new();
    let mut done: Vec<(Place, PairResult)> = Vec::with_capacity(queue.len());
    for batch in queue.chunks(most) {
        for &place in batch {
            let (harness, checks) = (harness.clone(), checks.clone());
            running.spawn_local(async move { run_probe(&harness, &checks, place).await });
        }
        while let Ok(Some(result)) = timeout(QUIET_BEFORE_RETRY, running.join_next()).await {
            done.extend(result.map_err(std::io::Error::from)?);
        }
        harness.clear_spares();
        if several {
            // On a busy machine, a quiet moment may be the machine's: neighbours that were asked for may yet answer.
            used.extend(namespaces(checks, batch).into_iter().chain(lab.routers()));
            let asked = harness.forget_neighbours(used.iter().copied(), !running.is_empty())?;
            if asked > MAX_UNANSWERED_NEIGHBOURS * most || (most == SMALLEST_BATCH && !running.is_empty()) {
                while let Some(result) = running.join_next().await {
                    done.extend(result.map_err(std::io::Error::from)?);
                }
                harness.forget_neighbours(used.iter().copied(), false)?;
            }
            if running.is_empty() {
                used.clear();
            }
        }
    }
    while let Some(result) = running.join_next().await {
        done.extend(result.map_err(std::io::Error::from)?);
    }
    Ok(done)
}

/// Tries one probe until it comes out as promised, or as often as its check allows.
pub(super) async fn run_probe(harness: &Harness, checks: &[Check], place: Place) -> Option<(Place, PairResult)> {
    let check = place.check_in(checks)?;
    let probe = check.probes.get(place.probe)?;
    let name = harness.names.of(probe);
    if let Some(Err(why)) = name.map(|found| &found.address) {
        return Some((place, unresolved(check, probe, why, name)));
    }
    let mut tries = 1;
    let mut first_answer = None;
    loop {
        let started = Instant::now();
        let (seen, token) = attempt_with_token(harness, check, probe).await;
        let owners = &harness.owners;
        let tried = Try { check, probe, seen: &seen, owners };
        let judged = match harness.is_for_others(check, probe) {
            true => left::to_others(harness, place.numbers(), (tried, token), tries),
            false => tried.judge(),
        };
        let mut last = (judged, seen);
        if last.0.is_err() {
            let is_silent = matches!(last.1.outcome, Outcome::Silence);
            if tries <= check.retries {
                tries += 1;
                // Routers send few errors in a second: the first one counts where the next ones are not sent.
                first_answer = first_answer.or((!is_silent).then_some(last));
                sleep_until(started + check.timeout).await;
                continue;
            }
            last = first_answer.take().filter(|_| is_silent).unwrap_or(last);
        }
        let (mut verdict, seen) = last;
        let mut summary = Try { check, probe, seen: &seen, owners }.summary(verdict.is_ok());
        if let (Ok(()), Some(connections)) = (&verdict, check.spread) {
            match spread::over_endpoints(harness, (check, probe), &seen, connections).await {
                Ok(counts) => summary += &format!(": {counts}"),
                Err(why) => {
                    summary = "not spread evenly".to_owned();
                    verdict = Err(why);
                }
            }
        }
        let (seen_as, answered_by) = seen.arrival.map(|arrival| (arrival.source, arrival.ns)).unzip();
        let result = PairResult {
            passed: verdict.is_ok(),
            result: summary,
            failure: verdict.err(),
            saw: seen.outcome,
            queries: name.map(|found| found.queries.clone()).unwrap_or_default(),
            seen_as,
            answered_by,
            took: seen.took,
            tries,
            ..PairResult::not_tried(check, probe, String::new())
        };
        return Some((place, result));
    }
}

/// The result of a pair whose destination is a name that has no address: nothing was sent.
fn unresolved(check: &Check, probe: &Probe, why: &str, name: Option<&Found>) -> PairResult {
    PairResult {
        to_namespace: None,
        address: None,
        result: "not resolved".to_owned(),
        queries: name.map(|found| found.queries.clone()).unwrap_or_default(),
        tries: 1,
        ..PairResult::not_tried(check, probe, why.to_owned())
    }
}

/// All probes, in an order that keeps the kernel's tables small: both directions of a pair side by side, since they
/// share their entries in the table of neighbours, and pairs among the same few namespaces near each other.
fn in_neighbourly_order(checks: &[Check]) -> Vec<Place> {
    let sides = |probe: &Probe| {
        (probe.from.to_string(), probe.to.ns.as_ref().map_or(probe.to.label.clone(), NsName::to_string))
    };
    let names = checks.iter().flat_map(|check| &check.probes).map(sides).flat_map(|(from, to)| [from, to]);
    let numbers: HashMap<String, usize> = names.collect::<BTreeSet<_>>().into_iter().zip(0..).collect();
    let mut queue = Vec::new();
    for (check, with) in checks.iter().enumerate() {
        for (place, probe) in with.probes.iter().enumerate() {
            let (from, to) = sides(probe);
            let (from, to) = (numbers.get(&from).copied(), numbers.get(&to).copied());
            let (one, other) = (from.min(to), from.max(to));
            let block = |number: Option<usize>| number.map(|number| number / BLOCK);
            queue.push((block(one), block(other), one, other, Place { check, probe: place }));
        }
    }
    queue.sort_by_key(|&(block, other_block, one, other, _)| (block, other_block, one, other));
    queue.into_iter().map(|(.., place)| place).collect()
}

/// The namespaces between which the probes of a batch go.
fn namespaces<'a>(checks: &'a [Check], batch: &[Place]) -> BTreeSet<&'a NsName> {
    let probes = batch.iter().filter_map(|place| place.probe_in(checks));
    probes.flat_map(|probe| std::iter::once(&probe.from).chain(&probe.to.ns)).collect()
}

/// The results of all probes, in the order of the file.
pub(super) fn results(checks: &[Check], mut done: Vec<(Place, PairResult)>) -> Vec<CheckResult> {
    done.sort_by_key(|(place, _)| (place.check, place.probe));
    let mut done = done.into_iter().peekable();
    let result = |(number, check): (usize, &Check)| CheckResult {
        name: check.name.clone(),
        line: check.line,
        expectation: verdict::promise(check),
        pairs: std::iter::from_fn(|| done.next_if(|(place, _)| place.check == number)).map(|(_, pair)| pair).collect(),
    };
    checks.iter().enumerate().map(result).collect()
}
