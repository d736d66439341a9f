//! Whole tables, as the messages that make them again: the kernel takes back what it lists, but for the numbers that it
//! gives itself. The attributes are those of linux/netfilter/nf_tables.h.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE};

use super::listing::is_absent;
use super::message::{
    Message, NFT_MSG_DELTABLE, NFT_MSG_GETCHAIN, NFT_MSG_GETFLOWTABLE, NFT_MSG_GETOBJ, NFT_MSG_GETRULE, NFT_MSG_GETSET,
    NFT_MSG_GETSETELEM, NFT_MSG_NEWCHAIN, NFT_MSG_NEWFLOWTABLE, NFT_MSG_NEWOBJ, NFT_MSG_NEWRULE, NFT_MSG_NEWSET,
    NFT_MSG_NEWSETELEM, NFT_MSG_NEWTABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_TABLE,
    NFTA_SET_ID, NFTA_SET_NAME, NFTA_TABLE_NAME,
};
use super::{Nftables, refused};
use crate::kernel::KernelError;
use crate::kernel::netlink;
use crate::lab::{ForeignKind, ForeignObject};

/// The name of the table that something is in: the first attribute of every kind of message.
const TABLE: u16 = NFTA_TABLE_NAME;
pub(super) const NFTA_TABLE_FLAGS: u16 = 2;
const NFTA_TABLE_HANDLE: u16 = 4;
/// Of a table's flags, the one that anybody may set (NFT_TABLE_F_DORMANT).
const DORMANT: u8 = 1;
/// What a message of each kind is made of, but for the numbers and counts that are the kernel's own.
const OF_TABLE: [u16; 2] = [TABLE, 6];
const OF_CHAIN: [u16; 8] = [TABLE, 3, 4, 5, 7, 8, 10, 12];
const OF_RULE: [u16; 5] = [TABLE, 2, 4, 5, 7];
const OF_SET: [u16; 15] = [TABLE, NFTA_SET_NAME, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 17, 18];
const OF_ELEMENTS: [u16; 3] = [TABLE, 2, 3];
const OF_OBJECT: [u16; 5] = [TABLE, 2, 3, 4, 8];
const OF_FLOWTABLE: [u16; 4] = [TABLE, 2, 3, 7];

const WHAT: &str = "list what is in the tables of nf_tables";
/// From so many rules and jumps for each chain on, chains are asked one by one.
const MANY_RULES: usize = 10;

/// What is in the tables of a namespace.
struct Contents {
    chains: Vec<Message>,
    objects: Vec<Message>,
    flowtables: Vec<Message>,
    sets: Vec<Message>,
    rules: Vec<Message>,
}

impl Nftables {
    /// Tables with all that is in them, each as an object that can be removed and made again.
    pub(in crate::kernel::firewall) fn whole(&mut self, tables: &[Message]) -> Result<Vec<ForeignObject>, KernelError> {
        if tables.is_empty() {
            return Ok(Vec::new());
        }
        let mut chains = self.everything(NFT_MSG_GETCHAIN)?;
        chains.retain(|chain| tables.iter().any(|table| chain.shares(table, TABLE)));
        let contents = Contents {
            rules: self.rules_of(&chains)?,
            chains,
            objects: self.everything(NFT_MSG_GETOBJ)?,
            flowtables: self.everything(NFT_MSG_GETFLOWTABLE)?,
            sets: self.everything(NFT_MSG_GETSET)?,
        };
        tables.iter().map(|table| self.object(table, &contents)).collect()
    }

    /// Everything of a kind; nothing where this kernel does not have the kind.
    pub(super) fn everything(&mut self, kind: u16) -> Result<Vec<Message>, KernelError> {
        match self.list(kind) {
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            listed => listed.map_err(|error| refused(WHAT, error)),
        }
    }

    /// The rules of some tables, all of whose chains were listed. Where these have many, each chain is asked for by
    /// itself: to go on with a list, the kernel walks to where it was from the beginning (`__nf_tables_dump_rules`),
    /// which takes it the square of the number of rules.
    pub(super) fn rules_of(&mut self, chains: &[Message]) -> Result<Vec<Message>, KernelError> {
        let uses: usize = chains.iter().filter_map(Message::uses).sum();
        let words = match uses < MANY_RULES * chains.len() {
            true => &[(NFTA_CHAIN_TABLE, NFTA_RULE_TABLE)][..],
            false => &[(NFTA_CHAIN_TABLE, NFTA_RULE_TABLE), (NFTA_CHAIN_NAME, NFTA_RULE_CHAIN)],
        };
        let request = |chain: &Message| {
            let words = words.iter().filter_map(|(of, word)| Some((*word, chain.value(*of)?.to_vec())));
            chain.of_same_family(words.collect())
        };
        let mut requests: Vec<Message> = chains.iter().map(request).collect();
        // Chains are listed table by table.
        requests.dedup();
        let mut rules = Vec::new();
        for request in requests {
            let dump = self.socket.dump_bytes(NFT_MSG_GETRULE, &request.payload());
            let listed = dump.and_then(|dump| Ok(dump.items().map(Message::parse).collect::<Result<Vec<_>, _>>()?));
            rules.extend(listed.map_err(|error| refused(WHAT, error))?);
        }
        Ok(rules)
    }

