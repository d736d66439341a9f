//! One rule of a firewall chain: which packets it matches, and what becomes of them. Knows no program's spelling of it.
//!
//! Two rules are equal when they mean the same. Where a condition is absent, every packet meets it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use super::dnat::{DnatTarget, PortRange};
use super::filter::RejectWith;
use super::firewall_extensions::{MarkBits, Probability, Recent};
use super::names::{ChainName, IfName, LabName};

/// A rule of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct FirewallRule {
    /// Which packets it matches.
    pub matches: Matches,
    /// What becomes of them.
    pub target: FirewallTarget,
    /// A comment: whose rule it is, or why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The conditions of a rule. All of them must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Matches {
    /// The subnet of the source address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Condition<IpNet>>,
    /// The subnet of the destination address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Condition<IpNet>>,
    /// The interface on which the packet arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Condition<IfName>>,
    /// The interface through which it leaves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<Condition<IfName>>,
    /// The protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Condition<IpProtocol>>,
    /// What its source has done lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recent: Option<Recent>,
    /// Chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<Probability>,
    /// Its firewall mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mark: Option<Condition<MarkBits>>,
    /// Whether the source is an address of this namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_is_local: Option<bool>,
    /// Whether the destination is an address of this namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_is_local: Option<bool>,
    /// The source port, of TCP and UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_port: Option<Condition<PortRange>>,
    /// The destination port, of TCP and UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<Condition<PortRange>>,
    /// The connection is in one of these states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub states: Option<Condition<BTreeSet<ConnectionState>>>,
}

/// A condition on one property of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition<T> {
    /// It is this, or within this.
    Is(T),
    /// It is anything else.
    IsNot(T),
}

/// A protocol that rules ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IpProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP.
    Icmp,
    /// `ICMPv6`.
    Icmpv6,
}

/// A state of a connection, in the order in which iptables lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ConnectionState {
    /// Of no known connection.
    Invalid,
    /// The first packet of a connection.
    New,
    /// Of a connection that belongs to another one, such as an ICMP error.
    Related,
    /// Packets of the connection went both ways.
    Established,
    /// Not tracked.
    Untracked,
    /// The source is translated.
    Snat,
    /// The destination is translated.
    Dnat,
}

/// What becomes of a packet that a rule matches.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FirewallTarget {
    /// It goes on; no further rule of the table is asked at this hook.
    Accept,
    /// It is dropped.
    Drop,
    /// It is dropped, and the sender gets an answer.
    Reject(RejectWith),
    /// The chain ends here: the rule after the jump is next, or the policy.
    Return,
    /// The rules of another chain of the table are asked.
    Jump(ChainName),
    /// Nothing: the next rule is asked.
    Continue,
    /// These bits of its mark are set; the next rule is asked.
    Mark(MarkBits),
    /// Its source becomes the address of the interface through which it leaves.
    Masquerade,
    /// The same, from a port that nobody can guess.
    MasqueradeRandomly,
    /// Its source becomes an address.
    Snat(IpAddr),
    /// Its destination becomes another one.
    Dnat(DnatTarget),
    /// Its destination becomes this namespace itself.
    Redirect(Option<PortRange>),
}

impl<T> Condition<T> {
    /// What it is about.
    pub fn value(&self) -> &T {
        match self {
            Self::Is(value) | Self::IsNot(value) => value,
        }
    }

    /// Whether something that is this, or not, meets it.
    pub fn holds(&self, is_this: impl FnOnce(&T) -> bool) -> bool {
        match self {
            Self::Is(value) => is_this(value),
            Self::IsNot(value) => !is_this(value),
        }
    }
}

impl ConnectionState {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Invalid, Self::New, Self::Related, Self::Established, Self::Untracked, Self::Snat, Self::Dnat];
}

impl IpProtocol {
    /// Whether it has ports.
    pub fn has_ports(self) -> bool {
        match self {
            Self::Tcp | Self::Udp | Self::Sctp => true,
            Self::Icmp | Self::Icmpv6 => false,
        }
    }
}

impl fmt::Display for IpProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
        })
    }
}

impl Matches {
    /// Packets from a subnet.
    #[must_use]
    pub fn from(self, net: IpNet) -> Self {
        Self { source: within(net), ..self }
    }

    /// Packets to a subnet.
    #[must_use]
    pub fn to(self, net: IpNet) -> Self {
        Self { destination: within(net), ..self }
    }

    /// Packets to outside of a subnet.
    #[must_use]
    pub fn not_to(self, net: IpNet) -> Self {
        Self { destination: Some(Condition::IsNot(net.trunc())), ..self }
    }

    /// Packets with these bits in their mark, and no others of the mask.
    #[must_use]
    pub fn marked(self, bits: MarkBits) -> Self {
        Self { mark: Some(Condition::Is(bits)), ..self }
    }

    /// Whether it is not known beforehand if a packet meets them.
    pub fn is_chance(&self) -> bool {
        self.probability.is_some() || matches!(self.recent, Some(Recent::Within { .. }))
    }

    /// The rule that does something with the packets that these match.
    pub fn then(self, target: FirewallTarget) -> FirewallRule {
        FirewallRule { matches: self, target, comment: None }
    }
}

/// To be within everything is no condition.
fn within(net: IpNet) -> Option<Condition<IpNet>> {
    (net.prefix_len() > 0).then(|| Condition::Is(net.trunc()))
}

impl FirewallRule {
    /// The rule that sends packets from a built-in chain to one of a lab's, with the lab's mark as its comment.
    pub fn jump(lab: &LabName, chain: &ChainName) -> Self {
        let target = FirewallTarget::Jump(chain.clone());
        Self { matches: Matches::default(), target, comment: Some(lab.mark()) }
    }

    /// The rule with a comment.
    #[must_use]
    pub fn saying(self, comment: impl Into<String>) -> Self {
        Self { comment: Some(comment.into()), ..self }
    }

    /// The rule without its comment: what it does, not whose it is.
    #[must_use]
    pub fn without_comment(&self) -> Self {
        Self { comment: None, ..self.clone() }
    }

    /// The chain of the same table that it leads to.
    pub fn leads_to(&self) -> Option<&ChainName> {
        self.target.leads_to()
    }
}

impl FirewallTarget {
    /// Whether the source becomes an address of the interface through which the packet leaves.
    pub fn masquerades(&self) -> bool {
        matches!(self, Self::Masquerade | Self::MasqueradeRandomly)
    }

    /// Whether no packet goes on.
    pub fn keeps(&self) -> bool {
        matches!(self, Self::Drop | Self::Reject(_))
    }

    /// The chain of the same table that it leads to.
    pub fn leads_to(&self) -> Option<&ChainName> {
        match self {
            Self::Jump(chain) => Some(chain),
            Self::Accept
            | Self::Drop
            | Self::Reject(_)
            | Self::Return
            | Self::Continue
            | Self::Mark(_)
            | Self::Masquerade
            | Self::MasqueradeRandomly
            | Self::Snat(_)
            | Self::Dnat(_)
            | Self::Redirect(_) => None,
        }
    }
}
