//! UDP flows follow the rules: whoever publishes a port to another target means the next packet too.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

mod support;

use std::fs::File;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use support::{nslab, sandbox, text};

/// A socket in a namespace.
fn socket(ns: &str, at: &str) -> UdpSocket {
    let (ns, at) = (File::open(format!("/run/netns/{ns}")).unwrap(), at.to_owned());
    let open = move || {
        setns(ns, CloneFlags::CLONE_NEWNET).unwrap();
        UdpSocket::bind(at).unwrap()
    };
    thread::spawn(open).join().unwrap()
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
    let subnets = |n: &str| format!("{{ addresses: [\"10.0.{n}.1/24\", \"fd00:{n}::1/64\"] }}");
    let host = |n: &str| {
        format!(
            "{{ interfaces: {{ e: {{ addresses: [\"10.0.{n}.2/24\", \"fd00:{n}::2/64\"] }} }}, routes: [{{ to: default, \
             via: 10.0.{n}.1 }}, {{ to: default, via: \"fd00:{n}::1\" }}] }}"
        )
    };
    let lab = format!(
        "name: moving\nnamespaces:\n  router:\n    interfaces: {{ c: {}, a: {}, b: {} }}\n    forwarding: true\n    \
         nat: {rules}\n  client: {}\n  a: {}\n  b: {}\nlinks: [[client/e, router/c], [a/e, router/a], [b/e, router/b]]\n",
        subnets("1"),
        subnets("2"),
        subnets("3"),
        host("1"),
        host("2"),
        host("3"),
    );
    std::fs::write("/run/moving.yaml", lab).unwrap();
    let applied = nslab(["apply", "/run/moving.yaml"]);
    assert_eq!(applied.status.code(), Some(0), "{}", text(&applied));
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
