//! The results of the checks: the value that is shown to people and given to programs.
//!
//! Its JSON form is a documented interface (`schemars`); it can be read back.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::lab::{Check, LabName, NsName, Probe};
use crate::trace::Ending;

/// The results of all checks of a lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// The lab's name.
    #[serde(deserialize_with = "name")]
    #[schemars(with = "String")]
    pub lab: LabName,
    /// Every check, in the order of the file.
    pub checks: Vec<CheckResult>,
    /// What may be the reason, where something is not as promised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// Why what failed has failed, as far as that was looked into: a cause for each group of pairs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explained: Vec<Explained>,
    /// How long all of it took, in seconds.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub elapsed: Duration,
}

/// Why some pairs have failed: one of them was followed once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// The pairs: `red → blue (icmp)`.
    pub pairs: Vec<String>,
    /// How the packet of the first one ended, where, and what to do about it.
    pub end: Ending,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckResult {
    /// The check's name.
    pub name: String,
    /// The line of the file that states it, counted from 1.
    pub line: u64,
    /// What it promises, in words: `reachable, seen as itself`.
    pub expectation: String,
    /// Every pair, in the order of the file.
    pub pairs: Vec<PairResult>,
}

/// The result of one pair of a check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairResult {
    /// The namespace that sent.
    #[serde(deserialize_with = "name")]
    #[schemars(with = "String")]
    pub from: NsName,
    /// What the file calls the destination: a namespace's name, or an address; or the command that was run.
    pub to: String,
    /// The namespace that has the address that was probed, if one of the lab has.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_name")]
    #[schemars(with = "Option<String>")]
    pub to_namespace: Option<NsName>,
    /// The address that was probed; none where a command was run, or a name has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// What was sent: `icmp`, `tcp/80`, `udp/53`, `http/80`; or `exec`, where a command was run.
    pub protocol: String,
    /// The size of its packets in bytes, where the check says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u16>,
    /// Whether it is as promised.
    pub passed: bool,
    /// What happened, in a few words: `no answer`; for a pair that passed, what was promised, and how: `unreachable: no
    /// route at the sender`.
    pub result: String,
    /// What is not as promised, in words; none where it passed.
    pub failure: Option<String>,
    /// What the sender saw, in the last try.
    pub saw: Outcome,
    /// What was asked to resolve the name that was probed, and what came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<String>,
    /// The source address that the destination saw, where nslab has a socket there.
    pub seen_as: Option<IpAddr>,
    /// The namespace that the probe arrived in, where nslab has a socket there.
    #[serde(deserialize_with = "optional_name")]
    #[schemars(with = "Option<String>")]
    pub answered_by: Option<NsName>,
    /// How long the last try took, in seconds: until the answer or the error, or as long as was waited.
    #[serde(with = "seconds")]
    #[schemars(with = "f64")]
    pub took: Duration,
    /// How often it was tried, the first time included.
    pub tries: u32,
}

/// The protocol of a pair for which a command was run.
pub(super) const EXEC: &str = "exec";

/// What a namespace says that has asked for a neighbour in vain, over IPv4 and IPv6.
pub(super) const HOST_UNREACHABLE: &str = "host unreachable";
pub(super) const ADDRESS_UNREACHABLE: &str = "address unreachable";

/// What a sender saw of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// An answer: an echo reply, an established connection, a datagram.
    Answered,
    /// A refusal: a TCP reset, or ICMP "port unreachable".
    Refused {
        /// The address that refused, where that is known.
        by: Option<IpAddr>,
    },
    /// An ICMP error other than a refusal.
    Unreachable {
        /// What it says: `host unreachable`.
        what: String,
        /// The address that sent it, where that is known.
        by: Option<IpAddr>,
    },
    /// The sender's own kernel did not let it out: no route, a route that drops, a firewall rule.
    NotSent {
        /// Why.
        cause: NotSentCause,
        /// What the kernel said, and what that means.
        what: String,
    },
    /// A connection that was opened, but did not carry what was sent then, or its answer.
    Stalled,
    /// A connection over which no answer came to what was asked of a program: it was closed, or what came was something
    /// else.
    NoAnswer {
        /// What came instead.
        what: String,
    },
    /// A command was run.
    Ran {
        /// Its exit code; none where it was ended.
        exit_code: Option<i32>,
    },
    /// Nothing at all.
    Silence,
    /// The probe could not be made, so nothing is known: this is never as promised.
    NoProbe {
        /// What went wrong.
        what: String,
    },
}

