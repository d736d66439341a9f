//! Checks that cannot pass, by the model alone: what a file promises and its own routes, rules and links do not allow.
//!
//! Nothing is said where the model may not know all of it: of routes of the machine, or of namespaces in which programs
//! add some.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::expected::stopped;
use super::remedy::Remedies;
use crate::forwarding::{Asked, Cause, Layer2, Obstacle, RoundTrip, round_trip};
use crate::lab::{Check, Expect, IfName, Lab, NsName, Owners, Probe, SeenAs};

/// So many pairs are followed; a full mesh of a hundred namespaces has slightly fewer.
const MOST_PAIRS: usize = 10_000;

/// A check that cannot pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The line of the check, counted from 1.
    pub line: u64,
    /// Why not, for the first of the pairs that have this cause.
    pub what: String,
    /// What to do about it.
    pub to_do: Option<String>,
}

/// What cannot be kept for one cause.
struct Group {
    line: u64,
    first: String,
    pairs: usize,
    checks: BTreeSet<u64>,
    cause: Why,
}

/// A cause, with what makes it the same as that of another pair.
struct Why {
    key: (Option<Place>, String),
    what: String,
    to_do: Option<String>,
}

type Place = (NsName, Option<IfName>);

/// The checks of a lab that cannot pass: of each cause the first, with how many have the same.
pub fn doubts(lab: &Lab) -> Vec<Doubt> {
    if lab.namespaces.values().any(|namespace| !namespace.keep.is_empty()) {
        return Vec::new();
    }
    let (layer2, owners) = (Layer2::new(&lab.namespaces), Owners::of(lab));
    let pairs = lab.checks.iter().flat_map(|check| check.probes.iter().map(move |probe| (check, probe)));
    let mut groups: IndexMap<(Option<Place>, String), Group> = IndexMap::new();
    for (check, probe) in pairs.take(MOST_PAIRS) {
        let Some(cause) = doubt(lab, (&layer2, &owners), check, probe) else { continue };
        let first = || format!("{} → {}", probe.from, probe.to.label);
        let group = groups.entry(cause.key.clone()).or_insert_with(|| Group {
            line: check.line,
            first: first(),
            pairs: 0,
            checks: BTreeSet::new(),
            cause,
        });
        group.pairs += 1;
        group.checks.insert(check.line);
    }
    groups.into_values().map(Group::told).collect()
}

impl Group {
    fn told(self) -> Doubt {
        let more = match (self.pairs - 1, self.checks.len()) {
            (0, _) => String::new(),
            (more, 1) => format!(" and {more} more"),
            (more, checks) => format!(" and {more} more, in {checks} checks"),
        };
        let what = format!("this cannot be kept ({}{more}): {}", self.first, self.cause.what);
        Doubt { line: self.line, what, to_do: self.cause.to_do }
    }
}

/// Why a pair cannot be as promised, and what to do.
fn doubt(lab: &Lab, (layer2, owners): (&Layer2<'_>, &Owners), check: &Check, probe: &Probe) -> Option<Why> {
    // An interface's own link is not followed by addresses alone, and what has a name has no address yet.
    if probe.to.scope.is_some() || probe.to.name.is_some() {
        return None;
    }
    let round = round_trip(layer2, &Asked::of(check, probe));
    match check.expect {
        Expect::Reachable => of_obstacle(lab, &round).or_else(|| {
            let what = elsewhere(owners, check, probe, &round)?;
            Some(Why { key: (None, what.clone()), what, to_do: None })
        }),
        Expect::Unreachable | Expect::Unanswered | Expect::Refused => None,
    }
}

fn of_obstacle(lab: &Lab, round: &RoundTrip) -> Option<Why> {
    let (obstacle, is_back) = round.obstacle().filter(|(obstacle, _)| is_sure(obstacle))?;
    let ending = stopped(lab, round, (obstacle, is_back), &Remedies { steps: &[], file: "", lab });
    let place = (obstacle.ns.clone(), obstacle.interface.clone());
    let key = (Some(place), obstacle.cause.kind().to_owned());
    Some(Why { key, what: ending.what, to_do: ending.to_do.into_iter().next() })
}

/// Whether the file alone says so: the machine has routes, links and rules that are in no file.
fn is_sure(obstacle: &Obstacle) -> bool {
    // Whether a bridge translates what it passes on is a setting of the kernel.
    if matches!(obstacle.cause, Cause::OtherSource { .. }) {
        return false;
    }
    !obstacle.ns.is_host() || matches!(obstacle.cause, Cause::Filtered(_) | Cause::Down | Cause::Isolated { .. })
}

/// That it arrives at another place than is promised, or is seen there as somebody else.
fn elsewhere(owners: &Owners, check: &Check, probe: &Probe, round: &RoundTrip) -> Option<String> {
    let (at, arrival) = (round.arrives_at()?, round.arrival()?);
    // Which endpoint of a service it is, is chance.
    if !probe.endpoints.is_empty() || check.spread.is_some() {
        return None;
    }
    if let Some(meant) = check.answered_by.as_ref().filter(|meant| *meant != at) {
        return Some(format!("it arrives at {at}, and not at {meant}: no rule leads it there"));
    }
    let source = arrival.source?;
    match check.seen_as? {
        SeenAs::Address(meant) if meant != source => {
            Some(format!("{at} sees it come from {}, and not from {meant}", owners.shown(source)))
        }
        SeenAs::Itself if !owners.has(&probe.from, source) => {
            Some(format!("{at} sees it come from {}, and not from {} itself", owners.shown(source), probe.from))
        }
        SeenAs::Address(_) | SeenAs::Itself => None,
    }
}
