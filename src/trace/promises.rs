//! Checks that cannot pass, by the model alone: what a file promises and its own routes, rules and links do not allow.
//!
//! Nothing is said where the model may not know all of it: of routes of the machine, or of namespaces in which programs
//! add some.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use super::expected::stopped;
use super::remedy::Remedies;
use super::silence::{Silence, translates_on_bridges};
use super::sources;
use crate::forwarding::{Asked, Cause, Crossing, Layer2, Obstacle, RoundTrip, round_trip};
use crate::lab::{Check, Expect, IfName, Interface, Lab, Namespace, NsName, Owners, Probe, SeenAs};

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

/// So many destinations are followed from everywhere before the next ones: what reaches their links is found once.
const DESTINATIONS: usize = 32;

/// What cannot be kept for one cause.
struct Group {
    /// Which of all pairs is the first.
    at: usize,
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
    let model = Model {
        lab,
        layer2: Layer2::new(&lab.namespaces),
        owners: Owners::of(lab),
        silence: Silence::of(lab),
        commanded: lab.exec_checks.iter().flat_map(|check| &check.from).collect(),
    };
    let mut groups: HashMap<(Option<Place>, String), Group> = HashMap::new();
    for (at, check, probe) in in_blocks(lab) {
        let Some(cause) = model.doubt(check, probe) else { continue };
        let first = Group {
            at,
            line: check.line,
            first: format!("{} → {}", probe.from, probe.to.label),
            pairs: 0,
            checks: BTreeSet::new(),
            cause,
        };
        match groups.entry(first.cause.key.clone()) {
            Entry::Vacant(place) => place.insert(first).count(check),
            Entry::Occupied(place) => {
                let group = place.into_mut();
                if at < group.at {
                    let before = std::mem::replace(group, first);
                    (group.pairs, group.checks) = (before.pairs, before.checks);
                }
                group.count(check);
            }
        }
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| group.at);
    groups.into_iter().map(Group::told).collect()
}

/// The first pairs of a lab, those to the same few destinations together; each with its place among all.
fn in_blocks(lab: &Lab) -> Vec<(usize, &Check, &Probe)> {
    let pairs = lab.checks.iter().flat_map(|check| check.probes.iter().map(move |probe| (check, probe)));
    let mut pairs: Vec<_> = (0..).zip(pairs).take(MOST_PAIRS).map(|(at, (check, probe))| (at, check, probe)).collect();
    let mut numbers: HashMap<IpAddr, usize> = HashMap::new();
    pairs.sort_by_cached_key(|(_, _, probe)| {
        let next = numbers.len();
        *numbers.entry(probe.to.address).or_insert(next) / DESTINATIONS
    });
    pairs
}

impl Group {
    fn count(&mut self, check: &Check) {
        self.pairs += 1;
        self.checks.insert(check.line);
    }

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

/// A lab, ready to follow packets in it.
struct Model<'l> {
    lab: &'l Lab,
    layer2: Layer2<'l>,
    owners: Owners,
    silence: Silence<'l>,
    /// Where commands of checks run: they may change what is there.
    commanded: HashSet<&'l NsName>,
}

impl Model<'_> {
    /// Why a pair cannot be as promised, and what to do.
    fn doubt(&self, check: &Check, probe: &Probe) -> Option<Why> {
        // An interface's own link is not followed by addresses alone, and what has a name has no address yet.
        if probe.to.scope.is_some() || probe.to.name.is_some() {
            return None;
        }
        let round = round_trip(&self.layer2, &Asked::of(check, probe));
        let obstacle = match check.expect {
            Expect::Reachable => self.of_obstacle(&round),
            Expect::Unreachable | Expect::Unanswered | Expect::Refused => None,
        };
        obstacle.or_else(|| {
            let what = match check.expect {
                Expect::Reachable => self.elsewhere(check, probe, &round),
                Expect::Unreachable | Expect::Unanswered | Expect::Refused => self.silence.broken(check, probe, &round),
            }?;
            // What one check promises too much of, another one may mean.
            let line = if check.expect == Expect::Reachable { 0 } else { check.line };
            Some(Why { key: (None, format!("{line} {what}")), what, to_do: None })
        })
    }

    fn of_obstacle(&self, round: &RoundTrip) -> Option<Why> {
        let lab = self.lab;
        let (obstacle, is_back) = round.obstacle().filter(|(obstacle, _)| self.is_sure(obstacle))?;
        let ending = stopped(lab, round, (obstacle, is_back), &Remedies { steps: &[], file: "", lab });
        let place = (obstacle.ns.clone(), obstacle.interface.clone());
        let key = (Some(place), obstacle.cause.kind().to_owned());
        Some(Why { key, what: ending.what, to_do: ending.to_do.into_iter().next() })
    }

    /// Whether the file alone says so: the machine has routes, links and rules that are in no file.
    fn is_sure(&self, obstacle: &Obstacle) -> bool {
        // Whether a bridge translates what it passes on is a setting of the kernel.
        if matches!(obstacle.cause, Cause::OtherSource { .. }) || self.commanded.contains(&obstacle.ns) {
            return false;
        }
        let own = self.lab.namespaces.get(&obstacle.ns);
        match obstacle.cause {
            // By which rule the way back is looked for, the model does not know.
            Cause::ReversePath { .. } if own.is_some_and(has_rules) => return false,
            // A gateway may answer for neighbours that do not hear each other (RFC 3069).
            Cause::Isolated { .. } if self.lab.namespaces.values().any(answers_for_isolated) => return false,
            _ => {}
        }
        !obstacle.ns.is_host() || matches!(obstacle.cause, Cause::Filtered(_) | Cause::Down | Cause::Isolated { .. })
    }

    /// That it arrives at another place than is promised, or is seen there as somebody else.
    fn elsewhere(&self, check: &Check, probe: &Probe, round: &RoundTrip) -> Option<String> {
        let owners = &self.owners;
        let (at, arrival) = (round.arrives_at()?, round.arrival()?);
        // Which endpoint of a service it is, is chance.
        if !probe.endpoints.is_empty() || check.spread.is_some() {
            return None;
        }
        let own = |crossing: &Crossing| self.lab.namespaces.get(&crossing.at.ns);
        let mut crossings = round.there.legs.iter().flat_map(|leg| &leg.crossings);
        if crossings.any(|crossing| own(crossing).is_some_and(translates_on_bridges)) {
            return None;
        }
        if let Some(meant) = check.answered_by.as_ref().filter(|meant| *meant != at) {
            return Some(format!("it arrives at {at}, and not at {meant}: no rule leads it there"));
        }
        let (source, seen_as) = (arrival.source?, check.seen_as?);
        if !sources::are_sure(self.lab, probe.source.is_some(), round) {
            return None;
        }
        match seen_as {
            SeenAs::Address(meant) if meant != source => {
                Some(format!("{at} sees it come from {}, and not from {meant}", owners.shown(source)))
            }
            SeenAs::Itself if !owners.has(&probe.from, source) => {
                Some(format!("{at} sees it come from {}, and not from {} itself", owners.shown(source), probe.from))
            }
            SeenAs::Address(_) | SeenAs::Itself => None,
        }
    }
}

/// Whether a namespace looks for routes by rules, or in VRFs.
fn has_rules(own: &Namespace) -> bool {
    let is_vrf = |interface: &Interface| interface.vrf_table(None).is_some();
    !own.rules.is_empty() || own.interfaces.values().any(is_vrf)
}

fn answers_for_isolated(own: &Namespace) -> bool {
    own.sysctls.keys().any(|key| key.as_str().ends_with(".proxy_arp_pvlan"))
}
