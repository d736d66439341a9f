//! Random clusters with services and network policies, and edits of them: labels, readiness, pods, and what services
//! and policies say.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::render::LAB;

/// A cluster of two nodes.
#[derive(Debug, Clone)]
pub struct Cluster {
    frame: Frame,
    pods: Vec<Pod>,
    services: Vec<Service>,
    policies: Vec<Policy>,
    /// The label of the Kubernetes namespace `shop`.
    team: &'static str,
}

/// What all of its nodes depend on.
#[derive(Debug, Clone)]
pub struct Frame {
    routing: &'static str,
    proxy_mode: &'static str,
    ipv6: bool,
}

#[derive(Debug, Clone)]
pub struct Pod {
    node: usize,
    app: &'static str,
    role: Option<&'static str>,
    in_shop: bool,
    ready: bool,
    http: u16,
}

#[derive(Debug, Clone)]
pub struct Service {
    kind: &'static str,
    app: &'static str,
    named: bool,
    udp: bool,
    affinity: bool,
    local: bool,
}

#[derive(Debug, Clone)]
pub struct Policy {
    in_shop: bool,
    app: Option<&'static str>,
    types: &'static [&'static str],
    rules: Vec<Rule>,
    enforce: bool,
}

/// Peers and ports, for both directions.
#[derive(Debug, Clone)]
pub struct Rule {
    peers: Vec<Peer>,
    ports: Vec<&'static str>,
}

#[derive(Debug, Clone)]
pub enum Peer {
    Role(&'static str),
    Team(&'static str),
    Block(&'static str),
}

/// A change of the file.
#[derive(Debug, Clone)]
pub enum Edit {
    Frame(Frame),
    Pod(u8, Pod),
    AddPod(Pod),
    RemovePod(u8),
    Services(Vec<Service>),
    Service(u8, Service),
    Policies(Vec<Policy>),
    Policy(u8, Policy),
    Team(&'static str),
}

impl Cluster {
    /// The cluster after some edits.
    pub fn edited(&self, edits: &[Edit]) -> Self {
        let mut new = self.clone();
        for edit in edits {
            match edit {
                Edit::Frame(frame) => new.frame = frame.clone(),
                Edit::Pod(which, pod) => replace(&mut new.pods, *which, pod),
                Edit::AddPod(pod) => new.pods.push(pod.clone()),
                Edit::RemovePod(which) if new.pods.len() > 1 => {
                    let _ = new.pods.remove(usize::from(*which) % new.pods.len());
                }
                Edit::RemovePod(_) => {}
                Edit::Services(services) => new.services.clone_from(services),
                Edit::Service(which, service) => replace(&mut new.services, *which, service),
                Edit::Policies(policies) => new.policies.clone_from(policies),
                Edit::Policy(which, policy) => replace(&mut new.policies, *which, policy),
                Edit::Team(team) => new.team = team,
            }
        }
        new
    }

    /// The text of the topology file; for kernels whose bridges do not pass packets to the filter, without bridges.
    pub fn yaml(&self, bridges: bool) -> String {
        let Frame { routing, proxy_mode, ipv6 } = &self.frame;
        let both = |ipv4: &str, own: &str| if *ipv6 { json!([ipv4, own]) } else { json!(ipv4) };
        let mut nodes = [Vec::new(), Vec::new()];
        for (n, pod) in self.pods.iter().enumerate() {
            let node = pod.node % 2;
            nodes[node].push(pod.written(n + 1, |place| {
                both(&format!("10.244.{}.{}", node + 1, place + 10), &format!("fd44:0:0:{}::{}", node + 1, place + 10))
            }));
        }
        let [node1, node2] = nodes.map(|pods| json!({ "pods": pods }));
        let services: Vec<Value> = (1..).zip(&self.services).map(|(n, service)| service.written(n)).collect();
        let policies: Vec<Value> = (1..).zip(&self.policies).map(|(n, policy)| policy.written(n)).collect();
        let cluster = json!({
            "node_network": both("192.168.1.0/24", "fd01::/64"),
            "pod_network": both("10.244.0.0/16", "fd44::/48"),
            "routing": if bridges { routing } else { "routed" },
            "proxy_mode": proxy_mode,
            "nodes": { "node1": node1, "node2": node2 },
            "services": services,
            "policies": policies,
            "namespace_labels": { "shop": { "team": self.team } },
        });
        serde_saphyr::to_string(&json!({ "name": LAB, "cluster": cluster })).expect("YAML")
    }
}

fn replace<T: Clone>(list: &mut Vec<T>, which: u8, new: &T) {
    let count = list.len().max(1);
    match list.get_mut(usize::from(which) % count) {
        Some(old) => old.clone_from(new),
        None => list.push(new.clone()),
    }
}

impl Pod {
    fn written(&self, n: usize, address: impl Fn(usize) -> Value) -> Value {
        let mut labels = json!({ "app": self.app });
        if let Some(role) = self.role {
            labels["role"] = role.into();
        }
        let mut pod = json!({
            "name": format!("p{n}"), "address": address(n), "labels": labels, "ready": self.ready,
            "ports": { "http": self.http, "dns": "53/udp" },
        });
        if self.in_shop {
            pod["namespace"] = "shop".into();
        }
        pod
    }
}

impl Service {
    fn written(&self, n: usize) -> Value {
        let mut port = json!({ "port": 80 });
        match (self.udp, self.named) {
            (true, _) => port["protocol"] = "UDP".into(),
            (false, true) => port["targetPort"] = "http".into(),
            (false, false) => port["targetPort"] = 8080.into(),
        }
        let mut service = json!({ "name": format!("s{n}"), "selector": { "app": self.app } });
        match self.kind {
            "headless" => service["clusterIP"] = "None".into(),
            "NodePort" => {
                port["nodePort"] = (30080 + n).into();
                service["type"] = "NodePort".into();
                if self.local {
                    service["externalTrafficPolicy"] = "Local".into();
                }
            }
            _ if self.local => service["internalTrafficPolicy"] = "Local".into(),
            _ => {}
        }
        if self.affinity && self.kind != "headless" {
            service["sessionAffinity"] = "ClientIP".into();
        }
        service["ports"] = json!([port]);
        service
    }
}

impl Policy {
    fn written(&self, n: usize) -> Value {
        let mut policy = json!({ "name": format!("pol{n}"), "policyTypes": self.types, "enforce": self.enforce });
        if self.in_shop {
            policy["namespace"] = "shop".into();
        }
        if let Some(app) = self.app {
            policy["podSelector"] = json!({ "matchLabels": { "app": app } });
        }
        for (kind, key, word) in [("Ingress", "ingress", "from"), ("Egress", "egress", "to")] {
            if self.types.contains(&kind) {
                policy[key] = self.rules.iter().map(|rule| rule.written(word)).collect();
            }
        }
        policy
    }
}

impl Rule {
    fn written(&self, word: &str) -> Value {
        let peers = self.peers.iter().map(|peer| match peer {
            Peer::Role(role) => json!({ "podSelector": { "matchLabels": { "role": role } } }),
            Peer::Team(team) => json!({ "namespaceSelector": { "matchLabels": { "team": team } } }),
            Peer::Block(cidr) => json!({ "ipBlock": { "cidr": cidr } }),
        });
        let ports = self.ports.iter().map(|port| match *port {
            "range" => json!({ "protocol": "UDP", "port": 53, "endPort": 60 }),
            "sctp" => json!({ "protocol": "SCTP" }),
            "dns" => json!({ "protocol": "UDP", "port": "dns" }),
            name => json!({ "port": name }),
        });
        let mut rule = Map::new();
        rule.insert(word.to_owned(), peers.collect());
        rule.insert("ports".to_owned(), ports.collect());
        rule.into()
    }
}

pub fn cluster() -> impl Strategy<Value = Cluster> {
    let services = vec(service(), 0..=3);
    let policies = vec(policy(), 0..=3);
    (frame(), vec(pod(), 1..=5), services, policies, team())
        .prop_map(|(frame, pods, services, policies, team)| Cluster { frame, pods, services, policies, team })
}

pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let which = any::<u8>;
    let edit = prop_oneof![
        1 => frame().prop_map(Edit::Frame),
        4 => (which(), pod()).prop_map(|(which, pod)| Edit::Pod(which, pod)),
        1 => pod().prop_map(Edit::AddPod),
        1 => which().prop_map(Edit::RemovePod),
        1 => vec(service(), 0..=3).prop_map(Edit::Services),
        3 => (which(), service()).prop_map(|(which, service)| Edit::Service(which, service)),
        1 => vec(policy(), 0..=3).prop_map(Edit::Policies),
        3 => (which(), policy()).prop_map(|(which, policy)| Edit::Policy(which, policy)),
        1 => team().prop_map(Edit::Team),
    ];
    vec(edit, 1..=3)
}

fn frame() -> impl Strategy<Value = Frame> {
    let routing = prop_oneof![Just("routes"), Just("routed"), Just("vxlan")];
    let proxy_mode = prop_oneof![Just("iptables"), Just("nftables")];
    (routing, proxy_mode, any::<bool>()).prop_map(|(routing, proxy_mode, ipv6)| Frame { routing, proxy_mode, ipv6 })
}

fn app() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("web"), Just("db")]
}

fn team() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("ops"), Just("dev")]
}

