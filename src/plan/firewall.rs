//! Firewall chains: the lab's own ones are made to hold exactly the wanted rules, each called from its hook.
//!
//! In `host`, nothing is looked at but nslab's own chains and the jumps to them. In a lab's own namespace every other
//! rule is an extra, except a hand-written one that does in the built-in chain what the file wants.

use std::collections::{BTreeSet, HashSet};

use super::draft::{Draft, EXTRA, MISSING};
use super::firewall_chain::{self, step};
use super::interface::ABSENT;
use super::side_by_side::side_by_side;
use crate::lab::{ChainId, Firewall, FirewallRule, LabName, NsName, ObservedFirewall, ObservedRule, Policy};
use crate::steps::{Change, FirewallChange, Presence};

/// Why a rule that is wanted is removed and added again.
const AGAIN: &str = "the rules beside it are not as they should be";

/// Plans the firewall of one namespace.
pub(super) fn compare(lab: &LabName, ns: &NsName, want: &Firewall, is: &ObservedFirewall, draft: &mut Draft) {
    let mut by_hand: HashSet<(ChainId, FirewallRule)> = HashSet::new();
    // Before the rules that lead to them.
    for (id, wanted, there) in side_by_side(&want.chains, &is.chains) {
        if wanted.is_some() && there.is_none() && is_services(id) {
            draft.add(step(ns, id, FirewallChange::AddChain), ABSENT);
        }
    }
    for (id, wanted, there) in side_by_side(&want.chains, &is.chains) {
        let Some(rules) = wanted else { continue };
        let (exists, there) = (there.is_some(), there.map_or(&[][..], Vec::as_slice));
        let Some((_, hook)) = id.owner() else {
            match id.hook() {
                Some(_) => entrance(ns, id, rules, there, draft),
                None => firewall_chain::rules(ns, id, rules, there, draft),
            }
            continue;
        };
        let builtin = ChainId::builtin(id.family, id.table, hook);
        if !exists && are_in(is, &builtin, rules) {
            by_hand.extend(rules.iter().map(|rule| (builtin.clone(), rule.without_comment())));
            continue;
        }
        if !exists {
            draft.add(step(ns, id, FirewallChange::AddChain), ABSENT);
        }
        firewall_chain::rules(ns, id, rules, there, draft);
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
    remove_extras(lab, ns, want, is, &by_hand, draft);
}

/// Plans that what the file does not have goes.
fn remove_extras(
    lab: &LabName,
    ns: &NsName,
    want: &Firewall,
    is: &ObservedFirewall,
    by_hand: &HashSet<(ChainId, FirewallRule)>,
    draft: &mut Draft,
) {
    let unwanted = side_by_side(&want.chains, &is.chains).filter(|(_, wanted, _)| wanted.is_none()).map(|(id, ..)| id);
    let goes = |id: &&ChainId| id.hook().is_none() && (id.is_of(lab) || !ns.is_host());
    let extras: BTreeSet<&ChainId> = unwanted.filter(goes).collect();
    let later = if extras.is_empty() { HashSet::new() } else { led_to_by_kept(want, is) };
    for (id, rules) in &is.chains {
        if id.hook().is_some() {
            remove_rules(ns, id, rules, false, draft, |n, rule| {
                is_stale_jump(lab, want, id, rule)
                    || is_second_jump(lab, id, rules, n)
                    || (!ns.is_host() && !is_wanted(lab, want, id, rule, by_hand))
            });
        } else if extras.contains(id) {
            remove_rules(ns, id, rules, later.contains(id), draft, |_, _| true);
        }
    }
    // Chains go when no rule is left that leads to them.
    for id in extras {
        let change = FirewallChange::RemoveChain { is_rewritten: later.contains(id) };
        draft.add(step(ns, id, change), "the file does not need it");
    }
}

/// Whether it is a chain of services, which other rules lead to than that of a lab.
fn is_services(id: &ChainId) -> bool {
    id.owner().is_none() && id.hook().is_none()
}

/// The chains that nobody wants, and that rules of wanted chains still lead to, if by way of others: they go in the
/// phase in which those are written anew.
fn led_to_by_kept(want: &Firewall, is: &ObservedFirewall) -> HashSet<ChainId> {
    let mut todo: Vec<&ChainId> = want.chains.keys().filter(|id| is_services(id)).collect();
    let mut led = HashSet::new();
    while let Some(id) = todo.pop() {
        for target in is.chains.get(id).into_iter().flatten().filter_map(|rule| target(id, rule)) {
            if let Some((target, _)) = is.chains.get_key_value(&target)
                && !want.chains.contains_key(target)
                && led.insert(target.clone())
            {
                todo.push(target);
            }
        }
    }
    led
}

/// Plans what a built-in chain has of its own: it stands behind what leads to chains of labs. Rules that nobody wants
/// are removed with all others.
fn entrance(ns: &NsName, id: &ChainId, want: &[FirewallRule], is: &[ObservedRule], draft: &mut Draft) {
    let own = is.iter().enumerate().filter(|(_, rule)| want.iter().any(|wanted| rule.means(wanted)));
    let own: Vec<(usize, &ObservedRule)> = own.collect();
    if own.iter().map(|(_, rule)| *rule).eq(want.iter().cloned().map(ObservedRule::Known).collect::<Vec<_>>().iter()) {
        return;
    }
    for (n, rule) in own.iter().rev() {
        let change = Presence::Remove(Box::new((*rule).clone()));
        let change = FirewallChange::Rule { position: Some(n + 1), is_rewritten: true, change };
        draft.add(step(ns, id, change), AGAIN);
    }
    for rule in want {
        let change = Presence::Add(Box::new(rule.clone().into()));
        let change = FirewallChange::Rule { position: None, is_rewritten: true, change };
        draft.add(step(ns, id, change), if own.iter().any(|(_, is)| is.means(rule)) { AGAIN } else { MISSING });
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
    let of_services = want.chains.get(id).is_some_and(|own| own.iter().any(|own| rule.means(own)));
    jump || of_services || rule.meaning().is_some_and(|rule| by_hand.contains(&(id.clone(), rule.without_comment())))
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

fn remove_rules(
    ns: &NsName,
    id: &ChainId,
    rules: &[ObservedRule],
    is_rewritten: bool,
    draft: &mut Draft,
    which: impl Fn(usize, &ObservedRule) -> bool,
) {
    for (n, rule) in rules.iter().enumerate().rev() {
        if which(n, rule) {
            let change = Presence::Remove(Box::new(rule.clone()));
            let change = FirewallChange::Rule { position: Some(n + 1), is_rewritten, change };
            draft.add(step(ns, id, change), EXTRA);
        }
    }
}
