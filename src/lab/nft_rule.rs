//! Rules of nf_tables: what kube-proxy and network policies need of them, and nothing else.
//!
//! Two rules are equal when the kernel has the same expressions for them.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::chain::Family;
use super::dnat::PortRange;
use super::firewall_extensions::MarkBits;
use super::firewall_rule::{Condition, ConnectionState, IpProtocol};
use super::names::IfName;

/// A rule of a chain. The first condition that a packet does not meet ends it; without one, the statements follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct NftRule {
    /// The conditions, in the order in which they are asked.
    pub conditions: Vec<NftCondition>,
    /// What becomes of packets that meet them all; the last may be a verdict.
    pub statements: Vec<NftStatement>,
    /// Why.
    pub comment: Option<String>,
}

/// What a packet has to be like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NftCondition {
    /// An address in a network, or one of its own: `ip saddr 10.0.0.0/8`, `ip6 daddr != fd00::1`.
    Address(NftSide, Condition<IpNet>),
    /// The protocol: `meta l4proto tcp`. Before a port it makes `tcp dport 80` of `th dport 80`.
    Protocol(Condition<IpProtocol>),
    /// A port, or one of a range: `th dport 80-90`. (A protocol that has none is the author's mistake.)
    Port(NftSide, Condition<PortRange>),
    /// Some fields, together, are in a set: `ip daddr . meta l4proto . th dport @web`. Its key is of their types.
    InSet(Vec<NftField>, Condition<String>),
    /// The connection is in one of these states: `ct state established,related`. No other states than invalid, new,
    /// related, established and untracked.
    States(BTreeSet<ConnectionState>),
    /// These bits of the mark: `meta mark & 0x4000 == 0x4000`.
    Mark(Condition<MarkBits>),
    /// The address is one of the namespace's own: `fib daddr type local`.
    Local(NftSide),
    /// The interface on which the packet has come: `iifname "eth0"`.
    Input(Condition<IfName>),
    /// The interface through which it leaves: `oifname "eth0"`.
    Output(Condition<IfName>),
}

/// One end of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NftSide {
    /// Its source.
    Source,
    /// Its destination.
    Destination,
}

/// What is looked up in a set or a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NftField {
    /// An address: `ip saddr`, `ip6 daddr`.
    Address(Family, NftSide),
    /// `meta l4proto`.
    Protocol,
    /// A port: `th dport`.
    Port(NftSide),
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NftStatement {
    /// The mark: the bits of the mask are cleared, and then those of the value turned over; `0x4000` of no mask is
    /// `meta mark set meta mark xor 0x4000`, of the same mask `or`.
    SetMark(MarkBits),
    /// Its fields are put into a dynamic set, for as long as the set says: `update @set { ip saddr }`.
    Update(String, Vec<NftField>),
    /// A new destination, for the rest of the connection; in chains of the type nat, and in tables of one family.
    Dnat(SocketAddr),
    /// The address of the interface as its source, for the rest of the connection; in chains of the type nat.
    Masquerade {
        /// Whether the source port is one that nobody can guess.
        fully_random: bool,
    },
    /// Dropped, and told: "port unreachable".
    Reject,
    /// A verdict.
    Verdict(NftVerdict),
    /// The verdict that a map has for some fields; where it has none, the next rule is asked: `ip daddr vmap @map`.
    LookUp(Vec<NftField>, String),
    /// One of these verdicts by chance, each as likely as any other: `numgen random mod 2 vmap { 0 : …, 1 : … }`.
    Spread(Vec<NftVerdict>),
}

/// Where a packet goes next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NftVerdict {
    /// No further chain of this table is asked at this hook.
    Accept,
    /// It is dropped.
    Drop,
    /// The chain ends here.
    Return,
    /// The next rule is asked.
    Continue,
    /// Another chain is asked, and then the next rule.
    Jump(String),
    /// Another chain is asked in the place of the rest of this one.
    Goto(String),
}

impl NftField {
    /// An address of a family.
    pub fn address(of: IpAddr, side: NftSide) -> Self {
        Self::Address(Family::of(of), side)
    }
}

impl NftRule {
    /// A rule for every packet.
    pub fn always() -> Self {
        Self::default()
    }

    /// The rule with one more condition.
    #[must_use]
    pub fn when(mut self, condition: NftCondition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// The rule with one more statement.
    #[must_use]
    pub fn then(mut self, statement: NftStatement) -> Self {
        self.statements.push(statement);
        self
    }

    /// The rule that ends with a verdict.
    #[must_use]
    pub fn verdict(self, verdict: NftVerdict) -> Self {
        self.then(NftStatement::Verdict(verdict))
    }

    /// The rule with a comment.
    #[must_use]
    pub fn saying(self, comment: impl Into<String>) -> Self {
        Self { comment: Some(comment.into()), ..self }
    }

    /// The named sets and maps that it looks into, or fills.
    pub fn sets(&self) -> impl Iterator<Item = &str> {
        let asked = self.conditions.iter().filter_map(|condition| match condition {
            NftCondition::InSet(_, set) => Some(set.value().as_str()),
            NftCondition::Address(..)
            | NftCondition::Protocol(_)
            | NftCondition::Port(..)
            | NftCondition::States(_)
            | NftCondition::Mark(_)
            | NftCondition::Local(_)
            | NftCondition::Input(_)
            | NftCondition::Output(_) => None,
        });
        let used = self.statements.iter().filter_map(|statement| match statement {
            NftStatement::Update(set, _) | NftStatement::LookUp(_, set) => Some(set.as_str()),
            NftStatement::SetMark(_)
            | NftStatement::Dnat(_)
            | NftStatement::Masquerade { .. }
            | NftStatement::Reject
            | NftStatement::Verdict(_)
            | NftStatement::Spread(_) => None,
        });
        asked.chain(used)
    }

    /// The chains that it leads to by itself, not by a map.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        let verdicts = self.statements.iter().flat_map(|statement| match statement {
            NftStatement::Verdict(verdict) => std::slice::from_ref(verdict),
            NftStatement::Spread(verdicts) => verdicts,
            _ => &[],
        });
        verdicts.filter_map(NftVerdict::target)
    }
}

impl NftVerdict {
    /// The chain that it leads to.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            Self::Accept | Self::Drop | Self::Return | Self::Continue => None,
        }
    }
}

impl Serialize for NftRule {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
