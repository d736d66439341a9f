//! What is told of a packet for whose loss the model knows no reason: where it was seen last, what has been counted
//! there, and what is not as the file says.

use std::net::IpAddr;

use super::altered;
use super::diagnosis::places_of;
use super::evidence::Case;
use super::frame::Kind;
use super::remedy;
use super::sighted::Sighting;
use super::story::Ending;
use super::words;
use crate::forwarding::{Cause, Obstacle, Outcome, Verdict};
use crate::lab::{IfName, NsName, Owners};

/// No more things that are in no file are named than this.
const MOST_OTHERS: usize = 3;

impl Case<'_> {
    /// What a namespace has that is in no file.
    pub(super) fn others(&self, ns: &NsName) -> Vec<String> {
        let others = self.evidence.observed.namespaces.get(ns).map(|own| own.foreign.others.as_slice());
        let others = others.unwrap_or_default().iter().take(MOST_OTHERS);
        others.map(|other| format!("{ns} has something that is in no file: {}", other.object.text)).collect()
    }

    /// What the model knows no reason for.
    pub(super) fn by_what_was_counted(&self) -> Ending {
        let evidence = self.evidence;
        let of_errors = |sighting: &&Sighting| !matches!(sighting.seen.kind, Kind::Error(_));
        let last = self.sightings.iter().rfind(of_errors);
        let Some(last) = last else { return self.never_seen() };
        if let Some(ending) = self.rule_at(&last.ns, last.seen.kind != Kind::Sent).or_else(|| self.altered(None)) {
            return ending;
        }
        let place = words::place(&last.ns, Some(&last.interface));
        let what_it_is = if last.seen.kind == Kind::Sent { "it" } else { "the answer" };
        let way = if last.leaves { "went out through" } else { "came in through" };
        let mut what = format!("{what_it_is} {way} {place}, and was not seen after that");
        let next_hops = self.next_hops(&last.ns);
        let asks = |asked: &&(NsName, IfName, IpAddr)| asked.0 == last.ns && next_hops.contains(&asked.2);
        if let Some((ns, interface, target)) = evidence.unanswered.iter().find(asks) {
            let who = Owners::of(evidence.wanted).shown(*target);
            what = format!("{ns}/{interface} asks who has {who}, and nobody answers");
        }
        let obstacle =
            Obstacle { ns: last.ns.clone(), interface: None, cause: Cause::Filtered(Verdict::Accepted(None)) };
        let mut to_do = remedy::by_steps(&obstacle, &evidence.remedies);
        if let Some(first) = to_do.first_mut() {
            *first = format!("{} is not as its file says, which may be why; `nslab apply` would do:", last.ns);
        }
        let said = self.sightings.iter().find_map(|sighting| match &sighting.seen.kind {
            Kind::Error(what) => Some(format!("{} says: {what}", sighting.seen.source.0)),
            Kind::Sent | Kind::Answer | Kind::Reset => None,
        });
        let counters = evidence.counted.get(&last.ns).map(|counted| &counted.ip);
        let counted = counters.into_iter().flatten().map(|(name, by)| format!("{} counted {name} +{by}", last.ns));
        Ending {
            namespace: Some(last.ns.to_string()),
            interface: Some(last.interface.to_string()),
            is_unexplained: true,
            what,
            to_do,
            besides: self
                .others(&last.ns)
                .into_iter()
                .chain(said)
                .chain(counted)
                .chain(evidence.lost.iter().cloned())
                .collect(),
            ..Ending::default()
        }
    }

    /// Of a packet that was seen nowhere: usually, the sender has asked for a MAC address in vain.
    fn never_seen(&self) -> Ending {
        let evidence = self.evidence;
        let from = &evidence.asked.from;
        if let Some(ending) = self.rule_at(from, false).or_else(|| self.altered(None)) {
            return ending;
        }
        let next_hops = self.next_hops(from);
        let asks = |asked: &&(NsName, IfName, IpAddr)| asked.0 == *from && next_hops.contains(&asked.2);
        let what = match evidence.unanswered.iter().find(asks) {
            Some((ns, interface, target)) => {
                let who = Owners::of(evidence.wanted).shown(*target);
                format!("{ns}/{interface} asks who has {who}, and nobody answers")
            }
            None => format!("it was seen at no interface of {from}"),
        };
        // What differs from the file on the first link may be why.
        let places = self.wanted.there.legs.iter().take(2).flat_map(|leg| places_of(leg, true));
        let mut to_do = Vec::new();
        for ns in places {
            let cause = Cause::NoNamespace;
            let at = Obstacle { ns: ns.clone(), interface: None, cause };
            let steps = remedy::by_steps(&at, &evidence.remedies);
            if to_do.is_empty() && !steps.is_empty() {
                to_do = steps;
                let why = format!("{ns} is not as its file says, which may be why; `nslab apply` would do:");
                to_do.splice(..1, [why]);
            }
        }
        Ending { namespace: Some(from.to_string()), what, to_do, is_unexplained: true, ..Ending::default() }
    }

    /// An interface that is not as the file says, and may be why the packet comes no further.
    pub(super) fn altered(&self, obstacle: Option<&Obstacle>) -> Option<Ending> {
        let altered::Altered { at, words, to_do } = altered::interface(self, obstacle)?;
        let (namespace, interface) = (Some(at.ns.to_string()), Some(at.name.to_string()));
        Some(Ending { namespace, interface, what: words, to_do, ..Ending::default() })
    }

    /// Whom a namespace sends the packet or its answer to, by the model.
    fn next_hops(&self, ns: &NsName) -> Vec<IpAddr> {
        let ways = [Some(&self.round.there), self.round.back.as_ref()];
        let legs = ways.into_iter().flatten().flat_map(|way| &way.legs).filter(|leg| leg.ns == *ns);
        legs.filter_map(|leg| match &leg.decision.outcome {
            Outcome::Leaves { next_hop, .. } => Some(*next_hop),
            Outcome::Local { .. } | Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => None,
        })
        .collect()
    }
}