fn pod() -> impl Strategy<Value = Pod> {
    let role = option::of(prop_oneof![Just("reader"), Just("writer")]);
    let http = prop_oneof![Just(8080), Just(8081)];
    (0..2_usize, app(), role, any::<bool>(), any::<bool>(), http).prop_map(
        |(node, app, role, in_shop, not_ready, http)| Pod { node, app, role, in_shop, ready: !not_ready, http },
    )
}

fn service() -> impl Strategy<Value = Service> {
    let kind = prop_oneof![2 => Just("ClusterIP"), 2 => Just("NodePort"), 1 => Just("headless")];
    (kind, app(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(kind, app, named, udp, affinity, local)| Service { kind, app, named, udp, affinity, local })
}

fn policy() -> impl Strategy<Value = Policy> {
    let types =
        prop_oneof![Just(&["Ingress"] as &[_]), Just(&["Egress"] as &[_]), Just(&["Ingress", "Egress"] as &[_])];
    let peer = prop_oneof![
        prop_oneof![Just("reader"), Just("writer")].prop_map(Peer::Role),
        team().prop_map(Peer::Team),
        prop_oneof![Just("10.244.1.0/24"), Just("0.0.0.0/0"), Just("fd44::/48")].prop_map(Peer::Block),
    ];
    let port = prop_oneof![Just("http"), Just("dns"), Just("range"), Just("sctp")];
    let rule = (vec(peer, 0..=2), vec(port, 0..=2)).prop_map(|(peers, ports)| Rule { peers, ports });
    let enforce = prop_oneof![5 => Just(true), 1 => Just(false)];
    (any::<bool>(), option::of(app()), types, vec(rule, 0..=2), enforce)
        .prop_map(|(in_shop, app, types, rules, enforce)| Policy { in_shop, app, types, rules, enforce })
}
