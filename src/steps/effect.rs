//! What firewall steps make of a firewall that was read: what the kernel has afterwards if nobody else has changed it.

use std::collections::BTreeSet;

use super::{FirewallChange, FirewallStep, NftChange, NftStep, Presence, Step, Update};
use crate::lab::{
    ChainId, Firewall, NftChain, NftSet, NftTable, NftTables, ObservedFirewall, ObservedNamespace, ObservedRule,
};

/// Changes what was observed of a namespace as steps on it change the kernel, where they are about chains, rules or
/// tables that the model has words for; any others change nothing. None where it cannot be said.
pub fn take_effect(steps: &[&Step], on: &mut ObservedNamespace) -> Option<()> {
    steps.iter().try_for_each(|step| step.take_effect(on))?;
    let chains: BTreeSet<&ChainId> = steps.iter().filter_map(|step| step.firewall()).map(|step| &step.chain).collect();
    chains.into_iter().for_each(|chain| known(chain, &on.firewall, &mut on.is.firewall));
    Some(())
}

impl Step {
    fn take_effect(&self, on: &mut ObservedNamespace) -> Option<()> {
        match self {
            Self::Firewall(step) => of_iptables(step, &mut on.firewall),
            Self::Nft(step) => of_nftables(step, &mut on.is.nft),
            Self::Foreign(step) if step.change.object().is_of_a_firewall() => None,
            Self::Foreign(_)
            | Self::Namespace(_)
            | Self::Mark(_)
            | Self::Interface(_)
            | Self::Veth(_)
            | Self::Bridge(_)
            | Self::BridgePort(_)
            | Self::Vlans(_)
            | Self::VirtualInterface(_)
            | Self::Address(_)
            | Self::Route(_)
            | Self::PolicyRule(_)
            | Self::Neighbour(_)
            | Self::FdbEntry(_)
            | Self::Wireguard(_)
            | Self::EtcFiles(_)
            | Self::Program(_)
            | Self::Sysctl(_) => Some(()),
        }
    }
}

fn of_iptables(FirewallStep { chain, change, .. }: &FirewallStep, on: &mut ObservedFirewall) -> Option<()> {
    match change {
        FirewallChange::AddChain => drop(on.chains.insert(chain.clone(), Vec::new())),
        FirewallChange::RemoveChain { .. } => drop(on.chains.remove(chain)?),
        FirewallChange::Policy(change) => drop(on.policies.insert(chain.clone(), change.to)),
        FirewallChange::Rule { change: Presence::Add(rule), position, .. } => {
            let rules = on.chains.entry(chain.clone()).or_default();
            let at = position.map_or(rules.len(), |position| position.saturating_sub(1));
            if at > rules.len() {
                return None;
            }
            rules.insert(at, (**rule).clone());
        }
        FirewallChange::Rule { change: Presence::Remove(rule), position, .. } => {
            let rules = on.chains.get_mut(chain)?;
            let given = position.and_then(|position| position.checked_sub(1));
            let given = given.filter(|at| rules.get(*at) == Some(&**rule));
            let at = given.or_else(|| rules.iter().position(|there| *there == **rule))?;
            rules.remove(at);
        }
    }
    Some(())
}

/// Takes what the model has words for over from a chain.
fn known(chain: &ChainId, from: &ObservedFirewall, to: &mut Firewall) {
    match from.chains.get(chain) {
        Some(rules) => {
            let known = rules.iter().filter_map(ObservedRule::meaning).cloned().collect();
            to.chains.insert(chain.clone(), known);
        }
        None => drop(to.chains.remove(chain)),
    }
}

fn of_nftables(NftStep { table: id, change, .. }: &NftStep, on: &mut NftTables) -> Option<()> {
    if let NftChange::Table(change) = change {
        match change {
            Presence::Add(comment) => {
                drop(on.insert(id.clone(), NftTable { comment: comment.clone(), ..NftTable::default() }));
            }
            Presence::Remove(_) => drop(on.remove(id)?),
        }
        return Some(());
    }
    let table = on.get_mut(id)?;
    match change {
        NftChange::Table(_) => {}
        NftChange::Chain(name, Presence::Add(chain)) => {
            table.chains.insert(name.clone(), NftChain { rules: Vec::new(), ..chain.clone() });
        }
        NftChange::Chain(name, Presence::Remove(_)) => drop(table.chains.remove(name)?),
        NftChange::Set(name, Presence::Add(definition)) => {
            let set = NftSet { definition: definition.clone(), elements: [].into() };
            table.sets.insert(name.clone(), set);
        }
        NftChange::Set(name, Presence::Remove(_)) => drop(table.sets.remove(name)?),
        NftChange::Element { set, key, change, .. } => {
            let elements = &mut table.sets.get_mut(set)?.elements;
            match change {
                Update::Add(element) => drop(elements.insert(key.clone(), element.clone())),
                Update::Replace(change) => drop(elements.insert(key.clone(), change.to.clone())),
                Update::Remove(_) => drop(elements.remove(key)?),
            }
        }
        NftChange::Rules(chain, change) => table.chains.get_mut(chain)?.rules.clone_from(&change.to),
    }
    Some(())
}
