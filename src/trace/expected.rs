//! The way of a packet by the model: what would happen, and nothing is sent.

use crate::forwarding::{
    Asked, Cause, Crossing, EPHEMERAL_PORT, Flow, Layer2, Leg, Obstacle, Outcome, RoundTrip, Way, round_trip,
};
use crate::lab::{Lab, NsName, Owners, Protocol};

use super::remedy::{self, Remedies};
use super::story::{Direction, Ending, Sight, Stage, Trace};
use super::words;

/// How a remark about a translated destination begins.
pub(super) const DNAT: &str = "DNAT: the destination becomes";

/// What would happen to a packet, by the lab alone.
pub fn expected(lab: &Lab, asked: &Asked, to: &str, protocol: Protocol, remedies: &Remedies<'_>) -> Trace {
    let layer2 = Layer2::new(&lab.namespaces);
    let round = round_trip(&layer2, asked);
    Trace {
        lab: lab.name.to_string(),
        from: asked.from.to_string(),
        to: to.to_owned(),
        address: asked.flow.destination,
        protocol: protocol.named(None),
        size: asked.size,
        expected: true,
        there: stages(lab, &round.there),
        back: round.back.as_ref().map(|back| stages(lab, back)).unwrap_or_default(),
        end: ending(lab, asked, &round, remedies),
    }
}

fn ending(lab: &Lab, asked: &Asked, round: &RoundTrip, remedies: &Remedies<'_>) -> Ending {
    let arrived = round.arrives_at().map(ToString::to_string);
    match round.obstacle() {
        Some((obstacle, is_back)) => Ending { arrived, ..stopped(lab, round, (obstacle, is_back), remedies) },
        None => {
            let seen = round.arrival().and_then(|flow| flow.source);
            let by = arrived.clone().unwrap_or_else(|| asked.from.to_string());
            let as_whom = seen.map(|seen| format!(", which sees it come from {}", Owners::of(lab).shown(seen)));
            let what = format!("it arrives at {by}{}, and the answer comes back", as_whom.unwrap_or_default());
            Ending { answered: true, arrived, what, ..Ending::default() }
        }
    }
}

/// The ending at an obstacle, with what to do about it.
pub(super) fn stopped(
    lab: &Lab,
    round: &RoundTrip,
    (obstacle, is_back): (&Obstacle, bool),
    remedies: &Remedies<'_>,
) -> Ending {
    let way = if is_back { round.back.as_ref() } else { Some(&round.there) };
    let leg = way.and_then(Way::last);
    let words = words::cause(&lab.namespaces, &Owners::of(lab), obstacle, (leg, is_back));
    let words = match obstacle.cause {
        Cause::Loop => format!("{words}: {}", circle(way, &obstacle.ns)),
        _ => words,
    };
    let what = match (is_back, &obstacle.cause) {
        (false, _) | (true, Cause::OtherSource { .. }) => words,
        (true, _) => format!("it arrives, but the answer is lost at {}: {words}", obstacle.ns),
    };
    Ending {
        namespace: Some(obstacle.ns.to_string()),
        interface: obstacle.interface.as_ref().map(ToString::to_string),
        what,
        to_do: remedy::for_obstacle(obstacle, remedies),
        ..Ending::default()
    }
}

/// The namespaces of a circle, and where they send a packet.
fn circle(way: Option<&Way>, first: &NsName) -> String {
    let legs = way.map_or(&[][..], |way| way.legs.as_slice());
    let start = legs.iter().position(|leg| leg.ns == *first).unwrap_or_default();
    let routes = legs.iter().skip(start).map(|leg| match &leg.decision.outcome {
        Outcome::Leaves { route, .. } => format!("{} by `{route}`", leg.ns),
        Outcome::Local { .. } | Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => leg.ns.to_string(),
    });
    routes.collect::<Vec<_>>().join(", ")
}

