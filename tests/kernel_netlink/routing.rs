//! Steps and commands do the same (see `steps`): routes and policy rules.

use std::collections::BTreeSet;

use nslab::lab::{LOCAL_TABLE, MAIN_TABLE, NextHop, PolicyRule, Route, RouteKind, RouteScope, RuleAction};
use nslab::steps::{Change, PolicyRuleStep, Presence, RouteStep, Step, Update};

use crate::steps::{Case, case, check};
use crate::{name, ns};

/// A route as the file's loader makes it.
fn route(to: &str) -> Route {
    let to: ipnet::IpNet = to.parse().unwrap();
    let metric = if to.addr().is_ipv6() { 1024 } else { 0 };
    Route {
        table: 254,
        to,
        metric,
        kind: RouteKind::Unicast,
        via: None,
        dev: None,
        source: None,
        scope: RouteScope::Global,
        onlink: false,
        mtu: None,
        nexthops: BTreeSet::new(),
    }
}

fn via(to: &str, via: &str) -> Route {
    Route { via: Some(via.parse().unwrap()), dev: Some(name("veth-red")), ..route(to) }
}

/// A route over several next hops, each with its weight.
fn over(to: &str, hops: [(&str, u16); 2]) -> Route {
    let hop = |(via, weight): (&str, u16)| NextHop { via: via.parse().ok(), dev: name("veth-red"), weight };
    Route { nexthops: hops.map(hop).into(), ..route(to) }
}

fn change_route(change: Update<Route>) -> Step {
    Step::Route(RouteStep { ns: ns("red"), change })
}

fn add_route(route: Route) -> Step {
    change_route(Update::Add(route))
}

fn replace_route(from: Route, to: Route) -> Step {
    change_route(Update::Replace(Change { from, to }))
}

fn rule(priority: u32) -> PolicyRule {
    PolicyRule {
        priority,
        ipv6: false,
        from: None,
        to: None,
        iif: None,
        oif: None,
        fwmark: None,
        action: RuleAction::Table(100),
    }
}

fn change_rule(change: Presence<PolicyRule>) -> Step {
    Step::PolicyRule(PolicyRuleStep { ns: ns("red"), is_temporary: false, change })
}

fn add_rule(rule: PolicyRule) -> Step {
    change_rule(Presence::Add(rule))
}

/// A route of the namespace's own, where `ip` puts it.
fn local(to: &str) -> Route {
    let scope = if to.contains(':') { RouteScope::Global } else { RouteScope::Host };
    Route { kind: RouteKind::Local, table: LOCAL_TABLE, ..dev(to, scope) }
}

fn with_mtu(mtu: u32, route: Route) -> Route {
    Route { mtu: Some(mtu), ..route }
}

/// What shows the routes of both families.
const SHOW: &str = "ip -n red route show table all; ip -n red -6 route show table all";

fn dev(to: &str, scope: RouteScope) -> Route {
    Route { dev: Some(name("veth-red")), scope, ..route(to) }
}

fn kind(to: &str, kind: RouteKind) -> Route {
    Route { kind, ..route(to) }
}

pub fn ipv4_routes() -> Vec<Case> {
    let there = || via("10.1.0.0/16", "10.0.0.2");
    let full = Route { table: 70000, metric: 50, source: Some([10, 0, 0, 1].into()), ..via("10.9.0.0/16", "10.0.0.3") };
    vec![
        case(
            "default route",
            add_route(via("0.0.0.0/0", "10.0.0.2")),
            SHOW,
            "default via 10.0.0.2 dev veth-red proto 213",
        ),
        case("second metric", add_route(Route { metric: 9, ..there() }), SHOW, "metric 9"),
        case("route with everything", add_route(full), SHOW, "table 70000 proto 213 src 10.0.0.1 metric 50"),
        case("route on a link", add_route(dev("10.2.0.0/16", RouteScope::Link)), SHOW, "10.2.0.0/16 dev veth-red"),
        case("route of host scope", add_route(dev("10.2.0.0/16", RouteScope::Host)), SHOW, "scope host"),
        case("onlink", add_route(Route { onlink: true, ..via("10.3.0.0/16", "172.16.0.1") }), SHOW, "onlink"),
        case("blackhole", add_route(kind("10.4.0.0/16", RouteKind::Blackhole)), SHOW, "blackhole 10.4.0.0/16"),
        case("unreachable", add_route(kind("10.4.0.0/16", RouteKind::Unreachable)), SHOW, "unreachable 10.4"),
        case("prohibit", add_route(kind("10.4.0.0/16", RouteKind::Prohibit)), SHOW, "prohibit 10.4"),
        case("replace gateway", replace_route(there(), via("10.1.0.0/16", "10.0.0.3")), SHOW, "via 10.0.0.3"),
        case(
            "replace by blackhole",
            replace_route(there(), kind("10.1.0.0/16", RouteKind::Blackhole)),
            SHOW,
            "blackhole",
        ),
        case(
            "several next hops",
            add_route(over("10.5.0.0/16", [("10.0.0.2", 1), ("10.0.0.3", 256)])),
            SHOW,
            "nexthop via 10.0.0.3 dev veth-red weight 256",
        ),
        case(
            "one next hop instead of several",
            replace_route(there(), over("10.1.0.0/16", [("10.0.0.2", 1), ("10.0.0.3", 2)])),
            SHOW,
            "nexthop via 10.0.0.3 dev veth-red weight 2",
        ),
        case("delete route", change_route(Update::Remove(there())), SHOW, "10.0.0.0/24"),
    ]
}

