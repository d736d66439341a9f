//! Where the way of a packet through the live lab first differs from the way that the file leads it.

use std::net::IpAddr;

use super::altered::missing;
use super::evidence::Case;
use super::frame::Kind;
use super::remedy;
use super::sighted::Sighting;
use super::words;
use crate::forwarding::{Cause, Layer2, Leg, Obstacle, Outcome, Verdict, Way};
use crate::lab::{Interface, InterfaceRef, Lab, Namespace, SysctlKey};

/// The first namespace that translates the packet otherwise than the file says, and how.
pub(super) fn translation(case: &Case<'_>) -> Option<Difference> {
    let legs = case.wanted.there.legs.iter();
    let (meant, is) = legs.map_while(|leg| Some((leg, left(case, leg)?))).find(|(meant, is)| {
        let wanted = wanted(meant);
        let is_other = is.source.is_some() && wanted.source.is_some() && is.source != wanted.source;
        // Which address a sender takes is a matter of its route, unless a rule has translated it.
        let has_counted = || case.evidence.counted.get(&meant.ns).is_some_and(|counted| !counted.nat.is_empty());
        let counts = is_translated(meant) || meant.came.input.is_some() || has_counted();
        is.destination != wanted.destination || (is_other && counts)
    })?;
    if let Some(other) = source_of_sender(case, meant, &is) {
        return Some(other);
    }
    let ns = &meant.ns;
    let wanted = wanted(meant);
    let by = |of: &str| {
        let rules = case.evidence.counted.get(ns).map(|counted| counted.nat.as_slice()).unwrap_or_default();
        rules.iter().find(|rule| rule.contains(of)).map(|rule| format!(" by {rule}")).unwrap_or_default()
    };
    let came = (meant.came.destination, meant.came.destination_port);
    let (text, is_by_rule) = if is.destination == wanted.destination {
        let to = wanted.source?;
        match is.source.filter(|source| Some(*source) != meant.source_before()) {
            Some(other) => (format!("{ns} has it leave as {other}{}, and not as {to}", by("")), true),
            None => (format!("{ns} does not translate its source to {to}"), false),
        }
    } else if is.destination == came {
        (format!("{ns} does not redirect {} to {} (no DNAT)", end(came), end(wanted.destination)), false)
    } else {
        let to = end(is.destination);
        (format!("{ns} redirects {} to {to}{}, and not to {}", end(came), by("DNAT"), end(wanted.destination)), true)
    };
    let cause = Cause::Filtered(Verdict::Accepted(None));
    let at = Obstacle { ns: ns.clone(), interface: None, cause };
    let mut to_do = remedy::for_obstacle(&at, &case.evidence.remedies);
    // In the host, it may be a rule of somebody else.
    if to_do.is_empty() && ns.is_host() && is_by_rule {
        let rule = by("-j").replacen(" by `-A", "to remove it: `iptables -w -t nat -D", 1);
        to_do.push(match rule.is_empty() {
            true => "a rule that is no lab's does it: `nft list ruleset` shows it".to_owned(),
            false => rule,
        });
    }
    let is_of_destination = is.destination != wanted.destination;
    Some(Difference { at, words: text, is_of_destination, to_do })
}

/// Where a namespace passes on a source that the sender itself has chosen: how that differs.
fn source_of_sender(case: &Case<'_>, meant: &Leg, is: &Left) -> Option<Difference> {
    let first = case.wanted.there.legs.first().filter(|first| first.ns != meant.ns)?;
    let (chosen, to) = (left(case, first)?.source?, wanted(first).source?);
    if is.destination != wanted(meant).destination || is.source != Some(chosen) || chosen == to {
        return None;
    }
    let ns = first.ns.clone();
    let words = format!("{ns} sends it as {chosen}, and not as {to}");
    let at = Obstacle { ns, interface: None, cause: Cause::NoNamespace };
    let to_do = remedy::by_steps(&at, &case.evidence.remedies);
    Some(Difference { at, words, is_of_destination: false, to_do })
}

/// Where and how the way of a packet differs, and what to do about it.
pub(super) struct Difference {
    pub at: Obstacle,
    pub words: String,
    /// Whether it leads the packet elsewhere.
    pub is_of_destination: bool,
    pub to_do: Vec<String>,
}

/// The first namespace that sends the packet another way than the file says, and how.
pub(super) fn route(case: &Case<'_>) -> Option<(Obstacle, String)> {
    let back = case.wanted.back.as_ref().zip(case.round.back.as_ref());
    on_way(case, &case.wanted.there, &case.round.there)
        .or_else(|| back.and_then(|(wanted, live)| on_way(case, wanted, live)))
}

fn on_way(case: &Case<'_>, wanted: &Way, live: &Way) -> Option<(Obstacle, String)> {
    let legs = wanted.legs.iter().zip(&live.legs);
    let way = |leg: &Leg| match &leg.decision.outcome {
        Outcome::Leaves { dev, next_hop, route, .. } => Some((dev.clone(), *next_hop, route.clone())),
        Outcome::Local { .. } | Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => None,
    };
    let (wanted, live) = legs.take_while(|(wanted, live)| wanted.ns == live.ns).find(|(wanted, live)| {
        let (wanted, live) = (way(wanted), way(live));
        wanted.is_some() && live.is_some() && wanted.map(|way| (way.0, way.1)) != live.map(|way| (way.0, way.1))
    })?;
    let ((.., meant), (_, next_hop, is)) = (way(wanted)?, way(live)?);
    let ns = live.ns.clone();
    let to = crate::lab::Owners::of(case.evidence.live).shown(next_hop);
    let text = format!("{ns} sends it to {to} by the route `{is}`, and not by `{meant}` as the file says");
    Some((Obstacle { ns, interface: None, cause: Cause::NoRoute { to: live.came.destination } }, text))
}

