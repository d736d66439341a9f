//! The rules of one chain: those that are in order stay, and no others are touched.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::draft::{Draft, EXTRA, MISSING};
use crate::lab::{ChainId, FirewallRule, NsName, ObservedRule};
use crate::steps::{FirewallChange, FirewallStep, Presence, Step};

/// Why a rule that is wanted is removed and added again.
const MOVED: &str = "it is in the wrong place";

/// How many rules are looked at one by one: there are many chains with few of them.
const FEW: usize = 8;

/// Whether the rules are those that are wanted, each of them once.
fn is_just(want: &[FirewallRule], is: &[ObservedRule]) -> bool {
    let is_there = |(rule, wanted): (&ObservedRule, &FirewallRule)| rule.means(wanted);
    want.len() == is.len() && is.iter().zip(want).all(is_there) && are_different(want)
}

fn are_different(rules: &[FirewallRule]) -> bool {
    if rules.len() > FEW {
        return rules.iter().collect::<HashSet<_>>().len() == rules.len();
    }
    let is_new = |(n, rule): (usize, &FirewallRule)| !rules.iter().take(n).any(|before| before == rule);
    rules.iter().enumerate().all(is_new)
}

/// Plans the rules of a chain. All of a namespace's firewall steps of a phase are loaded at once, so no packet sees a
/// half-written chain.
pub(super) fn rules(ns: &NsName, id: &ChainId, want: &[FirewallRule], is: &[ObservedRule], draft: &mut Draft) {
    if is_just(want, is) {
        return;
    }
    // `iptables -D` removes the first rule with a text, so each wanted rule is there once.
    let (mut places, mut once) = (HashMap::new(), Vec::new());
    for rule in want {
        if let Entry::Vacant(place) = places.entry(rule) {
            place.insert(once.len());
            once.push(rule);
        }
    }
    let found = find(&once, &places, is);
    let kept = if found.repeated { Vec::new() } else { in_order(&found.places) };
    let stays: HashSet<usize> = kept.iter().map(|(there, _)| *there).collect();
    for (n, (rule, place)) in is.iter().zip(&found.places).enumerate().rev().filter(|(n, _)| !stays.contains(n)) {
        let change = Presence::Remove(Box::new(rule.clone()));
        let change = FirewallChange::Rule { position: Some(n + 1), is_rewritten: true, change };
        draft.add(step(ns, id, change), if place.is_some() { MOVED } else { EXTRA });
    }
    let stays: HashSet<usize> = kept.iter().map(|(_, wanted)| *wanted).collect();
    let last = kept.last().map(|(_, wanted)| *wanted);
    for (n, (rule, there)) in once.into_iter().zip(found.there).enumerate().filter(|(n, _)| !stays.contains(n)) {
        // Behind all that stays, it is added to the end; what is not found by its text has a number all the same.
        let is_last = last.is_none_or(|last| n > last) && rule.matches.recent.is_none();
        let change = Presence::Add(Box::new(rule.clone().into()));
        let change = FirewallChange::Rule { position: (!is_last).then_some(n + 1), is_rewritten: true, change };
        draft.add(step(ns, id, change), if there.is_some() { MOVED } else { MISSING });
    }
}

/// What is there of the wanted rules.
struct Found<'a> {
    /// Of each rule that is there, where it is wanted.
    places: Vec<Option<usize>>,
    /// Of each wanted rule, the first that does the same.
    there: Vec<Option<&'a ObservedRule>>,
    /// Whether any rule is there twice.
    repeated: bool,
}

/// Finds the wanted rules, each of which has its place, among those that are there. Most are as far from the beginning
/// or the end as they are wanted, and need not be looked up.
fn find<'a>(want: &[&FirewallRule], places: &HashMap<&FirewallRule, usize>, is: &'a [ObservedRule]) -> Found<'a> {
    let mut found = Found { places: Vec::with_capacity(is.len()), there: vec![None; want.len()], repeated: false };
    let mut others = HashSet::new();
    for (n, rule) in is.iter().enumerate() {
        let is_at = |at: &usize| want.get(*at).is_some_and(|wanted| rule.means(wanted));
        let from_end = (n + want.len()).checked_sub(is.len());
        let near = Some(n).filter(is_at).or(from_end.filter(is_at));
        let place = near.or_else(|| places.get(rule.meaning()?).copied());
        match place.and_then(|place| found.there.get_mut(place)) {
            Some(there @ None) => *there = Some(rule),
            Some(Some(first)) if *first == rule => found.repeated = true,
            _ => found.repeated |= !others.insert(rule),
        }
        found.places.push(place);
    }
    found
}