/// Routes that are for the namespace itself, or send the lookup on.
fn route_types() -> Vec<Case> {
    let there = || via("10.1.0.0/16", "10.0.0.2");
    vec![
        case("throw", add_route(kind("10.4.0.0/16", RouteKind::Throw)), SHOW, "throw 10.4"),
        case("local route", add_route(local("10.4.0.0/16")), SHOW, "local 10.4.0.0/16 dev veth-red table local"),
        case(
            "local route of another table",
            add_route(Route { table: 100, ..local("0.0.0.0/0") }),
            SHOW,
            "local default dev veth-red table 100",
        ),
        case(
            "local route of the main table",
            add_route(Route { table: MAIN_TABLE, ..local("10.4.0.0/16") }),
            SHOW,
            "local 10.4.0.0/16 dev veth-red proto 213 scope host",
        ),
        case(
            "replace local route",
            replace_route(there(), Route { table: MAIN_TABLE, ..local("10.1.0.0/16") }),
            SHOW,
            "local 10.1.0.0/16",
        ),
        case("replace by throw", replace_route(there(), kind("10.1.0.0/16", RouteKind::Throw)), SHOW, "throw 10.1"),
        case("IPv6 throw", add_route(kind("2001:db8:4::/48", RouteKind::Throw)), SHOW, "throw 2001:db8:4::/48"),
        case("IPv6 local route", add_route(local("2001:db8:4::/48")), SHOW, "local 2001:db8:4::/48 dev veth-red table"),
    ]
}

fn route_mtus() -> Vec<Case> {
    let there = || via("10.1.0.0/16", "10.0.0.2");
    let ipv6 = || via("2001:db8:1::/48", "2001:db8::2");
    vec![
        case("MTU of a route", add_route(with_mtu(1400, via("10.4.0.0/16", "10.0.0.2"))), SHOW, "mtu 1400"),
        case("MTU of a route that is there", replace_route(there(), with_mtu(65520, there())), SHOW, "mtu 65520"),
        case(
            "MTU of several next hops",
            add_route(with_mtu(1400, over("10.5.0.0/16", [("10.0.0.2", 1), ("10.0.0.3", 2)]))),
            SHOW,
            "mtu 1400",
        ),
        case(
            "MTU of an IPv6 route",
            add_route(with_mtu(1400, via("2001:db8:4::/48", "2001:db8::2"))),
            SHOW,
            "metric 1024 mtu 1400",
        ),
        case("MTU of an IPv6 route that is there", replace_route(ipv6(), with_mtu(1400, ipv6())), SHOW, "mtu 1400"),
        case(
            "MTU of several IPv6 next hops",
            add_route(with_mtu(1400, over("2001:db8:5::/48", [("2001:db8::2", 1), ("2001:db8::3", 3)]))),
            SHOW,
            "mtu 1400",
        ),
    ]
}

