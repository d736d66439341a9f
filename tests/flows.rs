//! UDP flows follow the rules: whoever publishes a port to another target means the next packet too.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use support::{inside, nslab, run, sandbox, sh, text};

/// A socket in a namespace.
fn socket(ns: &str, at: &str) -> UdpSocket {
    let at = at.to_owned();
    inside(ns, move || UdpSocket::bind(at).unwrap())
}

/// Answers every packet with its own name.
fn serve(ns: &'static str, at: &str) {
    let socket = socket(ns, at);
    thread::spawn(move || {
        let mut packet = [0; 16];
        while let Ok((_, from)) = socket.recv_from(&mut packet) {
            socket.send_to(ns.as_bytes(), from).unwrap();
        }
    });
}

/// Who answers the next packet of a flow.
fn answers(client: &UdpSocket) -> Option<String> {
    client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut packet = [0; 16];
    // An answer to an earlier packet would speak for an earlier rule.
    client.set_nonblocking(true).unwrap();
    while client.recv(&mut packet).is_ok() {}
    client.set_nonblocking(false).unwrap();
    // That nobody listened for an earlier one is no matter of this one.
    client.take_error().unwrap();
    client.send(b"?").unwrap();
    let length = client.recv(&mut packet).ok()?;
    Some(String::from_utf8(packet[..length].to_vec()).unwrap())
}

/// Who answers. Over IPv6, the kernel takes a second or two until it uses its link-local addresses.
fn who_answers(client: &UdpSocket) -> String {
    (0..10).find_map(|_| answers(client)).expect("an answer")
}

fn apply(rules: &str) {
    write(rules);
    let applied = nslab(["apply", "/run/moving.yaml"]);
    assert_eq!(applied.status.code(), Some(0), "{}", text(&applied));
}

/// Writes the file of the lab with translations in its router. Counters of its filters say how often a flow was new to
/// a namespace: once, unless it has been forgotten.
fn write(rules: &str) {
    let new = |chain: &str, protocol: &str, port: u16| {
        format!("{{ chain: {chain}, protocol: {protocol}, port: {port}, state: [new], action: accept }}")
    };
    let passed = [("udp", 5353), ("udp", 5454), ("udp", 5555), ("tcp", 5353)];
    let passed = passed.map(|(protocol, port)| new("forward", protocol, port)).join(", ");
    let subnets = |n: &str| format!("{{ addresses: [\"10.0.{n}.1/24\", \"fd00:{n}::1/64\"] }}");
    let host = |n: &str| {
        format!(
            "{{ interfaces: {{ e: {{ addresses: [\"10.0.{n}.2/24\", \"fd00:{n}::2/64\"] }} }}, routes: [{{ to: default, \
             via: 10.0.{n}.1 }}, {{ to: default, via: \"fd00:{n}::1\" }}] }}"
        )
    };
    let lab = format!(
        "name: moving\nnamespaces:\n  router:\n    interfaces: {{ c: {}, a: {}, b: {} }}\n    forwarding: true\n    \
         nat: {rules}\n    filter: [{passed}]\n  client: {}\n  a: {}\n  b: {}\nlinks: [[client/e, router/c], [a/e, router/a], [b/e, router/b]]\n",
        subnets("1"),
        subnets("2"),
        subnets("3"),
        host("1"),
        host("2"),
        host("3"),
    );
    std::fs::write("/run/moving.yaml", lab).unwrap();
}

/// Serves in both targets, and opens a flow of each family to port 53 of the router.
fn flows() -> [UdpSocket; 2] {
    for ns in ["a", "b"] {
        serve(ns, "[::]:5353");
    }
    ["10.0.1.1:53", "[fd00:1::1]:53"].map(|to| {
        let client = socket("client", if to.starts_with('[') { "[::]:4001" } else { "0.0.0.0:4000" });
        client.connect(to).unwrap();
        client
    })
}

