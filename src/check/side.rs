//! One machine's side of checks over several: what it has sent, and what has arrived at it, to be put together with the
//! sides of the others (`join`).
//!
//! A machine sends from its own namespaces, and does not see what arrives elsewhere. Packets that carry no token of
//! its own run are written down here, whoever has sent them: the others' sides say which of them they know.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dns;
use super::harness::Port;
use super::observation::Observation;
use super::registry::{Arrival, Token};
use super::report::{CheckResult, Outcome, PairResult};
use crate::kernel::sockets;
use crate::lab::{Asks, Check, Expect, LabName, NsName, Protocol};

/// How many packets of others are written down at most: a machine may have more to do than to be checked.
const MOST: usize = 200_000;

/// What a machine says of a lab's checks: the output of `nslab check --end`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// The lab's name.
    #[schemars(with = "String")]
    pub lab: String,
    /// A number for the topology, which all machines have to have in common.
    pub topology: String,
    /// Which of the lab's machines this is.
    pub machine: String,
    /// The namespaces on it.
    pub namespaces: Vec<String>,
    /// From when to when it wrote down what arrived, in seconds since 1970 by its own clock.
    pub open: Times,
    /// From when to when it sent; none where it was not told to.
    pub sent: Option<Times>,
    /// The results of pairs that are on this machine alone.
    pub judged: Vec<Judged>,
    /// The results of checks that run commands, for the namespaces on this machine.
    pub commands: Vec<CheckResult>,
    /// What has been sent to other machines.
    pub probes: Vec<Sent>,
    /// What has arrived that this machine has not sent.
    pub arrived: Vec<Arrived>,
    /// The ports that programs have.
    pub taken: Vec<String>,
}

/// Two moments, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// The first one.
    pub from: f64,
    /// The last one.
    pub to: f64,
}

/// The result of a pair.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// The number of its check in the file, counted from 0.
    pub check: usize,
    /// Its own number in the check.
    pub probe: usize,
    /// What came of it.
    pub result: PairResult,
}

/// The last try of a probe, which is to be judged when the other machines have said what they saw.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// The number of its check in the file, counted from 0.
    pub check: usize,
    /// Its own number in the check.
    pub probe: usize,
    /// What the packets hold by which they are known.
    pub marks: Vec<String>,
    /// What the sender saw.
    pub saw: Outcome,
    /// Whether an nslab was at the other end of the connection.
    pub met: bool,
    /// What is not as promised in what a program has answered.
    pub answer: Option<String>,
    /// The source address that it left with, where that is known.
    pub left_as: Option<std::net::IpAddr>,
    /// How long the last try took, in seconds.
    pub took: f64,
    /// How often it was tried.
    pub tries: u32,
}

/// A packet that arrived.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Arrived {
    /// What it held by which it is known.
    pub mark: String,
    /// The namespace that it arrived in.
    pub at: String,
    /// The source address that it had there.
    pub source: std::net::IpAddr,
    /// The destination address that it had there, where the kernel says so.
    pub destination: Option<std::net::IpAddr>,
}

/// What arrives that is of no try of this run.
#[derive(Debug, Default)]
pub(super) struct Others {
    arrived: RefCell<Vec<Arrived>>,
}

impl Others {
    /// Writes down a packet that held a token, or 16 bytes that may be one.
    pub(super) fn saw(&self, bytes: &[u8; Token::LENGTH], arrival: &Arrival) {
        self.note(mark_of_token(*bytes), arrival);
    }

    /// Writes down the opening of a TCP connection.
    pub(super) fn saw_opening(&self, sequence: u32, arrival: &Arrival) {
        self.note(mark_of_sequence(sequence), arrival);
    }

    fn note(&self, mark: String, arrival: &Arrival) {
        let mut arrived = self.arrived.borrow_mut();
        if arrived.len() < MOST {
            let Arrival { source, destination, ns } = arrival.clone();
            arrived.push(Arrived { mark, at: ns.to_string(), source, destination });
        }
    }

