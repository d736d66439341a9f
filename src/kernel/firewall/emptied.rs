//! Tables of ours that steps would leave empty: they can go whole, with all that is in them.
//!
//! The kernel takes tens of milliseconds to get rid of rules. Removing first the rules and then the table costs that twice.

use std::collections::BTreeSet;

use super::nftables::Nftables;
use super::program::Program;
use super::{restore, saved};
use crate::kernel::KernelError;
use crate::lab::{Family, Firewall, NsName, Policy, Table};
use crate::plan::Step;

/// Removes the tables in this thread's namespace that the steps concern, if the steps leave nothing in any of them and all are
/// ours; whether it was done. Nobody can add anything unseen: the kernel refuses if the rules are not those that were looked at.
pub(super) fn remove(
    nft: &mut Nftables,
    program: &Program,
    family: Family,
    steps: &[Step],
) -> Result<bool, KernelError> {
    let removes = |step: &Step| matches!(step, Step::DeleteChain { .. } | Step::DeleteFwRule { .. });
    if !steps.iter().all(removes) {
        return Ok(false);
    }
    let tables: BTreeSet<Table> = restore::tables(steps).collect();
    let generation = nft.generation()?;
    let found = nft.tables()?;
    let is_ours =
        |table: &Table| found.iter().any(|found| found.ours && found.family == family && found.table == *table);
    if !tables.iter().all(is_ours) {
        return Ok(false);
    }
    let firewall = saved(program, family, &NsName::host())?;
    if without(firewall, steps).is_none_or(|rest| !tables.iter().all(|&table| is_empty(&rest, family, table))) {
        return Ok(false);
    }
    nft.remove_whole(family, &tables, generation)
}

/// What the steps would leave; none where they would fail.
fn without(mut firewall: Firewall, steps: &[Step]) -> Option<Firewall> {
    for step in steps {
        match step {
            Step::DeleteFwRule { chain, rule, .. } => {
                let rules = firewall.chains.get_mut(chain)?;
                let position = rules.iter().position(|found| found == rule)?;
                rules.remove(position);
            }
            Step::DeleteChain { chain, .. } => {
                firewall.chains.remove(chain).filter(Vec::is_empty)?;
            }
            _ => return None,
        }
    }
    Some(firewall)
}

/// Whether nothing but built-in chains that accept everything is in a table.
fn is_empty(firewall: &Firewall, family: Family, table: Table) -> bool {
    let mut inside = firewall.chains.iter().filter(|(chain, _)| chain.family == family && chain.table == table);
    inside.all(|(chain, rules)| rules.is_empty() && firewall.policies.get(chain) == Some(&Policy::Accept))
}
