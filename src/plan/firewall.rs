//! Firewall chains: the lab's own ones are made to hold exactly the wanted rules, each called from its hook.
//!
//! In `host`, nothing is looked at but nslab's own chains and the jumps to them. In a lab's own namespace every other
//! rule is an extra, except a hand-written one that does in the built-in chain what the file wants.

use std::collections::HashSet;

use super::draft::{Draft, EXTRA, MISSING};
use super::interface::ABSENT;
use crate::lab::{ChainId, Firewall, FirewallRule, LabName, NsName, ObservedFirewall, ObservedRule, Policy};
use crate::steps::{Change, FirewallChange, FirewallStep, Presence, Step};

/// Plans the firewall of one namespace.
pub(super) fn compare(lab: &LabName, ns: &NsName, want: &Firewall, is: &ObservedFirewall, draft: &mut Draft) {
    let mut by_hand: HashSet<(ChainId, FirewallRule)> = HashSet::new();
    for (id, rules) in &want.chains {
        let Some((_, hook)) = id.owner() else { continue };
        let builtin = ChainId::builtin(id.family, id.table, hook);
        if !is.chains.contains_key(id) && are_in(is, &builtin, rules) {
            by_hand.extend(rules.iter().map(|rule| (builtin.clone(), rule.without_comment())));
            continue;
        }
        chain(ns, id, rules, is.chains.get(id), draft);
        let jump = FirewallRule::jump(lab, &id.chain);
        if !is.chains.get(&builtin).is_some_and(|rules| rules.iter().any(|rule| rule.means(&jump))) {
            let change = FirewallChange::Rule {
                position: Some(1),
                is_rewritten: false,
                change: Presence::Add(Box::new(jump.into())),
            };
            draft.add(step(ns, &builtin, change), format!("nothing leads to {}", id.chain));
        }
    }
    for (chain, &from) in is.policies.iter().filter(|(_, policy)| **policy != Policy::Accept) {
        if !ns.is_host() {
            let change = FirewallChange::Policy(Change { from, to: Policy::Accept });
            draft.add(step(ns, chain, change), "the file has no policy of its own");
        }
    }
    for (id, rules) in &is.chains {
        let owner = id.owner().map(|(owner, _)| owner);
        let wanted = want.chains.contains_key(id);
        if id.hook().is_some() {
            remove_rules(ns, id, rules, draft, |n, rule| {
                is_stale_jump(lab, want, id, rule)
                    || is_second_jump(lab, id, rules, n)
                    || (!ns.is_host() && !is_wanted(lab, want, id, rule, &by_hand))
            });
        } else if !wanted && (owner.as_ref() == Some(lab) || !ns.is_host()) {
            remove_rules(ns, id, rules, draft, |_, _| true);
        }
    }
    // Chains go when no rule is left that leads to them.
    for id in is.chains.keys().filter(|id| id.hook().is_none() && !want.chains.contains_key(id)) {
        if id.owner().is_some_and(|(owner, _)| owner == *lab) || !ns.is_host() {
            draft.add(step(ns, id, FirewallChange::RemoveChain), "the file does not need it");
        }
    }
}

/// Whether every wanted rule is in the built-in chain itself, written by hand.
fn are_in(is: &ObservedFirewall, builtin: &ChainId, rules: &[FirewallRule]) -> bool {
    let Some(live) = is.chains.get(builtin) else { return false };
    let mut live = live.iter().filter_map(ObservedRule::meaning).map(FirewallRule::without_comment);
    // In this order; others may stand between them.
    rules.iter().all(|rule| {
        let wanted = rule.without_comment();
        live.any(|there| there == wanted)
    })
}

/// Whether a rule of a built-in chain in a lab's own namespace is one that should be there.
fn is_wanted(
    lab: &LabName,
    want: &Firewall,
    id: &ChainId,
    rule: &ObservedRule,
    by_hand: &HashSet<(ChainId, FirewallRule)>,
) -> bool {
    let jump = want.chains.keys().any(|own| {
        (own.family, own.table) == (id.family, id.table)
            && own.owner().map(|(_, hook)| hook) == id.hook()
            && rule.means(&FirewallRule::jump(lab, &own.chain))
    });
    jump || rule.meaning().is_some_and(|rule| by_hand.contains(&(id.clone(), rule.without_comment())))
}

