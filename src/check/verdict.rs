//! Whether what was seen is what was promised, and the words for what was seen instead.

use std::net::IpAddr;
use std::time::Duration;

use nix::errno::Errno;

use super::observation::{Answer, Observation};
use super::registry::Arrival;
use super::report::{HOST_UNREACHABLE, NotSentCause, Outcome};
use super::{dns, http};
use crate::lab::Owners;
use crate::lab::{Asks, Check, Expect, NsName, Probe, Protocol, SeenAs};

/// Why nslab did not see a probe arrive, although it was answered.
const ELSEWHERE: &str = "the answer came from another place that has its address";

/// What a check promises, in words: `reachable, seen as itself`.
pub(super) fn promise(check: &Check) -> String {
    let mut text = match check.expect {
        Expect::Reachable => "reachable".to_owned(),
        Expect::Unreachable => "unreachable".to_owned(),
        Expect::Unanswered => "unanswered".to_owned(),
        Expect::Refused => "refused".to_owned(),
    };
    match (check.expect, &check.asks) {
        (Expect::Reachable, Some(Asks::Http(request))) => text += &format!(", {}", http::promise(request)),
        (Expect::Reachable, Some(Asks::Dns(query))) => text += &format!(", {}", dns::promise(query)),
        (_, Some(_) | None) => {}
    }
    if let Some(size) = check.size {
        let how = if size.dont_fragment { "" } else { ", also in fragments" };
        text += &format!(", {} bytes{how}", size.bytes);
    }
    match check.seen_as {
        Some(SeenAs::Itself) => text += ", seen as itself",
        Some(SeenAs::Address(address)) => text += &format!(", seen as {address}"),
        None => {}
    }
    if let Some(connections) = check.spread {
        text += &format!(", {connections} connections spread");
    }
    if let Some(ns) = &check.answered_by {
        text += &format!(", answered by {ns}");
    }
    text
}

/// One try of a probe, to be judged.
#[derive(Clone, Copy)]
pub(super) struct Try<'a> {
    /// What was promised.
    pub check: &'a Check,
    /// The pair.
    pub probe: &'a Probe,
    /// What was seen.
    pub seen: &'a Observation,
    /// Who has which address.
    pub owners: &'a Owners,
}

