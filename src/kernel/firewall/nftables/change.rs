//! Steps on the tables that a lab wants, as one transaction.

use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_NONREC};
use nix::errno::Errno;

use super::attribute::Attributes;
use super::expression::encoded;
use super::lab_table::hook_number;
use super::message::{
    NF_ACCEPT, NF_DROP, NFT_MSG_DELCHAIN, NFT_MSG_DELRULE, NFT_MSG_DELSET, NFT_MSG_DELSETELEM, NFT_MSG_DELTABLE,
    NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWSET, NFT_MSG_NEWSETELEM, NFT_MSG_NEWTABLE, NFTA_CHAIN_HOOK,
    NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY, NFTA_CHAIN_TABLE, NFTA_CHAIN_TYPE, NFTA_CHAIN_USERDATA, NFTA_HOOK_HOOKNUM,
    NFTA_HOOK_PRIORITY, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_TABLE, NFTA_RULE_USERDATA, NFTA_SET_NAME,
    NFTA_TABLE_NAME, NFTA_TABLE_USERDATA, change,
};
use super::{Nftables, refused, rule, set, userdata};
use crate::kernel::KernelError;
use crate::kernel::netlink::{Message, NetlinkError};
use crate::lab::{NftBase, NftChain, NftElement, NftFamily, NftRule, NftVerdict, Policy};
use crate::steps::{Change, NftChange, NftStep, Presence, Update};

/// For how long a chain is tried to be removed. Before Linux 6.2, it may seem to be in use until a moment after the
/// element that led to it has gone (kube-proxy waits a second).
const PATIENCE: Duration = Duration::from_secs(5);
/// The time between two tries.
const INTERVAL: Duration = Duration::from_millis(20);

/// How many verdicts of a map are in one message, which holds 64 KiB.
const VERDICTS_AT_ONCE: usize = 128;

/// A transaction in the making.
#[derive(Default)]
struct Batch {
    messages: Vec<Message>,
    /// How many sets there are in it.
    sets: u32,
}

impl Nftables {
    /// Carries out steps of one namespace in their order: all of them or none.
    pub(in crate::kernel::firewall) fn run(&mut self, steps: &[&NftStep]) -> Result<(), KernelError> {
        let Some(first) = steps.first() else { return Ok(()) };
        let about = match steps {
            [one] => crate::steps::Step::Nft((*one).clone()).text(),
            _ => format!("change table {} in {}", first.table, first.ns),
        };
        match self.transaction(messages(steps), None) {
            Err(error) if error.errno == Errno::EBUSY && steps.iter().any(|step| removes_chain(step)) => {
                self.run_in_parts(steps).map_err(|error| refused(&about, error))
            }
            done => done.map_err(|error| refused(&about, error)),
        }
    }

    /// The same, with the removal of chains after the rest.
    fn run_in_parts(&mut self, steps: &[&NftStep]) -> Result<(), NetlinkError> {
        let (chains, rest): (Vec<&NftStep>, Vec<&NftStep>) = steps.iter().partition(|step| removes_chain(step));
        self.transaction(messages(&rest), None)?;
        let began = Instant::now();
        loop {
            match self.transaction(messages(&chains), None) {
                Err(error) if error.errno == Errno::EBUSY && began.elapsed() < PATIENCE => {
                    std::thread::sleep(INTERVAL);
                }
                done => return done,
            }
        }
    }
}

fn removes_chain(step: &NftStep) -> bool {
    matches!(step.change, NftChange::Chain(_, Presence::Remove(_)))
}

fn messages(steps: &[&NftStep]) -> Vec<Message> {
    let mut batch = Batch::default();
    steps.iter().for_each(|step| batch.step(step));
    batch.messages
}

impl Batch {
    fn add(&mut self, kind: u16, flags: u16, family: NftFamily, attributes: Attributes) {
        self.messages.push(change(kind, flags, family, attributes));
    }

