//! `nslab status LAB NAMESPACE`: one namespace in full, as the kernel has it.

mod support;

use serde_json::Value;
use support::{nslab, run, sandbox, text};

const LAB: &str = "name: demo
namespaces:
  red:
    interfaces: { eth0: { addresses: [10.0.0.1/24, 'fd00::1/64'] } }
    routes: [{ to: default, via: 10.0.0.254 }]
    neighbours: [{ to: 10.0.0.9, mac: 02:00:00:00:00:09, dev: eth0 }]
  router:
    forwarding: true
    bridges: { br0: { addresses: [10.0.0.254/24], ports: [p0, p1] } }
    interfaces: { out: { addresses: [192.0.2.1/24], mtu: 1400 } }
    routes:
      - { to: 198.51.100.0/24, via: 192.0.2.2, table: 100 }
      - { to: 203.0.113.0/24, type: blackhole }
    rules: [{ priority: 1000, from: 10.0.0.0/24, table: 100 }]
    nat: [{ masquerade: { source: 10.0.0.0/24 } }]
    filter:
      - { chain: forward, protocol: tcp, port: 23, action: drop }
  outside: { interfaces: { eth0: { addresses: [192.0.2.2/24], mtu: 1400 } } }
  a-namespace-with-a-name-that-is-as-long-as-any-file-can-say-it1: { interfaces: { eth0: {} } }
links:
  - [red/eth0, router/p0]
  - [router/out, outside/eth0]
  - [router/p1, a-namespace-with-a-name-that-is-as-long-as-any-file-can-say-it1/eth0]
checks: [{ from: red, to: outside }]
";