#[test]
fn a_udp_flow_goes_where_its_port_is_published_now() {
    sandbox();
    let to = |n: &str| {
        format!(
            "[publish: {{ port: 53, protocol: udp, to: \"10.0.{n}.2:5353\" }}, publish: {{ port: 53, protocol: udp, to: \
             \"[fd00:{n}::2]:5353\" }}]"
        )
        .replace("publish", "{ publish")
        .replace("\" }", "\" } }")
    };
    apply(&to("2"));
    for client in flows() {
        apply(&to("2"));
        assert_eq!(who_answers(&client), "a");
        apply(&to("3"));
        assert_eq!(who_answers(&client), "b", "the same flow, after the change");
        apply("[]");
        assert_eq!(answers(&client), None, "published no longer");
        apply(&to("2"));
        assert_eq!(who_answers(&client), "a", "published again");
    }
}

#[test]
fn a_udp_flow_follows_a_dnat_that_has_changed() {
    sandbox();
    let to = |target: &str| format!("[{{ dnat: {{ port: 53, protocol: udp, to: \"{target}:5353\" }} }}]");
    apply(&to("10.0.2.2"));
    let [client, _] = flows();
    assert_eq!(who_answers(&client), "a");
    apply(&to("10.0.3.2"));
    assert_eq!(who_answers(&client), "b");
}

/// Says to every packet which address it seems to come from.
fn tell_source(ns: &'static str, at: &str) {
    let socket = socket(ns, at);
    thread::spawn(move || {
        while let Ok((_, from)) = socket.recv_from(&mut [0; 16]) {
            socket.send_to(from.ip().to_string().as_bytes(), from).unwrap();
        }
    });
}

#[test]
fn a_udp_flow_seems_to_come_from_where_the_rules_say_now() {
    sandbox();
    apply("[]");
    tell_source("a", "0.0.0.0:5353");
    let client = socket("client", "0.0.0.0:4000");
    client.connect("10.0.2.2:5353").unwrap();
    assert_eq!(who_answers(&client), "10.0.1.2");
    apply("[{ masquerade: { source: 10.0.1.0/24, out: a } }]");
    assert_eq!(who_answers(&client), "10.0.2.1", "masqueraded now");
    apply("[{ snat: { source: 10.0.1.0/24, to: 10.0.3.1, out: a } }]");
    assert_eq!(who_answers(&client), "10.0.3.1", "translated to another address now");
    apply("[{ snat: { source: 10.0.1.0/24, to: 10.0.3.1, out: b } }]");
    assert_eq!(who_answers(&client), "10.0.1.2", "translated elsewhere only");
}

/// A TCP connection from the client, to what answers every byte with the same one.
fn connection(to: &'static str) -> TcpStream {
    let listener = inside("a", || TcpListener::bind("0.0.0.0:5353").unwrap());
    thread::spawn(move || {
        let (mut server, _) = listener.accept().unwrap();
        let mut byte = [0];
        while server.read_exact(&mut byte).is_ok() && server.write_all(&byte).is_ok() {}
    });
    inside("client", move || TcpStream::connect(to).unwrap())
}

/// How many packets the router has seen that were new to it, by protocol and port behind the translation.
fn new_flows() -> Vec<(String, String)> {
    let rules = run("ip netns exec router iptables-save -c -t filter");
    let new = rules.lines().filter(|line| line.contains("--ctstate NEW")).map(|line| {
        let (count, rule) = line.split_once(':').unwrap();
        let of = |key: &str| rule.split(key).nth(1).unwrap().split(' ').next().unwrap().to_owned();
        (format!("{} {}", of("-p "), of("--dport ")), count.trim_start_matches('[').to_owned())
    });
    new.collect()
}

