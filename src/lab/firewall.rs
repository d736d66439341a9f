//! The firewall of a namespace: packet filter and NAT.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::chain::ChainId;
use super::firewall_rule::FirewallRule;

/// The chains of a lab in a namespace, with their rules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Firewall {
    /// Rules by chain, in the order in which they are asked.
    #[serde(serialize_with = "chains_as_list")]
    pub chains: BTreeMap<ChainId, Vec<FirewallRule>>,
}

fn chains_as_list<S: Serializer>(chains: &BTreeMap<ChainId, Vec<FirewallRule>>, s: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Chain<'a> {
        #[serde(flatten)]
        id: &'a ChainId,
        rules: &'a [FirewallRule],
    }
    s.collect_seq(chains.iter().map(|(id, rules)| Chain { id, rules }))
}
