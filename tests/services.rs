//! Services on a real kernel: the rules on a node are those of kube-proxy, they work in every way that packets take
//! between nodes, and when endpoints change, only their own rules do.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod support;

#[path = "services/by_hand.rs"]
mod by_hand;
#[path = "services/every_type.rs"]
mod every_type;
#[path = "services/nftables.rs"]
mod nftables;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::Duration;

use support::{ends, inside, lacking_for, project, run, sandbox};

/// Whether this kernel can have a lab whose pods are behind bridges; where not, nslab says so.
fn can_have(file: &str) -> bool {
    let lacking = lacking_for(Path::new(file));
    if let Some(lacking) = &lacking {
        let said = ends(&["apply", file], 3);
        assert!(said.contains(lacking.as_str()), "{said}");
    }
    lacking.is_none()
}

/// A cluster of two nodes with these pods and services.
fn write(routing: &str, nodes: (&str, &str), services: &str, checks: &str) {
    write_for(("iptables", routing), nodes, services, checks);
}

/// The same in a mode of kube-proxy.
fn write_for((mode, routing): (&str, &str), (node1, node2): (&str, &str), services: &str, checks: &str) {
    let text = format!(
        "name: svc\ncluster:\n  node_network: 192.168.1.0/24\n  pod_network: 10.244.0.0/16\n  routing: {routing}\n  \
         proxy_mode: {mode}\n  \
         nodes:\n    node1: {{ pods: [{node1}] }}\n    node2: {{ pods: [{node2}] }}\n  services:\n{services}\n\
         checks:\n{checks}\n"
    );
    fs::write("/run/svc.yaml", text).unwrap();
}

fn pod(name: &str, address: &str, app: &str, more: &str) -> String {
    format!("{{ name: {name}, address: {address}, labels: {{ app: {app} }}, ports: {{ http: 8080 }}{more} }}")
}

/// The rules of a table, chain by chain, without counters and quotes.
fn rules(text: &str) -> Vec<String> {
    let mut table = "";
    let mut rules = Vec::new();
    for line in text.lines() {
        match line.strip_prefix('*') {
            Some(name) => table = name,
            None if line.starts_with("-A ") => rules.push(format!("{table} {}", line.replace('"', ""))),
            None => {}
        }
    }
    // The order of chains does not matter, that of their rules does.
    rules.sort_by_key(|rule| rule.split(' ').take(3).map(str::to_owned).collect::<Vec<_>>());
    rules
}

/// Writes the cluster of the worked example, two services with two pods each, for one mode of kube-proxy.
fn write_worked_example(mode: &str) {
    let node = |number: u8| {
        let pods = [("web", 2), ("api", 3)]
            .map(|(app, last)| pod(&format!("{app}-{number}"), &format!("10.244.{number}.{last}"), app, ""));
        pods.join(", ")
    };
    let services = "    - { name: web, clusterIP: 10.96.0.20, selector: { app: web }, ports: [{ name: http, port: 80, \
                    targetPort: http }] }\n    - { name: api, type: NodePort, clusterIP: 10.96.0.30, selector: { app: \
                    api }, ports: [{ port: 80, nodePort: 30080 }] }";
    let checks = "  - { from: pods, to: [service/web, service/api], port: 80 }";
    write_for((mode, "routed"), (&node(1), &node(2)), services, checks);
}

#[test]
fn a_node_has_the_rules_of_kube_proxy() {
    sandbox();
    write_worked_example("iptables");
    ends(&["apply", "--check", "/run/svc.yaml"], 0);
    let saved = run("ip netns exec node1 iptables-save");
    let expected = fs::read_to_string(project("tests/services/worked-example.expected")).unwrap();
    assert_eq!(rules(&saved), rules(&expected));
    // What the course types.
    let listed = run("ip netns exec node1 iptables -t nat -L | grep default/web");
    assert!(listed.contains("KUBE-SVC-CDGGSHYLG3RE2FKL"), "{listed}");
    ends(&["destroy", "svc"], 0);
}

