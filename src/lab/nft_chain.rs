//! Chains of nf_tables: where their rules are asked, and in which order.

use serde::{Serialize, Serializer};

use super::chain::{Hook, Policy};
use super::nft_rule::NftRule;

/// A chain with its rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NftChain {
    /// Where packets come to it by themselves; none: only from other chains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<NftBase>,
    /// What it says about itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its rules, in the order in which they are asked.
    pub rules: Vec<NftRule>,
}

/// The place of a base chain in the way of packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftBase {
    /// What its rules may do.
    pub kind: NftChainType,
    /// The hook.
    pub hook: Hook,
    /// Lower ones are asked first; 0 is that of `filter`, -100 that of `dstnat`, 100 that of `srcnat`.
    pub priority: i32,
    /// What becomes of packets that reach its end.
    pub policy: Policy,
}

/// The type of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NftChainType {
    /// Every packet; accepting and dropping.
    Filter,
    /// The first packet of each connection; address translation.
    Nat,
}

impl NftChainType {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }
}

impl NftChain {
    /// A base chain without rules, which accepts what reaches its end.
    pub fn base(kind: NftChainType, hook: Hook, priority: i32) -> Self {
        let base = Some(NftBase { kind, hook, priority, policy: Policy::Accept });
        Self { base, ..Self::default() }
    }
}

impl Serialize for NftBase {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
