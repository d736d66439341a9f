//! Tables that a lab wants, read into the model. One with anything in it that the model has no words for is not: it is
//! foreign as a whole, goes, and is made anew.

use std::collections::{BTreeMap, BTreeSet};

use super::attribute::{Reader, number};
use super::contents::NFTA_TABLE_FLAGS;
use super::expression::decoded;
use super::message::{
    Message, NF_ACCEPT, NF_DROP, NFT_MSG_GETCHAIN, NFT_MSG_GETFLOWTABLE, NFT_MSG_GETOBJ, NFT_MSG_GETSET,
    NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE, NFTA_CHAIN_USERDATA, NFTA_HOOK_HOOKNUM,
    NFTA_HOOK_PRIORITY, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_USERDATA, NFTA_SET_NAME, NFTA_TABLE_NAME,
    NFTA_TABLE_USERDATA,
};
use super::{Nftables, rule, set, userdata};
use crate::kernel::KernelError;
use crate::lab::{
    Hook, NftBase, NftChain, NftChainType, NftFamily, NftRule, NftTable, NftTableId, NftTables, NftVerdict, Policy,
};

/// Counters of a base chain, and flags of a chain.
const NFTA_CHAIN_COUNTERS: u16 = 8;
const NFTA_CHAIN_FLAGS: u16 = 10;
/// NFT_CHAIN_BASE, which newer kernels show.
const BASE: u32 = 1;
/// Of a rule: that it is one of iptables.
const NFTA_RULE_COMPAT: u16 = 5;
/// The hooks by their numbers (NF_INET_…).
const HOOKS: [Hook; 5] = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];

/// The number of a hook.
pub(super) fn hook_number(hook: Hook) -> u32 {
    (0..).zip(HOOKS).find(|(_, known)| *known == hook).map_or(0, |(number, _)| number)
}

/// What is in all tables.
struct Contents {
    chains: Vec<Message>,
    sets: Vec<Message>,
    rules: Vec<Message>,
    others: Vec<Message>,
}

impl Nftables {
    /// Reads those of some tables that are wanted into the model, as far as it goes, and takes them from the others.
    pub(in crate::kernel::firewall) fn take_wanted(
        &mut self,
        wanted: &BTreeSet<NftTableId>,
        tables: &mut Vec<Message>,
    ) -> Result<NftTables, KernelError> {
        let is_wanted = |table: &Message| table.lab_table().is_some_and(|id| wanted.contains(&id));
        if !tables.iter().any(is_wanted) {
            return Ok(NftTables::new());
        }
        let mut chains = self.everything(NFT_MSG_GETCHAIN)?;
        chains.retain(is_wanted);
        let contents = Contents {
            rules: self.rules_of(&chains)?,
            chains,
            sets: self.everything(NFT_MSG_GETSET)?,
            others: [self.everything(NFT_MSG_GETOBJ)?, self.everything(NFT_MSG_GETFLOWTABLE)?].concat(),
        };
        let mut read = NftTables::new();
        for table in std::mem::take(tables) {
            match table.lab_table().filter(|_| is_wanted(&table)) {
                Some(id) => match self.lab_table_of(&table, id.family, &contents)? {
                    Some(own) => drop(read.insert(id, own)),
                    None => tables.push(table),
                },
                None => tables.push(table),
            }
        }
        Ok(read)
    }

