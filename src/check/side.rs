//! One machine's side of checks over several: what it has sent, and what has arrived at it, to be put together with the
//! sides of the others (`join`).
//!
//! A machine sends from its own namespaces, and does not see what arrives elsewhere.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::{CheckResult, Outcome, PairResult};
use crate::lab::{LabName, NsName, Protocol};

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

impl Sent {
    /// Whether the sender has got an error.
    pub(super) fn is_of_error(&self) -> bool {
        matches!(self.saw, Outcome::Unreachable { .. } | Outcome::Refused { .. })
    }
}

/// A port of a namespace, for [`Side::taken`].
pub(super) fn port_named(ns: &NsName, protocol: Protocol) -> String {
    format!("{ns} {}", protocol.named(None))
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
