//! The firewall of a namespace as a kernel shows it: rules that the model has words for, and others.

use std::collections::BTreeMap;

use super::chain::{ChainId, Policy};
use super::firewall::Firewall;
use super::firewall_rule::FirewallRule;
use super::names::ChainName;

/// Every chain of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservedFirewall {
    /// Rules by chain, in the order in which they are asked.
    pub chains: BTreeMap<ChainId, Vec<ObservedRule>>,
    /// What happens at the end of each built-in chain.
    pub policies: BTreeMap<ChainId, Policy>,
}

/// A rule that exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ObservedRule {
    /// One that nslab could have made: it is spelled as nslab would.
    Known(FirewallRule),
    /// Any other.
    Foreign(ForeignFirewallRule),
}

/// A rule that nslab would not have made, in the words of iptables: enough to remove it, and to put it back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ForeignFirewallRule {
    /// Its arguments, as `iptables-restore` reads them.
    pub text: String,
    /// The rule of the model that does the same, where there is one: only the order of its conditions differs.
    pub means: Option<FirewallRule>,
    /// The chain of the same table that it leads to.
    pub leads_to: Option<ChainName>,
}

impl ObservedFirewall {
    /// What the kernel shows where rules are exactly the wanted ones.
    pub fn of(firewall: &Firewall) -> Self {
        let known = |rules: &Vec<FirewallRule>| rules.iter().cloned().map(ObservedRule::Known).collect();
        let chains = firewall.chains.iter().map(|(id, rules)| (id.clone(), known(rules)));
        Self { chains: chains.collect(), policies: BTreeMap::new() }
    }

    /// The rules that the model has words for.
    pub fn known(&self) -> Firewall {
        let known = |rules: &Vec<ObservedRule>| rules.iter().filter_map(ObservedRule::meaning).cloned().collect();
        Firewall { chains: self.chains.iter().map(|(id, rules)| (id.clone(), known(rules))).collect() }
    }
}

impl ObservedRule {
    /// What it means, as far as the model has words for it.
    pub fn meaning(&self) -> Option<&FirewallRule> {
        match self {
            Self::Known(rule) => Some(rule),
            Self::Foreign(rule) => rule.means.as_ref(),
        }
    }

    /// Whether it does the same as a rule of the model, comment included.
    pub fn means(&self, rule: &FirewallRule) -> bool {
        self.meaning() == Some(rule)
    }

    /// The chain of the same table that it leads to.
    pub fn leads_to(&self) -> Option<&ChainName> {
        match self {
            Self::Known(rule) => rule.leads_to(),
            Self::Foreign(rule) => rule.leads_to.as_ref(),
        }
    }
}

impl From<FirewallRule> for ObservedRule {
    fn from(rule: FirewallRule) -> Self {
        Self::Known(rule)
    }
}
