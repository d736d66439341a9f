//! The way of a packet and of the answer to it: every namespace, every interface, and the first thing that keeps it
//! from going on.

use std::net::IpAddr;

use super::lookup::Outcome;
use super::obstacle::Obstacle;
use super::segment::Crossing;
use super::{Decision, Flow, Translated, Verdict};
use crate::lab::NsName;

/// A way as far as it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The namespaces on it, in order.
    pub legs: Vec<Leg>,
    /// Where it ends.
    pub end: WayEnd,
}

/// Where a way ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WayEnd {
    /// At the namespace that takes the packet for its own.
    Arrived(NsName),
    /// At an obstacle.
    Stopped(Box<Obstacle>),
}

/// A namespace on a way, and the link to the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// The namespace.
    pub ns: NsName,
    /// The packet as it came in; at the sender, as it was sent.
    pub came: Flow,
    /// The packet behind the translation of its destination.
    pub destination: Translated,
    /// Where it is routed then.
    pub decision: Decision,
    /// What the packet filter does with it; none: it is not asked, as there is no way on.
    pub verdict: Option<Verdict>,
    /// The packet behind the translation of its source; none: it does not leave the namespace.
    pub source: Option<Translated>,
    /// The interfaces that it crosses until it comes in at the next namespace.
    pub crossings: Vec<Crossing>,
    /// The way of the packets that carry it through a tunnel on this link.
    pub tunnel: Option<Box<Way>>,
    /// Whether it is encrypted in there, and so is not seen.
    pub is_sealed: bool,
}

/// A way and the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundTrip {
    /// The way there.
    pub there: Way,
    /// The way of the answer; none: nothing arrives that could be answered.
    pub back: Option<Way>,
}

impl RoundTrip {
    /// The first obstacle, and whether it is on the way back.
    pub fn obstacle(&self) -> Option<(&Obstacle, bool)> {
        let there = self.there.obstacle().map(|obstacle| (obstacle, false));
        there.or_else(|| Some((self.back.as_ref()?.obstacle()?, true)))
    }

    /// The namespace at which the packet arrives.
    pub fn arrives_at(&self) -> Option<&NsName> {
        match &self.there.end {
            WayEnd::Arrived(ns) => Some(ns),
            WayEnd::Stopped(_) => None,
        }
    }

    /// The packet as it arrives.
    pub fn arrival(&self) -> Option<&Flow> {
        self.arrives_at().and(self.there.legs.last()).map(|leg| &leg.destination.flow)
    }
}

impl Way {
    /// The last namespace that it comes to.
    pub fn last(&self) -> Option<&Leg> {
        self.legs.last()
    }

    /// What stops it.
    pub fn obstacle(&self) -> Option<&Obstacle> {
        match &self.end {
            WayEnd::Stopped(obstacle) => Some(obstacle),
            WayEnd::Arrived(_) => None,
        }
    }
}

impl Leg {
    /// The source with which it leaves before that is translated.
    pub fn source_before(&self) -> Option<IpAddr> {
        match &self.decision.outcome {
            Outcome::Leaves { source, .. } => {
                self.destination.flow.source.or(source.filter(|_| self.came.input.is_none()))
            }
            Outcome::Local { .. } | Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => {
                self.destination.flow.source
            }
        }
    }
}
