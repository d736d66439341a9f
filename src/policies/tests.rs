//! What each rule of NetworkPolicy means, row by row, and what the table of a node depends on.

use std::net::IpAddr;

use super::{Connection, Free, Judge, Side, tables};
use crate::lab::{NetworkPolicies, NftTable, NsName, PortProtocol};
use crate::topology;

/// Pods a and b of x, c of y and d of z; a and c are on node1, the others on node2.
fn lab(policies: &str) -> NetworkPolicies {
    let text = format!(
        r#"
name: policies
cluster:
  node_network: 192.168.1.0/24
  pod_network: [10.244.0.0/16, "fd44::/48"]
  routing: vxlan
  nodes:
    node1:
      pods:
        - {{ name: a, address: 10.244.1.2, namespace: x, labels: {{ pod: a }}, ports: {{ http: 80, dns: 53/udp }} }}
        - {{ name: c, address: 10.244.1.3, namespace: y, labels: {{ pod: c, role: "" }}, ports: {{ http: 81 }} }}
    node2:
      pods:
        - {{ name: b, address: 10.244.2.2, namespace: x, labels: {{ pod: b }} }}
        - {{ name: d, address: 10.244.2.3, namespace: z, labels: {{ pod: c }}, ports: {{ http: 80/udp }} }}
  namespace_labels: {{ x: {{ team: ops }}, y: {{ team: ops }} }}
  policies: {policies}
"#
    );
    topology::parse("lab", &text).unwrap_or_else(|faults| panic!("{faults}")).lab.network_policies
}

fn address(name: &str) -> IpAddr {
    let address = match name {
        "a" => "10.244.1.2",
        "b" => "10.244.2.2",
        "c" => "10.244.1.3",
        "d" => "10.244.2.3",
        "node1" => "192.168.1.11",
        "node2" => "192.168.1.12",
        "outside" => "192.168.1.3",
        other => other,
    };
    address.parse().unwrap()
}

/// `a>b`, `a>b:81`, `a>b:53/udp`, `a>b:icmp`.
fn connection(text: &str) -> Connection {
    let (pair, port) = text.split_once(" at ").unwrap_or((text, "80"));
    let (from, to) = pair.split_once('>').unwrap();
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let protocol = match protocol {
        "tcp" => PortProtocol::Tcp,
        "udp" => PortProtocol::Udp,
        _ => PortProtocol::Sctp,
    };
    let port = (number != "icmp").then(|| (protocol, number.parse().unwrap()));
    Connection { source: address(from), destination: address(to), port }
}

