//! What `nslab policy` says and proves, what a change of policies changes, and what happens to what runs meanwhile.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::Value;

use crate::support::{ends, golden, inside, nslab, project, run, sandbox};

const FILE: &str = "/run/policy.yaml";

/// A lab of two nodes with web and db on the first, api on the second, and these policies.
fn write(policies: &str, api: &str, checks: &str) {
    let text = format!(
        "name: pol\ncluster:\n  node_network: 192.168.1.0/24\n  pod_network: 10.244.0.0/16\n  routing: routed\n  nodes:\n    \
         node1: {{ pods: [{{ name: web, address: 10.244.1.2 }}, {{ name: db, address: 10.244.1.3, labels: {{ app: db }} \
         }}] }}\n    node2: {{ pods: [{{ name: api, address: 10.244.2.2, labels: {{ {api} }} }}] }}\n  policies: \
         {policies}\nchecks: {checks}\n"
    );
    fs::write(FILE, text).unwrap();
}

/// db gets what those of the role `reader` send.
const READERS: &str = "[{ name: readers, podSelector: { matchLabels: { app: db } }, ingress: [{ from: [{ podSelector: { \
                       matchLabels: { role: reader } } }] }] }]";

#[test]
fn the_matrix_and_the_reasons_are_shown_as_expected() {
    let (file, many) = ("topologies/11-policy.yaml", "tests/policies/many.yaml");
    let asked = [
        vec!["policy", file],
        vec!["policy", file, "web", "db", "3306"],
        vec!["policy", file, "api", "db", "3306/tcp"],
        vec!["policy", file, "db", "outside", "80"],
        vec!["policy", file, "node1", "db", "22/sctp"],
        vec!["policy", file, "web", "192.168.1.3", "53/udp"],
        vec!["policy", many],
        vec!["policy", many, "--by", "app"],
        vec!["policy", "tests/policies/dual-stack.yaml", "idle", "api", "8080"],
        vec!["policy", "tests/policies/dual-stack.yaml", "far", "db", "3306"],
    ];
    let shown: Vec<String> =
        asked.iter().map(|args| format!("$ nslab {}\n{}", args.join(" "), ends(args, 0))).collect();
    let shown = shown.join("\n");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    golden::expect(&project("tests/policies/shown.expected"), &shown).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn programs_get_the_same() {
    let json = |args: &[&str]| -> Value {
        let all = ["policy", "topologies/11-policy.yaml"].iter().chain(args).chain(&["--format", "json"]);
        serde_json::from_slice(&nslab(all).stdout).expect("JSON")
    };
    let matrix = json(&[]);
    assert_eq!(matrix["policies"], serde_json::json!(["default/db", "default/api"]));
    assert_eq!(matrix["differences"], Value::Null);
    let layer =
        matrix["layers"].as_array().unwrap().iter().find(|layer| layer["ports"] == serde_json::json!(["tcp 3306"]));
    assert_eq!(layer.unwrap()["allowed"]["api"], serde_json::json!(["api", "backup", "db", "web"]));
    let verdict = json(&["web", "db", "3306"]);
    assert_eq!(verdict["allowed"], false);
    let families = verdict["families"].as_array().unwrap();
    assert_eq!((families.len(), &families[0]["family"]), (1, &"IPv4".into()));
    assert_eq!(families[0]["ingress"]["policies"], serde_json::json!(["default/db"]));
    assert_eq!(matrix["rows"]["api"], serde_json::json!(["api"]));
    let by = json(&["--by", "role"]);
    assert_eq!(by["rows"]["role=db"], serde_json::json!(["db"]));
    for (args, wrong) in [
        (["web", "nobody", "80"], "nobody"),
        (["web", "db", "0"], "`0`"),
        (["web", "db", "80/icmp"], "icmp"),
        (["web", "service/db-service", "3306"], "name one of its pods"),
        (["--by", "rle", "--prove"], "no pod has a label `rle`; did you mean `role`?"),
    ] {
        let said = ends(&[&["policy", "topologies/11-policy.yaml"], args.as_slice()].concat(), 2);
        assert!(said.contains(wrong), "{said}");
    }
    let said = ends(&["policy", "topologies/09-manifests.yaml", "client", "monitor-node1", "80"], 2);
    assert!(said.contains("did you mean `kube-system.monitor-node1`?"), "{said}");
}

#[test]
fn both_families_are_enforced_in_every_way_between_nodes() {
    sandbox();
    let text = fs::read_to_string(project("tests/policies/dual-stack.yaml")).unwrap();
    for routing in ["routes", "routed", "vxlan", "router"] {
        fs::write(FILE, text.replace("routing: routes", &format!("routing: {routing}"))).unwrap();
        ends(&["apply", FILE], 0);
        let said = ends(&["policy", "dual", "--prove"], 0);
        assert!(said.contains("proved by 520 probes"), "{said}");
        ends(&["destroy", "dual"], 0);
    }
    write(READERS, "role: reader", "[]");
    let ipip = fs::read_to_string(FILE).unwrap().replace("routing: routed", "routing: ipip");
    fs::write(FILE, ipip).unwrap();
    if crate::support::lacking("ipip").is_none() {
        ends(&["apply", FILE], 0);
        ends(&["policy", "pol", "--prove"], 0);
    }
}

#[test]
fn a_pod_is_never_cut_off_from_itself() {
    sandbox();
    let text = fs::read_to_string(project("tests/policies/itself.yaml")).unwrap();
    for (routing, mode) in [("routes", "iptables"), ("routed", "nftables"), ("routes", "nftables")] {
        let text = text.replace("routing: routes", &format!("routing: {routing}"));
        fs::write(FILE, text.replace("proxy_mode: iptables", &format!("proxy_mode: {mode}"))).unwrap();
        ends(&["apply", "--check", FILE], 0);
        ends(&["destroy", "itself"], 0);
    }
}

#[test]
fn a_proof_finds_what_the_nodes_do_not_enforce() {
    sandbox();
    write(READERS, "role: reader", "[]");
    ends(&["apply", FILE], 0);
    ends(&["policy", "pol", "--prove"], 0);
    run("ip netns exec node1 nft delete element inet network-policies ingress-pods '{ 10.244.1.3 }'");
    let said = ends(&["policy", "pol", "--prove"], 1);
    assert!(said.contains("✗ web → db (tcp/1): answered by db, though it should be unreachable"), "{said}");
    assert!(!said.contains("✗ api"), "{said}");
    ends(&["plan", "--exit-code", FILE], 1);
    ends(&["apply", FILE], 0);
    ends(&["policy", "pol", "--prove"], 0);
}

/// Between all addresses of a pod, of which policies may say different things.
#[test]
fn a_proof_covers_all_addresses() {
    sandbox();
    let policies = "[{ name: db, podSelector: { matchLabels: { app: db } }, ingress: [{ from: [{ ipBlock: { cidr: \
                    10.244.2.9/32 } }] }] }]";
    write(policies, "role: reader", "[]");
    let text = fs::read_to_string(FILE).unwrap().replace("routing: routed", "routing: routes");
    let more = "namespaces: { api: { interfaces: { eth0: { addresses: [10.244.2.9/24] } } } }\n";
    fs::write(FILE, text + more).unwrap();
    ends(&["apply", FILE], 0);
    let said = ends(&["policy", "pol", "--prove"], 0);
    assert!(said.contains("proved by 20 probes"), "{said}");
}

/// A label of a peer is an element of a set, on the nodes whose pods ask for it.
#[test]
fn a_label_changes_elements_only() {
    sandbox();
    write(READERS, "role: writer", "[]");
    ends(&["apply", FILE], 0);
    write(READERS, "role: reader", "[]");
    let planned: Value = serde_json::from_slice(&nslab(["plan", FILE, "--format", "json"]).stdout).unwrap();
    let steps: Vec<&str> =
        planned["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    let set = "set peers-default/readers/ingress/1 of table inet network-policies in node1";
    assert_eq!(steps, [format!("add `10.244.2.2` to {set}")]);
    ends(&["apply", FILE], 0);
    ends(&["policy", "pol", "--prove"], 0);
}

#[test]
fn what_is_not_enforced_is_possible() {
    sandbox();
    write(
        &READERS.replace("name: readers", "name: readers, enforce: false"),
        "role: writer",
        "[{ from: api, to: db, port: 80 }]",
    );
    let said = ends(&["apply", "--check", FILE], 0);
    assert!(
        said.contains("the policy `readers` is ignored: everything that it forbids works [policy-ignored]"),
        "{said}"
    );
    assert!(!run("ip netns exec node1 nft list tables").contains("network-policies"));
    let said = ends(&["policy", "pol", "--prove"], 0);
    assert!(said.contains("default/readers (line 9) is not enforced"), "{said}");
}

#[test]
fn a_failed_check_names_the_policy() {
    sandbox();
    let checks = "[{ from: [web, api], to: db, port: 80, retries: 0, timeout: 200ms }, { from: api, to: db, port: 81, expect: \
                  unreachable }]";
    write(READERS, "role: reader", checks);
    let said = ends(&["apply", "--check", FILE], 1);
    for hint in [
        "hint: the policy default/readers (line 9) isolates db (ingress), and no rule allows web → db (tcp/80)",
        "hint: the policy default/readers (line 9) allows api → db (tcp/81): rule 1 of its `ingress`",
    ] {
        assert!(said.contains(hint), "{said}");
    }
    assert_eq!(said.matches("hint:").count(), 2, "{said}");
    let said = ends(&["status", "pol", "node1"], 0);
    assert!(said.contains("\n  inet network-policies: `nft list table inet network-policies` shows it\n"), "{said}");
}

#[test]
fn where_one_side_allows_only_the_other_is_named() {
    sandbox();
    write(
        "[{ name: quiet, podSelector: {}, policyTypes: [Egress] }, \
         { name: dns, podSelector: {}, policyTypes: [Egress], egress: [{ to: [{ podSelector: { matchLabels: { app: \
         dns } } }], ports: [{ protocol: UDP, port: 53 }] }] }, \
         { name: open, podSelector: {}, ingress: [{}] }]",
        "role: reader",
        "[{ from: [web, api], to: db, port: 80, retries: 0, timeout: 200ms }]",
    );
    let said = ends(&["apply", "--check", FILE], 1);
    assert!(said.contains("✗ web, api → db (tcp/80): expected reachable"), "{said}");
    assert!(said.contains("default/quiet") && said.contains("api (egress)"), "{said}");
    assert!(!said.contains("default/open"), "{said}");
    let said = ends(&["policy", "pol"], 0);
    assert!(said.contains("all tcp, all udp, all sctp\n"), "{said}");
}

#[test]
fn a_proof_that_fails_says_that_the_lab_has_changed() {
    sandbox();
    write(READERS, "role: reader", "[]");
    ends(&["apply", FILE], 0);
    run("ip netns exec node1 nft flush chain inet network-policies ingress");
    let said = ends(&["policy", "pol", "--prove"], 1);
    assert!(said.contains("hint: the lab is one step away"), "{said}");
}

/// A connection that was allowed lives on; a flow over UDP, which has no end, is forgotten.
#[test]
fn what_runs_while_policies_change() {
    sandbox();
    write("[]", "role: reader", "[]");
    ends(&["apply", FILE], 0);
    let server = inside("db", || TcpListener::bind("10.244.1.3:80").unwrap());
    let mut client = inside("web", || TcpStream::connect("10.244.1.3:80").unwrap());
    let (mut answering, _) = server.accept().unwrap();
    let udp = inside("db", || UdpSocket::bind("10.244.1.3:53").unwrap());
    let asking = |from: &'static str| {
        let asking = inside(from, || UdpSocket::bind("0.0.0.0:0").unwrap());
        asking.connect("10.244.1.3:53").unwrap();
        asking
    };
    udp.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let (forbidden, allowed) = (asking("web"), asking("api"));
    let arrives = |socket: &UdpSocket| {
        socket.send(b"?").unwrap();
        udp.recv_from(&mut [0; 8]).map(|(_, from)| udp.send_to(b"!", from).unwrap()).is_ok()
    };
    assert!(arrives(&forbidden) && arrives(&allowed), "nothing isolates db yet");
    // The table comes first without a policy for db, so that connections are tracked and known.
    write("[{ name: web, podSelector: { matchLabels: { app: none } } }]", "role: reader", "[]");
    ends(&["apply", FILE], 0);
    client.write_all(b"a").unwrap();
    assert!(arrives(&forbidden) && arrives(&allowed), "nothing isolates db yet");
    write(READERS, "role: reader", "[]");
    ends(&["apply", FILE], 0);
    assert!(arrives(&allowed), "a flow that is allowed ended");
    assert!(!arrives(&forbidden), "a flow that is forbidden lives on");
    client.write_all(b"b").unwrap();
    answering.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut both = [0; 2];
    answering.read_exact(&mut both).expect("a connection that was there");
    assert_eq!(&both, b"ab");
}

/// With `policy_conntrack: forget`, what is forbidden ends, and what is allowed lives on.
#[test]
fn connections_end_that_policies_forbid() {
    sandbox();
    let lab = |policies: &str| {
        write(policies, "role: reader", "[]");
        let text = fs::read_to_string(FILE).unwrap().replace("  routing:", "  policy_conntrack: forget\n  routing:");
        fs::write(FILE, text).unwrap();
        ends(&["apply", FILE], 0);
    };
    lab("[{ name: web, podSelector: { matchLabels: { app: none } } }]");
    let server = inside("db", || TcpListener::bind("10.244.1.3:80").unwrap());
    let connected = |from: &'static str| {
        let mut client = inside(from, || TcpStream::connect("10.244.1.3:80").unwrap());
        let (mut answering, _) = server.accept().unwrap();
        client.write_all(b"a").unwrap();
        answering.read_exact(&mut [0; 1]).unwrap();
        (client, answering)
    };
    let (mut forbidden, mut allowed) = (connected("web"), connected("api"));
    lab(READERS);
    let arrives = |(client, answering): &mut (TcpStream, TcpStream)| {
        client.write_all(b"b").unwrap();
        answering.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        answering.read_exact(&mut [0; 1]).is_ok()
    };
    assert!(arrives(&mut allowed), "a connection that is allowed ended");
    assert!(!arrives(&mut forbidden), "a connection that is forbidden lives on");
}