    fn object(&mut self, table: &Message, contents: &Contents) -> Result<ForeignObject, KernelError> {
        let inside = |all: &[Message]| -> Vec<Message> {
            all.iter().filter(|message| message.shares(table, TABLE)).cloned().collect()
        };
        let flags = table.value(NFTA_TABLE_FLAGS).and_then(<[u8]>::last).copied().unwrap_or_default() & DORMANT;
        let flags = vec![(NFTA_TABLE_FLAGS, vec![0, 0, 0, flags])];
        let mut messages = vec![made_again(table, NFT_MSG_NEWTABLE, &OF_TABLE, flags)];
        let mut add = |all: &[Message], kind: u16, kept: &[u16]| {
            messages.extend(all.iter().map(|message| made_again(message, kind, kept, Vec::new())));
        };
        // Each before what leads to it: rules to chains, sets and objects, and the elements of sets to chains.
        add(&inside(&contents.chains), NFT_MSG_NEWCHAIN, &OF_CHAIN);
        add(&inside(&contents.objects), NFT_MSG_NEWOBJ, &OF_OBJECT);
        add(&inside(&contents.flowtables), NFT_MSG_NEWFLOWTABLE, &OF_FLOWTABLE);
        let sets = inside(&contents.sets);
        for (number, set) in (1_u32..).zip(&sets) {
            let id = vec![(NFTA_SET_ID, number.to_be_bytes().to_vec())];
            messages.push(made_again(set, NFT_MSG_NEWSET, &OF_SET, id));
        }
        for set in &sets {
            let elements = self.elements(set)?;
            messages.extend(elements.iter().map(|some| made_again(some, NFT_MSG_NEWSETELEM, &OF_ELEMENTS, Vec::new())));
        }
        let rules = inside(&contents.rules);
        messages.extend(rules.iter().map(|rule| made_again(rule, NFT_MSG_NEWRULE, &OF_RULE, Vec::new())));
        let handle = table.value(NFTA_TABLE_HANDLE).and_then(|value| value.try_into().ok()).map(u64::from_be_bytes);
        Ok(ForeignObject {
            kind: ForeignKind::NftTable { handle: handle.unwrap_or_default() },
            text: table.table_name(),
            message: to_bytes(&messages),
        })
    }

    /// The elements of a set.
    pub(super) fn elements(&mut self, set: &Message) -> Result<Vec<Message>, KernelError> {
        let of_set = set.keeping(|kind| [TABLE, NFTA_SET_NAME].contains(&kind), Vec::new());
        let dump = self.socket.dump_bytes(NFT_MSG_GETSETELEM, &of_set.payload());
        let listed = dump.and_then(|dump| Ok(dump.items().map(Message::parse).collect::<Result<_, _>>()?));
        listed.map_err(|error| refused("list the elements of a set of nf_tables", error))
    }

    /// Removes a table of [`Self::whole`], if it is still there.
    pub(in crate::kernel::firewall) fn remove_by_handle(
        &mut self,
        object: &ForeignObject,
        handle: u64,
    ) -> Result<(), KernelError> {
        let messages = from_bytes(&object.message);
        let Some(Ok(table)) = messages.first().map(|first| Message::parse(&first.payload)) else { return Ok(()) };
        let by_handle = table.of_same_family(vec![(NFTA_TABLE_HANDLE, handle.to_be_bytes().to_vec())]);
        match self.transaction(vec![by_handle.as_change(NFT_MSG_DELTABLE, 0)], None) {
            Err(error) if !error.is_gone() => Err(refused(&format!("remove {object}"), error)),
            _ => Ok(()),
        }
    }

    /// Makes a table of [`Self::whole`] again, with all that was in it.
    pub(in crate::kernel::firewall) fn make_whole(&mut self, object: &ForeignObject) -> Result<(), KernelError> {
        let made = self.transaction(from_bytes(&object.message), None);
        made.map_err(|error| refused(&format!("put {object} back"), error))
    }
}

/// The message that makes a chain again.
pub(super) fn chain_again(chain: &Message) -> netlink::Message {
    made_again(chain, NFT_MSG_NEWCHAIN, &OF_CHAIN, Vec::new())
}

/// The message that makes a rule again, at the end of its chain or at its beginning.
pub(super) fn rule_again(rule: &Message, flags: u16) -> netlink::Message {
    rule.keeping(|attribute| OF_RULE.contains(&attribute), Vec::new()).as_change(NFT_MSG_NEWRULE, flags)
}

fn made_again(message: &Message, kind: u16, kept: &[u16], others: Vec<(u16, Vec<u8>)>) -> netlink::Message {
    message.keeping(|attribute| kept.contains(&attribute), others).as_change(kind, NLM_F_CREATE | NLM_F_APPEND)
}

/// The messages, one after the other: of each its type, its flags, the length of what follows, and that.
pub(super) fn to_bytes(messages: &[netlink::Message]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend(message.kind.to_ne_bytes());
        bytes.extend(message.flags.to_ne_bytes());
        bytes.extend(message.payload.len().to_ne_bytes());
        bytes.extend_from_slice(&message.payload);
    }
    bytes
}

/// The messages of [`to_bytes`].
pub(super) fn from_bytes(mut bytes: &[u8]) -> Vec<netlink::Message> {
    let mut messages = Vec::new();
    while let Some((&kind, rest)) = bytes.split_first_chunk()
        && let Some((&flags, rest)) = rest.split_first_chunk()
        && let Some((&length, rest)) = rest.split_first_chunk()
        && let Some((payload, rest)) = rest.split_at_checked(usize::from_ne_bytes(length))
    {
        let (kind, flags) = (u16::from_ne_bytes(kind), u16::from_ne_bytes(flags));
        messages.push(netlink::Message { kind, flags, payload: payload.to_vec() });
        bytes = rest;
    }
    messages
}
