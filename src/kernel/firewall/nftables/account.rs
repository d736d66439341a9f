//! The kernel's own account of the tables that iptables uses: what a text about them is compared with.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::listing::is_absent;
use super::message::{Message, NFT_MSG_GETCHAIN};
use super::{Nftables, refused};
use crate::kernel::KernelError;
use crate::lab::{ChainId, Family, ObservedFirewall, Table};

const WHAT: &str = "list the chains and rules of nf_tables";

/// The chains, and how often each is in use: by every rule in it, and by every rule that leads to it (`chain->use` of
/// linux/net/netfilter/nf_tables_api.c). To list the rules themselves would take the kernel the square of their number.
pub(in crate::kernel::firewall) struct Account(BTreeMap<ChainId, usize>);

impl Nftables {
    /// Everything that iptables should show.
    pub(in crate::kernel::firewall) fn account(&mut self) -> Result<Account, KernelError> {
        let chains = self.list(NFT_MSG_GETCHAIN).map_err(|error| refused(WHAT, error))?;
        Ok(Account(chains.iter().filter_map(|chain| Some((chain.as_chain()?, chain.uses()?))).collect()))
    }

    /// The chains of labs. None where this kernel has no nf_tables.
    pub(in crate::kernel::firewall) fn chains_of_labs(&mut self) -> Result<BTreeSet<ChainId>, KernelError> {
        Ok(self.chains()?.into_iter().filter(|chain| chain.owner().is_some()).collect())
    }

    fn chains(&mut self) -> Result<Vec<ChainId>, KernelError> {
        match self.list(NFT_MSG_GETCHAIN) {
            Ok(chains) => Ok(chains.iter().filter_map(Message::as_chain).collect()),
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(error) => Err(refused(WHAT, error)),
        }
    }
}

impl Account {
    /// Whether a text shows the chains of labs in a table, and those that lead to them, as the kernel has them, though
    /// not all that is there.
    pub(in crate::kernel::firewall) fn agrees(&self, text: &ObservedFirewall, family: Family, table: Table) -> bool {
        let is_shown = |id: &ChainId| text.chains.contains_key(id) || id.hook().is_some();
        let matters =
            |id: &&ChainId| (id.family, id.table) == (family, table) && (is_shown(id) || id.owner().is_some());
        let uses = uses(text);
        self.0.iter().filter(|(id, _)| matters(id)).all(|(id, count)| uses.get(id) == Some(count))
    }

    /// A chain of which a text that shows some tables of a family says something else than the kernel.
    pub(in crate::kernel::firewall) fn contradiction(
        &self,
        text: &ObservedFirewall,
        family: Family,
        unshown: &BTreeSet<Table>,
    ) -> Option<ChainId> {
        let is_shown = |id: &&ChainId| id.family == family && !unshown.contains(&id.table);
        let uses = uses(text);
        let is_wrong = |id: &&ChainId| match (self.0.get(id), uses.get(id)) {
            (Some(count), Some(uses)) => count != uses,
            (Some(_), None) => true,
            // Built-in chains are shown where the kernel has none yet.
            (None, Some(uses)) => *uses > 0 || id.hook().is_none(),
            (None, None) => false,
        };
        self.0.keys().chain(text.chains.keys()).filter(is_shown).find(is_wrong).cloned()
    }
}

/// How often each chain of a text is in use.
fn uses(text: &ObservedFirewall) -> HashMap<ChainId, usize> {
    let mut uses: HashMap<ChainId, usize> =
        text.chains.iter().map(|(chain, rules)| (chain.clone(), rules.len())).collect();
    for (from, rules) in &text.chains {
        for chain in rules.iter().filter_map(|rule| rule.leads_to()) {
            if let Some(count) = uses.get_mut(&ChainId { chain: chain.clone(), ..from.clone() }) {
                *count += 1;
            }
        }
    }
    uses
}