/// Whether a rule of a built-in chain leads to a chain of this lab that is not wanted (any more), or not from here.
fn is_stale_jump(lab: &LabName, want: &Firewall, id: &ChainId, rule: &ObservedRule) -> bool {
    let Some(target) = target(id, rule) else { return false };
    match target.owner() {
        Some((owner, hook)) => owner == *lab && (!want.chains.contains_key(&target) || id.hook() != Some(hook)),
        None => false,
    }
}

/// Whether the rule at a position of a built-in chain leads to a chain of this lab, as one before it does already.
fn is_second_jump(lab: &LabName, id: &ChainId, rules: &[ObservedRule], n: usize) -> bool {
    let is_ours =
        |rule: &ObservedRule| target(id, rule).and_then(|target| target.owner()).is_some_and(|(o, _)| o == *lab);
    rules.get(n).is_some_and(|rule| is_ours(rule) && rules.iter().take(n).any(|before| before == rule))
}

/// The chain of the same table that a rule leads to.
fn target(id: &ChainId, rule: &ObservedRule) -> Option<ChainId> {
    Some(ChainId { chain: rule.leads_to()?.clone(), ..id.clone() })
}

/// Why a rule that is wanted is written anew.
const BEFORE: &str = "rules before it change";

/// Plans one of nslab's chains: the rules up to the first difference stay, the others are written anew. All of a
/// namespace's firewall steps are loaded at once, so no packet sees a half-written chain.
fn chain(ns: &NsName, id: &ChainId, want: &[FirewallRule], is: Option<&Vec<ObservedRule>>, draft: &mut Draft) {
    if is.is_none() {
        draft.add(step(ns, id, FirewallChange::AddChain), ABSENT);
    }
    let is = is.map_or(&[][..], Vec::as_slice);
    let mut wanted = HashSet::new();
    let there: HashSet<&FirewallRule> = is.iter().filter_map(ObservedRule::meaning).collect();
    let repeated = is.iter().collect::<HashSet<_>>().len() < is.len();
    // `iptables -D` removes the first rule with a text, so each wanted rule is there once.
    let want: Vec<&FirewallRule> = want.iter().filter(|rule| wanted.insert(*rule)).collect();
    let same = if repeated { 0 } else { is.iter().zip(&want).take_while(|(is, want)| is.means(want)).count() };
    for (n, rule) in is.iter().enumerate().skip(same).rev() {
        let change = Presence::Remove(Box::new(rule.clone()));
        let change = FirewallChange::Rule { position: Some(n + 1), is_rewritten: true, change };
        draft.add(
            step(ns, id, change),
            if rule.meaning().is_some_and(|rule| wanted.contains(rule)) { BEFORE } else { EXTRA },
        );
    }
    for rule in want.into_iter().skip(same) {
        let change = Presence::Add(Box::new(rule.clone().into()));
        let change = FirewallChange::Rule { position: None, is_rewritten: true, change };
        draft.add(step(ns, id, change), if there.contains(rule) { BEFORE } else { MISSING });
    }
}

fn remove_rules(
    ns: &NsName,
    id: &ChainId,
    rules: &[ObservedRule],
    draft: &mut Draft,
    which: impl Fn(usize, &ObservedRule) -> bool,
) {
    for (n, rule) in rules.iter().enumerate().rev() {
        if which(n, rule) {
            let change = Presence::Remove(Box::new(rule.clone()));
            let change = FirewallChange::Rule { position: Some(n + 1), is_rewritten: false, change };
            draft.add(step(ns, id, change), EXTRA);
        }
    }
}

fn step(ns: &NsName, chain: &ChainId, change: FirewallChange) -> Step {
    Step::Firewall(FirewallStep { ns: ns.clone(), chain: chain.clone(), change })
}
