//! What surprises whoever looks at a node by hand, in both modes: what no check can ask. The checks are in
//! `tests/surprises`.

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;

use super::support::{ends, inside, run, sandbox};
use super::{asked_tcp, asked_udp, pod, serve, write_for};

const MODES: [&str; 2] = ["iptables", "nftables"];
const REACHED: &str = "  - { from: client, to: service/web, port: http }";

/// A service with two pods, one of them on each node, and a client that is no pod of it; further services and checks.
fn apply_web(mode: &str, more: &str, checks: &str) {
    let node2 = [pod("web-2", "10.244.2.2", "web", ""), pod("client", "10.244.2.9", "client", "")].join(", ");
    let services = format!(
        "    - {{ name: web, type: NodePort, clusterIP: 10.96.0.20, selector: {{ app: web }}, ports: [{{ name: http, port: \
         80, targetPort: 8080, nodePort: 30080 }}, {{ name: dns, port: 53, targetPort: 8080, protocol: UDP }}] }}\n{more}"
    );
    write_for((mode, "routed"), (&pod("web-1", "10.244.1.2", "web", ""), &node2), &services, checks);
    ends(&["apply", "/run/svc.yaml"], 0);
}

#[test]
fn nothing_listens_on_a_node_port_and_no_interface_has_the_address() {
    for mode in MODES {
        sandbox();
        apply_web(mode, "", REACHED);
        ends(&["check", "/run/svc.yaml"], 0);
        assert_eq!(run("ip netns exec node1 ss -Hltnu"), "", "{mode}");
        assert!(!run("ip netns exec node1 ip address").contains("10.96."), "{mode}");
    }
}

/// Translation comes before the socket: the service wins.
#[test]
fn a_server_of_the_node_loses_its_port_to_the_service() {
    for mode in MODES {
        sandbox();
        apply_web(mode, "", REACHED);
        ["web-1", "web-2"].into_iter().for_each(serve);
        let _own = inside("node1", || TcpListener::bind("0.0.0.0:30080").unwrap());
        let mut client = inside("client", || TcpStream::connect("192.168.1.11:30080").unwrap());
        assert!(asked_tcp(&mut client).starts_with("web-"), "{mode}");
    }
}

/// One socket is one flow, and a flow has one endpoint, however many datagrams it has.
#[test]
fn a_flow_stays_at_one_endpoint() {
    for mode in MODES {
        sandbox();
        apply_web(mode, "", REACHED);
        ["web-1", "web-2"].into_iter().for_each(serve);
        let client = inside("client", || UdpSocket::bind("0.0.0.0:0").unwrap());
        client.connect("10.96.0.20:53").unwrap();
        let first = asked_udp(&client);
        assert!((0..40).all(|_| asked_udp(&client) == first), "{mode}: a flow has moved");
    }
}

/// Who flushes the rules finds them missing in the plan, and the next apply puts them back.
#[test]
fn rules_that_are_flushed_come_back() {
    for (mode, flush) in [("iptables", "iptables -t nat -F"), ("nftables", "nft flush table ip kube-proxy")] {
        sandbox();
        apply_web(mode, "", REACHED);
        run(&format!("ip netns exec node1 {flush}"));
        ends(&["plan", "--exit-code", "/run/svc.yaml"], 1);
        ends(&["apply", "--check", "/run/svc.yaml"], 0);
        ends(&["plan", "--exit-code", "/run/svc.yaml"], 0);
    }
}

/// Who refuses is told: the pod itself where nothing listens there; where there is no pod, a rule.
#[test]
fn a_wrong_target_port_is_refused_by_the_pod_itself() {
    for mode in MODES {
        sandbox();
        let more = "    - { name: one, pods: [web-1], ports: [{ port: 80, targetPort: 81 }] }
    - { name: none, selector: { app: none }, ports: [{ port: 80 }] }";
        let checks = "  - { from: client, to: [service/one, service/none], port: 80, expect: refused }";
        apply_web(mode, more, checks);
        let said = ends(&["check", "/run/svc.yaml"], 0);
        let told = |of: &str| said.lines().find(|line| line.contains(of)).unwrap_or_default().to_owned();
        assert!(told("service/one").contains("refused by web-1"), "{mode}: {said}");
        assert!(!told("service/none").contains("web-1"), "{mode}: {said}");
    }
}

/// Answers every datagram over IPv6 with the pod's name.
fn serve_ipv6(ns: &'static str) {
    let socket = inside(ns, || UdpSocket::bind("[::]:8080").unwrap());
    thread::spawn(move || {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 16]) {
            let _ = socket.send_to(ns.as_bytes(), from);
        }
    });
}

/// A flow over IPv6 goes on to another pod when its own is no endpoint any more.
#[test]
fn flows_over_ipv6_follow_the_endpoints() {
    for mode in MODES {
        sandbox();
        let write = |not_ready: &str| {
            let pods = ["web-1", "web-2"]
                .map(|name| format!("{{ name: {name}, labels: {{ app: web }}, ready: {} }}", name != not_ready));
            let text = format!(
                "name: svc\ncluster:\n  node_network: \"fd00:1::/64\"\n  pod_network: \"fd00:10:244::/48\"\n  \
                 service_network: \"fd00:10:96::/112\"\n  routing: routed\n  proxy_mode: {mode}\n  nodes:\n    \
                 node1: {{ pods: [{}, client] }}\n  services:\n    - {{ name: web, clusterIP: \"fd00:10:96::20\", \
                 selector: {{ app: web }}, ports: [{{ port: 53, protocol: UDP, targetPort: 8080 }}] }}\nchecks:\n  \
                 - {{ from: client, to: service/web, spread: 30 }}\n",
                pods.join(", ")
            );
            fs::write("/run/svc.yaml", text).unwrap();
        };
        write("");
        ends(&["apply", "--check", "/run/svc.yaml"], 0);
        ["web-1", "web-2"].into_iter().for_each(serve_ipv6);
        let client = inside("client", || UdpSocket::bind("[::]:0").unwrap());
        client.connect("[fd00:10:96::20]:53").unwrap();
        let first = asked_udp(&client);
        write(&first);
        let checks = fs::read_to_string("/run/svc.yaml").unwrap().replace(", spread: 30", "");
        fs::write("/run/svc.yaml", checks).unwrap();
        ends(&["apply", "/run/svc.yaml"], 0);
        assert_ne!(asked_udp(&client), first, "{mode}: a flow goes on to a pod that is no endpoint");
    }
}
