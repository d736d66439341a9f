//! Steps and commands do the same: each step is run by the kernel room in one private host, and its script by `sh -e` in
//! another, and the kernel's account (`ip -d -j …`) must be the same. It must have changed, show what was to be seen, and
//! be as before once the step's inverse has been run.

mod support;

use std::sync::Arc;

use nslab::kernel::{Kernel, Scope, netns};
use nslab::lab::{BridgeOptions, End, IfName, Lab, LabName, Mac, Namespace, Neighbour, NsName};
use nslab::lab::{Route, RouteKind, RouteScope, Rule, RuleAction};
use nslab::plan::{Step, VethEnd};
use serde_json::Value;

/// One case of the table.
struct Case {
    name: &'static str,
    step: Step,
    /// A command, and what it must print once the step is done.
    sees: (&'static str, &'static str),
    /// Whether the inverse brings everything back; else there is none.
    reversible: bool,
}

fn case(name: &'static str, step: Step, command: &'static str, sees: &'static str) -> Case {
    Case { name, step, sees: (command, sees), reversible: true }
}

fn final_case(name: &'static str, step: Step, command: &'static str, sees: &'static str) -> Case {
    Case { reversible: false, ..case(name, step, command, sees) }
}

/// What every case starts from. Without link-local addresses, which come when the carrier does.
const SETUP: &str = "
ip netns add red; ip netns add blue; ip netns add bare
for enter in '' 'ip netns exec red' 'ip netns exec blue'; do $enter sysctl -qw net.ipv6.conf.default.addr_gen_mode=1; done
ip link add name v-net-0 address 02:00:00:00:00:05 type bridge
ip link add name v-net-1 address 02:00:00:00:00:06 type bridge
ip link add name veth-red-br address 02:00:00:00:01:01 type veth peer name veth-red address 02:00:00:00:00:01 netns red
ip link set dev veth-red-br master v-net-0
ip -n red link set dev veth-red up
ip link set dev veth-red-br up
ip link set dev v-net-0 up
ip -n red link add name up address 02:00:00:00:00:07 up type bridge
ip -n red addr add 10.0.0.1/24 dev veth-red
ip -n red addr add 2001:db8::1/64 dev veth-red nodad
ip -n red route add 10.1.0.0/16 via 10.0.0.2 proto 213
ip -n red -6 route add 2001:db8:1::/48 via 2001:db8::2 proto 213
ip -n red -6 route add 2001:db8:2::/48 dev veth-red proto 213
ip -n red rule add priority 50 from 10.0.0.0/8 lookup 100 protocol 213
ip -n red neigh add 10.0.0.7 lladdr 02:00:00:00:00:77 dev veth-red nud permanent
";

fn lab() -> LabName {
    "t".parse().unwrap()
}

fn ns(name: &str) -> NsName {
    name.parse().unwrap()
}

fn name(name: &str) -> IfName {
    name.parse().unwrap()
}

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

/// `red/veth-red`.
fn end(text: &str) -> End {
    let (ns_name, interface) = text.split_once('/').unwrap();
    End { ns: ns(ns_name), name: name(interface) }
}

fn veth_end(text: &str, last: u8, mtu: Option<u32>) -> VethEnd {
    VethEnd { end: end(text), mac: Some(mac(last)), mtu, master: None, up: false }
}

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
    }
}

fn via(to: &str, via: &str) -> Route {
    Route { via: Some(via.parse().unwrap()), dev: Some(name("veth-red")), ..route(to) }
}

fn add_route(route: Route) -> Step {
    Step::AddRoute { ns: ns("red"), route }
}

fn replace_route(from: Route, to: Route) -> Step {
    Step::ReplaceRoute { ns: ns("red"), from, to }
}