impl Try<'_> {
    /// Whether it came out as promised.
    ///
    /// # Errors
    /// What was seen instead, in words.
    pub(super) fn judge(&self) -> Result<(), String> {
        let arrived = self.arrived();
        match (self.check.expect, &self.seen.outcome) {
            (_, Outcome::NoProbe { what }) => Err(what.clone()),
            (Expect::Reachable, Outcome::Answered) => {
                self.answerer().and_then(|()| self.translation()).and_then(|()| self.answer())
            }
            (Expect::Refused, Outcome::Refused { .. }) => Ok(()),
            (Expect::Unreachable, Outcome::Silence | Outcome::Unreachable { .. } | Outcome::NotSent { .. })
                if !arrived =>
            {
                Ok(())
            }
            // No port is closed to a ping: "port unreachable" is what REJECT of iptables sends by default.
            (Expect::Unreachable, Outcome::Refused { .. }) if self.is_ping() && !arrived => Ok(()),
            // Another host has answered under its address: the namespace itself was not reached.
            (Expect::Unreachable, Outcome::Answered | Outcome::Stalled | Outcome::NoAnswer { .. })
                if self.probe.arrives_at.is_some() && !arrived && self.is_answerer_known() =>
            {
                Ok(())
            }
            (Expect::Unanswered, Outcome::Silence | Outcome::Unreachable { .. }) if arrived => Ok(()),
            (_, outcome) => Err(self.instead(outcome)),
        }
    }

    fn is_ping(&self) -> bool {
        self.check.protocol == Protocol::Icmp
    }

    /// Whether the kernel of the namespace that is meant has seen the probe; where an address is meant, that of any.
    fn arrived(&self) -> bool {
        let is_meant = |arrival: &Arrival| self.probe.arrives(&arrival.ns) && !self.is_past_its_port(arrival);
        self.seen.arrival.iter().chain(&self.seen.also_at).any(is_meant)
    }

    /// Whether a probe of a published port came to the namespace behind it another way: as it was sent, to an address
    /// that the namespace has as well.
    fn is_past_its_port(&self, arrival: &Arrival) -> bool {
        let Probe { to, arrives_at, listen, .. } = self.probe;
        let is_published = arrives_at.is_some() && to.ns.is_some() && *arrives_at != to.ns;
        let port = match self.check.protocol {
            Protocol::Icmp => None,
            Protocol::Tcp(port) | Protocol::Udp(port) => Some(port),
        };
        // Only the port may be another one behind it.
        let mut there = listen.iter().filter(|(ns, _)| Some(ns) == arrives_at.as_ref());
        is_published && arrival.destination == Some(to.address) && there.all(|(_, own)| Some(*own) == port)
    }

    /// Whether it is known where the probe came to that was answered. Nslab sees that everywhere; but where a program
    /// has answered and not nslab, a packet that was not read in time would be the only proof.
    fn is_answerer_known(&self) -> bool {
        let is_program = self.seen.taken || self.check.asks.is_some();
        !is_program || self.seen.arrival.is_some()
    }

    /// Whether the right namespace has answered: an answer is no proof that it was asked.
    fn answerer(&self) -> Result<(), String> {
        let wanted = self.check.answered_by.as_ref().or(self.probe.arrives_at.as_ref());
        if let (Some(_), Some(one), Some(other)) = (wanted, &self.seen.arrival, &self.seen.also_at) {
            return Err(format!(
                "it arrived at {} and at {}: which of them has answered is not known",
                one.ns, other.ns
            ));
        }
        match (wanted, &self.seen.arrival) {
            (None, _) if self.probe.endpoints.is_empty() => Ok(()),
            (None, Some(arrival)) if self.probe.arrives(&arrival.ns) => Ok(()),
            (None, Some(arrival)) => {
                Err(format!("answered by {}, which is none of {}", arrival.ns, endpoints(self.probe)))
            }
            (None, None) => {
                Err(format!("answered, but none of {} has seen it arrive: {}", endpoints(self.probe), ELSEWHERE))
            }
            (Some(wanted), Some(arrival))
                if arrival.ns == *wanted && self.check.answered_by.is_none() && self.is_past_its_port(arrival) =>
            {
                let (named, address) = (&self.probe.to.label, self.probe.to.address);
                Err(format!("answered by {wanted}, which has the address {address}, too, and not by way of {named}"))
            }
            (Some(wanted), Some(arrival)) if arrival.ns == *wanted => Ok(()),
            (Some(wanted), Some(arrival)) => Err(format!("answered by {}, not by {wanted}", arrival.ns)),
            (Some(wanted), None) => Err(format!("answered, but {wanted} has not seen it arrive: {ELSEWHERE}")),
        }
    }

    /// Whether the destination saw the right source address.
    fn translation(&self) -> Result<(), String> {
        let wanted = match (self.check.seen_as, self.seen.left_as) {
            (None, _) => return Ok(()),
            (Some(SeenAs::Address(address)), _) => address,
            (Some(SeenAs::Itself), Some(own)) => own,
            (Some(SeenAs::Itself), None) => return Err("the address that it left with is not known".to_owned()),
        };
        let Some(arrival) = &self.seen.arrival else {
            return Err(format!("answered, but which source address arrived is not known: {ELSEWHERE}"));
        };
        // What address a ping leaves with is asked of a socket that may take another one of several ways out.
        let may_be_own = || {
            let is_asked = self.is_ping() && self.check.seen_as == Some(SeenAs::Itself);
            is_asked && self.owners.may_leave_as(&self.probe.from, arrival.source)
        };
        if arrival.source == wanted || may_be_own() {
            return Ok(());
        }
        let why = match self.check.seen_as {
            Some(SeenAs::Itself) => "it is translated on the way (masquerade?)",
            _ if self.seen.left_as == Some(arrival.source) => "it is not translated on the way",
            _ => "it is translated to another address",
        };
        let (saw, wanted) = (self.owners.shown(arrival.source), self.owners.shown(wanted));
        Err(format!("arrived, but {} saw {saw} instead of {wanted}: {why}", arrival.ns))
    }

    /// Whether what a program has answered is what was promised.
    pub(super) fn answer(&self) -> Result<(), String> {
        match (&self.check.asks, &self.seen.answer) {
            (None, _) => Ok(()),
            (Some(Asks::Http(request)), Some(Answer::Http(answer))) => answer.judge(request),
            (Some(Asks::Dns(query)), Some(Answer::Dns(answer))) => answer.judge(query),
            (Some(_), _) => Err("no answer came to what was asked".to_owned()),
        }
    }

    /// What was seen instead of what was promised.
    fn instead(&self, outcome: &Outcome) -> String {
        let what = match outcome {
            Outcome::Answered => match &self.seen.arrival {
                Some(arrival) => format!("answered by {}", arrival.ns),
                None => "answered".to_owned(),
            },
            Outcome::Refused { by } => self.refused(*by),
            Outcome::Unreachable { what, by } => self.error(what, *by),
            Outcome::NotSent { what, .. } => format!("{} cannot send it: {what}", self.probe.from),
            Outcome::Stalled => self.stalled(),
            Outcome::Ran { .. } => "the command has ended".to_owned(),
            Outcome::NoAnswer { what } => self.no_answer(what),
            Outcome::Silence => self.silence(),
            Outcome::NoProbe { what } => what.clone(),
        };
        match self.check.expect {
            Expect::Reachable => what,
            Expect::Unreachable => format!("{what}, though it should be unreachable"),
            Expect::Unanswered => format!("{what}, though it should arrive and not be answered"),
            Expect::Refused => format!("{what}, though it should be refused"),
        }
    }

    /// Who has refused it, as far as is known, and why.
    fn refused(&self, by: Option<IpAddr>) -> String {
        let destination = self.probe.to.address;
        let who = match (by, &self.seen.arrival) {
            (Some(by), _) => format!("refused by {}", self.who(by)),
            (None, Some(arrival)) => format!("refused by {}", arrival.ns),
            (None, None) => "refused".to_owned(),
        };
        let at = match by {
            Some(by) if by == destination => "there".to_owned(),
            None if self.seen.arrival.is_some() => "there".to_owned(),
            Some(_) | None => format!("at {}", self.owners.shown(destination)),
        };
        match self.check.expect {
            Expect::Unreachable => who,
            _ if self.is_ping() => format!("{who}: a rule rejects it"),
            _ if self.probe.to.is_service() && self.probe.endpoints.is_empty() => format!(
                "{who}: {} leads to no pod at {} (does its `selector` match a pod that is ready?)",
                self.probe.to.label,
                self.check.protocol.named(None)
            ),
            _ if self.seen.taken => {
                format!("{who}: a program has {} there, but not at this address, or a rule rejects it", self.led_to().0)
            }
            Expect::Reachable | Expect::Unanswered | Expect::Refused => match self.led_to() {
                (port, None) => format!("{who}: nothing listens on {port} {at}, or a rule rejects it"),
                (port, Some(ns)) => {
                    let outer = self.check.protocol.named(None);
                    format!("{who}: nothing listens on {port} of {ns}, to which {outer} is led, or a rule rejects it")
                }
            },
        }
    }

    /// The port at which the probe came to a namespace, and that namespace if it was led there, to another port or to
    /// another namespace than it was sent to.
    fn led_to(&self) -> (String, Option<&NsName>) {
        let sent = self.check.protocol;
        let there = self.seen.arrival.as_ref().and_then(|arrival| {
            let inner = self.probe.listen.iter().find(|(ns, _)| *ns == arrival.ns).map(|(_, port)| sent.at(*port))?;
            let has_moved = arrival.destination.is_some_and(|address| address != self.probe.to.address);
            // One that came past the port, to the address that was meant, was not led.
            let is_there = self.probe.to.ns.as_ref().is_none_or(|ns| *ns == arrival.ns);
            let is_led = has_moved || (is_there && inner != sent);
            is_led.then_some((inner.named(None), Some(&arrival.ns)))
        });
        there.unwrap_or_else(|| (sent.named(None), None))
    }

    /// An error that the network has reported, and who sent it.
    fn error(&self, what: &str, by: Option<IpAddr>) -> String {
        match (&self.seen.arrival, by) {
            (None, None) => format!("answered with an error: {what}"),
            (None, Some(by)) => format!("{} answered with an error: {what}", self.who(by)),
            (Some(arrival), None) => format!("it arrived at {}, and was answered with an error: {what}", arrival.ns),
            (Some(arrival), Some(by)) => {
                format!("it arrived at {}, and {} answered with an error: {what}", arrival.ns, self.who(by))
            }
        }
    }

    /// The address that has reported something, with its namespace: where the address that was probed has, that in
    /// which the probe arrived, whoever else has the address.
    pub(super) fn who(&self, by: IpAddr) -> String {
        match &self.seen.arrival {
            Some(arrival) if by == self.probe.to.address => format!("{by} ({})", arrival.ns),
            Some(_) | None => self.owners.shown(by),
        }
    }

    /// What came instead of an answer of a program, and where, as far as that is known.
    fn no_answer(&self, what: &str) -> String {
        let at = self.seen.arrival.as_ref().map(|arrival| format!(" (at {})", arrival.ns)).unwrap_or_default();
        format!("{what}{at}")
    }

    fn stalled(&self) -> String {
        let what = match self.check.size {
            _ if self.check.asks.is_some() => {
                let within = in_words(self.check.timeout);
                return self.no_answer(&format!("connected, but no whole answer came within {within}"));
            }
            Some(size) => format!("packets of up to {} bytes did not come through", size.bytes),
            None => "nothing that was sent then came through".to_owned(),
        };
        format!("connected, but {what}, there or back, within {}", in_words(self.check.timeout))
    }

    fn silence(&self) -> String {
        let within = in_words(self.check.timeout);
        match &self.seen.arrival {
            Some(arrival) => {
                let source = self.owners.shown(arrival.source);
                let ns = &arrival.ns;
                match self.check.expect {
                    Expect::Unreachable => {
                        format!("it arrived at {ns}, from {source}, and only the answer was lost")
                    }
                    _ if self.seen.taken && matches!(self.check.protocol, Protocol::Udp(_)) => format!(
                        "it arrived at {ns}, from {source}, and the program that has the port there did not answer \
                         what it does not know within {within}"
                    ),
                    Expect::Reachable | Expect::Unanswered | Expect::Refused => format!(
                        "it arrived at {ns}, from {source}, but no answer came back within {within} (does {ns} have a \
                         route back?)"
                    ),
                }
            }
            // icmp_ratelimit in icmp(7).
            None if self.check.expect == Expect::Refused => {
                format!("no answer within {within} (after six refusals a host sends another only one a second)")
            }
            None => match self.check.size {
                Some(size) => format!(
                    "no answer to a packet of {} bytes within {within} (does a smaller one come through?)",
                    size.bytes
                ),
                None => format!("no answer within {within}"),
            },
        }
    }
}

