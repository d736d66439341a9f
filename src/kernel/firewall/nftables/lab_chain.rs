//! A chain of a lab, removed together with the rules that lead to it, whatever else is in its table: by the kernel's
//! own numbers, where iptables cannot show it.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_NONREC};
use nix::errno::Errno;

use super::contents::{chain_again, from_bytes, rule_again, to_bytes};
use super::message::{
    Message, NFT_MSG_DELCHAIN, NFT_MSG_DELRULE, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, NFTA_CHAIN_NAME, NFTA_CHAIN_TABLE,
    NFTA_RULE_CHAIN, NFTA_RULE_HANDLE, NFTA_RULE_TABLE, c_string,
};
use super::{Nftables, refused};
use crate::kernel::KernelError;
use crate::kernel::netlink::{self, NetlinkError};
use crate::lab::{ChainId, ForeignKind, ForeignObject};

/// How often a removal is tried, while others change the rules.
const MAX_TRIES: usize = 20;

impl Nftables {
    /// Such a chain as an object that can be removed and made again.
    pub(in crate::kernel::firewall) fn lab_chain(&mut self, id: &ChainId) -> Result<ForeignObject, KernelError> {
        let refused = |error| refused(&format!("list chain {}", id.chain), error);
        let chains = self.list(NFT_MSG_GETCHAIN).map_err(refused)?;
        let rules = self.list(NFT_MSG_GETRULE).map_err(refused)?;
        let leading: Vec<&Message> = rules.iter().filter(|rule| leads_to(rule, id)).collect();
        let is_needed = |chain: &&Message| {
            let of_chain = chain.as_chain();
            of_chain.as_ref() == Some(id) || leading.iter().any(|rule| of_chain.is_some() && rule.as_rule() == of_chain)
        };
        let inside = rules.iter().filter(|rule| rule.as_rule().as_ref() == Some(id));
        let mut messages: Vec<netlink::Message> = chains.iter().filter(is_needed).map(chain_again).collect();
        messages.extend(inside.map(|rule| rule_again(rule, NLM_F_CREATE | NLM_F_APPEND)));
        // First in their chains, where nslab has put them.
        messages.extend(leading.into_iter().map(|rule| rule_again(rule, NLM_F_CREATE)));
        let table = chains.iter().find(|chain| chain.as_chain().as_ref() == Some(id)).map(Message::table_name);
        Ok(ForeignObject {
            kind: ForeignKind::LabChain { family: id.family, table: id.table, is_legacy: false },
            text: format!("{} {}", table.unwrap_or_else(|| id.table.name().to_owned()), id.chain),
            message: to_bytes(&messages),
        })
    }

    /// Removes a chain with its rules, and the rules that lead to it, if it is still there.
    pub(in crate::kernel::firewall) fn remove_lab_chain(&mut self, id: &ChainId) -> Result<(), KernelError> {
        let refused = |error| refused(&format!("remove chain {} ({})", id.chain, id.table.name()), error);
        let mut last = NetlinkError::from(Errno::ERESTART);
        for _ in 0..MAX_TRIES {
            let generation = self.generation()?;
            if !self.list(NFT_MSG_GETCHAIN).map_err(refused)?.iter().any(|chain| chain.as_chain().as_ref() == Some(id))
            {
                return Ok(());
            }
            let rules = self.list(NFT_MSG_GETRULE).map_err(refused)?;
            match self.transaction(removal(id, &rules), Some(generation)) {
                Ok(()) => return Ok(()),
                Err(error) if matches!(error.errno, Errno::ERESTART | Errno::ENOENT) => last = error,
                Err(error) => return Err(refused(error)),
            }
        }
        Err(refused(last))
    }

    /// Makes a chain of [`Self::lab_chain`] again, with its rules and those that led to it.
    pub(in crate::kernel::firewall) fn make_lab_chain(
        &mut self,
        id: &ChainId,
        object: &ForeignObject,
    ) -> Result<(), KernelError> {
        self.make_ours(id.family, id.table)?;
        let made = self.transaction(from_bytes(&object.message), None);
        made.map_err(|error| refused(&format!("put {object} back"), error))
    }
}

fn leads_to(rule: &Message, id: &ChainId) -> bool {
    let is_inside = rule.as_rule().as_ref() == Some(id);
    rule.is_in(id.family, id.table) && !is_inside && rule.leads_to(id.chain.as_str())
}

fn removal(id: &ChainId, rules: &[Message]) -> Vec<netlink::Message> {
    let table = || (NFTA_RULE_TABLE, c_string(id.table.name()));
    let leading = rules.iter().filter(|rule| leads_to(rule, id)).map(|rule| {
        let which = |kind: u16| [NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_HANDLE].contains(&kind);
        rule.keeping(which, Vec::new()).as_change(NFT_MSG_DELRULE, 0)
    });
    let name = c_string(id.chain.as_str());
    let inside = Message::new(Some(id.family), vec![table(), (NFTA_RULE_CHAIN, name.clone())]);
    let chain =
        Message::new(Some(id.family), vec![(NFTA_CHAIN_TABLE, c_string(id.table.name())), (NFTA_CHAIN_NAME, name)]);
    let rest = [inside.as_change(NFT_MSG_DELRULE, 0), chain.as_change(NFT_MSG_DELCHAIN, NLM_F_NONREC)];
    leading.chain(rest).collect()
}
