//! Which rule, or policy of a chain, has counted the packet: what has counted something may have counted another one.

use super::evidence::Case;
use super::frame::Kind;
use super::remedy;
use super::sighted::Sighting;
use super::story::Ending;
use crate::forwarding::{Cause, Flow, Leg, Obstacle, Outcome, Verdict, leaving};
use crate::iptables;
use crate::lab::{Family, IpProtocol, NsName, ObservedRule};

/// The chains that a filter begins with.
const BUILT_IN: [&str; 3] = ["INPUT", "FORWARD", "OUTPUT"];

impl Case<'_> {
    /// The rule of a namespace that has dropped or rejected something meanwhile.
    pub(super) fn rule_at(&self, ns: &NsName, is_answer: bool) -> Option<Ending> {
        let rules = self.evidence.counted.get(ns)?.rules.iter();
        let matching = rules.filter_map(|rule| Some((rule, self.matches(ns, rule, is_answer)?)));
        // What surely matches comes before what may.
        let (rule, is_sure) = matching.min_by_key(|(_, is_sure)| !is_sure)?;
        let does = match (rule.contains("REJECT"), is_sure) {
            (true, true) => "rejects",
            (false, true) => "drops",
            (true, false) => "may reject",
            (false, false) => "may drop",
        };
        let obstacle = Obstacle { ns: ns.clone(), interface: None, cause: Cause::Filtered(Verdict::Accepted(None)) };
        let to_do = remedy::for_obstacle(&obstacle, &self.evidence.remedies);
        let what = match is_answer {
            true => format!("it arrives, and {ns} {does} the answer: {rule}"),
            false => format!("{ns} {does} it: {rule}"),
        };
        Some(Ending { namespace: Some(ns.to_string()), what, to_do, ..Ending::default() })
    }

    /// Whether a rule, or a policy, that has counted something has counted this packet by the model: surely, or
    /// perhaps; none: it does not match it.
    fn matches(&self, ns: &NsName, rule: &str, is_answer: bool) -> Option<bool> {
        let Some(leg) = self.leg(ns, is_answer) else { return Some(true) };
        if rule.starts_with("`-P") {
            let is_asked = rule == format!("`-P {} DROP`", asked_of(leg));
            return (is_asked && !matches!(leg.verdict, Some(Verdict::Accepted(Some(_))))).then_some(true);
        }
        let own = self.evidence.live.namespaces.get(ns)?;
        let flow = match &leg.decision.outcome {
            Outcome::Leaves { dev, source, .. } => leaving(&leg.destination, dev, *source).1,
            Outcome::Local { .. } | Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => {
                leg.destination.flow.clone()
            }
        };
        let (chain, text) = rule.trim_matches('`').strip_prefix("-A ")?.split_once(' ')?;
        if BUILT_IN.contains(&chain) && chain != asked_of(leg) {
            return None;
        }
        let family = Family::of(flow.destination);
        let known = own.firewall.chains.iter().filter(|(id, _)| id.family == family && id.chain.as_str() == chain);
        let known = known.flat_map(|(_, rules)| rules).cloned().map(ObservedRule::Known);
        let mut known = known.filter(|known| iptables::shell_line(known) == text);
        let rule = known.next().unwrap_or_else(|| iptables::read(family, &without_echo(text, &flow, is_answer)));
        match rule.meaning() {
            Some(rule) => flow.meets(own, &rule.matches).then(|| !rule.matches.is_chance()),
            None => Some(false),
        }
    }

    fn leg(&self, ns: &NsName, is_answer: bool) -> Option<&Leg> {
        let way = if is_answer { self.round.back.as_ref()? } else { &self.round.there };
        way.legs.iter().find(|leg| leg.ns == *ns)
    }

    /// The policy of a chain that has dropped the packet where it was seen coming in last: what the model has of the
    /// link behind is not what keeps it then.
    pub(super) fn policy(&self) -> Option<Ending> {
        let of_errors = |sighting: &&Sighting| !matches!(sighting.seen.kind, Kind::Error(_));
        let last = self.sightings.iter().rfind(of_errors).filter(|last| !last.leaves)?;
        let is_answer = last.seen.kind != Kind::Sent;
        let leg = self.leg(&last.ns, is_answer)?;
        let is_before = |obstacle: &Obstacle| {
            let is_asked_first = matches!(
                obstacle.cause,
                Cause::ReversePath { .. } | Cause::NotForwarding(_) | Cause::TooBig { is_told: true, .. }
            );
            obstacle.ns == last.ns && is_asked_first
        };
        let is_end = matches!(leg.verdict, Some(Verdict::Accepted(None)));
        if !is_end || self.round.obstacle().is_some_and(|(obstacle, _)| is_before(obstacle)) {
            return None;
        }
        let policy = format!("`-P {} DROP`", asked_of(leg));
        let has_counted = self.evidence.counted.get(&last.ns)?.rules.contains(&policy);
        self.rule_at(&last.ns, is_answer).filter(|_| has_counted)
    }
}

/// The arguments of a rule without that it is about echo requests, or answers to them, where the packet is one.
fn without_echo(text: &str, flow: &Flow, is_answer: bool) -> String {
    let condition = match (flow.protocol, is_answer) {
        (IpProtocol::Icmp, false) => " -m icmp --icmp-type 8",
        (IpProtocol::Icmp, true) => " -m icmp --icmp-type 0",
        (IpProtocol::Icmpv6, false) => " -m icmp6 --icmpv6-type 128",
        (IpProtocol::Icmpv6, true) => " -m icmp6 --icmpv6-type 129",
        (_, _) => return text.to_owned(),
    };
    text.replacen(condition, "", 1)
}

/// The built-in chain of the filter in which a namespace asks about a packet.
fn asked_of(leg: &Leg) -> &'static str {
    match (&leg.decision.outcome, &leg.came.input) {
        (_, None) => "OUTPUT",
        (Outcome::Local { .. }, Some(_)) => "INPUT",
        (Outcome::Leaves { .. } | Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute, Some(_)) => {
            "FORWARD"
        }
    }
}