/// The endpoints of a probe, a few of them by name.
fn endpoints(probe: &Probe) -> String {
    let named: Vec<&str> = probe.endpoints.iter().take(3).map(NsName::as_str).collect();
    let more = if probe.endpoints.len() > named.len() { ", …" } else { "" };
    format!("the endpoints {}{more}", named.join(", "))
}

/// `1 s`, `250 ms`.
pub(super) fn in_words(duration: Duration) -> String {
    if duration >= Duration::from_secs(1) {
        format!("{} s", duration.as_secs_f64())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

/// Why the sender's own kernel did not let a packet out, if that is a matter of the network: a route, a rule
/// (ip-route(8) names the error of each type of route).
pub(super) fn local_refusal(errno: Errno, probe: &Probe, owners: &Owners) -> Option<Outcome> {
    let to = || owners.shown(probe.to.address);
    let (cause, why) = match errno {
        Errno::ENETUNREACH => (NotSentCause::NoRoute, format!("it has no route to {}", to())),
        Errno::EHOSTUNREACH => {
            (NotSentCause::UnreachableRoute, format!("its route to {} is of type unreachable", to()))
        }
        Errno::EACCES => (NotSentCause::ProhibitRoute, format!("its route to {} is of type prohibit", to())),
        Errno::EINVAL => (NotSentCause::BlackholeRoute, format!("its route to {} is of type blackhole", to())),
        Errno::EPERM => {
            (NotSentCause::OutputRule, "a firewall rule for its own packets drops it (chain OUTPUT)".to_owned())
        }
        Errno::ENETDOWN => (NotSentCause::InterfaceDown, "the interface is down".to_owned()),
        Errno::EMSGSIZE => (NotSentCause::TooLarge, "it is larger than the MTU of the interface".to_owned()),
        Errno::EADDRNOTAVAIL if probe.source.is_none() => {
            (NotSentCause::NoSource, format!("it has no address of its own to reach {} from", to()))
        }
        // The words of WireGuard (wg_xmit in the kernel).
        Errno::ENOKEY => {
            (NotSentCause::NoPeer, format!("no peer of its WireGuard interface has {} among its allowed-ips", to()))
        }
        Errno::EDESTADDRREQ => {
            (NotSentCause::NoEndpoint, "its WireGuard interface has not heard from the peer yet".to_owned())
        }
        _ => return None,
    };
    Some(Outcome::NotSent { cause, what: format!("{why}: {}", errno.desc()) })
}

/// What an error on a connected socket means, that the network has reported (icmp(7), RFC 1122 section 4.2.3.9).
pub(super) fn network_refusal(errno: Errno) -> Outcome {
    let what = match errno {
        Errno::ECONNREFUSED => return Outcome::Refused { by: None },
        Errno::ETIMEDOUT => return Outcome::Silence,
        Errno::EHOSTUNREACH => HOST_UNREACHABLE,
        Errno::ENETUNREACH => "network unreachable",
        Errno::EACCES | Errno::EPERM => "administratively prohibited",
        Errno::ENOPROTOOPT => "protocol unreachable",
        other => other.desc(),
    };
    Outcome::Unreachable { what: what.to_owned(), by: None }
}
