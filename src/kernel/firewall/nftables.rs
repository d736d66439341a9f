//! nf_tables over netlink, as far as iptables leaves it to us: which tables there are, and leaving none behind.
//!
//! `iptables-nft` makes the tables and base chains that it needs and never removes them. So that the host can be left as it
//! was, a table is made here first, with a comment that says whose it is, and removed by that comment once nothing is in it.
//! Facts from linux/netfilter/nf_tables.h, nfnetlink.h and nf_tables_api.c. Knows nothing of rules.

use std::collections::BTreeSet;

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_NONREC,
    NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
    NlaBuffer, NlasIterator, parse_string, parse_u32_be,
};
use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::errno::Errno;

use crate::failpoint;
use crate::kernel::KernelError;
use crate::kernel::netlink::{DUMP_TRIES, RECEIVE, ROOM};
use crate::lab::{CHAIN_PREFIX, Family, Table};
use crate::preflight::DroppingChain;

const NFNL_MSG_BATCH_BEGIN: u16 = 16;
const NFNL_MSG_BATCH_END: u16 = 17;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFT_MSG_NEWTABLE: u16 = 0;
const NFT_MSG_GETTABLE: u16 = 1;
const NFT_MSG_DELTABLE: u16 = 2;
const NFT_MSG_GETCHAIN: u16 = 4;
const NFT_MSG_DELCHAIN: u16 = 5;
const NFT_MSG_DELRULE: u16 = 8;
const NFT_MSG_GETGEN: u16 = 16;
const NFNL_SUBSYS_NFT_COMPAT: u16 = 11;
const NFNL_MSG_COMPAT_GET: u16 = 0;
const NFTA_COMPAT_NAME: u16 = 1;
const NFTA_COMPAT_REV: u16 = 2;
const NFTA_COMPAT_TYPE: u16 = 3;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_USERDATA: u16 = 6;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_GEN_ID: u16 = 1;
/// Of the beginning of a batch: the changes hold only if the rules are still those of this generation.
const NFNL_BATCH_GENID: u16 = 1;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_POLICY: u16 = 5;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NF_INET_FORWARD: u32 = 2;
const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
/// The comment `nslab` as `nft` writes one: type 0 (NFTNL_UDATA_TABLE_COMMENT), length, text with its zero.
const OUR_COMMENT: &[u8] = b"\x00\x06nslab\x00";

/// A table that exists.
pub(super) struct FoundTable {
    pub(super) family: Family,
    pub(super) table: Table,
    /// It carries our comment.
    pub(super) ours: bool,
}

/// A conversation with nf_tables in the namespace of the thread that opened it.
pub(super) struct Nftables {
    socket: Socket,
    /// The number of the last request: answers carry it, and what is left over of an earlier one is passed by.
    sequence: u32,
}

impl Nftables {
    /// Opens it in this thread's namespace; none where this kernel has no netfilter over netlink.
    pub(super) fn open() -> Result<Option<Self>, KernelError> {
        match Socket::new(NETLINK_NETFILTER) {
            Ok(socket) => Ok(Some(Self { socket, sequence: 0 })),
            Err(error) if error.raw_os_error() == Some(Errno::EPROTONOSUPPORT as i32) => Ok(None),
            Err(error) => Err(refused("speak to nf_tables").said(error.to_string())),
        }
    }

    /// The tables that iptables would use. None where this kernel has no nf_tables.
    pub(super) fn tables(&mut self) -> Result<Vec<FoundTable>, KernelError> {
        let what = "list the tables of nf_tables";
        let answers = match self.dump(NFT_MSG_GETTABLE) {
            Ok(answers) => answers,
            Err(Errno::EINVAL | Errno::EOPNOTSUPP) => return Ok(Vec::new()),
            Err(errno @ (Errno::EPERM | Errno::EACCES)) => {
                return Err(refused(what).with_errno(errno).hint("it takes root"));
            }
            Err(errno) => return Err(refused(what).with_errno(errno)),
        };
        Ok(answers.iter().filter_map(Message::as_table).collect())
    }

