//! Why a packet got no answer, from all that is known: what was seen, what the model makes of the live lab and of the
//! file, what was counted. A cause is stated only if the packet was last seen where the cause leaves it; else what is
//! said is where that was.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::differences::{self, Difference};
use super::evidence::{Case, Evidence, ProbeEnd};
use super::expected::stopped;
use super::frame::Kind;
use super::sighted::{Sighting, in_order, stages};
use super::story::{Ending, Trace};
use super::words;
use crate::forwarding::{Asked, Cause, ChainAt, Chosen, Layer2, Leg, Obstacle, Verdict, round_trip};
use crate::lab::{FirewallTarget, IfName, InterfaceKind, Lab, NsName, Owners};

/// So many rules are looked behind that keep a packet by the model, and have counted none.
const MOST_RULES: usize = 8;

/// The namespaces in which a packet may be seen at a leg of its way, and on the link behind it.
pub(super) fn places_of(leg: &Leg, with_tunnel: bool) -> Vec<&NsName> {
    let crossed = leg.crossings.iter().map(|crossing| &crossing.at.ns);
    let mut places: Vec<&NsName> = [&leg.ns].into_iter().chain(crossed).collect();
    let inside = leg.tunnel.iter().filter(|_| with_tunnel).filter_map(|tunnel| tunnel.last());
    places.extend(inside.flat_map(|leg| places_of(leg, false)));
    places
}

/// Whether a frame is more than one that a switch floods to an interface for which it is not, or an error that a
/// namespace tells itself.
fn is_meant(live: &Lab, sighting: &Sighting) -> bool {
    if sighting.interface.is_lo() && matches!(sighting.seen.kind, Kind::Error(_)) {
        return false;
    }
    // The MAC addresses of what is in a tunnel are those of the tunnel's ends.
    let namespace = live.namespaces.get(&sighting.ns).filter(|_| sighting.seen.inside.is_none());
    let Some(namespace) = namespace else { return true };
    let interface = namespace.interfaces.get(&sighting.interface);
    let (Some(interface), Some((_, to))) = (interface, sighting.seen.macs) else { return true };
    let is_group = to.0[0] & 1 != 0;
    let is_end = matches!(interface.kind, InterfaceKind::Veth { .. }) && interface.master.is_none();
    // What is stacked on an interface may have a MAC address of its own.
    let is_below = || {
        let all = live.namespaces.values().flat_map(|other| other.interfaces.values());
        let lowers = all.filter_map(|other| other.virtual_interface()?.lower());
        lowers.into_iter().any(|lower| lower.ns == sighting.ns && lower.name == sighting.interface)
    };
    sighting.leaves || is_group || !is_end || interface.mac.is_none_or(|own| own == to) || is_below()
}

/// What chance has chosen, as far as it was seen.
fn chosen(sightings: &[Sighting]) -> Chosen {
    let mut sightings: Vec<&Sighting> = sightings.iter().collect();
    sightings.sort_by_key(|sighting| sighting.time);
    let sent = || sightings.iter().filter(|sighting| sighting.seen.kind == Kind::Sent);
    Chosen {
        meant: BTreeSet::new(),
        destinations: sent().map(|sighting| sighting.seen.destination).collect(),
        namespaces: sent().map(|sighting| sighting.ns.clone()).collect(),
    }
}

/// Tells what happened to a packet.
pub fn diagnose(mut evidence: Evidence<'_>) -> Trace {
    let mut asked = Asked { chosen: chosen(&evidence.sightings), ..evidence.asked.clone() };
    let wanted = round_trip(&Layer2::new(&evidence.wanted.namespaces), &asked);
    let ways = [Some(&wanted.there), wanted.back.as_ref()];
    asked.chosen.meant = ways.into_iter().flatten().flat_map(|way| &way.legs).map(|leg| leg.ns.clone()).collect();
    let round = round_trip(&Layer2::new(&evidence.live.namespaces), &asked);
    evidence.sightings.retain(|sighting| is_meant(evidence.live, sighting));
    let sightings = in_order(std::mem::take(&mut evidence.sightings), &round);
    let start = sightings.first().map(|first| first.time).unwrap_or_default();
    let is_there = |sighting: &&Sighting| sighting.seen.kind == Kind::Sent;
    let there = stages(evidence.live, sightings.iter().filter(is_there), Some(&round.there), start);
    let back = sightings.iter().filter(|sighting| !is_there(sighting));
    let back = stages(evidence.live, back, round.back.as_ref(), start);
    let case = Case { evidence: &evidence, sightings: &sightings, round: &round, wanted: &wanted, asked: &asked };
    let end = case.ending();
    Trace {
        lab: evidence.wanted.name.to_string(),
        from: evidence.asked.from.to_string(),
        to: evidence.to.to_owned(),
        address: evidence.asked.flow.destination,
        protocol: evidence.protocol.named(None),
        size: evidence.asked.size,
        expected: false,
        there,
        back,
        end,
    }
}