    /// All of it.
    pub(super) fn all(&self) -> Vec<Arrived> {
        self.arrived.borrow().clone()
    }
}

impl Sent {
    /// What is known of a try at its sender.
    pub(super) fn new(
        (check, probe): (usize, usize),
        what: &Check,
        (seen, token): (&Observation, Token),
        (answer, tries): (Option<String>, u32),
    ) -> Self {
        Self {
            check,
            probe,
            marks: marks(what, token),
            saw: seen.outcome.clone(),
            met: seen.met,
            answer,
            left_as: seen.left_as,
            took: seen.took.as_secs_f64(),
            tries,
        }
    }
}

impl Sent {
    /// Whether the sender has got an error.
    pub(super) fn is_of_error(&self) -> bool {
        matches!(self.saw, Outcome::Unreachable { .. } | Outcome::Refused { .. })
    }
}

/// Whether what a sender saw may turn out to be as promised.
pub(super) fn may_be(expect: Expect, saw: &Outcome) -> bool {
    match (expect, saw) {
        (_, Outcome::NoProbe { .. }) => false,
        (Expect::Reachable, Outcome::Answered) | (Expect::Refused, Outcome::Refused { .. }) => true,
        (Expect::Reachable | Expect::Refused, _) => false,
        (Expect::Unreachable, _) => !matches!(saw, Outcome::Answered),
        (Expect::Unanswered, _) => matches!(saw, Outcome::Silence | Outcome::Unreachable { .. }),
    }
}

/// What the packets of a try hold.
fn marks(check: &Check, token: Token) -> Vec<String> {
    let opening = || mark_of_sequence(token.sequence());
    let whole = mark_of_token(token.to_bytes());
    match (check.protocol, &check.asks) {
        (Protocol::Tcp(_), _) => vec![opening(), whole],
        (Protocol::Udp(_), Some(Asks::Dns(query))) => {
            let asked = dns::query(query, token.identifier()).unwrap_or_default();
            asked.first_chunk().map(|bytes| mark_of_token(*bytes)).into_iter().chain([opening()]).collect()
        }
        (Protocol::Icmp | Protocol::Udp(_), _) => vec![whole],
    }
}

fn mark_of_token(bytes: [u8; Token::LENGTH]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}

fn mark_of_sequence(sequence: u32) -> String {
    format!("tcp {sequence:08x}")
}

/// A port of a namespace, for [`Side::taken`].
pub(super) fn port_named(ns: &NsName, protocol: Protocol) -> String {
    format!("{ns} {}", protocol.named(None))
}

/// The same for a socket's.
pub(super) fn taken(Port { ns, protocol, number, .. }: &Port) -> String {
    let is_tcp = *protocol == sockets::Protocol::Tcp;
    port_named(ns, if is_tcp { Protocol::Tcp(*number) } else { Protocol::Udp(*number) })
}

/// Now, in seconds since 1970.
pub(super) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

/// The sides of several machines by name, of one lab with one topology.
///
/// # Errors
/// They do not belong together, in words.
pub(super) fn together<'a>(
    sides: &'a [Side],
    lab: &LabName,
    topology: &str,
) -> Result<BTreeMap<&'a str, &'a Side>, String> {
    let mut machines: BTreeMap<&str, &Side> = BTreeMap::new();
    for side in sides {
        let machine = side.machine.as_str();
        if side.lab != lab.as_str() {
            return Err(format!("what {machine} says is of lab {}, not of {lab}", side.lab));
        }
        if side.topology != topology {
            return Err(format!("{machine} has another topology: apply the same file to all machines"));
        }
        if machines.insert(machine, side).is_some() {
            return Err(format!("there are two sides of {machine}"));
        }
    }
    Ok(machines)
}

/// Whether one machine wrote down what arrived for as long as another one sent.
pub(super) fn was_open(at: &Side, sent: Times) -> bool {
    at.open.from <= sent.from && sent.to <= at.open.to
}

/// Whether a namespace is on a machine.
pub(super) fn holds(side: &Side, ns: &NsName) -> bool {
    side.namespaces.iter().any(|own| own == ns.as_str())
}
