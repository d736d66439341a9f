//! A firewall with its counters: how much each rule, and the end of each built-in chain, has seen.

use std::collections::BTreeMap;

use super::chain::{ChainId, Policy};

/// Every chain of a namespace with its counters.
pub type CountedFirewall = BTreeMap<ChainId, CountedChain>;

/// A chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountedChain {
    /// What happens at its end; none for a chain that is no built-in one.
    pub policy: Option<Policy>,
    /// What has reached its end, of a built-in chain.
    pub counters: Counters,
    /// Its rules, in the order in which they are asked.
    pub rules: Vec<CountedRule>,
}

/// A rule of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedRule {
    /// Its arguments, as they are on a shell's command line.
    pub text: String,
    /// What it has matched. A NAT rule is asked for the first packet of a connection only.
    pub counters: Counters,
}

/// How much traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes in them.
    pub bytes: u64,
}
