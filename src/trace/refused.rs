//! Refusals: that nobody listens where a packet has arrived, and what becomes of the word about it.

use super::differences::{self, Difference};
use super::evidence::Case;
use super::frame::Kind;
use super::sighted::Sighting;
use super::story::Ending;
use super::words;
use crate::forwarding::Asked;
use crate::lab::Protocol;

impl Case<'_> {
    /// A refusal that comes from where the packet was to arrive.
    pub(super) fn nobody_listens(&self) -> Option<Ending> {
        let refusal = self.sightings.iter().find(|sighting| sighting.seen.kind.is_refusal())?;
        let last = self.sightings.iter().rfind(|sighting| sighting.seen.kind == Kind::Sent)?;
        if last.ns != refusal.ns || last.leaves || self.rule_at(&refusal.ns, false).is_some() {
            return None;
        }
        if let Some((obstacle, false)) = self.round.obstacle()
            && !self.is_passed(obstacle, false)
        {
            return Some(self.stopped(obstacle, false)).filter(|_| obstacle.ns == last.ns);
        }
        let (ns, port) = (&last.ns, last.seen.destination.1?);
        let protocol = match self.evidence.protocol {
            Protocol::Udp(_) => "UDP",
            Protocol::Tcp(_) | Protocol::Icmp => "TCP",
        };
        let listens = format!("nobody listens on {protocol} port {port} of {ns}");
        let start = format!(
            "start a program there (a check of a port listens itself while it runs): `run:` or `serve:` in the file, or \
             `nslab exec {} {ns} -- …`",
            self.evidence.wanted.name
        );
        if let Some(lost) = self.lost_refusal(&listens) {
            return Some(Ending { to_do: lost.to_do.into_iter().chain([start]).collect(), ..lost });
        }
        let (at, what, to_do) = match differences::translation(self).filter(|other| other.is_of_destination) {
            Some(Difference { at, words, to_do, .. }) => (at.ns, format!("{words}; so {listens}"), to_do),
            None => (ns.clone(), format!("it arrives, and {listens}"), vec![start]),
        };
        let besides = if at == *ns { self.others(ns) } else { Vec::new() };
        Some(Ending { namespace: Some(at.to_string()), what, to_do, besides, ..Ending::default() })
    }

    /// Where a refusal got lost that did not come to the sender.
    fn lost_refusal(&self, listens: &str) -> Option<Ending> {
        let refusals = || self.sightings.iter().filter(|sighting| sighting.seen.kind.is_refusal());
        // One from somebody else than it has written to, the sender takes for nothing.
        let Asked { from, flow, .. } = self.evidence.asked;
        let is_from_there = |kind: &Kind, source| *kind != Kind::Reset || source == flow.destination;
        let is_told =
            |one: &Sighting| one.ns == *from && !one.leaves && is_from_there(&one.seen.kind, one.seen.source.0);
        if refusals().any(is_told) {
            return None;
        }
        let told = |what: &str| format!("it arrives, and {listens}; the refusal {what}");
        if let Some((obstacle, true)) = self.round.obstacle()
            && self.fits(obstacle, true)
        {
            let ending = self.stopped(obstacle, true);
            let lost = ending.what.strip_prefix("it arrives, but the answer ").map(told);
            return Some(Ending { what: lost.unwrap_or(ending.what), ..ending });
        }
        let last = refusals().next_back()?;
        if let Some(rule) = self.evidence.counted.get(&last.ns).and_then(|counted| counted.rules.first()) {
            let what = told(&format!("is dropped by {}: {rule}", last.ns));
            return Some(Ending { namespace: Some(last.ns.to_string()), what, ..Ending::default() });
        }
        let way = if last.leaves { "went out through" } else { "came in through" };
        let place = words::place(&last.ns, Some(&last.interface));
        Some(Ending {
            namespace: Some(last.ns.to_string()),
            interface: Some(last.interface.to_string()),
            is_unexplained: true,
            what: told(&format!("{way} {place}, and was not seen after that")),
            ..Ending::default()
        })
    }
}
