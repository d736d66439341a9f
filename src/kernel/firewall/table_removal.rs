//! Tables of nslab that steps would leave empty: they can go whole, with all that is in them.
//!
//! The kernel takes tens of milliseconds to get rid of rules. Removing first the rules and then the table costs that
//! twice.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::nftables::Nftables;
use super::program::Program;
use super::restore;
use super::saved::saved;
use crate::kernel::KernelError;
use crate::lab::{ChainId, Family, NsName, ObservedFirewall, ObservedRule, Policy, Table};
use crate::steps::{FirewallChange, FirewallStep, Presence, Step};

/// Removes the tables in this thread's namespace that the steps concern, if the steps leave nothing in any of them and
/// all are nslab's; whether it was done. Nobody can add anything unseen: the kernel refuses if the rules are not those
/// that were looked at.
pub(super) fn remove(
    nft: &mut Nftables,
    program: &Program,
    family: Family,
    steps: &[Step],
) -> Result<bool, KernelError> {
    let removes = |step: &Step| step.firewall().is_some_and(FirewallStep::removes);
    if !steps.iter().all(removes) {
        return Ok(false);
    }
    let tables: BTreeSet<Table> = restore::tables(steps).collect();
    let generation = nft.generation()?;
    let found = nft.tables()?;
    let is_ours =
        |table: &Table| found.iter().any(|found| found.of_nslab && found.family == family && found.table == *table);
    if !tables.iter().all(is_ours) {
        return Ok(false);
    }
    let (firewall, unshown) = saved(program, family, &NsName::host())?;
    let contradiction = nft.account()?.contradiction(&firewall, family, &BTreeSet::new());
    if !unshown.is_empty() || contradiction.is_some() || !is_everything(&firewall, steps, family, &tables) {
        return Ok(false);
    }
    nft.remove_whole(family, &tables, generation)
}

/// Whether the steps remove all that is in these tables: every rule, and every chain but those built in, which accept
/// everything. Not where a step would fail, as what it removes is not there.
fn is_everything(firewall: &ObservedFirewall, steps: &[Step], family: Family, tables: &BTreeSet<Table>) -> bool {
    let mut rules: HashMap<(&ChainId, &ObservedRule), usize> = HashMap::new();
    let mut chains: HashSet<&ChainId> = HashSet::new();
    for step in steps {
        let Some(FirewallStep { chain, change, .. }) = step.firewall() else { return false };
        match change {
            FirewallChange::Rule { change: Presence::Remove(rule), .. } => {
                *rules.entry((chain, &**rule)).or_default() += 1
            }
            FirewallChange::RemoveChain { .. } => {
                chains.insert(chain);
            }
            FirewallChange::AddChain
            | FirewallChange::Policy(_)
            | FirewallChange::Rule { change: Presence::Add(_), .. } => return false,
        }
    }
    let is_inside = |chain: &ChainId| chain.family == family && tables.contains(&chain.table);
    for (chain, there) in firewall.chains.iter().filter(|(chain, _)| is_inside(chain)) {
        for rule in there {
            match rules.get_mut(&(chain, rule)) {
                Some(count) if *count > 0 => *count -= 1,
                _ => return false,
            }
        }
        if !chains.remove(chain) && firewall.policies.get(chain) != Some(&Policy::Accept) {
            return false;
        }
    }
    chains.is_empty() && rules.values().all(|count| *count == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iptables::read_saved;
    use crate::lab::{Hook, LabName};

    #[test]
    fn everything_is_every_rule_and_every_chain() {
        let saved = "*nat\n:POSTROUTING ACCEPT [0:0]\n:NSLAB-a-POST - [0:0]\n-A POSTROUTING -j NSLAB-a-POST\n\
                     -A NSLAB-a-POST -s 10.0.0.0/8 -j ACCEPT\n-A NSLAB-a-POST -s 10.0.0.0/8 -j ACCEPT\nCOMMIT\n";
        let firewall = read_saved(Family::Ipv4, saved);
        let step = |chain, change| Step::Firewall(FirewallStep { ns: NsName::host(), chain, change });
        let lab: LabName = "a".parse().unwrap();
        let own = ChainId::own(Family::Ipv4, Table::Nat, &lab, Hook::Postrouting);
        let rules = firewall.chains.iter().flat_map(|(chain, rules)| rules.iter().map(move |rule| (chain, rule)));
        let mut steps: Vec<Step> = rules
            .map(|(chain, rule)| {
                let change = Presence::Remove(Box::new(rule.clone()));
                step(chain.clone(), FirewallChange::Rule { position: None, is_rewritten: false, change })
            })
            .collect();
        steps.push(step(own, FirewallChange::RemoveChain { is_rewritten: false }));
        assert_eq!(steps.len(), 4);
        let all_of = |steps: &[Step]| is_everything(&firewall, steps, Family::Ipv4, &[Table::Nat].into());
        assert!(all_of(&steps));
        for missing in 0..steps.len() {
            let rest: Vec<Step> = steps.iter().take(missing).chain(steps.iter().skip(missing + 1)).cloned().collect();
            assert!(!all_of(&rest), "without step {missing}");
        }
        let twice: Vec<Step> = steps.iter().chain(steps.first()).cloned().collect();
        assert!(!all_of(&twice), "a rule that is not there");
        let drops = read_saved(Family::Ipv4, &saved.replace("POSTROUTING ACCEPT", "POSTROUTING DROP"));
        assert!(!is_everything(&drops, &steps, Family::Ipv4, &[Table::Nat].into()), "a policy");
    }
}