    /// Whether the kernel has a match or a target of iptables, loading its module if need be (nft_compat.c). What it
    /// does not know here, it may still know under another name.
    pub(super) fn knows(&mut self, family: Family, name: &str, is_target: bool) -> bool {
        let attributes = vec![
            (NFTA_COMPAT_NAME, c_string(name)),
            (NFTA_COMPAT_REV, 0_u32.to_be_bytes().to_vec()),
            (NFTA_COMPAT_TYPE, u32::from(is_target).to_be_bytes().to_vec()),
        ];
        let kind = (NFNL_SUBSYS_NFT_COMPAT << 8) | NFNL_MSG_COMPAT_GET;
        let ask = Message { kind, ..Message::nft(0, Some(family), attributes) };
        let answer = self.send(&[(ask, NLM_F_ACK)]).and_then(|()| self.receive(|_, _| {}));
        // It is there, only not in its first revision.
        matches!(answer, Ok(()) | Err(Errno::EPROTONOSUPPORT))
    }

    /// The base chains that drop forwarded packets unless a rule accepts them. None where this kernel has no nf_tables.
    pub(super) fn forward_drops(&mut self) -> Result<Vec<DroppingChain>, KernelError> {
        let chains = match self.dump(NFT_MSG_GETCHAIN) {
            Ok(chains) => chains,
            Err(Errno::EINVAL | Errno::EOPNOTSUPP) => return Ok(Vec::new()),
            Err(errno) => return Err(refused("list the chains of nf_tables").with_errno(errno)),
        };
        Ok(chains.iter().filter_map(Message::as_dropping_chain).collect())
    }

    /// The families in which there is a chain of a lab.
    pub(super) fn families_of_labs(&mut self) -> Result<BTreeSet<Family>, KernelError> {
        let chains = self.dump(NFT_MSG_GETCHAIN);
        let chains = chains.map_err(|errno| refused("list the chains of nf_tables").with_errno(errno))?;
        Ok(chains.iter().filter(|chain| chain.is_of_a_lab()).filter_map(Message::family).collect())
    }