/// Rows of the rules of NetworkPolicy: the policies, what they allow, what they block.
const ROWS: [(&str, &str, &str, &str); 31] = [
    ("1: isolated by any policy that selects it", "[{ name: p, namespace: x }]", "a>c, b>c", "c>a, b>a, a>b"),
    ("1: directions are independent", "[{ name: p, namespace: x, policyTypes: [Egress] }]", "c>a", "a>c, a>b"),
    (
        "2: policies add up, none takes away",
        "[{ name: p, namespace: x }, { name: q, namespace: x, podSelector: { matchLabels: { pod: a } }, ingress: [{}] }]",
        "c>a, b>a",
        "c>b, a>b",
    ),
    (
        "3: a connection needs both sides",
        "[{ name: p, namespace: x, policyTypes: [Egress], egress: [{}] }, { name: q, namespace: y }]",
        "a>d, c>a",
        "a>c",
    ),
    (
        "5: one peer and one port",
        "[{ name: p, namespace: x, ingress: [{ from: [{ podSelector: {} }, { ipBlock: { cidr: 192.168.1.3/32 } }], \
         ports: [{ port: 80 }, { port: 82 }] }] }]",
        "b>a, b>a at 82, outside>a",
        "b>a at 81, c>a, c>a at 82",
    ),
    ("5: empty peers are everybody", "[{ name: p, namespace: x, ingress: [{ from: [] }] }]", "outside>a, c>b", ""),
    ("6: no rule, nothing allowed", "[{ name: p, namespace: x, ingress: [] }]", "", "outside>a, c>a, node2>a"),
    ("6: an empty rule allows everything", "[{ name: p, namespace: x, ingress: [{}] }]", "c>a, c>a at icmp", ""),
    ("7: rules of egress bring their type", "[{ name: p, namespace: x, egress: [{}] }]", "a>c, a>d", "c>a, a>b"),
    ("7: an empty list does not", "[{ name: p, namespace: x, egress: [] }]", "a>c", "c>a"),
    ("7: other types are ignored", "[{ name: p, namespace: x, policyTypes: [Egress], ingress: [{}] }]", "c>a", "a>c"),
    ("8: the policy's own namespace", "[{ name: p, namespace: y, podSelector: {} }]", "c>a, a>d", "a>c, d>c"),
    (
        "9: pods alone are of the own namespace",
        "[{ name: p, namespace: x, ingress: [{ from: [{ podSelector: {} }] }] }]",
        "a>b, b>a",
        "c>a, d>a",
    ),
    (
        "9: namespaces alone are all pods there",
        "[{ name: p, namespace: x, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: ops } } }] }] }]",
        "c>a, b>a",
        "d>a",
    ),
    (
        "9: both in one peer",
        "[{ name: p, namespace: x, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: ops } }, \
         podSelector: { matchLabels: { pod: c } } }] }] }]",
        "c>a",
        "b>a, d>a",
    ),
    (
        "9: two peers",
        "[{ name: p, namespace: x, ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: none } } }, \
         { podSelector: { matchLabels: { pod: b } } }] }] }]",
        "b>a",
        "c>a, d>a",
    ),
    (
        "10: what a block leaves out, another gives",
        "[{ name: p, namespace: x, ingress: [{ from: [{ ipBlock: { cidr: 10.244.0.0/16, except: [10.244.1.0/24] } }] }] \
         }, { name: q, namespace: x, podSelector: { matchLabels: { pod: a } }, ingress: [{ from: [{ ipBlock: { cidr: \
         10.244.1.3/32 } }] }] }]",
        "d>a, d>b, c>a",
        "c>b, outside>a",
    ),
    (
        "10: a block of IPv4 says nothing of IPv6",
        "[{ name: p, namespace: x, ingress: [{ from: [{ ipBlock: { cidr: 0.0.0.0/0 } }] }] }]",
        "c>a",
        "fd44:0:0:1::3>fd44:0:0:1::2",
    ),
    (
        "12: all ports of TCP",
        "[{ name: p, namespace: x, ingress: [{ ports: [{}] }] }]",
        "c>a at 1, c>a at 65535",
        "c>a at 80/udp, c>a at icmp",
    ),
    (
        "12: both ends of a range",
        "[{ name: p, namespace: x, ingress: [{ ports: [{ port: 80, endPort: 90 }] }] }]",
        "c>a at 80, c>a at 90",
        "c>a at 79, c>a at 91, c>a at 80/udp",
    ),
    (
        "13: a name is the receiver's",
        "[{ name: p, namespace: y, egress: [{ ports: [{ port: http }] }] }]",
        "c>a at 80",
        "c>a at 81, c>d at 80, c>d at 80/udp, c>b at 80",
    ),
    (
        "13: name and protocol",
        "[{ name: p, namespace: z, ingress: [{ ports: [{ port: http, protocol: UDP }] }] }]",
        "a>d at 80/udp",
        "a>d at 80",
    ),
    (
        "14: protocols are never mixed up",
        "[{ name: p, namespace: x, ingress: [{ ports: [{ port: 80, protocol: SCTP }] }] }]",
        "c>a at 80/sctp",
        "c>a at 80, c>a at 80/udp, c>a at icmp",
    ),
    ("15: the own node", "[{ name: p, namespace: x, policyTypes: [Ingress, Egress] }]", "node1>a, a>node1", "node2>a"),
    (
        "15: another node, as an address",
        "[{ name: p, namespace: x, ingress: [{ from: [{ ipBlock: { cidr: 192.168.1.12/32 } }] }] }]",
        "node2>a",
        "outside>a",
    ),
    ("16: itself", "[{ name: p, namespace: x, policyTypes: [Ingress, Egress] }]", "a>a, b>b", "a>b"),
    (
        "19: a namespace by its name",
        "[{ name: p, namespace: x, ingress: [{ from: [{ namespaceSelector: { matchLabels: { \
         kubernetes.io/metadata.name: z } } }] }] }]",
        "d>a",
        "c>a, b>a",
    ),
    (
        "20: names can be asked for",
        "[{ name: p, namespace: x, policyTypes: [Egress], egress: [{ ports: [{ port: 53, protocol: UDP }] }] }]",
        "a>d at 53/udp",
        "a>d at 53, a>d",
    ),
    (
        "22: all of a selector",
        "[{ name: p, namespace: x, ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { pod: c }, \
         matchExpressions: [{ key: role, operator: Exists }] } }] }] }]",
        "c>a",
        "d>a, b>a",
    ),
    (
        "22: NotIn and DoesNotExist select what lacks the key",
        "[{ name: p, namespace: x, ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchExpressions: [{ key: \
         role, operator: NotIn, values: [web] }, { key: role, operator: DoesNotExist }] } }] }] }]",
        "d>a, b>a",
        "c>a",
    ),
    ("not enforced", "[{ name: p, namespace: x, enforce: false }]", "c>a, b>a", ""),
];