#[test]
fn node_ports_show_policies_who_asks() {
    sandbox();
    let text = fs::read_to_string(project("tests/policies/node-port.yaml")).unwrap();
    for mode in ["iptables", "nftables"] {
        fs::write(FILE, text.replace("proxy_mode: iptables", &format!("proxy_mode: {mode}"))).unwrap();
        ends(&["apply", "--check", FILE], 0);
        ends(&["destroy", "outside"], 0);
    }
}

/// Through a VXLAN a node sends with the address of its own end, which is another one than in the node network.
#[test]
fn a_node_sends_with_the_address_that_its_route_says() {
    sandbox();
    let from = |peer: &str| format!("[{{ name: n, ingress: [{{ from: [{{ ipBlock: {{ cidr: {peer} }} }}] }}] }}]");
    for (peer, rc, word) in [("192.168.1.12/32", 1, "forbidden"), ("10.244.2.0/32", 0, "allowed")] {
        write(&from(peer), "role: reader", "[{ from: node2, to: db, port: 80, timeout: 300ms }]");
        let text = fs::read_to_string(FILE).unwrap().replace("routing: routed", "routing: vxlan");
        fs::write(FILE, text).unwrap();
        let said = ends(&["apply", "--check", FILE], rc);
        let hint = "isolates db (ingress), and no rule allows node2 → db (tcp/80)";
        assert_eq!(said.contains(hint), rc == 1, "{said}");
        let said = ends(&["policy", FILE, "node2", "db", "80"], 0);
        assert!(said.starts_with(&format!("node2 → db tcp/80: {word}\n")), "{said}");
    }
}

#[test]
fn nothing_is_no_proof() {
    sandbox();
    write("[]", "role: reader", "[]");
    ends(&["apply", FILE], 0);
    assert!(ends(&["policy", FILE], 0).contains("there are no policies"));
    let said = ends(&["policy", FILE, "--prove"], 2);
    assert!(said.contains("nothing to prove"), "{said}");
}