#[test]
fn services_work_in_every_way_between_nodes() {
    let routings = ["routes", "router", "routed", "vxlan"];
    for (mode, routing) in ["iptables", "nftables"].into_iter().flat_map(|mode| routings.map(|own| (mode, own))) {
        sandbox();
        let node1 = [pod("web-1", "10.244.1.2", "web", ""), pod("a", "10.244.1.9", "client", "")].join(", ");
        let node2 = [
            pod("web-2", "10.244.2.2", "web", ""),
            pod("web-3", "10.244.2.3", "web", ", ready: false"),
            pod("b", "10.244.2.9", "client", ""),
        ];
        let services = "    - { name: web, type: NodePort, selector: { app: web }, ports: [{ port: 80, targetPort: http, nodePort: 30080 }] }
    - { name: one, pods: [web-1], ports: [{ port: 80, targetPort: 8080 }] }
    - { name: sticky, selector: { app: web }, sessionAffinity: ClientIP, ports: [{ port: 80, targetPort: http }] }
    - { name: near, selector: { app: web }, internalTrafficPolicy: Local, ports: [{ port: 80, targetPort: http }] }
    - { name: far, pods: [web-1], internalTrafficPolicy: Local, ports: [{ port: 80, targetPort: http }] }
    - { name: dns, selector: { app: web }, ports: [{ port: 53, protocol: UDP }] }
    - { name: none, selector: { app: nobody }, ports: [{ name: http, port: 80 }, { name: dns, port: 53, protocol: UDP }] }
    - { name: all, selector: { app: web }, publishNotReadyAddresses: true, ports: [{ port: 80 }] }";
        let checks = "  - { from: [a, b], to: [service/web, service/one, service/sticky, service/near, service/all], seen_as: itself }
  - { from: [web-1, web-2], to: service/web, spread: 30 }
  - { from: [a, node1], to: service/dns, spread: 50 }
  - { from: b, to: node1, port: 30080, spread: 30 }
  - { from: web-1, to: service/one, answered_by: web-1, seen_as: 10.244.1.1 }
  - { from: a, to: service/near, answered_by: web-1 }
  - { from: b, to: service/near, answered_by: web-2 }
  - { from: b, to: service/far, expect: unreachable }
  - { from: [pods, nodes], to: service/dns }
  - { from: nodes, to: [service/web, service/one] }
  - { from: [a, node2], to: service/none, port: http, expect: refused }
  - { from: b, to: service/none, port: dns, expect: refused }
  - { from: [a, b], to: nodes, port: 30080 }
  - { from: a, to: service/web, protocol: icmp, expect: unreachable }
  - { from: pods, to: pods, seen_as: itself }";
        // Without a bridge, a pod that reaches itself comes from another address of its node.
        let checks = if routing == "routed" { checks.replace(", seen_as: 10.244.1.1", "") } else { checks.to_owned() };
        // Ports of nodes are on their own addresses there, not on those of their bridges.
        let own = "to: [192.168.1.11, 192.168.1.12], port: 30080";
        let checks = if mode == "nftables" { checks.replace("to: nodes, port: 30080", own) } else { checks };
        write_for((mode, routing), (&node1, &node2.join(", ")), services, &checks);
        if can_have("/run/svc.yaml") {
            ends(&["apply", "--check", "/run/svc.yaml"], 0);
            ends(&["plan", "--exit-code", "/run/svc.yaml"], 0);
            ends(&["destroy", "svc"], 0);
        }
    }
}

#[test]
fn who_comes_from_outside_gets_as_far_as_the_service_lets_them() {
    sandbox();
    let file = project("tests/services/outside.yaml").display().to_string();
    ends(&["test", &file], 0);
    let text =
        fs::read_to_string(file).unwrap().replace("  routing: routed\n", "  routing: routed\n  proxy_mode: nftables\n");
    // Another port of a service is refused there.
    let refused = "port: 30080, expect: refused";
    fs::write("/run/outside.yaml", text.replace("port: 30080, expect: unreachable", refused)).unwrap();
    ends(&["test", "/run/outside.yaml"], 0);
}

/// A client that comes to the same pod again is not spread; and an address does not change when other services come.
#[test]
fn affinity_is_seen_and_addresses_stay() {
    sandbox();
    let pods = (pod("web-1", "10.244.1.2", "web", ""), pod("web-2", "10.244.2.2", "web", ""));
    let service = |name: &str, affinity: &str| {
        let ports = "ports: [{ port: 80 }]";
        format!(
            "    - {{ name: {name}, type: NodePort, selector: {{ app: web }}, sessionAffinity: {affinity}, {ports} }}"
        )
    };
    let check = "  - { from: node1, to: service/web, spread: 30 }";
    let addresses = || run("ip netns exec node1 iptables-save | grep -oE '.*default/web .*|.*default/web -m tcp.*'");
    let all = |services: &[String]| write("routed", (&pods.0, &pods.1), &services.join("\n"), check);
    all(&[service("web", "ClientIP")]);
    ends(&["apply", "/run/svc.yaml"], 0);
    let failed = ends(&["check", "/run/svc.yaml"], 1);
    assert!(failed.contains("of 30 connections, each endpoint should get"), "{failed}");
    let before = addresses();
    all(&[service("about", "None"), service("web", "ClientIP"), service("zoo", "None")]);
    ends(&["apply", "/run/svc.yaml"], 0);
    assert_eq!(addresses(), before);
    all(&[service("web", "None")]);
    ends(&["apply", "--check", "/run/svc.yaml"], 0);
    ends(&["destroy", "svc"], 0);
}