#[test]
fn every_row_is_judged_as_it_is_meant() {
    for (row, policies, allowed, blocked) in ROWS {
        let lab = lab(policies);
        let judge = Judge::new(&lab);
        for (list, wanted) in [(allowed, true), (blocked, false)] {
            for text in list.split(", ").filter(|text| !text.is_empty()) {
                let verdict = judge.verdict(&connection(text));
                assert_eq!(verdict.allows(), wanted, "{row}: {text}: {verdict:?}");
            }
        }
    }
}

#[test]
fn a_verdict_names_the_policy_and_its_rule() {
    let lab =
        lab("[{ name: p, namespace: x }, { name: q, namespace: x, ingress: [{ ports: [{ port: 1 }] }, { ports: [{ \
                   port: 2 }] }] }]");
    let judge = Judge::new(&lab);
    let verdict = judge.verdict(&connection("c>a at 2"));
    assert_eq!(verdict.egress, Side::Free(Free::NotIsolated));
    let Side::Allowed { policy, rule } = verdict.ingress else { panic!("{verdict:?}") };
    assert_eq!((policy.full_name().as_str(), rule), ("x/q", 1));
    let Side::Isolated(policies) = judge.verdict(&connection("c>a at 3")).ingress else { panic!("it is allowed") };
    assert_eq!(policies.iter().map(|policy| policy.full_name()).collect::<Vec<_>>(), ["x/p", "x/q"]);
}

fn of_node1(policies: &str, change: impl Fn(&mut NetworkPolicies)) -> NftTable {
    let mut lab = lab(policies);
    change(&mut lab);
    tables(&lab).remove(&"node1".parse().unwrap()).expect("a table")
}

/// A pod's label decides whose peer it is: that is a matter of elements.
#[test]
fn a_label_of_a_peer_is_an_element_of_a_set() {
    let policies = "[{ name: p, namespace: x, ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { \
                    role: web } } }] }] }]";
    let before = of_node1(policies, |_| {});
    let after = of_node1(policies, |lab| {
        let pod = lab.pods.get_mut(&"d".parse::<NsName>().unwrap()).expect("the pod");
        pod.labels.insert("role".to_owned(), "web".to_owned());
    });
    assert_eq!(before.chains, after.chains);
    let (peers, own) = ("peers-x/p/ingress/1", |table: &NftTable, set: &str| table.sets[set].elements.len());
    assert_eq!((own(&before, peers), own(&after, peers)), (0, 1));
    assert_eq!((own(&before, "peers-x/p/ingress/1-v6"), own(&after, "peers-x/p/ingress/1-v6")), (0, 1));
}

#[test]
fn only_isolated_pods_of_the_node_are_in_its_maps() {
    let policies = "[{ name: p, namespace: x }, { name: q, namespace: z, policyTypes: [Egress] }]";
    let table = of_node1(policies, |_| {});
    let keys = |map: &str| table.sets[map].elements.iter().map(|(key, to)| to.text(key)).collect::<Vec<_>>();
    assert_eq!(keys("ingress-pods"), ["10.244.1.2 : goto pod-a/ingress"]);
    assert_eq!(keys("ingress-pods-v6"), ["fd44:0:0:1::2 : goto pod-a/ingress"]);
    assert!(keys("egress-pods").is_empty());
    assert!(tables(&lab("[{ name: p, enforce: false }]")).is_empty());
}
