//! Routes through gateways, where policy rules are in force already.
//!
//! The kernel takes such a route only if it finds the gateway on a link, and looks it up as it looks up everything: by the policy
//! rules (`fib_check_nh`, `ip6_route_check_nh`). In a new namespace the rules come after the routes. A lost route is added where
//! they stand, and one that drops everything would have it refused. So a rule of the highest priority leads this one lookup, and
//! packets to the gateway from sockets that are bound to the interface, to the main table while the route is added; the others stay.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Phases, Step};
use crate::lab::{MAIN_TABLE, Namespace, NsName, PolicyRule, Route, RuleAction};

/// The priority of the kernel's own rule that looks the main table up; what comes after it is not asked for a gateway.
const MAIN_RULE: u32 = 32766;

/// Plans what the routes through gateways that are planned need to be taken.
pub(super) fn compare(ns: &NsName, is: &Namespace, phases: &mut Phases) {
    let goes = |rule: &&PolicyRule| {
        let is_dropped =
            |step: &Step| matches!(step, Step::DeletePolicyRule { ns: of, rule: gone } if of == ns && gone == *rule);
        phases.drop_routes.0.iter().any(|planned| is_dropped(&planned.step))
    };
    let rules: Vec<&PolicyRule> = is.rules.iter().filter(|rule| rule.priority < MAIN_RULE && !goes(rule)).collect();
    if rules.is_empty() {
        return;
    }
    let routes = phases.routes_via.0.iter().filter_map(|planned| match &planned.step {
        Step::AddRoute { ns: of, route } | Step::ReplaceRoute { ns: of, to: route, .. } if of == ns => Some(route),
        _ => None,
    });
    let lookups =
        routes.filter_map(|route| lookup(route).filter(|lookup| rules.iter().any(|rule| decides(rule, lookup))));
    let lookups: BTreeSet<PolicyRule> = lookups.filter(|lookup| !is.rules.contains(lookup)).collect();
    for rule in lookups {
        phases
            .find_gateways
            .add(Step::AddPolicyRule { ns: ns.clone(), rule: rule.clone() }, "or else the next route is refused");
        phases.found_gateways.add(Step::DeletePolicyRule { ns: ns.clone(), rule }, "the route is there");
    }
}

/// The rule that says how a route's gateway is looked up; none where the kernel asks no rule.
fn lookup(route: &Route) -> Option<PolicyRule> {
    let via = route.via?;
    // IPv6 looks into the route's own table first, and asks no rule where the gateway is there.
    let asks_none = route.onlink || (route.is_ipv6() && route.table == MAIN_TABLE);
    (!asks_none).then(|| PolicyRule {
        priority: 0,
        ipv6: route.is_ipv6(),
        from: None,
        to: Some(IpNet::from(via)),
        iif: None,
        oif: route.dev.clone(),
        fwmark: None,
        action: RuleAction::Table(MAIN_TABLE),
    })
}

/// Whether a rule has a say in a lookup, which comes from no source, through no interface, and has no mark.
fn decides(rule: &PolicyRule, lookup: &PolicyRule) -> bool {
    let holds = |net: Option<IpNet>, address: Option<IpAddr>| match (net, address) {
        (Some(net), Some(address)) => net.contains(&address),
        (net, _) => net.is_none_or(|net| net.prefix_len() == 0),
    };
    rule.ipv6 == lookup.ipv6
        && holds(rule.from, None)
        && holds(rule.to, lookup.to.map(|to| to.addr()))
        && rule.iif.as_ref().is_none_or(|iif| iif.is_lo())
        && (rule.oif.is_none() || rule.oif == lookup.oif)
        && rule.fwmark.is_none_or(|(mark, _)| mark == 0)
}