    fn lab_table_of(
        &mut self,
        table: &Message,
        family: NftFamily,
        contents: &Contents,
    ) -> Result<Option<NftTable>, KernelError> {
        let is_inside = |message: &&Message| message.shares(table, NFTA_TABLE_NAME);
        let flags = table.value(NFTA_TABLE_FLAGS).and_then(number).unwrap_or_default();
        if flags != 0 || contents.others.iter().any(|other| is_inside(&other)) {
            return Ok(None);
        }
        let comment = table.value(NFTA_TABLE_USERDATA).and_then(userdata::commented);
        let mut own = NftTable { comment, ..NftTable::default() };
        let mut nameless: BTreeMap<String, Vec<NftVerdict>> = BTreeMap::new();
        for listed in contents.sets.iter().filter(is_inside) {
            let Some(name) = listed.text(NFTA_SET_NAME) else { return Ok(None) };
            if set::is_nameless(listed) {
                // One that is not such a map is found in its rule.
                nameless.extend(set::decoded_verdicts(&self.elements(listed)?).map(|verdicts| (name, verdicts)));
                continue;
            }
            let Some(definition) = set::decoded(listed) else { return Ok(None) };
            let elements = if definition.dynamic_for.is_some() { Vec::new() } else { self.elements(listed)? };
            let Some(whole) = set::with_elements(definition, &elements) else { return Ok(None) };
            own.sets.insert(name, whole);
        }
        for listed in contents.chains.iter().filter(is_inside) {
            let Some((name, chain)) = chain_of(listed) else { return Ok(None) };
            own.chains.insert(name, chain);
        }
        for listed in contents.rules.iter().filter(is_inside) {
            let Some((chain, rule)) = rule_of(listed, family, &nameless) else { return Ok(None) };
            own.chain(chain).rules.push(rule);
        }
        Ok(Some(own))
    }
}

fn chain_of(listed: &Message) -> Option<(String, NftChain)> {
    let flags = listed.value(NFTA_CHAIN_FLAGS).and_then(number).unwrap_or_default();
    if flags & !BASE != 0 || listed.value(NFTA_CHAIN_COUNTERS).is_some() {
        return None;
    }
    let base = match listed.value(NFTA_CHAIN_HOOK) {
        None => None,
        Some(place) => {
            let mut place = Reader::new(place)?;
            let hook = *HOOKS.get(usize::try_from(place.number(NFTA_HOOK_HOOKNUM)?).ok()?)?;
            let priority = i32::from_be_bytes(place.take(NFTA_HOOK_PRIORITY)?.try_into().ok()?);
            let kinds = [NftChainType::Filter, NftChainType::Nat];
            let word = listed.text(NFTA_CHAIN_TYPE)?;
            let kind = kinds.into_iter().find(|kind| kind.name() == word)?;
            let policy = match listed.value(NFTA_CHAIN_POLICY).and_then(number)? {
                NF_ACCEPT => Policy::Accept,
                NF_DROP => Policy::Drop,
                _ => return None,
            };
            Some(place.end(NftBase { kind, hook, priority, policy })?)
        }
    };
    let comment = listed.value(NFTA_CHAIN_USERDATA).and_then(userdata::commented);
    Some((listed.text(NFTA_CHAIN_NAME)?, NftChain { base, comment, rules: Vec::new() }))
}

fn rule_of(
    listed: &Message,
    family: NftFamily,
    nameless: &BTreeMap<String, Vec<NftVerdict>>,
) -> Option<(String, NftRule)> {
    if listed.value(NFTA_RULE_COMPAT).is_some() {
        return None;
    }
    let expressions = listed.value(NFTA_RULE_EXPRESSIONS).unwrap_or_default();
    let expressions = decoded(expressions, |set| nameless.get(set).cloned())?;
    let comment = listed.value(NFTA_RULE_USERDATA).and_then(userdata::commented);
    Some((listed.text(NFTA_RULE_CHAIN)?, NftRule { comment, ..rule::decoded(&expressions, family)? }))
}

/// Reads a message in every way in which one is read here.
#[cfg(any(test, fuzzing))]
pub(super) fn read_any(message: &Message) {
    let answers = [message.clone()];
    let _ = (chain_of(message), message.lab_table(), set::decoded_verdicts(&answers));
    for family in [NftFamily::Ip, NftFamily::Ip6, NftFamily::Inet] {
        let _ = rule_of(message, family, &BTreeMap::new());
    }
    let _ = set::decoded(message).and_then(|definition| set::with_elements(definition, &answers));
}