    /// Makes a table with our comment, unless there is one.
    pub(super) fn make_ours(&mut self, family: Family, table: Table) -> Result<(), KernelError> {
        let attributes = vec![(NFTA_TABLE_NAME, c_string(table.name())), (NFTA_TABLE_USERDATA, OUR_COMMENT.to_vec())];
        let make = Message::nft(NFT_MSG_NEWTABLE, Some(family), attributes);
        match self.transaction(&[(make, NLM_F_CREATE | NLM_F_EXCL)], None) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => {
                let refused = refused(&format!("make table {} of nf_tables", table.name())).with_errno(errno);
                Err(match errno {
                    Errno::EINVAL | Errno::EOPNOTSUPP => refused.hint(
                        "the installed iptables is the nf_tables variant and this kernel has no nf_tables: \
                         choose iptables-legacy",
                    ),
                    _ => refused,
                })
            }
        }
    }

    /// The number of the present rules: every change to anything in nf_tables gives them another.
    pub(super) fn generation(&mut self) -> Result<Vec<u8>, KernelError> {
        let what = "ask nf_tables for its generation";
        self.send(&[(Message::nft(NFT_MSG_GETGEN, None, Vec::new()), NLM_F_ACK)])
            .and_then(|()| {
                let mut generation = None;
                self.receive(|_, answer| generation = answer.value(NFTA_GEN_ID).map(<[u8]>::to_vec))?;
                generation.ok_or(Errno::EBADMSG)
            })
            .map_err(|errno| refused(what).with_errno(errno))
    }

    /// Removes tables that we made with all chains and rules in them, if the rules are still those of a generation, and if
    /// nothing else is in there; whether it was done.
    pub(super) fn remove_whole(
        &mut self,
        family: Family,
        tables: &BTreeSet<Table>,
        generation: Vec<u8>,
    ) -> Result<bool, KernelError> {
        let what = "remove a table of nf_tables";
        let chains = self.dump(NFT_MSG_GETCHAIN).map_err(|errno| refused(what).with_errno(errno))?;
        let mut removals = Vec::new();
        for &table in tables {
            let of_table = vec![(NFTA_RULE_TABLE, c_string(table.name()))];
            removals.push((Message::nft(NFT_MSG_DELRULE, Some(family), of_table), 0));
            removals.extend(removal(family, table, chains.iter().filter(|chain| chain.is_in(family, table))));
        }
        match self.transaction(&removals, Some(generation)) {
            Ok(()) => Ok(true),
            // Somebody has changed something meanwhile, or keeps a set there.
            Err(Errno::ERESTART | Errno::EBUSY | Errno::ENOENT) => Ok(false),
            Err(errno) => Err(refused(what).with_errno(errno)),
        }
    }

    /// Removes the tables that we made, where nothing is left in them but base chains that accept everything.
    pub(super) fn remove_ours(&mut self) -> Result<(), KernelError> {
        let ours: Vec<FoundTable> = self.tables()?.into_iter().filter(|found| found.ours).collect();
        if ours.is_empty() {
            return Ok(());
        }
        let what = "remove an empty table of nf_tables";
        let chains = self.dump(NFT_MSG_GETCHAIN).map_err(|errno| refused(what).with_errno(errno))?;
        for found in ours {
            let inside: Vec<&Message> = chains.iter().filter(|chain| chain.is_in(found.family, found.table)).collect();
            if inside.iter().all(|chain| chain.accepts_everything()) {
                match self.transaction(&removal(found.family, found.table, inside.into_iter()), None) {
                    // A rule that somebody adds meanwhile keeps the table.
                    Ok(()) | Err(Errno::EBUSY | Errno::ENOENT) => {}
                    Err(errno) => return Err(refused(what).with_errno(errno)),
                }
            }
        }
        Ok(())
    }

    /// Everything of one kind, of every family; asked again, so many times, where it changed while the kernel was listing it.
    fn dump(&mut self, kind: u16) -> Result<Vec<Message>, Errno> {
        for _ in 0..DUMP_TRIES {
            self.send(&[(Message::nft(kind, None, Vec::new()), NLM_F_DUMP)])?;
            let mut found = Vec::new();
            let mut interrupted = false;
            let end = self.receive(|header, message| {
                interrupted |= header.flags & NLM_F_DUMP_INTR != 0;
                found.push(message);
            });
            match end {
                Ok(()) if !interrupted => return Ok(found),
                Ok(()) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EINTR)
    }

    /// Changes that happen all together or not at all.
    fn transaction(&mut self, changes: &[(Message, u16)], generation: Option<Vec<u8>>) -> Result<(), Errno> {
        failpoint::pass("nf_tables transaction")?;
        let mut begin = Message::batch(NFNL_MSG_BATCH_BEGIN);
        begin.attributes.extend(generation.map(|generation| (NFNL_BATCH_GENID, generation)));
        let mut batch = vec![(begin, 0)];
        let last = changes.len().saturating_sub(1);
        batch.extend(changes.iter().enumerate().map(|(number, (message, flags))| {
            // Errors come unasked; the last change's acknowledgement says that all went well.
            (message.clone(), if number == last { flags | NLM_F_ACK } else { *flags })
        }));
        batch.push((Message::batch(NFNL_MSG_BATCH_END), 0));
        self.send(&batch)?;
        self.receive(|_, _| {})
    }

    fn send(&mut self, messages: &[(Message, u16)]) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for (message, flags) in messages {
            let mut packet = NetlinkMessage::from(message.clone());
            packet.header.flags = NLM_F_REQUEST | flags;
            packet.header.sequence_number = self.sequence;
            packet.finalize();
            let start = bytes.len();
            bytes.resize(start + packet.buffer_len(), 0);
            packet.serialize(bytes.get_mut(start..).unwrap_or_default());
        }
        self.socket.send(&bytes, 0).map(drop).map_err(errno_of)
    }

    /// Hands over every message up to the end of a dump or an acknowledgement; a error is the error.
    fn receive(&self, mut each: impl FnMut(&NetlinkHeader, Message)) -> Result<(), Errno> {
        loop {
            let mut bytes = Vec::with_capacity(ROOM);
            if self.socket.recv(&mut bytes, RECEIVE).map_err(errno_of)? > ROOM {
                return Err(Errno::EMSGSIZE);
            }
            if let Some(end) = read(&bytes, self.sequence, &mut each) {
                return end;
            }
        }
    }
}

