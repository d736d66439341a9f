//! The way of a packet by what was seen of it.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use super::expected::{DNAT, remarks};
use super::frame::{Kind, Seen};
use super::story::{Direction, Sight, Stage};
use super::words;
use crate::forwarding::{Leg, RoundTrip, Way};
use crate::lab::{IfName, Lab, NsName};

/// A packet at an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The namespace.
    pub ns: NsName,
    /// The interface.
    pub interface: IfName,
    /// Whether it went out there, or came in.
    pub leaves: bool,
    /// When.
    pub time: Duration,
    /// The packet.
    pub seen: Seen,
}

/// Puts sightings into the order of their times, and tells answers from questions that look the same: they go from
/// where a question has gone to. The kernel begins to write times down a moment after it was asked to; where all
/// sightings are those of the model's way, the order is that of the way.
pub(super) fn in_order(mut sightings: Vec<Sighting>, round: &RoundTrip) -> Vec<Sighting> {
    type End = (IpAddr, Option<u16>);
    sightings.sort_by_key(|sighting| sighting.time);
    let mut asked: HashSet<(End, End)> = HashSet::new();
    for Sighting { seen, .. } in &mut sightings {
        if seen.kind != Kind::Sent {
            continue;
        }
        if asked.contains(&(seen.destination, seen.source)) {
            seen.kind = Kind::Answer;
        } else if seen.source.1.is_some() {
            asked.insert((seen.source, seen.destination));
        }
    }
    // What was sent again tells nothing new; what goes in circles has another time to live each time.
    let mut known = HashSet::new();
    sightings.retain(|one| {
        let (ns, interface, leaves) = place(one);
        let seen = &one.seen;
        known.insert((ns.clone(), interface.clone(), leaves, seen.kind.clone(), seen.ttl, seen.inside.clone()))
    });
    by_the_way(sightings, round)
}

/// In the order of the model's way, if all were seen on it, each place once.
fn by_the_way(mut sightings: Vec<Sighting>, round: &RoundTrip) -> Vec<Sighting> {
    let (there, back) = (places(&round.there), round.back.as_ref().map(places).unwrap_or_default());
    let rank = |one: &Sighting| {
        let is_back = one.seen.kind != Kind::Sent;
        let places = if is_back { &back } else { &there };
        places.iter().position(|at| *at == place(one)).map(|at| (is_back, at))
    };
    let known: Option<HashSet<(bool, usize)>> = sightings.iter().map(rank).collect();
    if known.is_some_and(|known| known.len() == sightings.len()) {
        sightings.sort_by_key(rank);
    }
    sightings
}

type Place<'a> = (&'a NsName, &'a IfName, bool);

fn place(sighting: &Sighting) -> Place<'_> {
    (&sighting.ns, &sighting.interface, sighting.leaves)
}

/// Where the model has a packet cross an interface, in order.
fn places(way: &Way) -> Vec<Place<'_>> {
    fn of_way<'w>(way: &'w Way, into: &mut Vec<Place<'w>>) {
        for leg in &way.legs {
            let crossed = leg.crossings.iter().map(|crossing| (&crossing.at.ns, &crossing.at.name, crossing.leaves));
            match &leg.tunnel {
                None => into.extend(crossed),
                Some(_) if leg.is_sealed => into.extend(crossed),
                // What is inside of a tunnel enters it at its near end, and comes out at the far one.
                Some(tunnel) => {
                    let mut crossed = crossed;
                    into.extend(crossed.next());
                    of_way(tunnel, into);
                    into.extend(crossed);
                }
            }
        }
    }
    let mut all = Vec::new();
    of_way(way, &mut all);
    all
}

/// The namespaces that a packet was seen in, with what the model makes of it there.
pub fn stages<'s>(
    lab: &Lab,
    sightings: impl Iterator<Item = &'s Sighting>,
    way: Option<&Way>,
    start: Duration,
) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    let sightings: Vec<&Sighting> = sightings.collect();
    let left: HashSet<&NsName> = sightings.iter().filter(|one| one.leaves).map(|one| &one.ns).collect();
    let mut legs = way.map_or(&[][..], |way| way.legs.as_slice()).iter().peekable();
    let mut remark = |stage: &mut Stage, ns: &NsName| {
        // A switch has no leg of its own.
        if let Some(leg) = legs.next_if(|leg: &&Leg| leg.ns == *ns) {
            stage.remarks = remarks(lab, leg, left.contains(ns));
        }
    };
    for sighting in sightings {
        if stages.last().is_none_or(|last| last.namespace != sighting.ns.as_str()) {
            let mut stage = Stage { namespace: sighting.ns.to_string(), ..Stage::default() };
            remark(&mut stage, &sighting.ns);
            stages.push(stage);
        }
        if let Some(stage) = stages.last_mut() {
            stage.seen.push(sight(sighting, start));
        }
    }
    stages.iter_mut().for_each(as_seen);
    stages
}

/// Where a packet leaves to another destination than the model says, that counts which was seen.
fn as_seen(stage: &mut Stage) {
    let Some(out) = stage.seen.iter().find(|sight| sight.direction == Direction::Out) else { return };
    let to = words::end(out.destination, out.destination_port);
    for remark in &mut stage.remarks {
        if remark.starts_with(DNAT) && !remark.starts_with(&format!("{DNAT} {to}")) {
            *remark = format!("{DNAT} {to}");
        }
    }
}

fn sight(sighting: &Sighting, start: Duration) -> Sight {
    let seen = &sighting.seen;
    let (source_mac, destination_mac) = seen.macs.map(|(from, to)| (from.to_string(), to.to_string())).unzip();
    Sight {
        interface: sighting.interface.to_string(),
        direction: if sighting.leaves { Direction::Out } else { Direction::In },
        source: Some(seen.source.0),
        source_port: seen.source.1,
        destination: seen.destination.0,
        destination_port: seen.destination.1,
        ttl: Some(seen.ttl),
        source_mac,
        destination_mac,
        vlan: seen.vlan,
        inside: seen.inside.clone(),
        says: match &seen.kind {
            Kind::Sent | Kind::Answer => None,
            Kind::Reset => Some("TCP reset".to_owned()),
            Kind::Error(what) => Some(what.clone()),
        },
        after_us: Some(sighting.time.saturating_sub(start).as_secs_f64() * 1e6),
    }
}