fn applied() {
    sandbox();
    std::fs::write("/run/demo.yaml", LAB).unwrap();
    let output = nslab(["apply", "/run/demo.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

fn json(ns: &str) -> Value {
    let output = nslab(["status", "demo", ns, "--format", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn shown(ns: &str) -> String {
    narrow(&["status", "demo", ns])
}

/// What a command prints, in lines that fit 80 columns.
fn narrow(command: &[&str]) -> String {
    let output = nslab(command);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let text = text(&output);
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert!(wide.is_empty(), "wider than 80 columns: {wide:#?}");
    text
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("no list {key}: {value:#}"))
}

#[test]
fn counters_are_those_of_the_kernel() {
    applied();
    run("ip netns exec red ping -c 3 -i 0.1 -q 192.0.2.2
         ip netns exec router iptables -A FORWARD -s 10.9.9.9 -m comment --comment 'by hand' -j REJECT");
    // A packet may come between: then both are asked again.
    let saved =
        || ["iptables", "ip6tables"].map(|of| (of, run(&format!("ip netns exec router {of}-save -c | sed '/^#/d'"))));
    let (status, saved) = (0..20)
        .find_map(|_| {
            let (before, status, after) = (saved(), json("router"), saved());
            (before == after).then_some((status, after))
        })
        .expect("the counters rest for a moment");
    let chains: Vec<&Value> = list(&status, "nat").iter().chain(list(&status, "filter")).collect();
    let mut rules = 0;
    for (family, saved) in saved {
        for line in saved.lines().filter(|line| line.starts_with('[')) {
            let (counters, rule) = line.split_once(" -A ").unwrap();
            let chain = rule.split_whitespace().next().unwrap();
            let is_this = |at: &&&Value| at["chain"] == chain && at["ipv6"] == (family == "ip6tables");
            let of_chain = chains.iter().filter(is_this).flat_map(|at| list(at, "rules"));
            let count = |at: &Value| format!("[{}:{}]", at["packets"], at["bytes"]);
            assert!(of_chain.map(count).any(|shown| shown == counters), "{line} is not in {chains:#?}");
            rules += 1;
        }
    }
    assert_eq!(rules, chains.iter().map(|chain| list(chain, "rules").len()).sum::<usize>());
    let masquerade = chains.iter().flat_map(|chain| list(chain, "rules"));
    let masquerade = masquerade.filter(|rule| rule["rule"].as_str().unwrap().ends_with("-j MASQUERADE"));
    assert!(masquerade.map(|rule| rule["packets"].as_u64()).all(|packets| packets > Some(0)), "{chains:#?}");
    let text = shown("router");
    for words in ["NAT: packets, bytes, rule", "  -s 10.0.0.0/24", "-j MASQUERADE", "--comment 'by hand'"] {
        assert!(text.contains(words), "no {words:?}:\n{text}");
    }
    let chains: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_suffix(" of IPv4")).collect();
    assert_eq!(chains, ["POSTROUTING", "NSLAB-demo-POST", "FORWARD", "NSLAB-demo-FWD"], "{text}");
    assert!(text.contains("otherwise ACCEPT"), "{text}");
    let ends = text.lines().filter(|line| line.contains("otherwise ACCEPT"));
    assert!(ends.map(str::trim_start).all(|line| !line.starts_with("0 ")), "what is not counted is no 0: {text}");
}

#[test]
fn routes_rules_and_forwarding_are_shown_with_their_tables() {
    applied();
    let status = json("router");
    assert_eq!(status["forwarding"], serde_json::json!({ "ipv4": true, "ipv6": false }));
    let routes: Vec<(Option<u64>, &str, bool)> = list(&status, "routes")
        .iter()
        .map(|own| (own["table"].as_u64(), own["route"].as_str().unwrap(), own["by_kernel"].as_bool().unwrap()))
        .filter(|(_, route, _)| !route.contains("fe80"))
        .collect();
    let wanted = [
        (Some(100), "198.51.100.0/24 via 192.0.2.2 dev out", false),
        (Some(254), "10.0.0.0/24 dev br0 src 10.0.0.254", true),
        (Some(254), "192.0.2.0/24 dev out src 192.0.2.1", true),
        (Some(254), "blackhole 203.0.113.0/24", false),
    ];
    assert_eq!(routes, wanted);
    let rules = list(&status, "rules");
    assert_eq!(rules.len(), 1, "{rules:?}");
    assert_eq!(rules[0]["rule"], "priority 1000 from 10.0.0.0/24 lookup 100");
    let text = shown("router");
    for words in [
        "router of lab demo: forwards IPv4, not IPv6",
        "100   198.51.100.0/24 via 192.0.2.2 dev out",
        "main  10.0.0.0/24 dev br0 src 10.0.0.254 (by the kernel)",
        "IPv4  priority 1000 from 10.0.0.0/24 lookup 100",
        "mtu 1400",
        "port of br0, to red/eth0",
    ] {
        assert!(text.contains(words), "no {words:?}:\n{text}");
    }
    run(
        "ip -n router rule del priority 32767; ip netns exec router sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=1",
    );
    let text = shown("router");
    assert!(text.contains("forwards IPv6, not IPv4") && text.contains("missing:  priority 32767"), "{text}");
    assert!(shown("red").contains("red of lab demo: forwards nothing"));
}

#[test]
fn neighbours_and_states_are_those_of_the_moment() {
    applied();
    run("ip netns exec red ping -c 1 -q 10.0.0.254; ip netns exec red ping -c 1 -W 1 -q 10.0.0.77 || true
         ip -n outside link set eth0 down; ip -n red link add d0 type bridge");
    let status = json("red");
    let of = |address: &str| {
        let entry = list(&status, "neighbours").iter().find(|entry| entry["address"] == address);
        let entry = entry.unwrap_or_else(|| panic!("no {address}: {status:#}"));
        (entry["state"].as_str().unwrap().to_owned(), entry["mac"].as_str().map(str::to_owned))
    };
    assert_eq!(of("10.0.0.9"), ("permanent".to_owned(), Some("02:00:00:00:00:09".to_owned())));
    let known = run("ip -n red neigh show 10.0.0.254");
    let (state, mac) = of("10.0.0.254");
    assert!(known.contains(&mac.unwrap()) && known.to_lowercase().contains(&state), "{state}: {known}");
    assert_eq!(of("10.0.0.77").1, None, "no one has answered");
    let states = |status: &Value| -> Vec<(String, String)> {
        let text = |own: &Value, key: &str| own[key].as_str().unwrap().to_owned();
        list(status, "interfaces").iter().map(|own| (text(own, "name"), text(own, "state"))).collect()
    };
    let is = |name: &str, state: &str| (name.to_owned(), state.to_owned());
    assert_eq!(states(&status), [is("lo", "up"), is("eth0", "up"), is("d0", "down")]);
    let of_router = states(&json("router"));
    assert!(of_router.contains(&is("out", "no_carrier")) && of_router.contains(&is("p0", "up")), "{of_router:?}");
    let text = shown("red");
    assert!(text.contains("permanent") && text.contains("fd00::1/64"), "{text}");
}

#[test]
fn what_a_file_cannot_say_and_what_runs_is_shown() {
    applied();
    run("ip netns exec red nft add table inet fence
         ip netns exec red sleep 5 > /dev/null 2>&1 & sleep 0.2");
    let status = json("red");
    assert_eq!(list(&status, "other").len(), 1, "{status:#}");
    assert!(
        list(&status, "processes").iter().any(|process| process["command"].as_str().unwrap().starts_with("sleep")),
        "{status:#}"
    );
    let text = shown("red");
    assert!(text.contains("\nOther\n") && text.contains("fence") && text.contains("sleep"), "{text}");
    for ns in ["host", "outside", "a-namespace-with-a-name-that-is-as-long-as-any-file-can-say-it1"] {
        shown(ns);
    }
    let unknown = nslab(["status", "demo", "rounter"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", support::text(&unknown));
    assert!(support::text(&unknown).contains("did you mean `router`?"), "{}", support::text(&unknown));
    let file = nslab(["status", "/run/demo.yaml", "red"]);
    assert_eq!(file.status.code(), Some(0), "{}", support::text(&file));
}

#[test]
fn labs_and_one_lab_fit_a_terminal() {
    applied();
    run("ip netns exec router sleep 5 > /dev/null 2>&1 & sleep 0.2
         ip -n router addr add 2001:db8:1111:2222:3333:4444:5555:6666/64 dev br0
         ip -n router route add 198.51.100.128/25 via 192.0.2.2 dev out metric 4711 table 4711");
    let whole = |text: &str| text.split_whitespace().collect::<String>();
    let status = narrow(&["status", "demo"]);
    for words in ["outside", "10.0.0.254/24", "port of br0", "sleep 5", "Drift: 2 steps to fix:"] {
        assert!(status.contains(words), "no {words:?}:\n{status}");
    }
    assert!(whole(&status).contains(&whole("198.51.100.128/25 via 192.0.2.2")), "{status}");
    let list = narrow(&["list"]);
    assert!(list.contains("demo") && list.contains("router") && list.contains("kept"), "{list}");
}