/// A packet behind the translations of a namespace.
struct Left {
    source: Option<IpAddr>,
    destination: End,
}

fn wanted(leg: &Leg) -> Left {
    let flow = leg.source.as_ref().map_or(&leg.destination.flow, |source| &source.flow);
    Left { source: flow.source, destination: (flow.destination, flow.destination_port) }
}

/// Whether a namespace changes the source.
fn is_translated(leg: &Leg) -> bool {
    leg.source.as_ref().is_some_and(|source| source.flow.source != leg.source_before())
}

/// The packet as it left a namespace: as it was seen, or else by the model of what there is.
fn left(case: &Case<'_>, leg: &Leg) -> Option<Left> {
    let is_here = |sighting: &&Sighting| sighting.ns == leg.ns && sighting.seen.kind == Kind::Sent;
    let seen = case.sightings.iter().filter(is_here);
    let out = seen.clone().find(|sighting| sighting.leaves && sighting.seen.inside.is_none());
    let seen = out.map(|out| Left { source: Some(out.seen.source.0), destination: out.seen.destination });
    // Who refuses it has taken it for its own as it came in.
    let refuses = case.sightings.iter().any(|one| one.ns == leg.ns && one.leaves && one.seen.kind.is_refusal());
    let kept = case.sightings.iter().rfind(|one| one.seen.kind == Kind::Sent);
    let kept =
        kept.filter(|last| refuses && last.ns == leg.ns && !last.leaves && Some(&leg.ns) != case.wanted.arrives_at());
    let kept = kept.map(|last| Left { source: wanted(leg).source, destination: last.seen.destination });
    seen.or(kept)
        .or_else(|| {
            let live = case.round.there.legs.iter().find(|live| live.ns == leg.ns)?;
            // What does not leave has no source to be translated.
            live.source.as_ref()?;
            Some(wanted(live))
        })
        .or_else(|| {
            let live = case.round.there.legs.iter().find(|live| live.ns == leg.ns)?;
            let arrived = matches!(live.decision.outcome, Outcome::Local { .. });
            arrived.then(|| Left { source: wanted(leg).source, ..wanted(live) })
        })
}

type End = (IpAddr, Option<u16>);

fn end((address, port): End) -> String {
    words::end(address, port)
}

/// Where nobody answers for a next hop: what is with the interface that answers by the file.
pub(super) fn holder(case: &Case<'_>, obstacle: &Obstacle) -> Option<(Obstacle, String)> {
    let Cause::NobodyHas { address, unplugged: None, .. } = &obstacle.cause else { return None };
    let from = InterfaceRef { ns: obstacle.ns.clone(), name: obstacle.interface.clone()? };
    let layer2 = Layer2::new(&case.evidence.wanted.namespaces);
    let meant = layer2.owner(&from, *address)?;
    let (wanted, live) = (case.evidence.wanted, case.evidence.live);
    let at = |interface: bool| Obstacle {
        ns: meant.ns.clone(),
        interface: interface.then(|| meant.name.clone()),
        cause: Cause::NoNamespace,
    };
    let Some(namespace) = live.namespaces.get(&meant.ns) else {
        return Some((at(false), format!("the namespace {}, which should have {address}, does not exist", meant.ns)));
    };
    let Some(interface) = namespace.interfaces.get(&meant.name) else {
        return Some((at(true), missing((wanted, live), &meant)));
    };
    let what = without_address(case, &meant, namespace, interface, *address)
        .or_else(|| is_silent_for_others(wanted, namespace, &meant))?;
    Some((at(true), what))
}

fn without_address(
    case: &Case<'_>,
    meant: &InterfaceRef,
    namespace: &Namespace,
    interface: &Interface,
    address: IpAddr,
) -> Option<String> {
    let has = |interface: &Interface| interface.addresses.iter().any(|own| own.ip() == address);
    let should = case.evidence.wanted.namespaces.get(&meant.ns)?.interfaces.get(&meant.name).is_some_and(has);
    if !should {
        return None;
    }
    let off = SysctlKey::ipv6_off(&meant.name);
    if address.is_ipv6() && namespace.sysctls.get(&off).is_some_and(crate::lab::SysctlValue::is_on) {
        return Some(format!("IPv6 is switched off on {meant} ({off} is 1)"));
    }
    (!has(interface)).then(|| format!("{meant} does not have {address}"))
}

fn is_silent_for_others(wanted: &Lab, live: &Namespace, meant: &InterfaceRef) -> Option<String> {
    let answers = wanted.namespaces.get(&meant.ns)?.answers_for_others(&meant.name);
    (answers && !live.answers_for_others(&meant.name)).then(|| {
        let key = format!("net.ipv4.conf.{}.proxy_arp", meant.name.as_str().replace('.', "/"));
        format!("{} does not answer ARP requests for others on {} ({key} is 0)", meant.ns, meant.name)
    })
}
