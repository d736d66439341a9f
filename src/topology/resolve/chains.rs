//! The lab's own chains while they are being filled. What stands in them is decided by `nat` and `filter`.

use std::collections::{BTreeMap, HashSet};

use crate::lab::{ChainId, Firewall, FirewallRule};

/// Rules by chain, in the order in which they are asked.
#[derive(Default)]
pub struct Chains {
    rules: BTreeMap<ChainId, Vec<FirewallRule>>,
    /// The same rules, to find again.
    known: HashSet<(ChainId, FirewallRule)>,
}

impl Chains {
    /// Adds a rule to the end of a chain, unless it is there: a second one like it would never be asked.
    pub fn append(&mut self, chain: ChainId, rule: FirewallRule) {
        if self.known.insert((chain.clone(), rule.clone())) {
            self.rules.entry(chain).or_default().push(rule);
        }
    }

    /// All of them.
    pub fn into_firewall(self) -> Firewall {
        Firewall { chains: self.rules }
    }
}
