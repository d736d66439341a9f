//! Policy rules: which are missing, the kernel's own among them, and which go.

use std::cmp::Reverse;

use super::compared::Sides;
use super::draft::{Draft, EXTRA, MISSING};
use crate::lab::{NsName, PolicyRule, RuleAction};
use crate::steps::{ForeignStep, PolicyRuleStep, Presence, Step};

/// Plans the policy rules of a namespace.
pub(super) fn compare(sides: &Sides<'_>, draft: &mut Draft) {
    let (ns, want, is) = (sides.ns, sides.want, sides.is);
    for rule in want.rules.difference(&is.rules) {
        draft.add(step(ns, Presence::Add(rule.clone())), MISSING);
    }
    if !ns.is_host() {
        for rule in &sides.observed.lost_rules {
            draft.add(step(ns, Presence::Add(rule.clone())), why_of_kernels(rule));
        }
    }
    // Before the others: the kernel removes the first rule that has what the request says, and perhaps more.
    for rule in sides.observed.foreign.rules.iter().filter(|rule| !ns.is_host() || rule.is_ours) {
        let change = Presence::Remove(rule.object.clone());
        draft.add(Step::Foreign(ForeignStep { ns: ns.clone(), change }), EXTRA);
    }
    let mut extra: Vec<&PolicyRule> = is.rules.difference(&want.rules).collect();
    extra.sort_by_key(|rule| Reverse(rule.conditions()));
    for rule in extra.into_iter().filter(|rule| !ns.is_host() || sides.observed.nslab_routing.rules.contains(rule)) {
        draft.add(step(ns, Presence::Remove(rule.clone())), EXTRA);
    }
}

/// Why a rule that the kernel gives a namespace is added again.
fn why_of_kernels(rule: &PolicyRule) -> &'static str {
    match rule.action {
        RuleAction::Vrf => "its VRFs need it",
        RuleAction::Table(_) | RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit => {
            "every namespace has it"
        }
    }
}

fn step(ns: &NsName, change: Presence<PolicyRule>) -> Step {
    Step::PolicyRule(PolicyRuleStep { ns: ns.clone(), is_temporary: false, change })
}
