//! A second opinion on network policies, which reads nothing but the policies as they are written, as data, and shares
//! no code with nslab: who may reach whom.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

/// Labels by their keys.
pub type Labels = BTreeMap<String, String>;

/// Someone with an address.
#[derive(Debug, Clone)]
pub struct Party {
    pub name: String,
    pub address: IpAddr,
    /// What it is in Kubernetes; none: a machine outside.
    pub role: Role,
}

#[derive(Debug, Clone)]
pub enum Role {
    Pod { namespace: String, labels: Labels, ports: Vec<(String, String, u64)>, node: String },
    Node,
    Outside,
}

/// What is asked: one connection.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub from: &'a Party,
    pub to: &'a Party,
    pub protocol: &'a str,
    pub port: u64,
}

/// Whether a connection is possible under these policies, in a cluster whose namespaces have these labels.
pub fn allows(policies: &[Value], namespaces: &BTreeMap<String, Labels>, asked: Question<'_>) -> bool {
    let world = World { namespaces, asked };
    if asked.from.name == asked.to.name {
        return true;
    }
    world.side(policies, "Egress", asked.from, asked.to) && world.side(policies, "Ingress", asked.to, asked.from)
}

struct World<'a> {
    namespaces: &'a BTreeMap<String, Labels>,
    asked: Question<'a>,
}

impl World<'_> {
    /// Whether one of the two pods may take part.
    fn side(&self, policies: &[Value], kind: &str, own: &Party, other: &Party) -> bool {
        let Role::Pod { namespace, labels, node, .. } = &own.role else { return true };
        if matches!(other.role, Role::Node) && other.name == *node {
            return true;
        }
        let selecting: Vec<&Value> = policies
            .iter()
            .filter(|policy| policy["namespace"].as_str().unwrap_or("default") == namespace)
            .filter(|policy| selects(&policy["podSelector"], labels))
            .filter(|policy| has_type(policy, kind))
            .collect();
        let key = kind.to_lowercase();
        let rules = || selecting.iter().flat_map(|policy| items(&policy[&key]).map(move |rule| (*policy, rule)));
        selecting.is_empty() || rules().any(|(policy, rule)| self.rule(policy, kind, rule, other))
    }

    fn rule(&self, policy: &Value, kind: &str, rule: &Value, other: &Party) -> bool {
        let peers = if kind == "Ingress" { &rule["from"] } else { &rule["to"] };
        let anybody = items(peers).next().is_none();
        let anything = items(&rule["ports"]).next().is_none();
        (anybody || items(peers).any(|peer| self.peer(policy, peer, other)))
            && (anything || items(&rule["ports"]).any(|port| self.port(port)))
    }

    fn peer(&self, policy: &Value, peer: &Value, other: &Party) -> bool {
        let block = &peer["ipBlock"];
        if !block.is_null() {
            let within = |net: &Value| {
                let net = net.as_str().expect("a subnet");
                net.parse::<IpNet>().expect("a subnet").contains(&other.address)
            };
            return within(&block["cidr"]) && !items(&block["except"]).any(within);
        }
        let Role::Pod { namespace, labels, .. } = &other.role else { return false };
        let of_namespace = match &peer["namespaceSelector"] {
            Value::Null => namespace == policy["namespace"].as_str().unwrap_or("default"),
            selector => self.namespaces.get(namespace).is_some_and(|labels| selects(selector, labels)),
        };
        of_namespace && selects(&peer["podSelector"], labels)
    }

    fn port(&self, port: &Value) -> bool {
        let protocol = port["protocol"].as_str().unwrap_or("TCP").to_lowercase();
        if protocol != self.asked.protocol {
            return false;
        }
        match &port["port"] {
            Value::Null => true,
            Value::Number(first) => {
                let first = first.as_u64().expect("a port");
                let last = port["endPort"].as_u64().unwrap_or(first);
                first <= self.asked.port && self.asked.port <= last
            }
            name => match &self.asked.to.role {
                Role::Pod { ports, .. } => ports.iter().any(|(own, of, number)| {
                    own == name.as_str().expect("a name") && *of == protocol && *number == self.asked.port
                }),
                Role::Node | Role::Outside => false,
            },
        }
    }
}

/// Whether a policy is about a direction.
fn has_type(policy: &Value, kind: &str) -> bool {
    match items(&policy["policyTypes"]).next() {
        Some(_) => items(&policy["policyTypes"]).any(|own| own == kind),
        None => kind == "Ingress" || items(&policy["egress"]).next().is_some(),
    }
}

fn selects(selector: &Value, labels: &Labels) -> bool {
    let exact = selector["matchLabels"].as_object().into_iter().flatten();
    let mut exact = exact.map(|(key, value)| labels.get(key).map(String::as_str) == Some(&text(value)));
    let mut expressions = items(&selector["matchExpressions"]).map(|expression| {
        let own = labels.get(expression["key"].as_str().expect("a key"));
        let is_listed = own.is_some_and(|own| items(&expression["values"]).any(|value| text(value) == *own));
        match expression["operator"].as_str() {
            Some("In") => is_listed,
            Some("NotIn") => !is_listed,
            Some("Exists") => own.is_some(),
            Some("DoesNotExist") => own.is_none(),
            other => panic!("the operator {other:?}"),
        }
    });
    exact.all(|fits| fits) && expressions.all(|fits| fits)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}
