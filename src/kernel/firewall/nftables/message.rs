//! Messages of nf_tables: a family, and attributes by their number. Facts from linux/netfilter/nfnetlink.h,
//! nf_tables.h, nf_tables_compat.h and nf_tables_api.c.

use std::collections::BTreeSet;

use netlink_packet_core::{DecodeError, DefaultNla, Emitable, NlasIterator, parse_string, parse_u32_be};

use super::attribute::Attributes;
use crate::kernel::netlink::{self, attributes, printable};
use crate::lab::{ChainId, Family, NftFamily, NftTableId, Table};
use crate::preflight::DroppingChain;

/// The word of each family for `nft`, by its number (NFPROTO_… in linux/netfilter.h).
const FAMILIES: [(u8, &str); 6] =
    [(NFPROTO_INET, "inet"), (2, "ip"), (3, "arp"), (5, "netdev"), (7, "bridge"), (10, "ip6")];
pub(super) const NFNL_MSG_BATCH_BEGIN: u16 = 16;
pub(super) const NFNL_MSG_BATCH_END: u16 = 17;
pub(super) const NFT_MSG_NEWTABLE: u16 = nft(0);
pub(super) const NFT_MSG_GETTABLE: u16 = nft(1);
pub(super) const NFT_MSG_DELTABLE: u16 = nft(2);
pub(super) const NFT_MSG_GETCHAIN: u16 = nft(4);
pub(super) const NFT_MSG_DELCHAIN: u16 = nft(5);
pub(super) const NFT_MSG_DELRULE: u16 = nft(8);
pub(super) const NFT_MSG_NEWCHAIN: u16 = nft(3);
pub(super) const NFT_MSG_NEWRULE: u16 = nft(6);
pub(super) const NFT_MSG_GETRULE: u16 = nft(7);
pub(super) const NFT_MSG_NEWSET: u16 = nft(9);
pub(super) const NFT_MSG_GETSET: u16 = nft(10);
pub(super) const NFT_MSG_DELSET: u16 = nft(11);
pub(super) const NFT_MSG_NEWSETELEM: u16 = nft(12);
pub(super) const NFT_MSG_GETSETELEM: u16 = nft(13);
pub(super) const NFT_MSG_DELSETELEM: u16 = nft(14);
pub(super) const NFT_MSG_NEWOBJ: u16 = nft(18);
pub(super) const NFT_MSG_GETOBJ: u16 = nft(19);
pub(super) const NFT_MSG_NEWFLOWTABLE: u16 = nft(22);
pub(super) const NFT_MSG_GETFLOWTABLE: u16 = nft(23);
pub(super) const NFT_MSG_GETGEN: u16 = nft(16);
/// NFNL_MSG_COMPAT_GET of NFNL_SUBSYS_NFT_COMPAT.
pub(super) const COMPAT_GET: u16 = 11 << 8;
pub(super) const NFTA_COMPAT_NAME: u16 = 1;
pub(super) const NFTA_COMPAT_REV: u16 = 2;
pub(super) const NFTA_COMPAT_TYPE: u16 = 3;
pub(super) const NFTA_TABLE_NAME: u16 = 1;
pub(super) const NFTA_TABLE_USERDATA: u16 = 6;
pub(super) const NFTA_SET_NAME: u16 = 2;
pub(super) const NFTA_SET_ID: u16 = 10;
pub(super) const NFTA_RULE_TABLE: u16 = 1;
pub(super) const NFTA_RULE_CHAIN: u16 = 2;
pub(super) const NFTA_RULE_USERDATA: u16 = 7;
pub(super) const NFTA_RULE_HANDLE: u16 = 3;
pub(super) const NFTA_GEN_ID: u16 = 1;
/// Of the beginning of a batch: the changes hold only if the rules are still those of this generation.
pub(super) const NFNL_BATCH_GENID: u16 = 1;
pub(super) const NFTA_CHAIN_TABLE: u16 = 1;
pub(super) const NFTA_CHAIN_NAME: u16 = 3;
pub(super) const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub(super) const NFTA_EXPR_NAME: u16 = 1;
pub(super) const NFTA_EXPR_DATA: u16 = 2;
const NFTA_IMMEDIATE_DATA: u16 = 2;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CHAIN: u16 = 2;
pub(super) const NFTA_CHAIN_HOOK: u16 = 4;
pub(super) const NFTA_CHAIN_POLICY: u16 = 5;
pub(super) const NFTA_CHAIN_TYPE: u16 = 7;
pub(super) const NFTA_CHAIN_USERDATA: u16 = 12;
pub(super) const NFTA_HOOK_HOOKNUM: u16 = 1;
pub(super) const NFTA_HOOK_PRIORITY: u16 = 2;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NF_INET_FORWARD: u32 = 2;
pub(super) const NF_DROP: u32 = 0;
pub(super) const NF_ACCEPT: u32 = 1;
const AF_UNSPEC: u8 = 0;
const NFPROTO_INET: u8 = 1;
/// The comment `nslab` as `nft` writes one: type 0 (NFTNL_UDATA_TABLE_COMMENT), length, text with its zero.
pub(super) const OUR_COMMENT: &[u8] = b"\x00\x06nslab\x00";
/// Length of `struct nfgenmsg`: family, version (0), resource.
const NFGENMSG: usize = 4;

