//! Changes to nf_tables: tables of nslab made, and removed.

use std::collections::BTreeSet;

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_NONREC};
use nix::errno::Errno;

use super::message::{
    FoundTable, Message, NF_ACCEPT, NFNL_BATCH_GENID, NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFT_MSG_DELCHAIN,
    NFT_MSG_DELRULE, NFT_MSG_DELTABLE, NFT_MSG_GETCHAIN, NFT_MSG_NEWCHAIN, NFT_MSG_NEWTABLE, NFTA_CHAIN_HOOK,
    NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE, NFTA_CHAIN_TYPE, NFTA_CHAIN_USERDATA, NFTA_HOOK_HOOKNUM,
    NFTA_HOOK_PRIORITY, NFTA_RULE_TABLE, NFTA_TABLE_NAME, NFTA_TABLE_USERDATA, OUR_COMMENT, c_string,
};
use super::{Nftables, refused};
use crate::failpoint;
use crate::kernel::KernelError;
use crate::kernel::netlink::{self, NetlinkError};
use crate::lab::{Family, Hook, Table};

impl Nftables {
    /// Makes a table with nslab's comment, unless there is one.
    pub(in crate::kernel::firewall) fn make_ours(&mut self, family: Family, table: Table) -> Result<(), KernelError> {
        let attributes = vec![(NFTA_TABLE_NAME, c_string(table.name())), (NFTA_TABLE_USERDATA, OUR_COMMENT.to_vec())];
        let make = Message::new(Some(family), attributes).as_change(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
        let Err(error) = self.transaction(vec![make], None) else { return Ok(()) };
        let errno = error.errno;
        let refused = refused(&format!("make table {} of nf_tables", table.name()), error);
        match errno {
            Errno::EEXIST => Ok(()),
            Errno::EINVAL | Errno::EOPNOTSUPP => Err(refused.hint(
                "the installed iptables is the nf_tables variant and this kernel has no nf_tables: \
                 choose iptables-legacy",
            )),
            _ => Err(refused),
        }
    }

    /// Removes tables that we made with all chains and rules in them, if the rules are still those of a generation, and
    /// if nothing else is in there; whether it was done.
    pub(in crate::kernel::firewall) fn remove_whole(
        &mut self,
        family: Family,
        tables: &BTreeSet<Table>,
        generation: u32,
    ) -> Result<bool, KernelError> {
        let what = "remove a table of nf_tables";
        let chains = self.list(NFT_MSG_GETCHAIN).map_err(|error| refused(what, error))?;
        let mut removals = Vec::new();
        for &table in tables {
            let of_table = Message::new(Some(family), vec![(NFTA_RULE_TABLE, c_string(table.name()))]);
            removals.push(of_table.as_change(NFT_MSG_DELRULE, 0));
            removals.extend(removal(family, table, chains.iter().filter(|chain| chain.is_in(family, table))));
        }
        match self.transaction(removals, Some(generation)) {
            Ok(()) => Ok(true),
            // Something has changed meanwhile, or a set is kept there.
            Err(error) if matches!(error.errno, Errno::ERESTART | Errno::EBUSY | Errno::ENOENT) => Ok(false),
            Err(error) => Err(refused(what, error)),
        }
    }

    /// Removes the tables and base chains that we made, where nothing is left in them but base chains that accept
    /// everything.
    pub(in crate::kernel::firewall) fn remove_ours(&mut self) -> Result<(), KernelError> {
        let tables = self.tables()?;
        if tables.is_empty() {
            return Ok(());
        }
        let what = "remove an empty table of nf_tables";
        self.remove_our_chains(what)?;
        let of_nslab: Vec<FoundTable> = tables.into_iter().filter(|found| found.of_nslab).collect();
        let chains = self.list(NFT_MSG_GETCHAIN).map_err(|error| refused(what, error))?;
        for found in of_nslab {
            let inside: Vec<&Message> = chains.iter().filter(|chain| chain.is_in(found.family, found.table)).collect();
            if inside.iter().all(|chain| chain.accepts_everything()) {
                match self.transaction(removal(found.family, found.table, inside.into_iter()), None) {
                    Ok(()) => {}
                    // A rule that is added meanwhile keeps the table.
                    Err(error) if matches!(error.errno, Errno::EBUSY | Errno::ENOENT) => {}
                    Err(error) => return Err(refused(what, error)),
                }
            }
        }
        Ok(())
    }

    /// Removes the base chains that we made in tables of others, where they are empty.
    fn remove_our_chains(&mut self, what: &str) -> Result<(), KernelError> {
        let chains = self.list(NFT_MSG_GETCHAIN).map_err(|error| refused(what, error))?;
        for chain in chains.iter().filter(|chain| chain.is_chain_of_nslab() && chain.accepts_everything()) {
            let named = chain.keeping(|kind| [NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME].contains(&kind), Vec::new());
            match self.transaction(vec![named.as_change(NFT_MSG_DELCHAIN, NLM_F_NONREC)], None) {
                Err(error) if !matches!(error.errno, Errno::EBUSY | Errno::ENOENT) => return Err(refused(what, error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes a base chain with nslab's comment in a table of others, as iptables would make it without one, unless
    /// there is one. Its type, hooks and priorities are those of iptables' nft-chain.c.
    pub(in crate::kernel::firewall) fn make_our_chain(
        &mut self,
        family: Family,
        table: Table,
        hook: Hook,
    ) -> Result<(), KernelError> {
        let (number, nat_priority): (u32, i32) = match hook {
            Hook::Prerouting => (0, -100),
            Hook::Input => (1, 100),
            Hook::Forward => (2, 0),
            Hook::Output => (3, -100),
            Hook::Postrouting => (4, 100),
        };
        let priority = if table == Table::Nat { nat_priority } else { 0 };
        let place = vec![
            DefaultNla::new(NFTA_HOOK_HOOKNUM, number.to_be_bytes().to_vec()),
            DefaultNla::new(NFTA_HOOK_PRIORITY, priority.to_be_bytes().to_vec()),
        ];
        let mut at = vec![0; place.as_slice().buffer_len()];
        place.as_slice().emit(&mut at);
        let attributes = vec![
            (NFTA_CHAIN_TABLE, c_string(table.name())),
            (NFTA_CHAIN_NAME, c_string(hook.name())),
            (NFTA_CHAIN_HOOK | NLA_F_NESTED, at),
            (NFTA_CHAIN_POLICY, NF_ACCEPT.to_be_bytes().to_vec()),
            (NFTA_CHAIN_TYPE, c_string(table.name())),
            (NFTA_CHAIN_USERDATA, OUR_COMMENT.to_vec()),
        ];
        let make = Message::new(Some(family), attributes).as_change(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
        match self.transaction(vec![make], None) {
            Err(error) if error.errno != Errno::EEXIST => {
                Err(refused(&format!("make chain {} of table {}", hook.name(), table.name()), error))
            }
            _ => Ok(()),
        }
    }

    /// Whether there are tables or base chains that we made.
    pub(in crate::kernel::firewall) fn has_ours(&mut self) -> Result<bool, KernelError> {
        let tables = self.tables()?;
        if tables.is_empty() || tables.iter().any(|found| found.of_nslab) {
            return Ok(!tables.is_empty());
        }
        let chains = self.list(NFT_MSG_GETCHAIN).map_err(|error| refused("list the chains of nf_tables", error))?;
        Ok(chains.iter().any(Message::is_chain_of_nslab))
    }

    /// Changes that happen all together or not at all.
    pub(super) fn transaction(
        &mut self,
        changes: Vec<netlink::Message>,
        generation: Option<u32>,
    ) -> Result<(), NetlinkError> {
        failpoint::pass("nf_tables transaction")?;
        let only_in = generation.map(|generation| (NFNL_BATCH_GENID, generation.to_be_bytes().to_vec()));
        let mut batch = vec![Message::batch(only_in.into_iter().collect()).as_change(NFNL_MSG_BATCH_BEGIN, 0)];
        batch.extend(changes);
        if let Some(last) = batch.last_mut() {
            last.flags |= NLM_F_ACK;
        }
        batch.push(Message::batch(Vec::new()).as_change(NFNL_MSG_BATCH_END, 0));
        self.socket.transaction(&batch)
    }
}

/// The removal of chains and of their table. The kernel itself refuses (NLM_F_NONREC) to remove what is not empty.
fn removal<'a>(family: Family, table: Table, chains: impl Iterator<Item = &'a Message>) -> Vec<netlink::Message> {
    let name = || c_string(table.name());
    let chains = chains.map(|chain| {
        let of_chain = c_string(&chain.text(NFTA_CHAIN_NAME).unwrap_or_default());
        let attributes = vec![(NFTA_CHAIN_TABLE, name()), (NFTA_CHAIN_NAME, of_chain)];
        Message::new(Some(family), attributes).as_change(NFT_MSG_DELCHAIN, NLM_F_NONREC)
    });
    let table = Message::new(Some(family), vec![(NFTA_TABLE_NAME, name())]);
    chains.chain([table.as_change(NFT_MSG_DELTABLE, NLM_F_NONREC)]).collect()
}
