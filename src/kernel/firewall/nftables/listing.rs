//! What there is in nf_tables: tables, chains, and what the kernel has of iptables.

use std::collections::BTreeSet;

use netlink_packet_core::parse_u32_be;
use nix::errno::Errno;

use super::message::{
    COMPAT_GET, FoundTable, Message, NFT_MSG_GETCHAIN, NFT_MSG_GETGEN, NFT_MSG_GETRULE, NFT_MSG_GETSET,
    NFT_MSG_GETTABLE, NFTA_COMPAT_NAME, NFTA_COMPAT_REV, NFTA_COMPAT_TYPE, NFTA_GEN_ID, c_string,
};
use super::{Nftables, refused};
use crate::kernel::KernelError;
use crate::kernel::netlink::NetlinkError;
use crate::lab::{Family, Table};
use crate::preflight::DroppingChain;

const LIST_CHAINS: &str = "list the chains of nf_tables";

impl Nftables {
    /// The tables that iptables would use. None where this kernel has no nf_tables.
    pub(in crate::kernel::firewall) fn tables(&mut self) -> Result<Vec<FoundTable>, KernelError> {
        Ok(self.all_tables()?.iter().filter_map(Message::as_table).collect())
    }

    /// The tables of all families and programs. None where this kernel has no nf_tables.
    pub(in crate::kernel::firewall) fn all_tables(&mut self) -> Result<Vec<Message>, KernelError> {
        match self.list(NFT_MSG_GETTABLE) {
            Ok(answers) => Ok(answers),
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(error) => {
                let is_forbidden = matches!(error.errno, Errno::EPERM | Errno::EACCES);
                let refused = refused("list the tables of nf_tables", error);
                Err(if is_forbidden { refused.hint("it takes root") } else { refused })
            }
        }
    }

    /// The base chains that drop forwarded packets unless a rule accepts them. None where this kernel has no nf_tables.
    pub(in crate::kernel::firewall) fn forward_drops(&mut self) -> Result<Vec<DroppingChain>, KernelError> {
        let chains = match self.list(NFT_MSG_GETCHAIN) {
            Ok(chains) => chains,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(refused(LIST_CHAINS, error)),
        };
        Ok(chains.iter().filter_map(Message::as_dropping_chain).collect())
    }

    /// The tables that iptables would use in which a rule uses a set, as none of iptables does.
    pub(in crate::kernel::firewall) fn tables_with_sets(&mut self) -> Result<BTreeSet<(Family, Table)>, KernelError> {
        // No rule uses a set where there is none.
        let sets = self.list(NFT_MSG_GETSET).map_err(|error| refused("list the sets of nf_tables", error))?;
        if !sets.iter().any(|set| set.as_table().is_some()) {
            return Ok(BTreeSet::new());
        }
        let rules = self.list(NFT_MSG_GETRULE).map_err(|error| refused("list the rules of nf_tables", error))?;
        let tables = rules.iter().filter(|rule| rule.uses_a_set()).filter_map(Message::as_table);
        Ok(tables.map(|found| (found.family, found.table)).collect())
    }

    /// Whether the kernel has a match or a target of iptables, loading its module if need be (nft_compat.c). What it
    /// does not know here, it may still know under another name.
    pub(in crate::kernel::firewall) fn knows(&mut self, family: Family, name: &str, is_target: bool) -> bool {
        let attributes = vec![
            (NFTA_COMPAT_NAME, c_string(name)),
            (NFTA_COMPAT_REV, 0_u32.to_be_bytes().to_vec()),
            (NFTA_COMPAT_TYPE, u32::from(is_target).to_be_bytes().to_vec()),
        ];
        match self.socket.get_bytes(COMPAT_GET, &Message::new(Some(family), attributes).payload()) {
            Ok(_) => true,
            // It is there, only not in its first revision.
            Err(error) => error.errno == Errno::EPROTONOSUPPORT,
        }
    }

    /// The number of the present rules: every change to anything in nf_tables gives them another.
    pub(in crate::kernel::firewall) fn generation(&mut self) -> Result<u32, KernelError> {
        self.ask_generation().map_err(|error| refused("ask nf_tables for its generation", error))
    }

    /// The same; none where this kernel has no nf_tables.
    pub(in crate::kernel::firewall) fn generation_if_any(&mut self) -> Result<Option<u32>, KernelError> {
        match self.ask_generation() {
            Ok(generation) => Ok(Some(generation)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(refused("ask nf_tables for its generation", error)),
        }
    }

    fn ask_generation(&mut self) -> Result<u32, NetlinkError> {
        let answer = self.socket.get_bytes(NFT_MSG_GETGEN, &Message::new(None, Vec::new()).payload())?;
        let answer = Message::parse(&answer)?;
        let generation = answer.value(NFTA_GEN_ID).and_then(|value| parse_u32_be(value).ok());
        generation.ok_or(NetlinkError::from(Errno::EBADMSG))
    }

    /// Everything of one kind, of every family.
    pub(super) fn list(&mut self, kind: u16) -> Result<Vec<Message>, NetlinkError> {
        let dump = self.socket.dump_bytes(kind, &Message::new(None, Vec::new()).payload())?;
        Ok(dump.items().map(Message::parse).collect::<Result<_, _>>()?)
    }
}

/// Whether it is the error of a kernel without nf_tables.
pub(super) fn is_absent(error: &NetlinkError) -> bool {
    matches!(error.errno, Errno::EINVAL | Errno::EOPNOTSUPP)
}
