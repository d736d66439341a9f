//! Policy rules, made as concrete as the kernel keeps them.

use super::net::ResolvedNamespace;
use crate::lab::{Family, IfName, PolicyRule, RuleAction};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{self, RuleType, Spanned};
use ipnet::IpNet;
use std::collections::BTreeSet;

/// A rule without a priority has this one and its position in the list.
const FIRST_PRIORITY: u32 = 1000;

/// The priorities of the kernel's own rules: local, main, default.
const KERNELS_PRIORITIES: [u32; 3] = [0, 32766, 32767];

pub fn rules(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) -> BTreeSet<PolicyRule> {
    let mut rules = BTreeSet::new();
    for (position, written) in (0_u32..).zip(&namespace.written.rules) {
        let priority = written.priority.as_ref();
        if let Some(priority) = priority.filter(|priority| KERNELS_PRIORITIES.contains(&priority.value)) {
            let message = format!("priority {} belongs to one of the kernel's own rules", priority.value);
            found.add(Diagnostic::new(Code::ReservedPriority, priority.span, message));
        }
        let Some(ipv6) = rule_family(written, found) else { continue };
        let interface = |name: &Option<Spanned<IfName>>, found: &mut Collector<'_>| {
            name.as_ref().and_then(|name| namespace.find(name, true, found))
        };
        let Some(action) = action(written, found) else { continue };
        let rule = PolicyRule {
            priority: priority.map_or(FIRST_PRIORITY.saturating_add(position), |priority| priority.value),
            ipv6,
            from: condition(written.from.as_ref()),
            to: condition(written.to.as_ref()),
            iif: interface(&written.iif, found),
            oif: interface(&written.oif, found),
            fwmark: written.fwmark.as_ref().map(|mark| (mark.value.0, mark.value.1)),
            action,
        };
        if !rules.insert(rule) {
            found.add(Diagnostic::new(Code::RuleTwice, written.span, "duplicate rule"));
        }
    }
    rules
}

/// The prefix of a condition. To be of the subnet of everything is none, and the kernel keeps none.
fn condition(prefix: Option<&Spanned<schema::Prefix>>) -> Option<IpNet> {
    prefix.map(|prefix| prefix.value.0).filter(|net| net.prefix_len() > 0)
}

/// Whether a rule is one for IPv6.
fn rule_family(written: &schema::PolicyRule, found: &mut Collector<'_>) -> Option<bool> {
    let prefixes = [&written.from, &written.to].into_iter().flatten();
    let mut family = written.family.as_ref().map(|family| family.value);
    for prefix in prefixes {
        let own = Family::of(prefix.value.0.addr());
        if family.is_some_and(|family| family != own) {
            found.add(Diagnostic::new(
                Code::FamilyMismatch,
                prefix.span,
                "a rule is for IPv4 or for IPv6, not for both",
            ));
            return None;
        }
        family = Some(own);
    }
    Some(family == Some(Family::Ipv6))
}

fn action(written: &schema::PolicyRule, found: &mut Collector<'_>) -> Option<RuleAction> {
    match (&written.table, &written.kind) {
        (Some(table), None) => Some(RuleAction::Table(table.value.0)),
        (None, Some(kind)) => Some(match kind.value {
            RuleType::Blackhole => RuleAction::Blackhole,
            RuleType::Unreachable => RuleAction::Unreachable,
            RuleType::Prohibit => RuleAction::Prohibit,
        }),
        (Some(_), Some(kind)) => {
            found.add(Diagnostic::new(Code::ContradictoryKeys, kind.span, "a rule has either `table` or `type`"));
            None
        }
        (None, None) => {
            let help = "`table: NUMBER` looks into a routing table; `type: blackhole` drops".to_owned();
            found.add(Diagnostic::new(Code::MissingKey, written.span, "a rule needs `table` or `type`").help(help));
            None
        }
    }
}