const fn nft(kind: u16) -> u16 {
    (NFNL_SUBSYS_NFTABLES << 8) | kind
}

/// What follows the netlink header of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kernel::firewall) struct Message {
    family: u8,
    resource: u16,
    attributes: Vec<(u16, Vec<u8>)>,
}

/// A table that exists.
pub(in crate::kernel::firewall) struct FoundTable {
    pub(in crate::kernel::firewall) family: Family,
    pub(in crate::kernel::firewall) table: Table,
    /// It carries nslab's comment.
    pub(in crate::kernel::firewall) of_nslab: bool,
}

impl Message {
    /// A request about one family, or about all.
    pub(super) fn new(family: Option<Family>, attributes: Vec<(u16, Vec<u8>)>) -> Self {
        Self { family: family.map_or(AF_UNSPEC, address_family), resource: 0, attributes }
    }

    /// The table, or that of a chain, a set or a rule, if it is of a family that the model has.
    pub(in crate::kernel::firewall) fn lab_table(&self) -> Option<NftTableId> {
        let families = [NftFamily::Ip, NftFamily::Ip6, NftFamily::Inet];
        let family = families.into_iter().find(|family| nft_family(*family) == self.family)?;
        Some(NftTableId { family, name: self.text(NFTA_TABLE_NAME)? })
    }

    /// The beginning or the end of a transaction.
    pub(super) fn batch(attributes: Vec<(u16, Vec<u8>)>) -> Self {
        Self { family: AF_UNSPEC, resource: NFNL_SUBSYS_NFTABLES, attributes }
    }

