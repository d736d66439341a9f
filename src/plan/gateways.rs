//! Routes through gateways, where policy rules are in force already.
//!
//! The kernel takes such a route only if it finds the gateway on a link, and looks it up as it looks up everything: by
//! the policy rules (`fib_check_nh`, `ip6_route_check_nh`). In a new namespace the rules come after the routes. A lost
//! route is added where they stand, and one that drops everything would have it refused. So a rule of the highest
//! priority leads this one lookup, and packets to the gateway from sockets that are bound to the interface, to the main
//! table while the route is added; the others stay.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::compared::Sides;
use super::draft::Draft;
use crate::forwarding::Packet;
use crate::lab::{MAIN_TABLE, PolicyRule, Route, RuleAction};
use crate::steps::{PolicyRuleStep, Presence, RouteStep, Step};

/// The priority of the kernel's own rule that looks the main table up; what comes after it is not asked for a gateway.
const MAIN_RULE: u32 = 32766;

/// Plans what the routes through gateways, which are planned for this namespace since `begin`, need to be taken.
pub(super) fn compare(sides: &Sides<'_>, begin: usize, draft: &mut Draft) {
    let goes: BTreeSet<&PolicyRule> = draft.since(begin).filter_map(removed_rule).collect();
    let is = &sides.is.rules;
    let rules: Vec<_> = is.iter().filter(|rule| rule.priority < MAIN_RULE && !goes.contains(rule)).collect();
    // Of rules that the model cannot express, only those of others stay, in `host`. They may decide anything.
    let foreign = sides.observed.foreign.rules.iter().filter(|rule| sides.ns.is_host() && !rule.is_ours);
    let foreign: Vec<_> = foreign.filter(|rule| rule.priority < MAIN_RULE).collect();
    if rules.is_empty() && foreign.is_empty() {
        return;
    }
    let is_decided = |lookup: &PolicyRule| {
        rules.iter().any(|rule| decides(rule, lookup)) || foreign.iter().any(|rule| rule.ipv6 == lookup.ipv6)
    };
    let lookups = draft.since(begin).filter_map(wanted_route).flat_map(lookups);
    let lookups = lookups.filter(|lookup| is_decided(lookup) && !is.contains(lookup));
    for rule in lookups.collect::<BTreeSet<PolicyRule>>() {
        let step = |change| Step::PolicyRule(PolicyRuleStep { ns: sides.ns.clone(), is_temporary: true, change });
        draft.add(step(Presence::Add(rule.clone())), "or else the next route is refused");
        draft.add(step(Presence::Remove(rule)), "the route is there");
    }
}

fn removed_rule(step: &Step) -> Option<&PolicyRule> {
    let Step::PolicyRule(PolicyRuleStep { change: Presence::Remove(rule), .. }) = step else { return None };
    Some(rule)
}

fn wanted_route(step: &Step) -> Option<&Route> {
    let Step::Route(RouteStep { change, .. }) = step else { return None };
    change.wanted()
}

/// The rules that say how a route's gateways are looked up; none where the kernel asks no rule.
fn lookups(route: &Route) -> impl Iterator<Item = PolicyRule> {
    // IPv6 looks into the route's own table first, and asks no rule where the gateway is there.
    let asks_none = route.onlink || (route.is_ipv6() && route.table == MAIN_TABLE);
    let gateways = route.gateways().filter(move |_| !asks_none);
    gateways.map(|(via, dev)| PolicyRule {
        priority: 0,
        ipv6: route.is_ipv6(),
        from: None,
        to: Some(IpNet::from(via)),
        iif: None,
        oif: Some(dev.clone()),
        fwmark: None,
        action: RuleAction::Table(MAIN_TABLE),
    })
}

/// Whether a rule has a say in a lookup, which comes from no source, through no interface, and has no mark.
fn decides(rule: &PolicyRule, lookup: &PolicyRule) -> bool {
    lookup.to.is_some_and(|to| Packet { oif: lookup.oif.clone(), ..Packet::to(to.addr()) }.matches(rule))
}
