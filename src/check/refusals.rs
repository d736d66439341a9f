//! Refusals that a host keeps back: after six errors to somebody at once, it sends another only one a second
//! (`icmp_ratelimit` and `XRLIM_BURST_FACTOR` in the kernel). Whoever has been refused and then hears nothing is asked
//! again at that pace, as long as that brings refusals.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::batches::{Place, run_probe};
use super::error::CheckError;
use super::harness::Harness;
use super::report::{Outcome, PairResult};
use crate::lab::{Check, Expect, NsName};

/// How long a host keeps errors back, and a little more.
const PAUSE: Duration = Duration::from_millis(1050);

/// Tries those again that should have been refused and heard nothing, where others of their sender were refused.
///
/// # Errors
/// A probe has not come to its end.
pub(super) async fn ask_again(
    harness: &Rc<Harness>,
    checks: &[Check],
    results: &mut Vec<(Place, PairResult)>,
) -> Result<(), CheckError> {
    let refused = results.iter().filter(|(_, pair)| matches!(pair.saw, Outcome::Refused { .. }));
    let refused: BTreeSet<&NsName> = refused.map(|(_, pair)| &pair.from).collect();
    let is_kept_back = |(place, pair): &(Place, PairResult)| {
        let is_meant = place.check_in(checks).is_some_and(|check| check.expect == Expect::Refused);
        is_meant && !pair.passed && pair.saw == Outcome::Silence && refused.contains(&pair.from)
    };
    // Those first that are known to have arrived: what is dropped on the way is never refused.
    let mut kept_back: Vec<_> = results.iter().filter(|result| is_kept_back(result)).collect();
    kept_back.sort_by_key(|(place, pair)| (pair.answered_by.is_none(), *place));
    let mut senders: BTreeMap<NsName, Vec<Place>> = BTreeMap::new();
    for (place, pair) in kept_back {
        senders.entry(pair.from.clone()).or_default().push(*place);
    }
    if senders.is_empty() {
        return Ok(());
    }
    let checks: Rc<[Check]> = checks.into();
    let mut running = JoinSet::new();
    for places in senders.into_values() {
        let (harness, checks) = (harness.clone(), checks.clone());
        running.spawn_local(async move { ask_one_by_one(&harness, &checks, places).await });
    }
    while let Some(again) = running.join_next().await {
        let again = again.map_err(std::io::Error::from)?;
        results.retain(|(place, _)| !again.iter().any(|(other, _)| other == place));
        results.extend(again);
    }
    Ok(())
}

/// Asks for one refusal after the other, until none comes.
async fn ask_one_by_one(harness: &Harness, checks: &[Check], places: Vec<Place>) -> Vec<(Place, PairResult)> {
    let mut results = Vec::new();
    for place in places {
        sleep(PAUSE).await;
        let Some(result) = run_probe(harness, checks, place).await else { break };
        let passed = result.1.passed;
        results.push(result);
        if !passed {
            break;
        }
    }
    results
}