impl Case<'_> {
    fn ending(&self) -> Ending {
        let ending = match &self.evidence.probe {
            ProbeEnd::Answered => self.answered(),
            ProbeEnd::NotSent(why) => self.not_sent(why),
            ProbeEnd::Silence => self.no_answer(),
        };
        Ending { arrived: self.arrived().map(|(ns, _)| ns.to_string()), ..ending }
    }

    /// Where the packet came in last, and did not go on: there it arrived, if that is no place on its way.
    pub(super) fn arrived(&self) -> Option<(&NsName, &Sighting)> {
        let answered = self.sightings.iter().find(|sighting| sighting.seen.kind != Kind::Sent);
        let from = answered.filter(|answer| answer.leaves && !matches!(answer.seen.kind, Kind::Error(_)));
        let sent = || self.sightings.iter().filter(|sighting| sighting.seen.kind == Kind::Sent);
        if let Some(answer) = from {
            let there = sent().rfind(|sighting| sighting.ns == answer.ns && !sighting.leaves);
            return there.map(|there| (&there.ns, there));
        }
        let last = sent().next_back().filter(|last| !last.leaves)?;
        let at_end = self.round.arrives_at() == Some(&last.ns) || self.wanted.arrives_at() == Some(&last.ns);
        at_end.then_some((&last.ns, last))
    }

    fn answered(&self) -> Ending {
        let owners = Owners::of(self.evidence.wanted);
        let Some((ns, arrival)) = self.arrived() else {
            return Ending { answered: true, what: "an answer came back".to_owned(), ..Ending::default() };
        };
        if let Some(ending) = self.answered_by_another(ns) {
            return ending;
        }
        if let Some(Difference { at, words, to_do, .. }) = differences::translation(self) {
            let what = format!("{ns} answers, but {words}");
            return Ending { answered: true, namespace: Some(at.ns.to_string()), what, to_do, ..Ending::default() };
        }
        let took = self.sightings.first().zip(self.sightings.last());
        let took = took.map(|(first, last)| last.time.saturating_sub(first.time).as_secs_f64() * 1e3);
        let seen = owners.shown(arrival.seen.source.0);
        let what = format!("{ns} answers after {:.2} ms; it sees {seen} as the source", took.unwrap_or_default());
        let by = self.round.there.legs.iter().filter_map(|leg| {
            let source = leg.source.as_ref().filter(|source| source.flow.source != leg.source_before())?;
            let own = self.evidence.live.namespaces.get(&leg.ns)?;
            Some(format!("{} translates its source by {}", leg.ns, words::rule(own, source.by.as_ref()?)))
        });
        Ending { answered: true, what, besides: by.collect(), ..Ending::default() }
    }

    /// Somebody else than the file says has answered.
    fn answered_by_another(&self, ns: &NsName) -> Option<Ending> {
        let meant = self.wanted.arrives_at().filter(|meant| *meant != ns)?;
        let address = self.wanted.arrival().map(|flow| flow.destination)?;
        if let Some(altered) = self.altered(None) {
            let what = format!("{ns} answers in the place of {meant}: {}", altered.what);
            return Some(Ending { answered: true, what, ..altered });
        }
        let what = differences::translation(self).map_or_else(
            || format!("{ns} answers in the place of {meant}: {}", self.who_has(ns, meant, address)),
            |other| format!("{ns} answers in the place of {meant}: {}", other.words),
        );
        let obstacle = Obstacle {
            ns: ns.clone(),
            interface: None,
            cause: Cause::NobodyHas { address, elsewhere: Vec::new(), unplugged: None, proxy: None },
        };
        let to_do = super::remedy::by_steps(&obstacle, &self.evidence.remedies);
        Some(Ending { answered: true, namespace: Some(ns.to_string()), what, to_do, ..Ending::default() })
    }

    /// Which of two namespaces has an address.
    fn who_has(&self, ns: &NsName, meant: &NsName, address: IpAddr) -> String {
        let live = Owners::of(self.evidence.live);
        match live.has(meant, address) {
            true => format!("both have the address {address}"),
            false => format!("{ns} has the address {address}, and {meant} does not"),
        }
    }

    fn not_sent(&self, why: &str) -> Ending {
        let from = &self.evidence.asked.from;
        match self.round.obstacle() {
            Some((obstacle, false)) if obstacle.ns == *from => self.stopped(obstacle, false),
            Some(_) | None => match self.rule_at(from, false) {
                Some(ending) => ending,
                None => Ending {
                    namespace: Some(from.to_string()),
                    what: format!("{from} does not send it: {why}"),
                    ..Ending::default()
                },
            },
        }
    }

    fn no_answer(&self) -> Ending {
        if let Some(ending) = self.nobody_listens() {
            return ending;
        }
        if let Some(ending) = self.policy() {
            return ending;
        }
        if let Some((obstacle, is_back)) = self.round.obstacle()
            && self.fits(obstacle, is_back)
        {
            return self.stopped(obstacle, is_back);
        }
        self.behind_rules().unwrap_or_else(|| self.by_what_was_counted())
    }

    /// What keeps the packet behind a rule that keeps it by the model, and has not counted it: it was not met, by what
    /// the model does not know of it.
    fn behind_rules(&self) -> Option<Ending> {
        let mut round = self.round.clone();
        let mut namespaces = self.evidence.live.namespaces.clone();
        for _ in 0..MOST_RULES {
            let (obstacle, _) = round.obstacle().filter(|(obstacle, _)| !self.has_counted(obstacle))?;
            let Cause::Filtered(Verdict::Dropped(at) | Verdict::Rejected(at, _)) = &obstacle.cause else { return None };
            let ChainAt::Iptables(id) = &at.chain else { return None };
            let rules = namespaces.get_mut(&obstacle.ns)?.firewall.chains.get_mut(id)?;
            rules.get_mut(at.position.checked_sub(1)?)?.target = FirewallTarget::Continue;
            round = round_trip(&Layer2::new(&namespaces), self.asked);
            let case = Case { round: &round, ..*self };
            if let Some((obstacle, is_back)) = round.obstacle()
                && case.fits(obstacle, is_back)
            {
                return Some(case.stopped(obstacle, is_back));
            }
        }
        None
    }

    /// The ending at an obstacle of the live lab; what differs from the file before it comes first.
    pub(super) fn stopped(&self, obstacle: &Obstacle, is_back: bool) -> Ending {
        let evidence = self.evidence;
        if self.is_wanted(obstacle) {
            let ending = stopped(evidence.live, self.round, (obstacle, is_back), &evidence.remedies);
            let to_do = ending.to_do.iter().map(|what| format!("this is as the file says; for it to arrive, {what}"));
            return Ending { to_do: to_do.collect(), ..ending };
        }
        if let Some(ending) = self.without_namespace() {
            return ending;
        }
        if let Some(ending) = self.altered(Some(obstacle)) {
            return ending;
        }
        let mut ending = stopped(evidence.live, self.round, (obstacle, is_back), &evidence.remedies);
        if let Some(Difference { at, words, to_do, .. }) = differences::translation(self) {
            let then = ending.what;
            ending = Ending {
                namespace: Some(at.ns.to_string()),
                interface: None,
                what: format!("{words}; so {then}"),
                to_do,
                ..ending
            };
        } else if let Some((at, words)) = differences::route(self).filter(|(at, _)| at.ns != obstacle.ns) {
            ending.what = format!("{words}; so {}", ending.what);
            ending.to_do = super::remedy::for_obstacle(&at, &evidence.remedies);
            (ending.namespace, ending.interface) = (Some(at.ns.to_string()), None);
        } else if let Some((at, words)) = differences::holder(self, obstacle) {
            ending.what = words;
            ending.to_do = super::remedy::for_obstacle(&at, &evidence.remedies);
            (ending.namespace, ending.interface) = (Some(at.ns.to_string()), at.interface.map(|name| name.to_string()));
        }
        if let Cause::TooBig { is_told: true, .. } = obstacle.cause
            && let Some(rule) = evidence.counted.get(&obstacle.ns).and_then(|counted| counted.rules.first())
        {
            ending.what +=
                &format!("; the message that says so (fragmentation needed) is dropped by {}: {rule}", obstacle.ns);
        }
        ending
    }

    /// A namespace on the way that does not exist.
    fn without_namespace(&self) -> Option<Ending> {
        let ways = [Some(&self.wanted.there), self.wanted.back.as_ref()];
        let mut places = ways.into_iter().flatten().flat_map(|way| &way.legs).flat_map(|leg| places_of(leg, true));
        let gone = places.find(|ns| !self.evidence.live.namespaces.contains_key(*ns))?;
        let obstacle = Obstacle { ns: gone.clone(), interface: None, cause: Cause::NoNamespace };
        Some(Ending {
            namespace: Some(gone.to_string()),
            what: format!("the namespace {gone}, which is on the way, does not exist"),
            to_do: super::remedy::for_obstacle(&obstacle, &self.evidence.remedies),
            ..Ending::default()
        })
    }

    /// Whether the file says so, and the lab is as it says there.
    fn is_wanted(&self, obstacle: &Obstacle) -> bool {
        let is_same = |wanted: &Obstacle| wanted.ns == obstacle.ns && wanted.cause.kind() == obstacle.cause.kind();
        self.wanted.obstacle().is_some_and(|(wanted, _)| is_same(wanted))
            && super::remedy::by_steps(obstacle, &self.evidence.remedies).is_empty()
    }

    /// Whether the packet was last seen where this leaves it.
    pub(super) fn fits(&self, obstacle: &Obstacle, is_back: bool) -> bool {
        let way = if is_back { self.round.back.as_ref() } else { Some(&self.round.there) };
        let Some(way) = way else { return false };
        if !self.has_counted(obstacle) || self.is_passed(obstacle, is_back) {
            return false;
        }
        // Who asks for a MAC address in vain has not sent it yet.
        let places: Vec<&NsName> = way.last().into_iter().flat_map(|leg| places_of(leg, true)).collect();
        let kind = |sighting: &&Sighting| (sighting.seen.kind != Kind::Sent) == is_back;
        let of_errors =
            |sighting: &&Sighting| !matches!(sighting.seen.kind, Kind::Error(_)) || sighting.seen.kind.is_refusal();
        let last = self.sightings.iter().filter(kind).rfind(of_errors);
        // Who does not believe a source does not answer its questions either: the namespace before sees it last.
        let before = way.legs.len().checked_sub(2).and_then(|at| way.legs.get(at)).map(|leg| &leg.ns);
        if matches!(obstacle.cause, Cause::ReversePath { .. } | Cause::RuleDrops(_))
            && last.map(|last| &last.ns).or(way.legs.first().map(|first| &first.ns)) == before
        {
            return true;
        }
        // Who still knows the MAC address of its former holder sends it there.
        if let Cause::NobodyHas { address, .. } = obstacle.cause
            && last.is_some_and(|last| self.comes_to_former_holder(last, address))
        {
            return true;
        }
        match (last, is_back) {
            (Some(last), _) => last.ns == obstacle.ns || places.contains(&&last.ns) || self.is_beside(last, obstacle),
            // Nothing left at all.
            (None, false) => way.legs.len() == 1,
            (None, true) => way.legs.len() == 1 && self.arrived().is_some(),
        }
    }

    /// Whether a packet was last seen where it has arrived by the file, and for an address that is to be there.
    fn comes_to_former_holder(&self, last: &Sighting, address: IpAddr) -> bool {
        let is_for_it = !last.leaves && last.seen.inside.is_none() && last.seen.destination.0 == address;
        is_for_it && Owners::of(self.evidence.wanted).has(&last.ns, address)
    }

    /// Whether the packet was seen behind an obstacle of the model, which so has not kept it.
    pub(super) fn is_passed(&self, obstacle: &Obstacle, is_back: bool) -> bool {
        let interfaces = self.evidence.live.namespaces.get(&obstacle.ns).map(|own| &own.interfaces);
        let Some(name) = &obstacle.interface else { return false };
        let keeps_it_off = matches!(
            obstacle.cause,
            Cause::Isolated { .. } | Cause::PortClosed(_) | Cause::OtherVlan(_) | Cause::Down | Cause::TooBig { .. }
        );
        if !keeps_it_off {
            return false;
        }
        let peer = interfaces.and_then(|all| all.get(name)?.peer());
        let takes_it = matches!(obstacle.cause, Cause::TooBig { is_told: false, .. });
        self.sightings.iter().any(|one| {
            let at = |ns: &NsName, name: &IfName| one.ns == *ns && one.interface == *name;
            let is_behind = peer.is_some_and(|peer| at(&peer.ns, &peer.name)) || (takes_it && at(&obstacle.ns, name));
            !one.leaves && (one.seen.kind != Kind::Sent) == is_back && is_behind
        })
    }

    /// Whether the rule that is said to keep it has matched something, if rules of its kind count.
    fn has_counted(&self, obstacle: &Obstacle) -> bool {
        let Cause::Filtered(Verdict::Dropped(at) | Verdict::Rejected(at, _)) = &obstacle.cause else { return true };
        if matches!(at.chain, ChainAt::Nft(..)) {
            return true;
        }
        let counted = self.evidence.counted.get(&obstacle.ns).map(|counted| counted.rules.as_slice());
        let rule = self.evidence.live.namespaces.get(&obstacle.ns).map(|own| words::rule(own, at));
        rule.is_some_and(|rule| counted.unwrap_or_default().contains(&rule))
    }

    /// Whether a packet was last seen at the other end of the link of an obstacle.
    fn is_beside(&self, last: &Sighting, obstacle: &Obstacle) -> bool {
        let interfaces = self.evidence.live.namespaces.get(&obstacle.ns).map(|own| &own.interfaces);
        let named = obstacle.interface.as_ref().and_then(|name| interfaces?.get(name));
        named.and_then(|interface| interface.peer()).is_some_and(|peer| peer.ns == last.ns)
    }
}
