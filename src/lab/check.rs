//! Checks: what the file promises about who reaches whom, resolved to single probes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;

use super::{Asks, Family, IfName, NsName};

/// One check of the file: a promise that holds for every pair of its two sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The author's name for it, or one made from its two sides (`red → blue`).
    pub name: String,
    /// The line of the file that states it, counted from 1.
    pub line: u64,
    /// What is sent.
    pub protocol: Protocol,
    /// What is asked of the program that answers; none: nslab answers where no program does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asks: Option<Asks>,
    /// How large its packets are, and the answers; none: as small as can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<PacketSize>,
    /// What must happen.
    pub expect: Expect,
    /// The source address that the destination must see; none: it does not matter.
    pub seen_as: Option<SeenAs>,
    /// The namespace that must answer (behind a published port); none: it does not matter.
    pub answered_by: Option<NsName>,
    /// Over how many connections the endpoints of a service must get even shares; none: it does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<u32>,
    /// How often a probe that did not come out as expected is tried again.
    pub retries: u32,
    /// How long one try waits for an answer.
    #[serde(serialize_with = "seconds")]
    pub timeout: Duration,
    /// Every pair, in the order of the file.
    pub probes: Vec<Probe>,
}

/// One pair of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Where the packet starts.
    pub from: NsName,
    /// The source address it must carry (`source:`); none: the kernel chooses.
    pub source: Option<IpAddr>,
    /// Where it is to arrive.
    pub to: Target,
    /// The namespace whose kernel must see it for it to have arrived: the one that the file names, or the one behind
    /// the port that it publishes. None where the file names an address: then an arrival anywhere counts.
    pub arrives_at: Option<NsName>,
    /// The namespaces of which one has to get it for it to have arrived: endpoints of a service.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<NsName>,
    /// The sockets that have to listen while this probe runs: a namespace, and the port there. More than one
    /// where several could be the ones to answer. Empty for ICMP, and where something is to be refused.
    pub listen: Vec<(NsName, u16)>,
}

impl Probe {
    /// Whether it has arrived where it should if a namespace has seen it.
    pub fn arrives(&self, ns: &NsName) -> bool {
        match &self.arrives_at {
            Some(wanted) => ns == wanted,
            None => self.endpoints.is_empty() || self.endpoints.contains(ns),
        }
    }

    /// Whether it matters where it arrives.
    pub fn has_place(&self) -> bool {
        self.arrives_at.is_some() || !self.endpoints.is_empty()
    }
}

/// Where a probe goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Target {
    /// What the file calls it: a namespace's name, the address itself, a service (`service/web`) or `name/web.lab`.
    pub label: String,
    /// The address that is probed.
    pub address: IpAddr,
    /// The sender's interface on whose link a link-local IPv6 address is meant (its scope).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<IfName>,
    /// The namespace that has the address, if one of the lab has.
    pub ns: Option<NsName>,
    /// The name that the sender has to resolve first; until then, the address is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<TargetName>,
}

/// A name that a probe goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetName {
    /// As the file has it: with a dot at its end, it is whole.
    pub name: String,
    /// The family that its address has to have, if the check asks for one.
    pub family: Option<Family>,
    /// The addresses of services, which it may turn out to be, with the endpoints that the check's port leads to.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub services: BTreeMap<IpAddr, Vec<(NsName, u16)>>,
}

impl Target {
    /// Whether the file calls it a service; no namespace's name has a slash.
    pub fn is_service(&self) -> bool {
        self.label.starts_with("service/")
    }
}

/// What a probe sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// An ICMP or ICMPv6 echo request.
    Icmp,
    /// A TCP connection to a port.
    Tcp(u16),
    /// A UDP datagram to a port.
    Udp(u16),
}

impl Protocol {
    /// The same to another port.
    #[must_use]
    pub fn at(self, port: u16) -> Self {
        match self {
            Self::Icmp => Self::Icmp,
            Self::Tcp(_) => Self::Tcp(port),
            Self::Udp(_) => Self::Udp(port),
        }
    }

    /// In words, where it carries what is asked of a program: `icmp`, `tcp/80`, `http/80`.
    pub fn named(self, asks: Option<&Asks>) -> String {
        match (self, asks) {
            (Self::Tcp(port), Some(Asks::Http(_))) => format!("http/{port}"),
            (Self::Udp(port), Some(Asks::Dns(_))) => format!("dns/{port}"),
            (Self::Icmp, _) => "icmp".to_owned(),
            (Self::Tcp(port), _) => format!("tcp/{port}"),
            (Self::Udp(port), _) => format!("udp/{port}"),
        }
    }
}

/// How large packets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct PacketSize {
    /// The size of the IP packet in bytes, with its headers.
    pub bytes: u16,
    /// Whether it must not be cut into fragments.
    pub dont_fragment: bool,
}

impl PacketSize {
    /// Room for the headers of IPv6 and TCP, and the smallest segments of Linux (`TCP_MIN_MSS`).
    pub const LEAST: u16 = 148;
    /// The largest segment that Linux sends over TCP (`MAX_TCP_WINDOW`).
    pub const MOST: u16 = 32_767;

    /// What remains of it behind the IP header, and so many bytes of other headers.
    pub fn payload(self, family: Family, headers: u16) -> usize {
        let ip = match family {
            Family::Ipv4 => 20,
            Family::Ipv6 => 40,
        };
        self.bytes.saturating_sub(ip + headers).into()
    }
}

/// What must happen to a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// An answer.
    Reachable,
    /// It does not arrive: no route, an ICMP error, or silence on the way there.
    Unreachable,
    /// It arrives, and no answer comes back.
    Unanswered,
    /// A refusal: a TCP reset, or ICMP "port unreachable".
    Refused,
}

/// The source address that the destination must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SeenAs {
    /// One that the sender has itself: no translation on the way.
    Itself,
    /// This one.
    Address(IpAddr),
}

pub(super) fn seconds<S: serde::Serializer>(duration: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64(duration.as_secs_f64())
}