fn ipv6_routes() -> Vec<Case> {
    let there = || via("2001:db8:1::/48", "2001:db8::2");
    let on_link = || dev("2001:db8:2::/48", RouteScope::Global);
    let full = Route {
        table: 300,
        metric: 50,
        source: Some("2001:db8::1".parse().unwrap()),
        ..via("2001:db8:9::/48", "2001:db8::3")
    };
    vec![
        case("IPv6 default route", add_route(via("::/0", "2001:db8::2")), SHOW, "default via 2001:db8::2"),
        case("IPv6 route with everything", add_route(full), SHOW, "table 300 proto 213 src 2001:db8::1 metric 50"),
        case(
            "IPv6 onlink",
            add_route(Route { onlink: true, ..via("2001:db8:3::/48", "2001:db8:f::1") }),
            SHOW,
            "onlink",
        ),
        case(
            "several IPv6 next hops",
            add_route(over("2001:db8:5::/48", [("2001:db8::2", 1), ("2001:db8::3", 3)])),
            SHOW,
            "nexthop via 2001:db8::3 dev veth-red weight 3",
        ),
        case(
            "one IPv6 next hop instead of several",
            replace_route(there(), over("2001:db8:1::/48", [("2001:db8::2", 1), ("2001:db8::3", 2)])),
            SHOW,
            "nexthop via 2001:db8::3 dev veth-red weight 2",
        ),
        case("IPv6 blackhole", add_route(kind("2001:db8:4::/48", RouteKind::Blackhole)), SHOW, "blackhole 2001:db8:4"),
        case("IPv6 prohibit", add_route(kind("2001:db8:4::/48", RouteKind::Prohibit)), SHOW, "prohibit 2001:db8:4"),
        case(
            "replace IPv6 gateway",
            replace_route(there(), via("2001:db8:1::/48", "2001:db8::3")),
            SHOW,
            "via 2001:db8::3",
        ),
        case(
            "replace IPv6 device by gateway",
            replace_route(on_link(), via("2001:db8:2::/48", "2001:db8::3")),
            SHOW,
            "via 2001:db8::3",
        ),
        case(
            "replace IPv6 gateway by device",
            replace_route(there(), dev("2001:db8:1::/48", RouteScope::Global)),
            SHOW,
            "db8:1::/48 dev",
        ),
        case(
            "replace IPv6 by unreachable",
            replace_route(there(), kind("2001:db8:1::/48", RouteKind::Unreachable)),
            SHOW,
            "unreachable",
        ),
        case("delete IPv6 route", change_route(Update::Remove(there())), SHOW, "10.0.0.0/24"),
    ]
}

pub fn rules() -> Vec<Case> {
    let net = |text: &str| Some(text.parse().unwrap());
    let show = "ip -n red rule; ip -n red -6 rule";
    let there = PolicyRule { from: net("10.0.0.0/8"), ..rule(50) };
    let full = PolicyRule {
        from: net("10.0.0.0/8"),
        to: net("10.1.0.1/32"),
        iif: Some(name("veth-red")),
        oif: Some(name("gone")),
        fwmark: Some((0x10, 0xf0)),
        action: RuleAction::Table(70000),
        ..rule(60)
    };
    vec![
        case("rule", add_rule(rule(70)), show, "70:\tfrom all lookup 100 proto 213"),
        case(
            "rule with everything",
            add_rule(full),
            show,
            "fwmark 0x10/0xf0 iif veth-red oif gone [detached] lookup 70000",
        ),
        case(
            "rule with a whole mark",
            add_rule(PolicyRule { fwmark: Some((7, u32::MAX)), ..rule(70) }),
            show,
            "fwmark 0x7 ",
        ),
        case("blackhole rule", add_rule(PolicyRule { action: RuleAction::Blackhole, ..rule(70) }), show, "blackhole"),
        case(
            "unreachable rule",
            add_rule(PolicyRule { action: RuleAction::Unreachable, ..rule(70) }),
            show,
            "unreachable",
        ),
        case(
            "rule of VRFs",
            add_rule(PolicyRule { action: RuleAction::Vrf, ..rule(70) }),
            show,
            "lookup [l3mdev-table]",
        ),
        case("prohibit rule", add_rule(PolicyRule { action: RuleAction::Prohibit, ..rule(70) }), show, "prohibit"),
        case(
            "IPv6 rule",
            add_rule(PolicyRule { ipv6: true, from: net("2001:db8::/32"), ..rule(70) }),
            show,
            "from 2001:db8::/32",
        ),
        case("delete rule", change_rule(Presence::Remove(there)), show, "from all lookup local"),
    ]
}

#[test]
fn routes_are_the_same_by_step_and_by_command() {
    ipv4_routes().into_iter().chain(ipv6_routes()).chain(route_types()).chain(route_mtus()).for_each(check);
}

#[test]
fn rules_are_the_same_by_step_and_by_command() {
    rules().into_iter().for_each(check);
}