/// The removal of chains and of their table. The kernel itself refuses (NLM_F_NONREC) to remove what is not empty.
fn removal<'a>(family: Family, table: Table, chains: impl Iterator<Item = &'a Message>) -> Vec<(Message, u16)> {
    let name = || c_string(table.name());
    let chains = chains.map(|chain| {
        let of_chain = c_string(&chain.text(NFTA_CHAIN_NAME).unwrap_or_default());
        let attributes = vec![(NFTA_CHAIN_TABLE, name()), (NFTA_CHAIN_NAME, of_chain)];
        (Message::nft(NFT_MSG_DELCHAIN, Some(family), attributes), NLM_F_NONREC)
    });
    let table = Message::nft(NFT_MSG_DELTABLE, Some(family), vec![(NFTA_TABLE_NAME, name())]);
    chains.chain([(table, NLM_F_NONREC)]).collect()
}

/// Hands over the messages of a datagram that answer a request; how the answer ends, if it ends here.
fn read(mut rest: &[u8], sequence: u32, mut each: impl FnMut(&NetlinkHeader, Message)) -> Option<Result<(), Errno>> {
    while !rest.is_empty() {
        let Ok(packet) = NetlinkMessage::<Message>::deserialize(rest) else { return Some(Err(Errno::EBADMSG)) };
        rest = rest.get((packet.header.length as usize).next_multiple_of(4)..).unwrap_or_default();
        if packet.header.sequence_number != sequence {
            continue;
        }
        let code = match packet.payload {
            NetlinkPayload::InnerMessage(message) => {
                each(&packet.header, message);
                continue;
            }
            NetlinkPayload::Done(done) => done.code,
            NetlinkPayload::Error(error) => error.raw_code(),
            _ => continue,
        };
        return Some(if code == 0 { Ok(()) } else { Err(Errno::from_raw(code.saturating_neg())) });
    }
    None
}

/// A message of nfnetlink: a family, and attributes by their number.
#[derive(Debug, Clone)]
struct Message {
    kind: u16,
    family: u8,
    resource: u16,
    attributes: Vec<(u16, Vec<u8>)>,
}

/// Length of `struct nfgenmsg`: family, version (0), resource.
const NFGENMSG: usize = 4;

impl Message {
    fn nft(kind: u16, family: Option<Family>, attributes: Vec<(u16, Vec<u8>)>) -> Self {
        let family = family.map_or(AF_UNSPEC, address_family);
        Self { kind: (NFNL_SUBSYS_NFTABLES << 8) | kind, family, resource: 0, attributes }
    }

    fn batch(kind: u16) -> Self {
        Self { kind, family: AF_UNSPEC, resource: NFNL_SUBSYS_NFTABLES, attributes: Vec::new() }
    }

    /// The family, if it is one that iptables serves.
    fn family(&self) -> Option<Family> {
        [Family::Ipv4, Family::Ipv6].into_iter().find(|&family| address_family(family) == self.family)
    }

