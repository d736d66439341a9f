//! Tables of nf_tables: what has changed in them, and nothing else, is written anew.
//!
//! A table that is there under a wanted name and has something that the model has no words for is foreign, and goes as
//! a whole.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::compared::Sides;
use super::draft::{Draft, EXTRA, MISSING};
use super::side_by_side::side_by_side;
use crate::lab::{NftChain, NftElement, NftRule, NftSet, NftTable, NftTableId, NftVerdict, NsName};
use crate::steps::{Change, NftChange, NftStep, Presence, Step, Update};

/// The reason for what is there, but not as it should be.
const OTHERWISE: &str = "it is another one";

/// One table, and the steps on it.
struct Table<'a, 'd> {
    ns: &'a NsName,
    id: &'a NftTableId,
    draft: &'d mut Draft,
}

pub(super) fn compare(sides: &Sides<'_>, draft: &mut Draft) {
    for (id, want) in &sides.want.nft {
        let mut table = Table { ns: sides.ns, id, draft };
        let nothing = NftTable::default();
        let is = sides.is.nft.get(id).unwrap_or(&nothing);
        if !sides.is.nft.contains_key(id) {
            table.add(NftChange::Table(Presence::Add(want.comment.clone())), MISSING);
        } else if is.comment != want.comment {
            // Nobody can change what a table says about itself.
            table.remove_whole(is, OTHERWISE);
            table.add(NftChange::Table(Presence::Add(want.comment.clone())), OTHERWISE);
            table.compare(want, &nothing);
            continue;
        }
        table.compare(want, is);
    }
    // Only on the way back: what the file does not want is foreign.
    for (id, is) in sides.is.nft.iter().filter(|(id, _)| !sides.want.nft.contains_key(*id)) {
        Table { ns: sides.ns, id, draft }.remove_whole(is, EXTRA);
    }
}

impl Table<'_, '_> {
    fn add(&mut self, change: NftChange, why: &str) {
        let step = NftStep { ns: self.ns.clone(), table: self.id.clone(), change };
        self.draft.add(Step::Nft(step), why);
    }

    fn remove_whole(&mut self, is: &NftTable, why: &str) {
        let nothing = NftTable::default();
        self.compare(&nothing, is);
        self.add(NftChange::Table(Presence::Remove(is.comment.clone())), why);
    }

    /// First what others lead to comes, then what leads to it, and what nothing leads to any more goes.
    fn compare(&mut self, want: &NftTable, is: &NftTable) {
        if want == is {
            return;
        }
        let is = &*self.without_others(want, is);
        for (name, set) in want.sets.iter().filter(|(name, _)| !is.sets.contains_key(*name)) {
            self.add(NftChange::Set(name.clone(), Presence::Add(set.definition.clone())), MISSING);
        }
        for (name, wanted, _) in side_by_side(&want.chains, &is.chains).filter(|(.., there)| there.is_none()) {
            let change = wanted.map(|chain| NftChange::Chain(name.clone(), Presence::Add(without_rules(chain))));
            change.into_iter().for_each(|change| self.add(change, MISSING));
        }
        let nothing = |set: &NftSet| NftSet { definition: set.definition.clone(), elements: Default::default() };
        for (name, set) in &want.sets {
            match is.sets.get(name) {
                Some(there) => self.elements(name, set, there),
                None => self.elements(name, set, &nothing(set)),
            }
        }
        for (name, set) in is.sets.iter().filter(|(name, _)| !want.sets.contains_key(*name)) {
            self.elements(name, &nothing(set), set);
        }
        for (name, wanted, there) in side_by_side(&want.chains, &is.chains) {
            self.rules(name, rules_of(there), rules_of(wanted));
        }
        for (name, _, there) in side_by_side(&want.chains, &is.chains).filter(|(_, wanted, _)| wanted.is_none()) {
            let change = there.map(|chain| NftChange::Chain(name.clone(), Presence::Remove(without_rules(chain))));
            change.into_iter().for_each(|change| self.add(change, EXTRA));
        }
        for (name, set) in is.sets.iter().filter(|(name, _)| !want.sets.contains_key(*name)) {
            self.add(NftChange::Set(name.clone(), Presence::Remove(set.definition.clone())), EXTRA);
        }
    }

    fn rules(&mut self, chain: &str, from: &[NftRule], to: &[NftRule]) {
        if from != to {
            let why = match (from.is_empty(), to.is_empty()) {
                (true, _) => MISSING,
                (_, true) => EXTRA,
                (false, false) => "its rules are others",
            };
            let change = Change { from: from.to_vec(), to: to.to_vec() };
            self.add(NftChange::Rules(chain.to_owned(), change), why);
        }
    }

