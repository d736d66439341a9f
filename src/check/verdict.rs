//! Whether what was seen is what was promised, and the words for what was seen instead.

use std::net::IpAddr;
use std::time::Duration;

use nix::errno::Errno;

use super::observation::Observation;
use super::report::Outcome;
use crate::lab::{Check, Expect, Probe, Protocol, SeenAs};

/// What a check promises, in words: `reachable, seen as itself`.
pub(super) fn promise(check: &Check) -> String {
    let mut text = match check.expect {
        Expect::Reachable => "reachable".to_owned(),
        Expect::Unreachable => "unreachable".to_owned(),
        Expect::Unanswered => "unanswered".to_owned(),
        Expect::Refused => "refused".to_owned(),
    };
    if let Some(size) = check.size {
        let how = if size.dont_fragment { "" } else { ", also in fragments" };
        text += &format!(", {} bytes{how}", size.bytes);
    }
    match check.seen_as {
        Some(SeenAs::Itself) => text += ", seen as itself",
        Some(SeenAs::Address(address)) => text += &format!(", seen as {address}"),
        None => {}
    }
    if let Some(ns) = &check.answered_by {
        text += &format!(", answered by {ns}");
    }
    text
}

/// What a probe sends, in words: `icmp`, `tcp/80`.
pub(super) fn protocol(protocol: Protocol) -> String {
    match protocol {
        Protocol::Icmp => "icmp".to_owned(),
        Protocol::Tcp(port) => format!("tcp/{port}"),
        Protocol::Udp(port) => format!("udp/{port}"),
    }
}

/// Whether a try came out as promised; if not, what was seen instead.
///
/// # Errors
/// What was seen instead, in words.
pub(super) fn judge(check: &Check, probe: &Probe, seen: &Observation) -> Result<(), String> {
    let arrived = arrived(probe, seen);
    match (check.expect, &seen.outcome) {
        (_, Outcome::NoProbe { what }) => Err(what.clone()),
        (Expect::Reachable, Outcome::Answered) => answerer(check, probe, seen).and_then(|()| translation(check, seen)),
        (Expect::Refused, Outcome::Refused { .. }) => Ok(()),
        (Expect::Unreachable, Outcome::Silence | Outcome::Unreachable { .. } | Outcome::NotSent { .. }) if !arrived => {
            Ok(())
        }
        // No port is closed to a ping: "port unreachable" is what REJECT of iptables sends by default.
        (Expect::Unreachable, Outcome::Refused { .. }) if check.protocol == Protocol::Icmp && !arrived => Ok(()),
        // Another host has answered under its address: the namespace itself was not reached.
        (Expect::Unreachable, Outcome::Answered) if probe.arrives_at.is_some() && !arrived && !seen.taken => Ok(()),
        (Expect::Unanswered, Outcome::Silence | Outcome::Unreachable { .. }) if arrived => Ok(()),
        (expect, outcome) => Err(instead(check, probe, seen, expect, outcome)),
    }
}

/// Whether the kernel of the namespace that is meant has seen the probe; where an address is meant, that of any.
fn arrived(probe: &Probe, seen: &Observation) -> bool {
    match (&probe.arrives_at, &seen.arrival) {
        (Some(wanted), Some(arrival)) => arrival.ns == *wanted,
        (None, arrival) => arrival.is_some(),
        (Some(_), None) => false,
    }
}

/// Whether the right namespace has answered: an answer is no proof that it was asked.
fn answerer(check: &Check, probe: &Probe, seen: &Observation) -> Result<(), String> {
    match (check.answered_by.as_ref().or(probe.arrives_at.as_ref()), &seen.arrival) {
        (None, _) => Ok(()),
        (Some(wanted), Some(arrival)) if arrival.ns == *wanted => Ok(()),
        (Some(wanted), Some(arrival)) => Err(format!("answered by {}, not by {wanted}", arrival.ns)),
        (Some(wanted), None) => Err(format!("answered, but {wanted} has not seen it arrive: {}", unseen(check, seen))),
    }
}

/// Whether the destination saw the right source address.
fn translation(check: &Check, seen: &Observation) -> Result<(), String> {
    let wanted = match (check.seen_as, seen.left_as) {
        (None, _) => return Ok(()),
        (Some(SeenAs::Address(address)), _) => address,
        (Some(SeenAs::Itself), Some(own)) => own,
        (Some(SeenAs::Itself), None) => return Err("the address that it left with is not known".to_owned()),
    };
    let Some(arrival) = &seen.arrival else {
        return Err(format!("answered, but which source address arrived is not known: {}", unseen(check, seen)));
    };
    if arrival.source == wanted {
        return Ok(());
    }
    let why = match check.seen_as {
        Some(SeenAs::Itself) => "it is translated on the way (masquerade?)",
        _ if seen.left_as == Some(arrival.source) => "it is not translated on the way",
        _ => "it is translated to another address",
    };
    Err(format!("arrived, but {} saw {} instead of {wanted}: {why}", arrival.ns, arrival.source))
}

/// Why nslab did not see the probe arrive, although it was answered.
fn unseen(check: &Check, seen: &Observation) -> String {
    if seen.taken {
        format!("another program uses {} there, so nslab cannot look", protocol(check.protocol))
    } else {
        "the answer came from another place that has its address".to_owned()
    }
}