fn rule(priority: u32) -> Rule {
    Rule {
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

fn add_rule(rule: Rule) -> Step {
    Step::AddRule { ns: ns("red"), rule }
}

fn neighbour(address: &str, last: u8) -> Neighbour {
    Neighbour { dev: name("veth-red"), address: address.parse().unwrap(), mac: mac(last) }
}

fn objects() -> Vec<Case> {
    let bridge = |at: &str, options, mtu| Step::AddBridge { end: end(at), options, mac: Some(mac(9)), mtu, lab: lab() };
    let stp = BridgeOptions { stp: true, vlan_filtering: false };
    let plain = BridgeOptions::default();
    let port = VethEnd { master: Some(name("v-net-0")), up: true, ..veth_end("host/veth-blue-br", 0x12, None) };
    let veth = |main: VethEnd, peer: VethEnd| Step::AddVeth { main, peer, lab: lab() };
    let inner = VethEnd { master: Some(name("up")), up: true, ..veth_end("red/port", 0x15, Some(1400)) };
    vec![
        case("add namespace", Step::AddNamespace { ns: ns("green"), lab: lab() }, "ip -n green link", "alias nslab:t"),
        final_case("delete namespace", Step::DeleteNamespace { ns: ns("bare") }, "ip netns | wc -l", "2"),
        case("add bridge to host", bridge("host/br", plain, None), "ip link show br", "alias nslab:t"),
        case("add bridge with options", bridge("red/br", stp, Some(1400)), "ip -d -n red link show br", "stp_state 1"),
        case("add bridge called a", bridge("red/a", plain, None), "ip -n red link show dev a", "mtu 1500"),
        case(
            "add veth to a bridge of the host",
            veth(port, veth_end("blue/veth-blue", 0x13, Some(1450))),
            "ip link show veth-blue-br; ip -n blue link show veth-blue",
            "master v-net-0",
        ),
        case(
            "add veth between namespaces",
            veth(inner, veth_end("blue/eth0", 0x16, None)),
            "ip -n red link show port",
            "mtu 1400",
        ),
        case(
            "add veth within the host",
            veth(veth_end("host/one", 0x17, None), veth_end("host/two", 0x18, None)),
            "ip link show two",
            "alias nslab:t",
        ),
        case(
            "add veth within a namespace",
            veth(veth_end("red/one", 0x17, None), veth_end("red/two", 0x18, None)),
            "ip -n red link show two",
            "two@one",
        ),
        final_case("delete veth", Step::DeleteLink { end: end("host/veth-red-br") }, "ip -n red -o link | wc -l", "2"),
        final_case(
            "delete bridge called up",
            Step::DeleteLink { end: end("red/up") },
            "ip -n red -o link | wc -l",
            "2",
        ),
    ]
}

fn settings() -> Vec<Case> {
    let master = |from: Option<&str>, to: Option<&str>| Step::SetMaster {
        end: end("host/veth-red-br"),
        from: from.map(name),
        to: to.map(name),
    };
    let (off, on) = (BridgeOptions::default(), BridgeOptions { stp: true, vlan_filtering: false });
    let up = |at: &str, up| Step::SetUp { end: end(at), up };
    vec![
        case("up", up("host/v-net-1", true), "ip link show up", "v-net-1"),
        case("up a bridge called up", up("red/up", false), "ip -n red link show dev up", "state DOWN"),
        case(
            "mtu",
            Step::SetMtu { end: end("red/up"), from: 1500, to: 1400 },
            "ip -n red link show dev up",
            "mtu 1400",
        ),
        case(
            "mac",
            Step::SetMac { end: end("red/up"), from: mac(7), to: mac(0x42) },
            "ip -n red link show dev up",
            "02:00:00:00:00:42",
        ),
        case("move port", master(Some("v-net-0"), Some("v-net-1")), "bridge link", "master v-net-1"),
        case("unplug port", master(Some("v-net-0"), None), "bridge link | wc -l", "0"),
        case(
            "bridge option",
            Step::SetBridge { end: end("host/v-net-1"), from: off, to: on },
            "ip -d link",
            "stp_state 1",
        ),
    ]
}

fn addresses() -> Vec<Case> {
    let add = |at: &str, address: &str| Step::AddAddress { end: end(at), address: address.parse().unwrap() };
    let delete = |at: &str, address: &str| Step::DeleteAddress { end: end(at), address: address.parse().unwrap() };
    vec![
        case("IPv4 address", add("host/v-net-0", "192.168.15.5/24"), "ip -br addr show v-net-0", "192.168.15.5/24"),
        case("loopback address", add("blue/lo", "127.0.0.2/8"), "ip -n blue addr", "scope host lo"),
        case("address on an interface called up", add("red/up", "10.5.0.1/24"), "ip -n red addr", "10.5.0.1/24"),
        case("IPv6 address", add("host/v-net-0", "2001:db8:9::1/64"), "ip addr show v-net-0", "nodad"),
        case("link-local address", add("red/veth-red", "fe80::5/64"), "ip -n red addr", "fe80::5/64"),
        case("take IPv4 address", delete("red/up", "10.5.0.1/24"), "ip -n red -br -4 addr | wc -l", "1"),
        case("neighbour", set(None, neighbour("10.0.0.8", 8)), "ip -n red neigh", "10.0.0.8"),
        case("IPv6 neighbour", set(None, neighbour("2001:db8::8", 8)), "ip -n red neigh", "2001:db8::8"),
        case(
            "change neighbour",
            set(Some(neighbour("10.0.0.7", 0x77)), neighbour("10.0.0.7", 0x78)),
            "ip -n red neigh",
            "02:00:00:00:00:78 PERMANENT",
        ),
        case(
            "forget neighbour",
            Step::DeleteNeighbour { ns: ns("red"), neighbour: neighbour("10.0.0.7", 0x77) },
            "ip -n red neigh show nud permanent | wc -l",
            "0",
        ),
    ]
}

fn set(from: Option<Neighbour>, to: Neighbour) -> Step {
    Step::SetNeighbour { ns: ns("red"), from, to }
}

fn routes() -> Vec<Case> {
    let dev = |to: &str, scope| Route { dev: Some(name("veth-red")), scope, ..route(to) };
    let kind = |to: &str, kind| Route { kind, ..route(to) };
    let there = || via("10.1.0.0/16", "10.0.0.2");
    let there6 = || via("2001:db8:1::/48", "2001:db8::2");
    let dev6 = || dev("2001:db8:2::/48", RouteScope::Global);
    let show = "ip -n red route show table all; ip -n red -6 route show table all";
    let full = Route { table: 70000, metric: 50, source: Some([10, 0, 0, 1].into()), ..via("10.9.0.0/16", "10.0.0.3") };
    let full6 = Route {
        table: 300,
        metric: 50,
        source: Some("2001:db8::1".parse().unwrap()),
        ..via("2001:db8:9::/48", "2001:db8::3")
    };
    vec![
        case(
            "default route",
            add_route(via("0.0.0.0/0", "10.0.0.2")),
            show,
            "default via 10.0.0.2 dev veth-red proto 213",
        ),
        case("second metric", add_route(Route { metric: 9, ..there() }), show, "metric 9"),
        case("route with everything", add_route(full), show, "table 70000 proto 213 src 10.0.0.1 metric 50"),
        case("route on a link", add_route(dev("10.2.0.0/16", RouteScope::Link)), show, "10.2.0.0/16 dev veth-red"),
        case("route of host scope", add_route(dev("10.2.0.0/16", RouteScope::Host)), show, "scope host"),
        case("onlink", add_route(Route { onlink: true, ..via("10.3.0.0/16", "172.16.0.1") }), show, "onlink"),
        case("blackhole", add_route(kind("10.4.0.0/16", RouteKind::Blackhole)), show, "blackhole 10.4.0.0/16"),
        case("unreachable", add_route(kind("10.4.0.0/16", RouteKind::Unreachable)), show, "unreachable 10.4"),
        case("prohibit", add_route(kind("10.4.0.0/16", RouteKind::Prohibit)), show, "prohibit 10.4"),
        case("replace gateway", replace_route(there(), via("10.1.0.0/16", "10.0.0.3")), show, "via 10.0.0.3"),
        case(
            "replace by blackhole",
            replace_route(there(), kind("10.1.0.0/16", RouteKind::Blackhole)),
            show,
            "blackhole",
        ),
        case("delete route", Step::DeleteRoute { ns: ns("red"), route: there() }, show, "10.0.0.0/24"),
        case("IPv6 default route", add_route(via("::/0", "2001:db8::2")), show, "default via 2001:db8::2"),
        case("IPv6 route with everything", add_route(full6), show, "table 300 proto 213 src 2001:db8::1 metric 50"),
        case(
            "IPv6 onlink",
            add_route(Route { onlink: true, ..via("2001:db8:3::/48", "2001:db8:f::1") }),
            show,
            "onlink",
        ),
        case("IPv6 blackhole", add_route(kind("2001:db8:4::/48", RouteKind::Blackhole)), show, "blackhole 2001:db8:4"),
        case("IPv6 prohibit", add_route(kind("2001:db8:4::/48", RouteKind::Prohibit)), show, "prohibit 2001:db8:4"),
        case(
            "replace IPv6 gateway",
            replace_route(there6(), via("2001:db8:1::/48", "2001:db8::3")),
            show,
            "via 2001:db8::3",
        ),
        case(
            "replace IPv6 device by gateway",
            replace_route(dev6(), via("2001:db8:2::/48", "2001:db8::3")),
            show,
            "via 2001:db8::3",
        ),
        case(
            "replace IPv6 gateway by device",
            replace_route(there6(), dev("2001:db8:1::/48", RouteScope::Global)),
            show,
            "db8:1::/48 dev",
        ),
        case(
            "replace IPv6 by unreachable",
            replace_route(there6(), kind("2001:db8:1::/48", RouteKind::Unreachable)),
            show,
            "unreachable",
        ),
        case("delete IPv6 route", Step::DeleteRoute { ns: ns("red"), route: there6() }, show, "10.0.0.0/24"),
    ]
}

fn rules() -> Vec<Case> {
    let net = |text: &str| Some(text.parse().unwrap());
    let show = "ip -n red rule; ip -n red -6 rule";
    let there = Rule { from: net("10.0.0.0/8"), ..rule(50) };
    let full = Rule {
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
        case("rule with a whole mark", add_rule(Rule { fwmark: Some((7, u32::MAX)), ..rule(70) }), show, "fwmark 0x7 "),
        case("blackhole rule", add_rule(Rule { action: RuleAction::Blackhole, ..rule(70) }), show, "blackhole"),
        case("unreachable rule", add_rule(Rule { action: RuleAction::Unreachable, ..rule(70) }), show, "unreachable"),
        case("prohibit rule", add_rule(Rule { action: RuleAction::Prohibit, ..rule(70) }), show, "prohibit"),
        case(
            "IPv6 rule",
            add_rule(Rule { ipv6: true, from: net("2001:db8::/32"), ..rule(70) }),
            show,
            "from 2001:db8::/32",
        ),
        case("delete rule", Step::DeleteRule { ns: ns("red"), rule: there }, show, "from all lookup local"),
    ]
}

#[test]
fn objects_are_the_same_by_step_and_by_command() {
    objects().into_iter().for_each(check);
}

#[test]
fn settings_are_the_same_by_step_and_by_command() {
    settings().into_iter().for_each(check);
}

#[test]
fn addresses_and_neighbours_are_the_same_by_step_and_by_command() {
    addresses().into_iter().for_each(check);
}

#[test]
fn routes_are_the_same_by_step_and_by_command() {
    routes().into_iter().for_each(check);
}

#[test]
fn rules_are_the_same_by_step_and_by_command() {
    rules().into_iter().for_each(check);
}

/// Checks one case.
fn check(case: Case) {
    let case = Arc::new(case);
    let (before, by_step, seen, undone) = in_sandbox(&case, |case| {
        let mut kernel = Kernel::open().unwrap();
        let before = account();
        kernel.run(std::slice::from_ref(&case.step)).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let (after, seen) = (account(), support::run(case.sees.0));
        let inverse = case.step.inverse();
        assert_eq!(inverse.is_some(), case.reversible, "{}: inverse", case.name);
        kernel.run(inverse.as_slice()).unwrap_or_else(|error| panic!("{}, undone: {error}", case.name));
        (before, after, seen, account())
    });
    let (by_command, undone_by_command) = in_sandbox(&case, |case| {
        support::run(&case.step.describe().script.join("\n"));
        let after = account();
        if let Some(inverse) = case.step.inverse() {
            support::run(&inverse.describe().script.join("\n"));
        }
        (after, account())
    });
    let name = case.name;
    assert_ne!(before, by_step, "{name}: nothing changed");
    assert!(seen.contains(case.sees.1), "{name}: `{}` does not print `{}`:\n{seen}", case.sees.0, case.sees.1);
    same(&format!("{name}: step and command"), &by_step, &by_command);
    if case.reversible {
        same(&format!("{name}: before and after the inverse"), &before, &undone);
        same(&format!("{name}: inverse by step and by command"), &undone, &undone_by_command);
    }
}

#[track_caller]
fn same(what: &str, one: &str, other: &str) {
    if let Some(at) = one.bytes().zip(other.bytes()).position(|(one, other)| one != other) {
        let line = one[..at].rfind('\n').map_or(0, |start| start + 1);
        let begin = at.saturating_sub(100).max(line);
        let part = |text: &str| text[begin..].chars().take(200).collect::<String>();
        panic!("{what} differ in `{}`:\n{}\n{}", &one[line..line + 30], part(one), part(other));
    }
    assert_eq!(one.len(), other.len(), "{what} differ: one goes on");
}

/// Runs something in a private host of its own, where everything that the cases start from is there.
fn in_sandbox<T: Send + 'static>(case: &Arc<Case>, f: impl FnOnce(&Case) -> T + Send + 'static) -> T {
    let case = Arc::clone(case);
    let inside = move || {
        support::sandbox();
        support::run(SETUP);
        if let Step::DeleteAddress { end, address } = &case.step {
            support::run(&format!("ip -n {} addr add {address} dev {}", end.ns, end.name));
        }
        f(&case)
    };
    match std::thread::spawn(inside).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The kernel's account of every namespace, one thing a line, with our own observation at the end.
fn account() -> String {
    let mut lines = Vec::new();
    let mut namespaces = vec![NsName::host()];
    namespaces.extend(netns::list().unwrap());
    for ns in &namespaces {
        let option = if ns.is_host() { String::new() } else { format!("-n {ns}") };
        let printed = support::run(&format!(
            "printf 'link\naddr\nroute show table all\nrule\nneigh show nud permanent\n' | ip {option} -d -j -batch -
             ip {option} -6 -d -j rule"
        ));
        for list in serde_json::Deserializer::from_str(&printed).into_iter::<Vec<Value>>() {
            // ff00::/8 comes and goes with the carrier.
            for mut thing in list.unwrap().into_iter().filter(|thing| thing["type"] != "multicast") {
                steady(&mut thing);
                lines.push(format!("{ns}: {thing}"));
            }
        }
    }
    lines.sort();
    let namespaces = namespaces.into_iter().map(|ns| (ns, Namespace::default())).collect();
    let desired = Lab { name: lab(), about: None, namespaces, checks: Vec::new() };
    let live = Kernel::open().unwrap().observe(&Scope { lab: &lab(), desired: Some(&desired) }).unwrap();
    lines.push(format!("observed: {}", serde_json::to_string(&live).unwrap()));
    lines.join("\n")
}

/// Takes away what changes by itself: states that follow the carrier, timers, and numbers of namespaces, which the kernel
/// hands out when somebody looks.
fn steady(thing: &mut Value) {
    match thing {
        Value::Array(things) => things.iter_mut().for_each(steady),
        Value::Object(fields) => {
            fields.retain(|key, _| !FLEETING.contains(&key.as_str()) && !key.ends_with("_timer"));
            if let Some(Value::Array(flags)) = fields.get_mut("flags") {
                flags.retain(|flag| flag == "UP" || flag == "onlink");
            }
            fields.values_mut().for_each(steady);
        }
        _ => {}
    }
}

/// Fields of the account that change by themselves.
/// The limits of a bridge are those of its ports, once it has had any.
const FLEETING: [&str; 13] = [
    "tso_max_size",
    "qdisc",
    "operstate",
    "tentative",
    "state",
    "link_netnsid",
    "link_index",
    "bridge_id",
    "root_id",
    "designated_bridge",
    "designated_root",
    "topology_change",
    "topology_change_detected",
];
