//! Changes to nf_tables: tables of nslab made, and removed.

use std::collections::BTreeSet;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_NONREC};
use nix::errno::Errno;

use super::message::{
    FoundTable, Message, NFNL_BATCH_GENID, NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFT_MSG_DELCHAIN, NFT_MSG_DELRULE,
    NFT_MSG_DELTABLE, NFT_MSG_GETCHAIN, NFT_MSG_NEWTABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE,
    NFTA_TABLE_NAME, NFTA_TABLE_USERDATA, OUR_COMMENT, c_string,
};
use super::{Nftables, refused};
use crate::failpoint;
use crate::kernel::KernelError;
use crate::kernel::netlink::{self, NetlinkError};
use crate::lab::{Family, Table};

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
        generation: Vec<u8>,
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

    /// Removes the tables that we made, where nothing is left in them but base chains that accept everything.
    pub(in crate::kernel::firewall) fn remove_ours(&mut self) -> Result<(), KernelError> {
        let of_nslab: Vec<FoundTable> = self.tables()?.into_iter().filter(|found| found.of_nslab).collect();
        if of_nslab.is_empty() {
            return Ok(());
        }
        let what = "remove an empty table of nf_tables";
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

    /// Changes that happen all together or not at all.
    pub(super) fn transaction(
        &mut self,
        changes: Vec<netlink::Message>,
        generation: Option<Vec<u8>>,
    ) -> Result<(), NetlinkError> {
        failpoint::pass("nf_tables transaction")?;
        let only_in = generation.map(|generation| (NFNL_BATCH_GENID, generation));
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
