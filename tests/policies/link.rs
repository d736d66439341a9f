//! What pods on one bridge send each other without the addresses that policies are about: from and to link-local
//! addresses, to all, and to groups.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use crate::support::{ends, inside, run, sandbox};

const FILE: &str = "/run/link.yaml";
const PORT: u16 = 4000;

/// web and db on one node; what db gets and sends is forbidden, or would be if it was enforced.
fn write(routing: &str, has_ipv6: bool, is_enforced: bool) {
    let (nodes, pods) = if has_ipv6 { (", 'fd01::/64'", ", 'fd44::/48'") } else { ("", "") };
    let text = format!(
        "name: link\ncluster:\n  node_network: [192.168.1.0/24{nodes}]\n  pod_network: [10.244.0.0/16{pods}]\n  routing: \
         {routing}\n  nodes: {{ node1: {{ pods: [web, idle, {{ name: db, labels: {{ app: db }} }}] }} }}\n  policies:\n    - \
         {{ name: none, enforce: {is_enforced}, podSelector: {{ matchLabels: {{ app: db }} }}, policyTypes: [Ingress, \
         Egress] }}\n"
    );
    fs::write(FILE, text).unwrap();
}

/// The link-local address of a pod, once it may be used.
fn link_local(pod: &str) -> String {
    let script = format!(
        "until ip -n {pod} -6 addr show dev eth0 scope link -tentative | grep -q inet6; do sleep 0.05; done
        ip -n {pod} -6 -o addr show dev eth0 scope link | sed 's/.*inet6 \\([^/]*\\).*/\\1/'"
    );
    run(&script).trim().to_owned()
}

/// Whether a datagram from one pod to an address arrives at the other one.
fn arrives(from: &'static str, to: &'static str, address: &str) -> bool {
    let address: IpAddr = address.parse().unwrap();
    let any = if address.is_ipv6() { "::" } else { "0.0.0.0" };
    let receiver = inside(to, move || UdpSocket::bind((any, PORT)).unwrap());
    inside(from, move || {
        let sender = UdpSocket::bind((any, 0)).unwrap();
        sender.set_broadcast(true).unwrap();
        let scope = nix::net::if_::if_nametoindex("eth0").unwrap();
        match address {
            IpAddr::V4(address) => sender.send_to(b"!", (address, PORT)),
            IpAddr::V6(address) => sender.send_to(b"!", std::net::SocketAddrV6::new(address, PORT, 0, scope)),
        }
        .unwrap();
    });
    receiver.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    receiver.recv_from(&mut [0; 8]).is_ok()
}

/// All ways around the addresses of pods.
fn ways(from: &'static str, to: &'static str) -> Vec<String> {
    // The sender has to have one of its own.
    link_local(from);
    let mut all = vec![link_local(to), "ff02::1".to_owned()];
    all.extend(["255.255.255.255", "10.244.1.255", "224.0.0.1"].map(str::to_owned));
    all.retain(|address| arrives(from, to, address));
    all
}

#[test]
fn isolated_pods_are_not_reached_beside_their_addresses() {
    sandbox();
    for (routing, has_ipv6) in [("routes", false), ("vxlan", true), ("routed", true)] {
        write(routing, has_ipv6, false);
        ends(&["apply", FILE], 0);
        // Routed pods share no link.
        let expected = if routing == "routed" { 0 } else { 5 };
        assert_eq!(ways("web", "db").len(), expected, "{routing}: not enforced");
        write(routing, has_ipv6, true);
        ends(&["apply", FILE], 0);
        let none: Vec<String> = Vec::new();
        assert_eq!(ways("web", "db"), none, "{routing}: db gets nothing");
        assert_eq!(ways("db", "web"), none, "{routing}: db sends nothing");
        // Neighbours are found all the same.
        ends(&["policy", "link", "--prove"], 0);
        ends(&["destroy", "link"], 0);
    }
}
