//! The nftables mode: a node has the table of kube-proxy, and a change of endpoints or of a service is no more than it
//! has to be.

use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

use super::support::{ends, inside, project, run, sandbox};
use super::{asked_udp, endpoints_follow, is_undone, pod, serve, write_for, write_worked_example};

/// What `nft` lists, word by word: the kernel has elements in any order.
pub(super) fn account(ns: &str) -> Vec<String> {
    let listed = run(&format!("ip netns exec {ns} nft list table ip kube-proxy"));
    let (mut lines, mut elements) = (Vec::new(), Vec::new());
    for line in listed.lines().map(str::trim) {
        let is_open = !elements.is_empty();
        match line.strip_prefix("elements = { ") {
            None if !is_open => lines.push(line.to_owned()),
            rest => {
                let rest = rest.unwrap_or(line);
                let all = rest.trim_end_matches(" }").trim_end_matches(',').split(", ");
                elements.extend(all.map(str::to_owned));
                if rest.ends_with(" }") {
                    elements.sort();
                    lines.append(&mut elements);
                }
            }
        }
    }
    lines
}

#[test]
fn a_node_has_the_table_of_kube_proxy() {
    sandbox();
    write_worked_example("nftables");
    ends(&["apply", "--check", "/run/svc.yaml"], 0);
    // The expected lines, as nft understands them: first what others lead to.
    let expected = fs::read_to_string(project("tests/services/nftables-worked-example.expected")).unwrap();
    let lines = |kinds: &[&str]| {
        let is_of = |line: &&str| kinds.iter().any(|kind| line.starts_with(&format!("add {kind} ")));
        expected.lines().filter(is_of).map(|line| format!("{line}\n")).collect::<String>()
    };
    let table = "add table ip kube-proxy { comment \"rules for kube-proxy\"; }\n";
    let script = table.to_owned() + &lines(&["set", "map", "chain"]) + &lines(&["element", "rule"]);
    fs::write("/run/expected.nft", script).unwrap();
    run("ip netns add expected; ip netns exec expected nft -f /run/expected.nft");
    assert_eq!(account("node1"), account("expected"));
    run("ip netns del expected");
    ends(&["destroy", "svc"], 0);
}

#[test]
fn endpoints_follow_readiness_by_elements_and_chains() {
    let forget = "nft list sets | grep -o 'affinity-[^ ]*' | while read s; do nft flush set ip kube-proxy \\$s; done";
    endpoints_follow("nftables", forget, |line| line.contains("default/web"));
}

#[test]
fn what_could_not_be_finished_is_undone_by_transactions() {
    is_undone("nftables", || account("node1"));
}

/// A new service is its chains and its elements; and the iptables mode leaves nothing of the other.
#[test]
fn a_service_comes_by_itself_and_modes_change() {
    sandbox();
    let pods = (pod("web-1", "10.244.1.2", "web", ""), pod("web-2", "10.244.2.2", "web", ""));
    let service = |name: &str| format!("    - {{ name: {name}, selector: {{ app: web }}, ports: [{{ port: 80 }}] }}");
    let check = "  - { from: pods, to: service/web }";
    let all = |mode: &str, services: &[String]| {
        write_for((mode, "routed"), (&pods.0, &pods.1), &services.join("\n"), check);
    };
    all("nftables", &[service("web")]);
    ends(&["apply", "--check", "/run/svc.yaml"], 0);
    all("nftables", &[service("web"), service("other")]);
    let plan = ends(&["plan", "/run/svc.yaml"], 0);
    let steps: Vec<&str> = plan.lines().filter(|line| line.contains("table ip kube-proxy")).collect();
    // On each of two nodes: three chains with their rules, its address, and where that leads.
    assert!(steps.iter().all(|line| line.contains("default/other") || line.contains("set cluster-ips")), "{plan}");
    assert_eq!(steps.len(), 2 * (3 + 3 + 2), "{plan}");
    ends(&["apply", "--check", "/run/svc.yaml"], 0);
    for mode in ["iptables", "nftables"] {
        all(mode, &[service("web")]);
        ends(&["apply", "--check", "/run/svc.yaml"], 0);
        ends(&["plan", "--exit-code", "/run/svc.yaml"], 0);
        let tables = run("ip netns exec node1 nft list tables");
        assert_eq!(tables.contains("kube-proxy"), mode == "nftables", "{tables}");
    }
    ends(&["destroy", "svc"], 0);
}