    fn value(&self, kind: u16) -> Option<&[u8]> {
        self.attributes.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.as_slice())
    }

    fn text(&self, kind: u16) -> Option<String> {
        parse_string(self.value(kind)?).ok()
    }

    fn is_in(&self, family: Family, table: Table) -> bool {
        self.family() == Some(family) && self.text(NFTA_CHAIN_TABLE).as_deref() == Some(table.name())
    }

    /// The table, if it is one that iptables would use.
    fn as_table(&self) -> Option<FoundTable> {
        let name = self.text(NFTA_TABLE_NAME)?;
        let ours = self.value(NFTA_TABLE_USERDATA) == Some(OUR_COMMENT);
        Some(FoundTable { family: self.family()?, table: Table::from_name(&name)?, ours })
    }

    fn is_of_a_lab(&self) -> bool {
        self.text(NFTA_CHAIN_NAME).is_some_and(|name| name.starts_with(CHAIN_PREFIX))
    }

    /// Whether it is a base chain whose policy is to accept. (That no rule is in it is the kernel's to say.)
    fn accepts_everything(&self) -> bool {
        self.value(NFTA_CHAIN_HOOK).is_some() && self.policy() == Some(NF_ACCEPT)
    }

    /// What becomes of a packet at the end of a base chain.
    fn policy(&self) -> Option<u32> {
        self.value(NFTA_CHAIN_POLICY).and_then(|value| parse_u32_be(value).ok())
    }

    fn is_for_forwarding(&self) -> bool {
        let hook = NlasIterator::new(self.value(NFTA_CHAIN_HOOK).unwrap_or_default())
            .filter_map(Result::ok)
            .find(|attribute| attribute.kind() == NFTA_HOOK_HOOKNUM);
        hook.and_then(|attribute| parse_u32_be(attribute.value()).ok()) == Some(NF_INET_FORWARD)
    }

    /// The chain by its full name, if it drops forwarded packets; none where its family forwards no IP packets.
    fn as_dropping_chain(&self) -> Option<DroppingChain> {
        if self.policy() != Some(NF_DROP) || !self.is_for_forwarding() {
            return None;
        }
        let (word, families) = match (self.family, self.family()) {
            (NFPROTO_INET, _) => ("inet", BTreeSet::from([Family::Ipv4, Family::Ipv6])),
            (_, Some(family @ Family::Ipv4)) => ("ip", BTreeSet::from([family])),
            (_, Some(family @ Family::Ipv6)) => ("ip6", BTreeSet::from([family])),
            _ => return None,
        };
        let (chain, table) = (self.text(NFTA_CHAIN_NAME)?, self.text(NFTA_CHAIN_TABLE)?);
        Some(DroppingChain { name: format!("chain {chain} of table {word} {table}"), families })
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        NFGENMSG + attributes(self).as_slice().buffer_len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        if let Some((head, rest)) = buffer.split_at_mut_checked(NFGENMSG) {
            let [high, low] = self.resource.to_be_bytes();
            head.copy_from_slice(&[self.family, 0, high, low]);
            attributes(self).as_slice().emit(rest);
        }
    }
}

fn attributes(message: &Message) -> Vec<DefaultNla> {
    message.attributes.iter().map(|(kind, value)| DefaultNla::new(*kind, value.clone())).collect()
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let Some(([family, _, high, low], rest)) = payload.split_first_chunk::<NFGENMSG>() else {
            return Err("a message of nfnetlink without its head".into());
        };
        let attribute = |nla: Result<NlaBuffer<&[u8]>, DecodeError>| nla.map(|nla| (nla.kind(), nla.value().to_vec()));
        Ok(Self {
            kind: header.message_type,
            family: *family,
            resource: u16::from_be_bytes([*high, *low]),
            attributes: NlasIterator::new(rest).map(attribute).collect::<Result<_, _>>()?,
        })
    }
}

impl From<Message> for NetlinkPayload<Message> {
    fn from(message: Message) -> Self {
        NetlinkPayload::InnerMessage(message)
    }
}

const AF_UNSPEC: u8 = 0;
const NFPROTO_INET: u8 = 1;

fn address_family(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    }
}

fn errno_of(error: std::io::Error) -> Errno {
    Errno::try_from(error).unwrap_or(Errno::EIO)
}

fn c_string(text: &str) -> Vec<u8> {
    text.bytes().chain([0]).collect()
}

fn refused(what: &str) -> KernelError {
    KernelError::new(what)
}

/// Reads arbitrary bytes in every way in which an answer is read.
#[cfg(any(test, fuzzing))]
pub(super) fn read_any(bytes: &[u8], sequence: u32) {
    let _ = read(bytes, sequence, |_, message| {
        let _ = (message.as_table(), message.as_dropping_chain());
        let _ = (message.is_of_a_lab(), message.accepts_everything());
    });
}
