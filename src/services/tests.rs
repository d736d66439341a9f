//! The chains of a node, rule by rule, beside the text of `iptables-save`: `tests/services/NAME.expected`, one for each
//! case below.

use std::fs;
use std::net::IpAddr;

use super::{Chains, Node, ServicePort, chains};
use crate::iptables::restore_line;
use crate::lab::{IpProtocol, ObservedRule, Table};

fn port(service: &str, name: Option<&str>, cluster_ip: [u8; 4], port: u16, endpoints: &[&str]) -> ServicePort {
    ServicePort {
        service: service.to_owned(),
        name: name.map(str::to_owned),
        protocol: IpProtocol::Tcp,
        cluster_ip: cluster_ip.into(),
        port,
        node_port: None,
        health_check_node_port: None,
        external_ips: Vec::new(),
        load_balancer_ip: None,
        source_ranges: Vec::new(),
        external_is_local: false,
        internal_is_local: false,
        affinity: None,
        endpoints: endpoints.iter().map(|endpoint| endpoint.parse().unwrap()).collect(),
    }
}

fn web() -> ServicePort {
    port("default/web", Some("http"), [10, 96, 0, 20], 80, &["10.244.1.2:8080", "10.244.2.2:8080"])
}

fn node(number: u8) -> Node {
    Node {
        cluster: "10.244.0.0/16".parse().unwrap(),
        pods: format!("10.244.{number}.0/24").parse().unwrap(),
        services: Some("10.96.0.0/12".parse().unwrap()),
        addresses: vec![IpAddr::from([192, 168, 1, 10 + number])],
    }
}

/// The rules as `iptables-save` prints them, chain by chain.
fn text(chains: &Chains) -> String {
    let mut text = String::new();
    for table in [Table::Filter, Table::Nat] {
        text.push_str(&format!("*{}\n", table.name()));
        let of_table = || chains.iter().filter(|(id, _)| id.table == table);
        for (id, _) in of_table().filter(|(id, _)| id.hook().is_none()) {
            text.push_str(&format!(":{} - [0:0]\n", id.chain));
        }
        for (id, rules) in of_table() {
            for rule in rules {
                text.push_str(&format!("-A {} {}\n", id.chain, restore_line(&ObservedRule::Known(rule.clone()))));
            }
        }
        text.push_str("COMMIT\n");
    }
    text
}

#[track_caller]
fn compare(name: &str, chains: &Chains) {
    compare_text(name, &text(chains));
}

#[track_caller]
pub(super) fn compare_text(name: &str, text: &str) {
    let path = format!("{}/tests/services/{name}.expected", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{path}; BLESS=1 writes it anew");
}

fn affinity() -> ServicePort {
    let mut web = ServicePort { affinity: Some(10_800), ..web() };
    web.endpoints.push("10.244.3.2:8080".parse().unwrap());
    web
}

fn load_balancer() -> ServicePort {
    ServicePort {
        node_port: Some(30_090),
        health_check_node_port: Some(30_091),
        external_ips: vec![[198, 51, 100, 7].into()],
        load_balancer_ip: Some([192, 168, 1, 100].into()),
        source_ranges: vec!["192.168.1.0/24".parse().unwrap()],
        external_is_local: true,
        ..web()
    }
}

/// What a service of both families has at its second address; what it has at the first is left out on the way.
fn of_ipv6() -> ServicePort {
    let endpoints = ["[fd00:10:244:1::2]:8080", "[fd00:10:244:2::2]:8080"];
    ServicePort {
        cluster_ip: "fd00:10:96::20".parse().unwrap(),
        external_ips: vec!["2001:db8::7".parse().unwrap()],
        load_balancer_ip: Some("2001:db8::100".parse().unwrap()),
        source_ranges: vec!["fd00:192:168:1::/64".parse().unwrap()],
        affinity: Some(10_800),
        endpoints: endpoints.iter().map(|endpoint| endpoint.parse().unwrap()).collect(),
        ..load_balancer()
    }
}

/// The cases of both modes: their names, nodes and ports.
pub(super) fn cases() -> [(&'static str, Node, Vec<ServicePort>); 7] {
    let api = port("default/api", None, [10, 96, 0, 30], 80, &["10.244.1.3:80", "10.244.2.3:80"]);
    let api = ServicePort { node_port: Some(30080), ..api };
    let down = ServicePort {
        node_port: Some(30_070),
        protocol: IpProtocol::Udp,
        ..port("shop/down", None, [10, 96, 0, 40], 53, &[])
    };
    let sctp = ServicePort { protocol: IpProtocol::Sctp, affinity: Some(60), ..load_balancer() };
    let inside = ServicePort { internal_is_local: true, ..web() };
    let node_of_ipv6 = Node {
        cluster: "fd00:10:244::/48".parse().unwrap(),
        pods: "fd00:10:244:1::/64".parse().unwrap(),
        services: Some("fd00:10:96::/112".parse().unwrap()),
        addresses: vec!["fd00:192:168:1::11".parse().unwrap()],
    };
    [
        ("worked-example", node(1), vec![web(), api]),
        ("affinity", node(1), vec![affinity()]),
        ("local-here", node(1), vec![load_balancer()]),
        ("local-elsewhere", node(3), vec![load_balancer()]),
        ("no-endpoints", node(3), vec![down, inside]),
        ("ipv6", node_of_ipv6, vec![web(), of_ipv6()]),
        ("sctp", node(1), vec![sctp]),
    ]
}

#[test]
fn chains_are_those_of_kube_proxy() {
    for (case, node, ports) in cases() {
        compare(case, &chains(&node, &ports.iter().collect::<Vec<_>>()));
    }
}