/// When the last service goes, nothing leads its flows any more.
#[test]
fn flows_end_with_the_last_service() {
    sandbox();
    let pods = (pod("client", "10.244.1.2", "client", ""), pod("web", "10.244.2.2", "web", ""));
    let service = "    - { name: web, clusterIP: 10.96.0.20, selector: { app: web }, ports: [{ port: 53, protocol: UDP, \
                   targetPort: 8080 }] }";
    for mode in ["iptables", "nftables"] {
        // Something else translates here, too: without any, the kernel no longer knows of flows.
        let routing = "routed\n  egress: masquerade";
        write_for((mode, routing), (&pods.0, &pods.1), service, "  - { from: client, to: web }");
        ends(&["apply", "/run/svc.yaml"], 0);
        serve("web");
        let client = inside("client", || UdpSocket::bind("0.0.0.0:0").unwrap());
        client.connect("10.96.0.20:53").unwrap();
        assert_eq!(asked_udp(&client), "web");
        let with = fs::read_to_string("/run/svc.yaml").unwrap();
        let is_of_services = |line: &&str| !line.contains("proxy_mode") && !line.contains("services:");
        let without: Vec<&str> = with.lines().filter(is_of_services).filter(|line| *line != service).collect();
        fs::write("/run/svc.yaml", without.join("\n")).unwrap();
        ends(&["apply", "/run/svc.yaml"], 0);
        client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let answer = client.send(b"?").and_then(|_| client.recv(&mut [0; 16]));
        assert!(answer.is_err(), "{mode}: a flow lives on without a service");
        ends(&["destroy", "svc"], 0);
    }
}

/// What makes a large table is more than one transaction, or it would take the kernel the square of its size. If one
/// fails, nothing is left of those before.
#[test]
fn a_large_table_comes_bit_by_bit_or_not_at_all() {
    sandbox();
    let pods = (pod("web-1", "10.244.1.2", "web", ""), pod("web-2", "10.244.2.2", "web", ""));
    let service = |number: usize| {
        let address = format!("10.96.{}.{}", number / 200, number % 200 + 2);
        format!("    - {{ name: s{number}, clusterIP: {address}, selector: {{ app: web }}, ports: [{{ port: 80 }}] }}")
    };
    let write = |mode: &str, count: usize| {
        let services: Vec<String> = (0..count).map(service).collect();
        let checks = "  - { from: pods, to: service/s0 }";
        write_for((mode, "routed"), (&pods.0, &pods.1), &services.join("\n"), checks);
    };
    write("iptables", 1);
    ends(&["apply", "/run/svc.yaml"], 0);
    write("nftables", 400);
    let nslab = env!("CARGO_BIN_EXE_nslab");
    run(&format!("NSLAB_STOP_AT=list:/run/points {nslab} apply /run/svc.yaml"));
    ends(&["check", "/run/svc.yaml"], 0);
    let points = fs::read_to_string("/run/points").unwrap();
    let points = points.lines().enumerate().filter(|(_, point)| point.contains("nf_tables transaction"));
    let points: Vec<usize> = points.map(|(at, _)| at + 1).collect();
    assert!(points.len() >= 2 * 3, "{points:?}");
    for point in points.into_iter().take(3) {
        write("iptables", 1);
        ends(&["apply", "/run/svc.yaml"], 0);
        write("nftables", 400);
        let failed = run(&format!("NSLAB_STOP_AT=fail:{point} {nslab} apply /run/svc.yaml 2>&1 || echo code $?"));
        assert!(failed.contains("code 3"), "{point}: {failed}");
        assert!(!run("ip netns exec node1 nft list tables").contains("kube-proxy"), "{point}");
        write("iptables", 1);
        ends(&["plan", "--exit-code", "/run/svc.yaml"], 0);
    }
}
