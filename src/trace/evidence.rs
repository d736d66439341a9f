//! All that is known of a packet: what was seen and counted, the lab as it is and as its file says.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::remedy::Remedies;
use super::sighted::Sighting;
use crate::forwarding::{Asked, RoundTrip};
use crate::lab::{IfName, Lab, NsName, Observed, Protocol};

/// What the sender has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeEnd {
    /// An answer.
    Answered,
    /// Its own kernel did not let it out, with what it said.
    NotSent(String),
    /// Neither.
    Silence,
}

/// What a namespace has counted while the packet was on its way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// The rules that drop or reject, and have matched something.
    pub rules: Vec<String>,
    /// The rules that translate addresses, likewise.
    pub nat: Vec<String>,
    /// Its counters of packets that it could not handle, as far as they have changed.
    pub ip: BTreeMap<String, u64>,
}

/// All that is known of a packet.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// The lab of the file.
    pub wanted: &'a Lab,
    /// The same with the namespaces as they are.
    pub live: &'a Lab,
    /// What the kernel shows besides.
    pub observed: &'a Observed,
    /// What was sent.
    pub asked: &'a Asked,
    /// What was asked for.
    pub to: &'a str,
    /// The protocol.
    pub protocol: Protocol,
    /// Where it was seen.
    pub sightings: Vec<Sighting>,
    /// Questions for addresses that nobody has answered: who asks, for what.
    pub unanswered: Vec<(NsName, IfName, IpAddr)>,
    /// What was counted.
    pub counted: BTreeMap<NsName, Counted>,
    /// What the machine itself lost, in words.
    pub lost: Vec<String>,
    /// What the sender has seen.
    pub probe: ProbeEnd,
    /// What may be done.
    pub remedies: Remedies<'a>,
}

/// One packet, and how it ought to have gone.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub evidence: &'a Evidence<'a>,
    pub sightings: &'a [Sighting],
    pub round: &'a RoundTrip,
    pub wanted: &'a RoundTrip,
    /// What was sent, with what chance has chosen.
    pub asked: &'a Asked,
}
