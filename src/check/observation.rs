//! What one try of a probe has shown.

use std::net::IpAddr;
use std::time::Duration;

use super::dns::DnsReply;
use super::http::HttpAnswer;
use super::registry::Arrival;
use super::report::Outcome;

/// What one try has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observation {
    /// What the sender saw.
    pub outcome: Outcome,
    /// What a program has answered, where one was asked.
    pub answer: Option<Answer>,
    /// Where the probe arrived, as far as it was seen.
    pub arrival: Option<Arrival>,
    /// Where else it arrived: then nobody knows which of the two has answered.
    pub also_at: Option<Arrival>,
    /// The source address that it left with, where that is known.
    pub left_as: Option<IpAddr>,
    /// Whether a program has the port at which the probe has arrived, or may have.
    pub taken: bool,
    /// Whether an nslab was at the other end of a connection.
    pub met: bool,
    /// From the first packet to the outcome.
    pub took: Duration,
}

/// What a program has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Http(HttpAnswer),
    Dns(DnsReply),
}

impl Answer {
    /// In a few words.
    pub(super) fn in_short(&self) -> String {
        match self {
            Self::Http(answer) => answer.in_short(),
            Self::Dns(answer) => answer.in_short(),
        }
    }
}