    fn step(&mut self, step: &NftStep) {
        let (family, table) = (step.table.family, step.table.name.as_str());
        let new = NLM_F_CREATE | NLM_F_EXCL;
        match &step.change {
            NftChange::Table(Presence::Add(comment)) => {
                let own = Attributes::default().text(NFTA_TABLE_NAME, table);
                self.add(NFT_MSG_NEWTABLE, new, family, commented(own, NFTA_TABLE_USERDATA, comment.as_deref()));
            }
            NftChange::Table(Presence::Remove(_)) => {
                let own = Attributes::default().text(NFTA_TABLE_NAME, table);
                self.add(NFT_MSG_DELTABLE, NLM_F_NONREC, family, own);
            }
            NftChange::Chain(name, Presence::Add(chain)) => {
                self.add(NFT_MSG_NEWCHAIN, new, family, made_chain(table, name, chain));
            }
            NftChange::Chain(name, Presence::Remove(_)) => {
                self.add(NFT_MSG_DELCHAIN, NLM_F_NONREC, family, named_chain(table, name));
            }
            NftChange::Set(name, Presence::Add(definition)) => {
                self.sets += 1;
                self.add(NFT_MSG_NEWSET, new, family, set::encoded(table, name, definition, self.sets));
            }
            NftChange::Set(name, Presence::Remove(_)) => {
                let own = Attributes::default().text(NFTA_TABLE_NAME, table).text(NFTA_SET_NAME, name);
                self.add(NFT_MSG_DELSET, 0, family, own);
            }
            NftChange::Element { set: name, definition, key, change } => {
                let one = |element: &NftElement| set::encoded_element(table, (name, definition), key, element);
                if let Update::Remove(from) | Update::Replace(Change { from, .. }) = change {
                    self.add(NFT_MSG_DELSETELEM, 0, family, one(from));
                }
                if let Update::Add(to) | Update::Replace(Change { to, .. }) = change {
                    self.add(NFT_MSG_NEWSETELEM, new, family, one(to));
                }
            }
            NftChange::Rules(chain, Change { from, to }) => {
                if !from.is_empty() {
                    let all = Attributes::default().text(NFTA_RULE_TABLE, table).text(NFTA_RULE_CHAIN, chain);
                    self.add(NFT_MSG_DELRULE, 0, family, all);
                }
                to.iter().for_each(|rule| self.rule(family, (table, chain), rule));
            }
        }
    }

    /// A rule, after the maps of its own.
    fn rule(&mut self, family: NftFamily, (table, chain): (&str, &str), rule: &NftRule) {
        let (mut maps, mut last) = (Vec::new(), self.sets);
        let expressions = encoded(&rule::encoded(rule, family), |verdicts| {
            last += 1;
            maps.push((last, verdicts.to_vec()));
            last
        });
        self.sets = last;
        for (id, verdicts) in maps {
            self.map_of_rule(family, table, id, &verdicts);
        }
        let own = Attributes::default().text(NFTA_RULE_TABLE, table).text(NFTA_RULE_CHAIN, chain);
        let own = own.nested(NFTA_RULE_EXPRESSIONS, expressions);
        let own = commented(own, NFTA_RULE_USERDATA, rule.comment.as_deref());
        self.add(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family, own);
    }

    fn map_of_rule(&mut self, family: NftFamily, table: &str, id: u32, verdicts: &[NftVerdict]) {
        let name = super::expression::NAMELESS_MAP;
        let new = NLM_F_CREATE | NLM_F_EXCL;
        self.add(NFT_MSG_NEWSET, new, family, set::encoded_numbers(table, name, id, verdicts.len()));
        for (at, some) in verdicts.chunks(VERDICTS_AT_ONCE).enumerate() {
            let some = (at * VERDICTS_AT_ONCE, some);
            self.add(NFT_MSG_NEWSETELEM, new, family, set::encoded_verdicts(table, name, id, some));
        }
    }
}

fn commented(attributes: Attributes, kind: u16, comment: Option<&str>) -> Attributes {
    match comment {
        Some(comment) => attributes.bytes(kind, &userdata::comment(comment)),
        None => attributes,
    }
}

fn named_chain(table: &str, name: &str) -> Attributes {
    Attributes::default().text(NFTA_CHAIN_TABLE, table).text(NFTA_CHAIN_NAME, name)
}

fn made_chain(table: &str, name: &str, chain: &NftChain) -> Attributes {
    let mut own = named_chain(table, name);
    if let Some(NftBase { kind, hook, priority, policy }) = &chain.base {
        let place = Attributes::default().number(NFTA_HOOK_HOOKNUM, hook_number(*hook));
        let place = place.bytes(NFTA_HOOK_PRIORITY, &priority.to_be_bytes());
        let policy = match policy {
            Policy::Accept => NF_ACCEPT,
            Policy::Drop => NF_DROP,
        };
        own = own.nested(NFTA_CHAIN_HOOK, place).number(NFTA_CHAIN_POLICY, policy).text(NFTA_CHAIN_TYPE, kind.name());
    }
    commented(own, NFTA_CHAIN_USERDATA, chain.comment.as_deref())
}