/// The namespaces of a way, as they are told.
pub(super) fn stages(lab: &Lab, way: &Way) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for leg in &way.legs {
        let stage = stage_of(&mut stages, &leg.ns);
        stage.remarks.extend(remarks(lab, leg, !leg.crossings.is_empty()));
        let left = leg.source.as_ref().map_or(&leg.destination.flow, |source| &source.flow);
        let mut tunnel = leg.tunnel.as_ref();
        for crossing in &leg.crossings {
            let at = stage_of(&mut stages, &crossing.at.ns);
            at.seen.push(sight(crossing, left));
            // What is in a tunnel goes on inside of the packets that carry it.
            let way = tunnel
                .take_if(|way| crossing.leaves && way.legs.first().is_some_and(|first| first.ns == crossing.at.ns));
            way.iter().for_each(|way| inside(&mut stages, way, left));
        }
        tunnel.iter().for_each(|way| inside(&mut stages, way, left));
    }
    stages
}

/// The packets that carry one through a tunnel.
fn inside(stages: &mut Vec<Stage>, way: &Way, packet: &Flow) {
    for leg in &way.legs {
        let around = leg.source.as_ref().map_or(&leg.destination.flow, |source| &source.flow);
        let from = around.source.map(|source| format!("{source} → ")).unwrap_or_default();
        for crossing in &leg.crossings {
            let carried = format!("a tunnel, {from}{}", around.destination);
            let seen = Sight { inside: Some(carried), ..sight(crossing, packet) };
            stage_of(stages, &crossing.at.ns).seen.push(seen);
        }
    }
}

/// The stage of a namespace that the packet has just come to, or is in.
fn stage_of<'s>(stages: &'s mut Vec<Stage>, ns: &NsName) -> &'s mut Stage {
    if stages.last().is_none_or(|last| last.namespace != ns.as_str()) {
        stages.push(Stage { namespace: ns.to_string(), ..Stage::default() });
    }
    let last = stages.len() - 1;
    &mut stages[last]
}

fn sight(crossing: &Crossing, flow: &Flow) -> Sight {
    Sight {
        interface: crossing.at.name.to_string(),
        direction: if crossing.leaves { Direction::Out } else { Direction::In },
        source: flow.source,
        source_port: flow.source_port.filter(|port| *port != EPHEMERAL_PORT),
        destination: flow.destination,
        destination_port: flow.destination_port.filter(|port| *port != EPHEMERAL_PORT),
        ttl: None,
        source_mac: None,
        destination_mac: None,
        vlan: None,
        inside: None,
        says: None,
        after_us: None,
    }
}

/// What a namespace makes of a packet, in words.
pub(super) fn remarks(lab: &Lab, leg: &Leg, has_left: bool) -> Vec<String> {
    let namespace = lab.namespaces.get(&leg.ns);
    let by = |at: &Option<crate::forwarding::RuleAt>| {
        let rule = at.as_ref().zip(namespace).map(|(at, own)| format!(" by {}", words::rule(own, at)));
        rule.unwrap_or_default()
    };
    let mut remarks = Vec::new();
    let led = &leg.destination;
    if led.flow.destination != leg.came.destination || led.flow.destination_port != leg.came.destination_port {
        let what = if led.by.is_some() { DNAT } else { "translated back: the destination becomes" };
        remarks.push(format!("{what} {}{}", words::end(led.flow.destination, led.flow.destination_port), by(&led.by)));
    }
    match &leg.decision.outcome {
        Outcome::Leaves { route, .. } => remarks.push(format!("route: {route}")),
        Outcome::Local { .. } => remarks.push(format!("delivered: {} is its own address", led.flow.destination)),
        Outcome::Dropped(route) => remarks.push(format!("route: {route}")),
        Outcome::DroppedByRule | Outcome::NoRoute => {}
    }
    if let Some(source) = leg.source.as_ref().filter(|_| has_left)
        && let Some(address) = source.flow.source
        && led.flow.source.is_some_and(|before| before != address)
    {
        let what = if source.by.is_some() { "SNAT: the source becomes" } else { "translated back: the source becomes" };
        remarks.push(format!("{what} {address}{}", by(&source.by)));
    }
    remarks
}