/// Answers every datagram and every connection on port 8080 with its own name.
fn serve(ns: &'static str) {
    let udp = inside(ns, || UdpSocket::bind("0.0.0.0:8080").unwrap());
    thread::spawn(move || {
        while let Ok((_, from)) = udp.recv_from(&mut [0; 16]) {
            let _ = udp.send_to(ns.as_bytes(), from);
        }
    });
    let tcp = inside(ns, || TcpListener::bind("0.0.0.0:8080").unwrap());
    thread::spawn(move || {
        for stream in tcp.incoming() {
            thread::spawn(move || answer(stream.unwrap(), ns));
        }
    });
}

fn answer(mut stream: TcpStream, name: &str) {
    let mut asked = [0; 1];
    while stream.read_exact(&mut asked).is_ok() {
        let _ = stream.write_all(format!("{name:8}").as_bytes());
    }
}

fn asked_udp(client: &UdpSocket) -> String {
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    client.send(b"?").unwrap();
    let mut answer = [0; 16];
    let length = client.recv(&mut answer).unwrap();
    String::from_utf8(answer[..length].to_vec()).unwrap()
}

fn asked_tcp(client: &mut TcpStream) -> String {
    client.write_all(b"?").unwrap();
    let mut answer = [0; 8];
    client.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).trim().to_owned()
}

/// Clients, each with the endpoint that answers it.
type Answered<T> = Vec<(T, String)>;

/// One client for each endpoint of the service, by UDP and by TCP, with the endpoint that answers it.
fn clients_of_each(forget: &str) -> (Answered<UdpSocket>, Answered<TcpStream>) {
    let udp = || {
        inside("client", || {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.connect("10.96.0.20:53").unwrap();
            socket
        })
    };
    let (mut flows, mut streams) = (Vec::new(), Vec::new());
    for name in ["web-1", "web-2"] {
        // Where the client is remembered, it comes to the same endpoint again.
        let found = (0..200).find_map(|_| {
            run(&format!("ip netns exec node2 sh -c \"{forget}\""));
            let client = udp();
            (asked_udp(&client) == name).then_some(client)
        });
        flows.push((found.expect("an endpoint that nobody comes to"), name.to_owned()));
        assert_eq!(asked_udp(&udp()), name, "the client is remembered");
        let found = (0..200).find_map(|_| {
            run(&format!("ip netns exec node2 sh -c \"{forget}\""));
            let mut client = inside("client", || TcpStream::connect("10.96.0.20:80").unwrap());
            (asked_tcp(&mut client) == name).then_some(client)
        });
        streams.push((found.expect("an endpoint that nobody comes to"), name.to_owned()));
    }
    (flows, streams)
}

#[test]
fn endpoints_follow_readiness_and_nothing_else_is_touched() {
    // A list of clients goes with the rules that ask it; only the machine's root may write to it.
    let forget = "iptables-save -t nat > /run/nat; iptables -t nat -F; iptables-restore < /run/nat";
    endpoints_follow("iptables", forget, |line| {
        (line.contains("default/web") || line.contains("KUBE-SEP-")) && !line.contains("KUBE-SERVICES")
    });
}

