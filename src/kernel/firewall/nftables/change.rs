//! Steps on the tables that a lab wants, as one transaction; only where they make large tables, as several.

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

/// How many verdicts or elements are in one message: it holds 64 KiB, and an answer that refuses it repeats it
/// in half of that.
const AT_ONCE: usize = 64;

/// How many bytes a transaction has at most of which a part may come before the rest. For every map of a rule's own,
/// the kernel walks through the whole transaction (`__nft_set_trans_bind`): five thousand such maps at once take it ten
/// seconds. And whoever may not raise the buffer of a socket (`net.core.wmem_max`) has room for 400 KB.
const MOST: usize = 200_000;

/// A transaction in the making.
#[derive(Default)]
struct Batch {
    messages: Vec<Message>,
    /// How many bytes are in them.
    length: usize,
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
        let done = match are_new(steps) {
            true => self.make(steps),
            false => self.transaction(messages(steps), None),
        };
        match done {
            Err(error) if error.errno == Errno::EBUSY && steps.iter().any(|step| removes_chain(step)) => {
                self.run_in_parts(steps).map_err(|error| refused(&about, error))
            }
            done => done.map_err(|error| refused(&about, error)),
        }
    }

    /// Makes tables with all that is in them: where that is much, by several transactions, of which nothing is left if
    /// one fails.
    fn make(&mut self, steps: &[&NftStep]) -> Result<(), NetlinkError> {
        let (mut batch, mut begun, mut made) = (Batch::default(), Vec::new(), Vec::new());
        let mut pieces = pieces(steps).peekable();
        while let Some(piece) = pieces.next() {
            begun.extend(piece.iter().filter_map(|step| table_removal(step)));
            batch.piece(piece);
            if batch.length < MOST && pieces.peek().is_some() {
                continue;
            }
            match self.transaction(std::mem::take(&mut batch).messages, None) {
                Ok(()) => made.append(&mut begun),
                Err(error) => {
                    // What cannot be removed is found by whoever looks again.
                    if !made.is_empty() {
                        let _ = self.transaction(made, None);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The same in several parts, as long as one seems to be in use.
    fn run_in_parts(&mut self, steps: &[&NftStep]) -> Result<(), NetlinkError> {
        for part in parts(steps) {
            let began = Instant::now();
            loop {
                match self.transaction(messages(part), None) {
                    Err(error) if error.errno == Errno::EBUSY && began.elapsed() < PATIENCE => {
                        std::thread::sleep(INTERVAL);
                    }
                    done => break done?,
                }
            }
        }
        Ok(())
    }
}

fn removes_chain(step: &NftStep) -> bool {
    matches!(step.change, NftChange::Chain(_, Presence::Remove(_)))
}

/// Steps in their order, in parts: chains are removed after what led to them.
fn parts<'s, 'a>(steps: &'s [&'a NftStep]) -> impl Iterator<Item = &'s [&'a NftStep]> {
    steps.chunk_by(|before, step| removes_chain(before) || !removes_chain(step))
}

/// Whether steps make tables, and change nothing in others.
fn are_new(steps: &[&NftStep]) -> bool {
    let makes_one = |step: &&NftStep| matches!(step.change, NftChange::Table(Presence::Add(_)));
    let mut of_tables = steps.chunk_by(|before, step| before.table == step.table);
    of_tables.all(|own| own.first().is_some_and(makes_one))
}

/// The message that removes the table again that a step makes, with all that is in it by then.
fn table_removal(step: &NftStep) -> Option<Message> {
    let NftChange::Table(Presence::Add(_)) = &step.change else { return None };
    let own = Attributes::default().text(NFTA_TABLE_NAME, &step.table.name);
    Some(change(NFT_MSG_DELTABLE, 0, step.table.family, own))
}

/// Steps that are one message, or some: elements that come to a set, or go from it, go together.
fn pieces<'s, 'a>(steps: &'s [&'a NftStep]) -> impl Iterator<Item = &'s [&'a NftStep]> {
    steps.chunk_by(|before, step| goes_with(before, step)).flat_map(|some| some.chunks(AT_ONCE))
}

fn goes_with(before: &NftStep, step: &NftStep) -> bool {
    use Update::{Add, Remove};

    let (NftChange::Element { set, change, .. }, NftChange::Element { set: other, change: next, .. }) =
        (&before.change, &step.change)
    else {
        return false;
    };
    (&before.table, set) == (&step.table, other) && matches!((change, next), (Add(_), Add(_)) | (Remove(_), Remove(_)))
}

fn messages(steps: &[&NftStep]) -> Vec<Message> {
    let mut batch = Batch::default();
    pieces(steps).for_each(|piece| batch.piece(piece));
    batch.messages
}

impl Batch {
    fn add(&mut self, kind: u16, flags: u16, family: NftFamily, attributes: Attributes) {
        let message = change(kind, flags, family, attributes);
        self.length += message.payload.len();
        self.messages.push(message);
    }

    fn piece(&mut self, steps: &[&NftStep]) {
        match steps {
            [one] => self.step(one),
            several => self.elements(several),
        }
    }

    fn elements(&mut self, steps: &[&NftStep]) {
        let Some(NftStep { table, change: NftChange::Element { set, definition, change, .. }, .. }) = steps.first()
        else {
            return;
        };
        let (kind, flags) = match change {
            Update::Remove(_) => (NFT_MSG_DELSETELEM, 0),
            Update::Add(_) | Update::Replace(_) => (NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL),
        };
        let all = steps.iter().filter_map(|step| match &step.change {
            NftChange::Element { key, change: Update::Add(element) | Update::Remove(element), .. } => {
                Some((key, element))
            }
            _ => None,
        });
        self.add(kind, flags, table.family, set::encoded_elements(&table.name, (set, definition), all));
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
                let one = |element: &NftElement| set::encoded_elements(table, (name, definition), [(key, element)]);
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
        for (at, some) in verdicts.chunks(AT_ONCE).enumerate() {
            let some = (at * AT_ONCE, some);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{NftTableId, NsName};

    /// `+T` makes a table, `-c` removes a chain, `=` rewrites the rules of one.
    fn steps(text: &str) -> Vec<NftStep> {
        let change = |word: &str| match word.split_at(1) {
            ("+", _) => NftChange::Table(Presence::Add(None)),
            ("-", _) => NftChange::Chain("c".to_owned(), Presence::Remove(NftChain::default())),
            _ => NftChange::Rules("c".to_owned(), Change { from: Vec::new(), to: vec![NftRule::always()] }),
        };
        let table = |word: &str| NftTableId::new(NftFamily::Ip, &word[1..]);
        text.split(' ').map(|word| NftStep { ns: NsName::host(), table: table(word), change: change(word) }).collect()
    }

    #[test]
    fn chains_go_after_what_led_to_them_and_before_what_comes_after_them() {
        let steps = steps("=a -a -a +a =a =b -b +b");
        let steps: Vec<&NftStep> = steps.iter().collect();
        assert_eq!(parts(&steps).map(<[_]>::len).collect::<Vec<_>>(), [1, 5, 2]);
    }

    #[test]
    fn only_what_makes_its_tables_may_be_made_bit_by_bit() {
        for (text, wanted) in [("+a =a +b =b", true), ("+a =a =b", false), ("=a +a =a", false), ("=a", false)] {
            let steps = steps(text);
            assert_eq!(are_new(&steps.iter().collect::<Vec<_>>()), wanted, "{text}");
        }
    }
}
