//! Many connections one after the other, and how many of them came to each endpoint of a service.

use std::collections::BTreeMap;

use super::attempt::attempt;
use super::harness::Harness;
use super::observation::Observation;
use super::verdict::Try;
use crate::lab::{Check, NsName, Probe, fair_share};

/// Makes the rest of so many connections, of which the first has been made; how many each endpoint got. If one of them
/// fails, all are made anew, as often as the check allows: the first packet to an endpoint may get lost, one of many to
/// an endpoint that is dead does each time.
///
/// # Errors
/// What is not as promised, in words: one of the connections, or that the endpoints do not get their shares.
pub(super) async fn over_endpoints(
    harness: &Harness,
    (check, probe): (&Check, &Probe),
    first: &Observation,
    connections: u32,
) -> Result<String, String> {
    let mut counted = count(harness, (check, probe), Some(first), connections).await;
    for _ in 0..check.retries {
        if counted.is_ok() {
            break;
        }
        counted = count(harness, (check, probe), None, connections).await;
    }
    let counts = counted?;
    let share = fair_share(connections, counts.len());
    let shown: Vec<String> = counts.iter().map(|(endpoint, count)| format!("{endpoint} {count}")).collect();
    let shown = shown.join(", ");
    match counts.values().all(|count| share.contains(count)) {
        true => Ok(shown),
        false => Err(format!(
            "of {connections} connections, each endpoint should get {} to {}, and it was {shown}",
            share.start(),
            share.end()
        )),
    }
}

/// Makes so many connections, or one less where one has been made.
async fn count<'p>(
    harness: &Harness,
    (check, probe): (&Check, &'p Probe),
    first: Option<&Observation>,
    connections: u32,
) -> Result<BTreeMap<&'p NsName, u32>, String> {
    let mut counts: BTreeMap<&NsName, u32> = probe.endpoints.iter().map(|endpoint| (endpoint, 0)).collect();
    let mut count = |seen: &Observation| {
        let at = seen.arrival.as_ref().map(|arrival| &arrival.ns);
        counts.iter_mut().filter(|(endpoint, _)| at == Some(**endpoint)).for_each(|(_, count)| *count += 1);
    };
    let made = first.map_or(0, |first| {
        count(first);
        1
    });
    for number in made + 1..=connections {
        let seen = attempt(harness, check, probe).await;
        let judged = Try { check, probe, seen: &seen, owners: &harness.owners }.judge();
        judged.map_err(|why| format!("connection {number} of {connections}: {why}"))?;
        count(&seen);
    }
    Ok(counts)
}