    /// Reads what follows the netlink header of an answer.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        let Some(([family, _, high, low], rest)) = payload.split_first_chunk::<NFGENMSG>() else {
            return Err("a message of nfnetlink without its header".into());
        };
        let attributes = attributes(rest).map(|attribute| attribute.map(|(kind, value)| (kind, value.to_vec())));
        Ok(Self {
            family: *family,
            resource: u16::from_be_bytes([*high, *low]),
            attributes: attributes.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn payload(&self) -> Vec<u8> {
        let attributes: Vec<DefaultNla> =
            self.attributes.iter().map(|(kind, value)| DefaultNla::new(*kind, value.clone())).collect();
        let [high, low] = self.resource.to_be_bytes();
        let mut payload = vec![self.family, 0, high, low];
        payload.resize(NFGENMSG + attributes.as_slice().buffer_len(), 0);
        attributes.as_slice().emit(payload.get_mut(NFGENMSG..).unwrap_or_default());
        payload
    }

    /// A message of the same family with other attributes.
    pub(super) fn of_same_family(&self, attributes: Vec<(u16, Vec<u8>)>) -> Self {
        Self { family: self.family, resource: 0, attributes }
    }

    /// The message with those of its attributes that are kept, and others.
    pub(super) fn keeping(&self, is_kept: impl Fn(u16) -> bool, others: Vec<(u16, Vec<u8>)>) -> Self {
        let kept = self.attributes.iter().filter(|(kind, _)| is_kept(*kind)).cloned();
        self.of_same_family(kept.chain(others).collect())
    }

    /// Whether two are of one family and have one value of an attribute.
    pub(super) fn shares(&self, other: &Self, kind: u16) -> bool {
        self.family == other.family && self.value(kind) == other.value(kind)
    }

    /// Of a table: its family and its name, as `nft` spells them; what cannot be printed is escaped.
    pub(super) fn table_name(&self) -> String {
        let word = FAMILIES.iter().find(|(number, _)| *number == self.family).map(|(_, word)| *word);
        let name = printable(self.value(NFTA_TABLE_NAME).unwrap_or_default());
        match word {
            Some(word) => format!("{word} {name}"),
            None => format!("(family {}) {name}", self.family),
        }
    }

    /// It as a part of a transaction.
    pub(super) fn as_change(&self, kind: u16, flags: u16) -> netlink::Message {
        netlink::Message { kind, flags, payload: self.payload() }
    }

    /// The family, if it is one that iptables serves.
    pub(super) fn family(&self) -> Option<Family> {
        [Family::Ipv4, Family::Ipv6].into_iter().find(|&family| address_family(family) == self.family)
    }

    pub(super) fn value(&self, kind: u16) -> Option<&[u8]> {
        self.attributes.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.as_slice())
    }

    pub(super) fn text(&self, kind: u16) -> Option<String> {
        parse_string(self.value(kind)?).ok()
    }

    pub(super) fn is_in(&self, family: Family, table: Table) -> bool {
        self.family() == Some(family) && self.text(NFTA_CHAIN_TABLE).as_deref() == Some(table.name())
    }

    /// The table, or that of a chain or a rule, if it is one that iptables would use.
    pub(in crate::kernel::firewall) fn as_table(&self) -> Option<FoundTable> {
        let name = self.text(NFTA_TABLE_NAME)?;
        let of_nslab = self.value(NFTA_TABLE_USERDATA) == Some(OUR_COMMENT);
        Some(FoundTable { family: self.family()?, table: Table::from_name(&name)?, of_nslab })
    }

    /// Of a rule: whether one of its expressions is about a set or a named object.
    pub(super) fn uses_a_set(&self) -> bool {
        let names = attributes(self.value(NFTA_RULE_EXPRESSIONS).unwrap_or_default()).filter_map(|expression| {
            let (_, expression) = expression.ok()?;
            attributes(expression).find_map(|part| part.ok().filter(|(kind, _)| *kind == NFTA_EXPR_NAME))
        });
        names.into_iter().any(|(_, name)| [&b"lookup\0"[..], b"dynset\0", b"objref\0"].contains(&name))
    }

    /// The chain itself, if it is in a table that iptables would use and has a name that iptables could have.
    pub(super) fn as_chain(&self) -> Option<ChainId> {
        self.chain_named(NFTA_CHAIN_NAME)
    }

    /// Of a rule: the chain that it is in, with the same conditions.
    pub(super) fn as_rule(&self) -> Option<ChainId> {
        self.chain_named(NFTA_RULE_CHAIN)
    }

    fn chain_named(&self, name: u16) -> Option<ChainId> {
        let FoundTable { family, table, .. } = self.as_table()?;
        Some(ChainId { family, table, chain: self.text(name)?.parse().ok()? })
    }

    /// Of a rule: whether it leads to a chain of its table.
    pub(super) fn leads_to(&self, chain: &str) -> bool {
        let expressions = attributes(self.value(NFTA_RULE_EXPRESSIONS).unwrap_or_default()).filter_map(Result::ok);
        let path = [NFTA_EXPR_DATA, NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN];
        let target = |expression| path.iter().try_fold(expression, |inside, &kind| inner(inside, kind));
        let is_immediate = |expression| inner(expression, NFTA_EXPR_NAME) == Some(&b"immediate\0"[..]);
        let mut targets = expressions.map(|(_, it)| it).filter(|it| is_immediate(it)).filter_map(target);
        targets.any(|target| parse_string(target).is_ok_and(|target| target == chain))
    }

    /// Of a chain: whether it carries nslab's comment.
    pub(super) fn is_chain_of_nslab(&self) -> bool {
        self.value(NFTA_CHAIN_USERDATA) == Some(OUR_COMMENT)
    }

    /// Whether it is one of the base chains that iptables makes, and its policy is to accept. (Whether a rule is in it,
    /// the kernel knows.)
    pub(super) fn accepts_everything(&self) -> bool {
        let is_builtin = self.as_chain().is_some_and(|chain| chain.hook().is_some());
        is_builtin && self.value(NFTA_CHAIN_HOOK).is_some() && self.policy() == Some(NF_ACCEPT)
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
    pub(super) fn as_dropping_chain(&self) -> Option<DroppingChain> {
        if self.policy() != Some(NF_DROP) || !self.is_for_forwarding() {
            return None;
        }
        let (word, families) = match (self.family, self.family()) {
            (NFPROTO_INET, _) => ("inet", BTreeSet::from([Family::Ipv4, Family::Ipv6])),
            (_, Some(family @ Family::Ipv4)) => ("ip", BTreeSet::from([family])),
            (_, Some(family @ Family::Ipv6)) => ("ip6", BTreeSet::from([family])),
            (_, None) => return None,
        };
        let (chain, table) = (self.text(NFTA_CHAIN_NAME)?, self.text(NFTA_CHAIN_TABLE)?);
        Some(DroppingChain { name: format!("chain {chain} of table {word} {table}"), families })
    }
}

fn inner(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|part| part.ok().filter(|(found, _)| *found == kind)).map(|(_, value)| value)
}

/// The number of a family of tables.
fn nft_family(family: NftFamily) -> u8 {
    FAMILIES.iter().find(|(_, word)| *word == family.name()).map_or(AF_UNSPEC, |(number, _)| *number)
}

/// A change to something in a table: its attributes, behind the header of nfnetlink.
pub(super) fn change(kind: u16, flags: u16, family: NftFamily, attributes: Attributes) -> netlink::Message {
    let mut payload = vec![nft_family(family), 0, 0, 0];
    payload.extend(attributes.0);
    netlink::Message { kind, flags, payload }
}

fn address_family(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    }
}

pub(super) fn c_string(text: &str) -> Vec<u8> {
    text.bytes().chain([0]).collect()
}
