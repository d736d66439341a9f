//! Chains that are being filled.

use std::collections::BTreeMap;

use crate::lab::{ChainId, ChainName, Family, FirewallRule, Hook, Table};

/// Rules by chain.
pub type Chains = BTreeMap<ChainId, Vec<FirewallRule>>;

/// Chains that are being filled.
pub(super) struct Rules {
    pub(super) family: Family,
    pub(super) chains: Chains,
}

impl Rules {
    /// A chain, which may stay empty.
    pub(super) fn chain(&mut self, table: Table, chain: &ChainName) -> &mut Vec<FirewallRule> {
        self.chains.entry(ChainId { family: self.family, table, chain: chain.clone() }).or_default()
    }

    pub(super) fn add(&mut self, table: Table, chain: &ChainName, rule: FirewallRule) {
        self.chain(table, chain).push(rule);
    }

    pub(super) fn builtin(&mut self, table: Table, hook: Hook, rule: FirewallRule) {
        self.chains.entry(ChainId::builtin(self.family, table, hook)).or_default().push(rule);
    }
}
