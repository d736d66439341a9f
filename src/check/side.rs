//! One machine's side of checks over several: what it has sent, and what has arrived at it, to be put together with the
//! sides of the others (`join`).
//!
//! A machine sends from its own namespaces, and does not see what arrives elsewhere.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::{Outcome, PairResult};
use crate::lab::{LabName, NsName, Protocol};

/// What a machine says of a lab's checks: the output of `nslab check --end`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// The lab's name.
    pub lab: String,
    /// A number for the topology, which all machines have to have in common.
    pub topology: String,
    /// Which of the lab's machines this is.
    pub machine: String,
    /// The namespaces on it.
    pub namespaces: Vec<String>,
    /// Why nothing can be concluded from what it did not see, if so.
    pub fault: Option<String>,
    /// Which packets it has lost for want of room while the checks were open, and what helps; where there are any,
    /// silence proves nothing.
    pub lost: Vec<String>,
    /// What it sent to the other machines before all probes and after them, so that they know to have heard all of
    /// them; none where it was not told to send.
    pub greetings: Option<Greetings>,
    /// The longest time for which it looked at nothing, in seconds: what came then was answered so much later.
    pub slowest: f64,
    /// How long it took from the first to the last, in seconds.
    pub took: f64,
    /// The results of pairs that are on this machine alone.
    pub judged: Vec<Judged>,
    /// What has been sent to other machines.
    pub probes: Vec<Sent>,
    /// What has arrived that this machine has not sent.
    pub arrived: Vec<Arrived>,
    /// The ports that programs have.
    pub taken: Vec<String>,
}

/// What a machine sends to all others around its probes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Greetings {
    /// The marks of those that came before all probes.
    pub before: Vec<String>,
    /// The marks of those that came after them.
    pub after: Vec<String>,
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
    /// Where it arrived on this machine; those have no mark.
    pub arrived: Vec<Arrived>,
    /// What the sender saw.
    pub saw: Outcome,
    /// Whether an nslab was at the other end of the connection.
    pub met: bool,
    /// What is not as promised in what a program has answered.
    pub answer: Option<String>,
    /// The source address that it left with, where that is known.
    pub left_as: Option<IpAddr>,
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
    pub source: IpAddr,
    /// The destination address that it had there, where the kernel says so.
    pub destination: Option<IpAddr>,
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
            return Err(format!("what is applied on {machine} is not this file: apply the same one to all machines"));
        }
        if machines.insert(machine, side).is_some() {
            return Err(format!("there are two sides of {machine}"));
        }
    }
    Ok(machines)
}

/// Whether one machine wrote down what arrived for as long as another one sent: it has heard one of the greetings
/// before all probes, and one of those after them. That takes no clock.
pub(super) fn has_heard(at: &Side, from: &Greetings) -> bool {
    let heard: HashSet<&str> = at.arrived.iter().map(|one| one.mark.as_str()).collect();
    [&from.before, &from.after].into_iter().all(|marks| marks.iter().any(|mark| heard.contains(mark.as_str())))
}