    fn elements(&mut self, name: &str, want: &NftSet, is: &NftSet) {
        let step = |key: &crate::lab::NftKey, change: Update<NftElement>| NftChange::Element {
            set: name.to_owned(),
            definition: want.definition.clone(),
            key: key.clone(),
            change,
        };
        if want.elements == is.elements {
            return;
        }
        // Networks that overlap those that go can come after them only.
        for (key, element) in is.elements.iter().filter(|(key, _)| !want.elements.contains_key(*key)) {
            self.add(step(key, Update::Remove(element.clone())), EXTRA);
        }
        for (key, element) in &want.elements {
            match is.elements.get(key) {
                Some(there) if there == element => {}
                Some(there) => {
                    let change = Change { from: there.clone(), to: element.clone() };
                    self.add(step(key, Update::Replace(change)), "it is another one");
                }
                None => self.add(step(key, Update::Add(element.clone())), MISSING),
            }
        }
    }

    /// Removes chains and sets that are there and are of another kind than those of their names that are wanted; the
    /// table without them, and without what leads to them.
    fn without_others<'t>(&mut self, want: &'t NftTable, is: &'t NftTable) -> Cow<'t, NftTable> {
        let other_chain = |(name, wanted, there): (&'t String, Option<&NftChain>, Option<&NftChain>)| {
            let (wanted, there) = wanted.zip(there)?;
            ((&wanted.base, &wanted.comment) != (&there.base, &there.comment)).then_some(name)
        };
        let other_set = |(name, set): &(&String, &NftSet)| {
            want.sets.get(*name).is_some_and(|wanted| wanted.definition != set.definition)
        };
        let chains: BTreeSet<&String> = side_by_side(&want.chains, &is.chains).filter_map(other_chain).collect();
        let sets: BTreeSet<&String> = is.sets.iter().filter(other_set).map(|(name, _)| name).collect();
        if chains.is_empty() && sets.is_empty() {
            return Cow::Borrowed(is);
        }
        let mut rest = is.clone();
        let leads = |verdict: &NftVerdict| verdict.target().is_some_and(|chain| chains.iter().any(|own| *own == chain));
        for (name, set) in &is.sets {
            let goes = |element: &NftElement| sets.contains(name) || element.verdict.as_ref().is_some_and(leads);
            let kept = set.elements.iter().filter(|(_, element)| !goes(element));
            let kept = NftSet { elements: kept.map(|(key, own)| (key.clone(), own.clone())).collect(), ..set.clone() };
            self.elements(name, &kept, set);
            rest.sets.insert(name.clone(), kept);
        }
        let mentions = |rule: &NftRule| {
            let has = |all: &BTreeSet<&String>, name: &str| all.iter().any(|own| *own == name);
            rule.targets().any(|chain| has(&chains, chain)) || rule.sets().any(|set| has(&sets, set))
        };
        for (name, chain) in rest.chains.iter_mut() {
            if chains.contains(name) || chain.rules.iter().any(mentions) {
                self.rules(name, &std::mem::take(&mut chain.rules), &[]);
            }
        }
        for name in chains {
            if let Some(chain) = rest.chains.remove(name) {
                self.add(NftChange::Chain(name.clone(), Presence::Remove(chain)), OTHERWISE);
            }
        }
        for name in sets {
            if let Some(set) = rest.sets.remove(name) {
                self.add(NftChange::Set(name.clone(), Presence::Remove(set.definition)), OTHERWISE);
            }
        }
        Cow::Owned(rest)
    }
}

fn rules_of(chain: Option<&NftChain>) -> &[NftRule] {
    chain.map_or(&[], |chain| &chain.rules)
}

fn without_rules(chain: &NftChain) -> NftChain {
    NftChain { rules: Vec::new(), ..chain.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::{teardown, way_back};
    use crate::lab::{IfName, Interface, InterfaceKind, Lab, Namespace, NftFamily, NftTable, NftTableId, NsName};

    #[test]
    fn a_table_that_was_not_there_goes_on_the_way_back() {
        let ns: NsName = "red".parse().expect("a name");
        let mut red = Namespace { owner: Some("lab".parse().expect("a name")), ..Namespace::default() };
        red.interfaces.insert(IfName::lo(), Interface::new(InterfaceKind::Loopback));
        red.nft.insert(NftTableId::new(NftFamily::Inet, "t"), NftTable::default());
        let lab = Lab::of("lab".parse().expect("a name"), [(ns.clone(), red)].into_iter().collect());
        let now = teardown::as_built(&lab);
        let mut before = now.clone();
        before.namespaces.get_mut(&ns).expect("the namespace").is.nft.clear();
        let texts = |plan: super::super::planned::Plan| {
            plan.steps.iter().map(|planned| planned.step.text()).collect::<Vec<_>>()
        };
        assert_eq!(texts(way_back::way_back(&lab, &before, &now)), ["remove table inet t from red"]);
        assert_eq!(texts(way_back::way_back(&lab, &now, &before)), ["make table inet t in red"]);
    }
}