/// What was seen instead of what was promised.
fn instead(check: &Check, probe: &Probe, seen: &Observation, expect: Expect, outcome: &Outcome) -> String {
    let port = protocol(check.protocol);
    let what = match outcome {
        Outcome::Answered => match &seen.arrival {
            Some(arrival) => format!("answered by {}", arrival.ns),
            None => "answered".to_owned(),
        },
        Outcome::Refused { by } if expect == Expect::Unreachable => format!("refused{}", says(by)),
        Outcome::Refused { by } => {
            format!("refused{}: nothing listens on {port} at {}, or a rule rejects it", says(by), probe.to.address)
        }
        Outcome::Unreachable { what, by } if seen.arrival.is_none() => {
            format!("answered with an error: {what}{}", says(by))
        }
        Outcome::Unreachable { what, by } => {
            format!("{}, and was answered with an error: {what}{}", arrival(seen), says(by))
        }
        Outcome::NotSent { what } => format!("{} cannot send it: {what}", probe.from),
        Outcome::Stalled => {
            let size = check.size.map_or(0, |size| size.bytes);
            let within = in_words(check.timeout);
            format!("connected, but packets of up to {size} bytes did not come through, there or back, within {within}")
        }
        Outcome::Silence => silence(check, probe, seen),
        Outcome::NoProbe { what } => what.clone(),
    };
    match expect {
        Expect::Reachable => what,
        Expect::Unreachable => format!("{what}, though it should be unreachable"),
        Expect::Unanswered => format!("{what}, though it should arrive and not be answered"),
        Expect::Refused => format!("{what}, though it should be refused"),
    }
}

fn silence(check: &Check, probe: &Probe, seen: &Observation) -> String {
    let within = in_words(check.timeout);
    match &seen.arrival {
        Some(arrival) if check.expect == Expect::Unreachable => {
            format!("it arrived at {}, from {}, and only the answer was lost", arrival.ns, arrival.source)
        }
        Some(arrival) => format!(
            "it arrived at {}, from {}, but no answer came back within {within} (does {} have a route back?)",
            arrival.ns, arrival.source, arrival.ns
        ),
        None if seen.taken => format!(
            "no answer within {within}; another program uses {} at {}, and may not answer what it does not know",
            protocol(check.protocol),
            probe.to.label
        ),
        // icmp_ratelimit in icmp(7).
        None if check.expect == Expect::Refused => {
            format!("no answer within {within} (after six refusals a host sends another only one a second)")
        }
        None => match check.size {
            Some(size) => format!(
                "no answer to a packet of {} bytes within {within} (does a smaller one come through?)",
                size.bytes
            ),
            None => format!("no answer within {within}"),
        },
    }
}

/// "it arrived at db".
fn arrival(seen: &Observation) -> String {
    seen.arrival
        .as_ref()
        .map_or_else(|| "it did not arrive".to_owned(), |arrival| format!("it arrived at {}", arrival.ns))
}

fn says(by: &Option<IpAddr>) -> String {
    by.map(|by| format!(" (says {by})")).unwrap_or_default()
}

/// `1 s`, `250 ms`.
fn in_words(duration: Duration) -> String {
    if duration >= Duration::from_secs(1) {
        format!("{} s", duration.as_secs_f64())
    } else {
        format!("{} ms", duration.as_millis())
    }
}

/// Why the sender's own kernel did not let a packet out, if that is a matter of the network: a route, a rule
/// (ip-route(8) names the error of each type of route).
pub(super) fn local_refusal(errno: Errno, probe: &Probe) -> Option<String> {
    let why = match errno {
        Errno::ENETUNREACH => format!("it has no route to {}", probe.to.address),
        Errno::EHOSTUNREACH => format!("its route to {} is of type unreachable", probe.to.address),
        Errno::EACCES => format!("its route to {} is of type prohibit", probe.to.address),
        Errno::EINVAL => format!("its route to {} is of type blackhole", probe.to.address),
        Errno::EPERM => "a firewall rule for its own packets drops it (chain OUTPUT)".to_owned(),
        Errno::ENETDOWN => "the interface is down".to_owned(),
        Errno::EMSGSIZE => "it is larger than the MTU of the interface".to_owned(),
        Errno::EADDRNOTAVAIL if probe.source.is_none() => {
            format!("it has no address of its own to reach {} from", probe.to.address)
        }
        _ => return None,
    };
    Some(format!("{why} ({})", errno.desc()))
}

/// What an error on a connected socket means, that the network has reported (icmp(7), RFC 1122 section 4.2.3.9).
pub(super) fn network_refusal(errno: Errno) -> Outcome {
    let what = match errno {
        Errno::ECONNREFUSED => return Outcome::Refused { by: None },
        Errno::ETIMEDOUT => return Outcome::Silence,
        Errno::EHOSTUNREACH => "host unreachable",
        Errno::ENETUNREACH => "network unreachable",
        Errno::EACCES | Errno::EPERM => "administratively prohibited",
        Errno::ENOPROTOOPT => "protocol unreachable",
        other => other.desc(),
    };
    Outcome::Unreachable { what: what.to_owned(), by: None }
}