/// Why the sender's own kernel did not let a probe out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotSentCause {
    /// It has no route to the destination.
    NoRoute,
    /// Its route is of type `unreachable`.
    UnreachableRoute,
    /// Its route is of type `prohibit`.
    ProhibitRoute,
    /// Its route is of type `blackhole`.
    BlackholeRoute,
    /// A firewall rule for its own packets drops it.
    OutputRule,
    /// The interface is down.
    InterfaceDown,
    /// It is larger than the MTU of the interface.
    TooLarge,
    /// It has no address of its own to send from.
    NoSource,
    /// No peer of its WireGuard interface may have the destination.
    NoPeer,
    /// Its WireGuard interface does not know yet where the peer is.
    NoEndpoint,
}

impl fmt::Display for NotSentCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoute => "no route at the sender",
            Self::UnreachableRoute => "unreachable route at the sender",
            Self::ProhibitRoute => "prohibit route at the sender",
            Self::BlackholeRoute => "blackhole route at the sender",
            Self::OutputRule => "dropped by a rule of the sender",
            Self::InterfaceDown => "interface of the sender is down",
            Self::TooLarge => "larger than the sender's MTU",
            Self::NoSource => "no address at the sender",
            Self::NoPeer => "no such peer at the sender",
            Self::NoEndpoint => "no endpoint at the sender",
        })
    }
}

impl Outcome {
    /// The same, with the one who said it.
    #[must_use]
    pub(super) fn said_by(self, reporter: Option<IpAddr>) -> Self {
        match self {
            Self::Refused { .. } => Self::Refused { by: reporter },
            Self::Unreachable { what, .. } => Self::Unreachable { what, by: reporter },
            other => other,
        }
    }

    /// Whether that may have come about because packets were lost for want of room, or what asked for a neighbour.
    pub(super) fn may_come_of_losses(&self) -> bool {
        match self {
            Self::Silence | Self::Stalled => true,
            Self::Unreachable { what, .. } => [HOST_UNREACHABLE, ADDRESS_UNREACHABLE].contains(&what.as_str()),
            Self::Answered
            | Self::NoAnswer { .. }
            | Self::Ran { .. }
            | Self::Refused { .. }
            | Self::NotSent { .. }
            | Self::NoProbe { .. } => false,
        }
    }
}

impl Report {
    /// Whether everything is as promised.
    pub fn passed(&self) -> bool {
        self.failures() == 0
    }

    /// How many pairs were probed.
    pub fn pairs(&self) -> usize {
        self.checks.iter().map(|check| check.pairs.len()).sum()
    }

    /// How many pairs are not as promised.
    pub fn failures(&self) -> usize {
        self.checks.iter().map(CheckResult::failures).sum()
    }
}

impl PairResult {
    /// That of a pair of which nothing is known, and why.
    pub(super) fn not_tried(check: &Check, probe: &Probe, why: String) -> Self {
        Self {
            from: probe.from.clone(),
            to: probe.to.label.clone(),
            to_namespace: probe.to.ns.clone(),
            address: Some(probe.to.address),
            protocol: check.protocol.named(check.asks.as_ref()),
            size: check.size.map(|size| size.bytes),
            passed: false,
            result: "not tried".to_owned(),
            failure: Some(why.clone()),
            saw: Outcome::NoProbe { what: why },
            queries: Vec::new(),
            seen_as: None,
            answered_by: None,
            took: Duration::ZERO,
            tries: 0,
        }
    }

    /// The same, where something keeps it from being known that all is as promised.
    #[must_use]
    pub(super) fn unproven(self, why: String) -> Self {
        Self { passed: false, result: "not proven".to_owned(), failure: Some(why), ..self }
    }
}

impl CheckResult {
    /// Whether it is that of a command: then nothing was probed.
    pub fn is_of_command(&self) -> bool {
        self.pairs.iter().any(|pair| pair.protocol == EXEC)
    }

    /// How many of its pairs are not as promised.
    pub fn failures(&self) -> usize {
        self.pairs.iter().filter(|pair| !pair.passed).count()
    }
}

fn name<'de, D: Deserializer<'de>, T: FromStr<Err: std::fmt::Display>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn optional_name<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: std::fmt::Display>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse()).transpose().map_err(serde::de::Error::custom)
}

/// A duration as a number of seconds.
mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}