#[test]
fn only_flows_of_a_rule_that_has_changed_are_forgotten() {
    sandbox();
    let publish = |port: u16, protocol: &str, to: &str| {
        format!("{{ publish: {{ port: {port}, protocol: {protocol}, to: \"{to}\" }} }}")
    };
    let rules = |to: &str| {
        let others = [publish(54, "udp", "10.0.2.2:5454"), publish(53, "tcp", "10.0.2.2:5353")].join(", ");
        format!("[{}, {others}]", publish(53, "udp", to))
    };
    apply(&rules("10.0.2.2:5353"));
    for port in [5353, 5454, 5555] {
        serve("a", &format!("0.0.0.0:{port}"));
    }
    serve("b", "0.0.0.0:5353");
    // Another port that is published, the target without a translation, a port of another namespace.
    let clients = ["10.0.1.1:53", "10.0.1.1:54", "10.0.2.2:5555"].map(|to| {
        let client = socket("client", "0.0.0.0:0");
        client.connect(to).unwrap();
        client
    });
    let mut tcp = connection("10.0.1.1:53");
    let mut talk = || {
        let answers = clients.each_ref().map(who_answers);
        tcp.write_all(b"x").unwrap();
        tcp.read_exact(&mut [0]).unwrap();
        answers
    };
    assert_eq!(talk(), ["a", "a", "a"]);
    let count = |new: [u32; 4]| {
        let names = ["udp 5353", "udp 5454", "udp 5555", "tcp 5353"];
        names.into_iter().zip(new).map(|(name, n)| (name.to_owned(), n.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(new_flows(), count([1, 1, 1, 1]));
    apply(&rules("10.0.3.2:5353"));
    assert_eq!(talk(), ["b", "a", "a"]);
    assert_eq!(new_flows(), count([2, 1, 1, 1]), "one flow is new, and it is the one that was published");
}

#[test]
fn what_is_undone_leads_no_flows() {
    sandbox();
    let to = |n: &str| format!("[{{ publish: {{ port: 53, protocol: udp, to: \"10.0.{n}.2:5353\" }} }}]");
    apply(&to("2"));
    let [client, _] = flows();
    assert_eq!(who_answers(&client), "a");
    write(&to("3"));
    let bin = env!("CARGO_BIN_EXE_nslab");
    // The last change is the state's: the rule has been changed by then, and the flow forgotten.
    run(&format!("NSLAB_STOP_AT=list:/run/points {bin} apply /run/moving.yaml"));
    let last = std::fs::read_to_string("/run/points").unwrap().lines().count();
    apply(&to("2"));
    assert_eq!(who_answers(&client), "a");
    write(&to("3"));
    let busy = client.try_clone().unwrap();
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stop = done.clone();
    let sender = thread::spawn(move || {
        while !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let _ = busy.send(b"!");
            thread::sleep(Duration::from_micros(100));
        }
    });
    let failed = sh(&format!("NSLAB_STOP_AT=fail:{last} {bin} apply /run/moving.yaml"));
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    sender.join().unwrap();
    assert_eq!(failed.status.code(), Some(3), "{}", text(&failed));
    assert_eq!(who_answers(&client), "a", "as it was: {}", text(&failed));
}

#[test]
fn a_new_rule_moves_flows_to_any_address_of_the_machine() {
    sandbox();
    let apply = |nat: &str| {
        let lab = format!(
            "name: ports\nnamespaces:\n  host:\n    bridges: {{ br: {{ addresses: [10.0.1.1/24], ports: [h-a, h-c] }} \
             }}\n    forwarding: true\n    nat: {nat}\n  a: {{ interfaces: {{ e: {{ addresses: [10.0.1.2/24] }} }}, \
             routes: [{{ to: default, via: 10.0.1.1 }}] }}\n  client: {{ interfaces: {{ e: {{ addresses: [10.0.1.3/24] \
             }} }}, routes: [{{ to: default, via: 10.0.1.1 }}] }}\nlinks: [[a/e, host/h-a], [client/e, host/h-c]]\n"
        );
        std::fs::write("/run/ports.yaml", lab).unwrap();
        let applied = nslab(["apply", "/run/ports.yaml"]);
        assert_eq!(applied.status.code(), Some(0), "{}", text(&applied));
    };
    // An address that the file does not know.
    run("ip addr add 10.9.9.9/32 dev lo");
    apply("[{ publish: { port: 99, protocol: udp, to: \"10.0.1.2:99\" } }]");
    serve("a", "0.0.0.0:5353");
    let client = socket("client", "0.0.0.0:0");
    client.connect("10.9.9.9:53").unwrap();
    assert_eq!(answers(&client), None, "nothing is published there yet");
    apply(
        "[{ publish: { port: 99, protocol: udp, to: \"10.0.1.2:99\" } }, { publish: { port: 53, protocol: udp, to: \
         \"10.0.1.2:5353\" } }, masquerade: { source: 10.0.1.0/24 }]"
            .replace("masquerade: { source: 10.0.1.0/24 }", "{ masquerade: { source: 10.0.1.0/24 } }")
            .as_str(),
    );
    assert_eq!(who_answers(&client), "a", "the same flow");
}
