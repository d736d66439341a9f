//! The cluster in which policies are tried: namespaces x, y and z with pods a, b and c each, as Kubernetes' own tests
//! have them. Those called b are on another node than the others; beyond the cluster is a machine outside.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::oracle::{Labels, Party, Role};

/// The ports that every pod serves, over each protocol.
pub const PORTS: [u64; 2] = [80, 81];

/// A cluster, and the policies in it.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub policies: Vec<Value>,
    pub namespaces: BTreeMap<String, Labels>,
    pub parties: Vec<Party>,
}

/// The pods by namespace and name, with their nodes and addresses.
fn places() -> Vec<(String, String, u8, u8)> {
    let pods = ["x", "y", "z"].into_iter().enumerate().flat_map(|(row, namespace)| {
        let place = move |at: usize| 10 * (row + 1) + at + 1;
        ["a", "b", "c"].into_iter().enumerate().map(move |(at, name)| {
            let node = if name == "b" { 2 } else { 1 };
            (namespace.to_owned(), name.to_owned(), node, u8::try_from(place(at)).expect("a place"))
        })
    });
    pods.collect()
}

impl Fixture {
    /// The cluster with these policies, and what else a step of a case says.
    pub fn new(step: &Value) -> Self {
        let mut places = places();
        for (at, pod) in strings(&step["more_pods"]).into_iter().enumerate() {
            let (namespace, name) = pod.split_once('/').expect("NAMESPACE/POD");
            places.push((namespace.to_owned(), name.to_owned(), 1, 200 + u8::try_from(at).expect("a place")));
        }
        places.push(("dns".to_owned(), "server".to_owned(), 2, 53));
        let own = |labels: &Value| -> Labels {
            let entries = labels.as_object().cloned().unwrap_or_default();
            entries.into_iter().map(|(key, value)| (key, value.as_str().expect("text").to_owned())).collect()
        };
        let mut namespaces: BTreeMap<String, Labels> = BTreeMap::new();
        let mut parties = Vec::new();
        for (namespace, name, node, place) in places {
            let full = format!("{namespace}/{name}");
            let of_namespace = namespaces.entry(namespace.clone()).or_default();
            of_namespace.extend(own(&step["namespace_labels"][&namespace]));
            of_namespace.insert("ns".to_owned(), namespace.clone());
            of_namespace.insert("kubernetes.io/metadata.name".to_owned(), namespace.clone());
            let mut labels = own(&step["pod_labels"][&full]);
            labels.insert("pod".to_owned(), name);
            let ports = PORTS.into_iter().flat_map(|port| {
                ["tcp", "udp", "sctp"].map(|protocol| (format!("serve-{port}-{protocol}"), protocol.to_owned(), port))
            });
            let address = format!("10.244.{node}.{place}").parse().expect("an address");
            let role = Role::Pod { namespace, labels, ports: ports.collect(), node: format!("node{node}") };
            parties.push(Party { name: full, address, role });
        }
        for (name, address, role) in [
            ("node1", "192.168.1.11", Role::Node),
            ("node2", "192.168.1.12", Role::Node),
            ("outside", "192.168.1.3", Role::Outside),
        ] {
            parties.push(Party { name: name.to_owned(), address: address.parse().expect("an address"), role });
        }
        let policies = step["policies"].as_array().cloned().unwrap_or_default();
        Self { policies, namespaces, parties }
    }

    /// Somebody by name: `x/a`, `node1`, `outside`.
    pub fn party(&self, name: &str) -> &Party {
        self.parties.iter().find(|party| party.name == name).unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// The cluster as a topology file, without checks.
    pub fn topology(&self, routing: &str) -> String {
        let mut text = format!(
            "name: pol\ncluster:\n  node_network: 192.168.1.0/24\n  pod_network: 10.244.0.0/16\n  routing: {routing}\n"
        );
        text.push_str("  nodes:\n");
        for node in ["node1", "node2"] {
            let _ = writeln!(text, "    {node}:\n      pods:");
            for party in &self.parties {
                let Role::Pod { namespace, labels, ports, node: own } = &party.role else { continue };
                if own != node {
                    continue;
                }
                let ports: Map<String, Value> = ports
                    .iter()
                    .map(|(name, protocol, port)| (name.clone(), format!("{port}/{protocol}").into()))
                    .collect();
                let pod = serde_json::json!({
                    "name": namespace_name(&party.name), "address": party.address.to_string(),
                    "namespace": namespace, "labels": labels, "ports": ports,
                });
                let _ = writeln!(text, "        - {pod}");
            }
        }
        let _ = writeln!(text, "  namespace_labels: {}", serde_json::to_string(&self.namespaces).expect("JSON"));
        let _ = writeln!(text, "  policies: {}", Value::from(self.policies.clone()));
        text.push_str(
            "namespaces:\n  lan: { bridges: { br-lan: { ports: [outside-lan] } } }\n  outside:\n    interfaces: { eth0: { \
             addresses: [192.168.1.3/24] } }\n    routes: [{ to: 10.244.1.0/24, via: 192.168.1.11 }, { to: 10.244.2.0/24, \
             via: 192.168.1.12 }]\nlinks: [[outside/eth0, lan/outside-lan]]\n",
        );
        text
    }
}

/// The network namespace of somebody.
pub fn namespace_name(party: &str) -> String {
    party.replace('/', "-")
}

/// The texts of a list.
pub fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().cloned().unwrap_or_default();
    items.iter().map(|item| item.as_str().expect("text").to_owned()).collect()
}