/// Whatever a step of a plan is about, in a mode in which clients are forgotten by a command: what may be touched.
fn endpoints_follow(mode: &str, forget: &str, may_be_touched: impl Fn(&str) -> bool) {
    sandbox();
    let services = "    - { name: web, clusterIP: 10.96.0.20, selector: { app: web }, sessionAffinity: ClientIP, ports: \
                    [{ name: http, port: 80, targetPort: http }, { name: dns, port: 53, targetPort: 8080, protocol: \
                    UDP }] }\n    - { name: other, clusterIP: 10.96.0.21, pods: [web-2], ports: [{ port: 80 }] }";
    let with = |ready: &str| {
        let client = pod("client", "10.244.2.9", "client", "");
        let node2 = format!("{}, {client}", pod("web-2", "10.244.2.2", "web", ""));
        let node1 = pod("web-1", "10.244.1.2", "web", ready);
        write_for((mode, "routed"), (&node1, &node2), services, "  - { from: client, to: service/web, port: http }");
    };
    with("");
    ends(&["apply", "/run/svc.yaml"], 0);
    ["web-1", "web-2"].into_iter().for_each(serve);
    let (flows, mut streams) = clients_of_each(forget);
    with(", ready: false");
    let plan = ends(&["plan", "--exit-code", "/run/svc.yaml"], 1);
    let verbs = ["  remove", "  add", "  put", "  make", "  change"];
    let touched: Vec<&str> = plan.lines().filter(|line| verbs.iter().any(|verb| line.starts_with(verb))).collect();
    assert!(!touched.is_empty() && touched.iter().all(|line| may_be_touched(line)), "{plan}");
    ends(&["apply", "/run/svc.yaml"], 0);
    ends(&["plan", "--exit-code", "/run/svc.yaml"], 0);
    for (flow, _) in &flows {
        assert_eq!(asked_udp(flow), "web-2", "a flow goes on to a pod that is no endpoint");
    }
    for (stream, name) in &mut streams {
        assert_eq!(asked_tcp(stream), *name, "a connection does not live on");
    }
    let saved = run("ip netns exec node1 sh -c 'iptables-save -t nat; nft list ruleset'");
    assert!(!saved.contains("10.244.1.2:8080"), "{saved}");
    with("");
    ends(&["apply", "/run/svc.yaml"], 0);
    ends(&["plan", "--exit-code", "/run/svc.yaml"], 0);
    ends(&["destroy", "svc"], 0);
}

/// Rules with lists of addresses are not found by their text; what has failed is undone all the same.
#[test]
fn what_could_not_be_finished_is_undone() {
    is_undone("iptables", || rules(&run("ip netns exec node1 iptables-save")));
}

/// Another affinity, with nslab stopped at each failpoint, in a mode whose account of a node is this.
fn is_undone(mode: &str, account: impl Fn() -> Vec<String>) {
    sandbox();
    let pods = (pod("web-1", "10.244.1.2", "web", ""), pod("web-2", "10.244.2.2", "web", ""));
    let service = |affinity: &str| {
        format!(
            "    - {{ name: web, clusterIP: 10.96.0.20, selector: {{ app: web }}, sessionAffinity: {affinity}, ports: \
             [{{ port: 80 }}] }}"
        )
    };
    write_for((mode, "routed"), (&pods.0, &pods.1), &service("None"), "  - { from: pods, to: service/web }");
    ends(&["apply", "/run/svc.yaml"], 0);
    let before = account();
    write_for((mode, "routed"), (&pods.0, &pods.1), &service("ClientIP"), "  - { from: pods, to: service/web }");
    let nslab = env!("CARGO_BIN_EXE_nslab");
    run(&format!("NSLAB_STOP_AT=list:/run/points {nslab} apply /run/svc.yaml >/dev/null 2>&1"));
    let points = fs::read_to_string("/run/points").unwrap().lines().count();
    write_for((mode, "routed"), (&pods.0, &pods.1), &service("None"), "  - { from: pods, to: service/web }");
    ends(&["apply", "/run/svc.yaml"], 0);
    assert_eq!(account(), before);
    write_for((mode, "routed"), (&pods.0, &pods.1), &service("ClientIP"), "  - { from: pods, to: service/web }");
    for point in 1..=points {
        run(&format!("NSLAB_STOP_AT=kill:{point} {nslab} apply /run/svc.yaml >/dev/null 2>&1 || true"));
        ends(&["apply", "/run/svc.yaml"], 0);
        ends(&["plan", "--exit-code", "/run/svc.yaml"], 0);
        write_for((mode, "routed"), (&pods.0, &pods.1), &service("None"), "  - { from: pods, to: service/web }");
        ends(&["apply", "/run/svc.yaml"], 0);
        assert_eq!(account(), before, "after a kill at point {point}");
        write_for((mode, "routed"), (&pods.0, &pods.1), &service("ClientIP"), "  - { from: pods, to: service/web }");
    }
    for point in 1..=points {
        run(&format!("NSLAB_STOP_AT=fail:{point} {nslab} apply /run/svc.yaml >/dev/null 2>&1 || true"));
        let now = account();
        if now != before {
            // It came after all rules were in place, and was none that matters.
            ends(&["plan", "--exit-code", "/run/svc.yaml"], 0);
        }
    }
    ends(&["destroy", "svc"], 0);
}
