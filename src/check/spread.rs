//! Many connections one after the other, and how many of them came to each endpoint of a service.

use std::collections::BTreeMap;

use super::attempt::attempt;
use super::harness::Harness;
use super::observation::Observation;
use super::verdict::Try;
use crate::lab::{Check, NsName, Probe, fair_share};

/// Makes the rest of so many connections, of which the first has been made; how many each endpoint got.
///
/// # Errors
/// What is not as promised, in words: one of the connections, or that the endpoints do not get their shares.
pub(super) async fn over_endpoints(
    harness: &Harness,
    (check, probe): (&Check, &Probe),
    first: &Observation,
    connections: u32,
) -> Result<String, String> {
    let mut counts: BTreeMap<&NsName, u32> = probe.endpoints.iter().map(|endpoint| (endpoint, 0)).collect();
    let mut count = |seen: &Observation| {
        let at = seen.arrival.as_ref().map(|arrival| &arrival.ns);
        counts.iter_mut().filter(|(endpoint, _)| at == Some(**endpoint)).for_each(|(_, count)| *count += 1);
    };
    count(first);
    for number in 2..=connections {
        let seen = attempt(harness, check, probe).await;
        let judged = Try { check, probe, seen: &seen, owners: &harness.owners }.judge();
        judged.map_err(|why| format!("connection {number} of {connections}: {why}"))?;
        count(&seen);
    }
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