/// The most rules that are there in the order in which they are wanted, of which these are the wanted places: where
/// each is, and where it is wanted. Finds the longest increasing sequence of wanted places.
fn in_order(places: &[Option<usize>]) -> Vec<(usize, usize)> {
    let found: Vec<(usize, usize)> = places.iter().enumerate().filter_map(|(n, place)| Some((n, (*place)?))).collect();
    // For each length of a sequence, the one that ends lowest: its last element, and of each element the one before.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(found.len());
    for (at, (_, wanted)) in found.iter().enumerate() {
        let length = ends.partition_point(|end| found.get(*end).is_some_and(|(_, lower)| lower < wanted));
        before.push(length.checked_sub(1).and_then(|shorter| ends.get(shorter).copied()));
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut kept = Vec::new();
    let mut at = ends.last().copied();
    while let Some(this) = at {
        kept.extend(found.get(this));
        at = before.get(this).copied().flatten();
    }
    kept.reverse();
    kept
}

/// A step on a chain.
pub(super) fn step(ns: &NsName, chain: &ChainId, change: FirewallChange) -> Step {
    Step::Firewall(FirewallStep { ns: ns.clone(), chain: chain.clone(), change })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Condition, FirewallTarget, Matches, PortRange};

    fn rule(number: u16) -> FirewallRule {
        let destination_port = Some(Condition::Is(PortRange::one(number)));
        Matches { destination_port, ..Matches::default() }.then(FirewallTarget::Accept)
    }

    /// The numbers of rules of which no others are in order, by trying all.
    fn longest(numbers: &[u16]) -> usize {
        let subsets = 0..1_u32 << numbers.len();
        let chosen = |bits: u32| (0..numbers.len()).filter(move |at| bits >> at & 1 == 1).map(|at| numbers[at]);
        subsets.filter(|bits| chosen(*bits).is_sorted()).map(u32::count_ones).max().unwrap_or_default() as usize
    }

    proptest::proptest! {
        #[test]
        fn what_stays_is_in_order_and_as_much_as_can_be(
            numbers in proptest::sample::subsequence((0..8_u16).collect::<Vec<_>>(), 0..8),
            seed in proptest::prelude::any::<u64>(),
        ) {
            let mut there = numbers.clone();
            let length = there.len().max(1);
            (0..there.len()).for_each(|at| there.swap(at, (seed >> (at * 8)) as usize % length));
            let want: Vec<FirewallRule> = (0..8).filter(|n| *n != 3).map(rule).collect();
            let is: Vec<ObservedRule> = there.iter().map(|n| rule(*n).into()).collect();
            let places = want.iter().enumerate().map(|(at, rule)| (rule, at)).collect();
            let found = find(&want.iter().collect::<Vec<_>>(), &places, &is);
            let looked_up = is.iter().map(|rule| places.get(rule.meaning().unwrap()).copied());
            proptest::prop_assert_eq!(&found.places, &looked_up.collect::<Vec<_>>());
            let is_there = |wanted: &FirewallRule| is.iter().find(|rule| rule.means(wanted));
            proptest::prop_assert_eq!(&found.there, &want.iter().map(is_there).collect::<Vec<_>>());
            proptest::prop_assert!(!found.repeated);
            let twice: Vec<ObservedRule> = is.iter().chain(is.last()).cloned().collect();
            proptest::prop_assert_eq!(find(&want.iter().collect::<Vec<_>>(), &places, &twice).repeated, !is.is_empty());
            let kept = in_order(&found.places);
            proptest::prop_assert!(kept.is_sorted() && kept.iter().map(|(_, wanted)| wanted).is_sorted());
            there.retain(|n| *n != 3);
            proptest::prop_assert_eq!(kept.len(), longest(&there));
        }
    }
}
