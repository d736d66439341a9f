//! Who may reach whom, for all pods and all ports: ports about which policies say the same are taken together.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::judge::{Connection, Judge, is_in_block, is_pod};
use crate::lab::{
    Family, NetworkPolicies, NetworkPolicy, NetworkPolicyRule, NsName, Pod, PolicyPeer, PortMatch, PortProtocol,
};

/// What policies allow among the pods of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix<'l> {
    /// The pods: those of which policies say the same are one row and one column.
    pub rows: Vec<Row<'l>>,
    /// What is allowed, for some ports each; together they have all ports of all protocols.
    pub layers: Vec<Layer>,
}

/// Pods that are looked at together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row<'l> {
    /// What they are called: the first of them, or the label that they have.
    pub name: String,
    /// The pods, in the order of their names.
    pub pods: Vec<&'l NsName>,
}

impl Row<'_> {
    /// Whether it is the pods of a label, and not those of which policies say the same.
    pub fn is_label(&self) -> bool {
        self.pods.first().is_none_or(|pod| pod.as_str() != self.name)
    }
}

/// Ports for which the same is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The ports.
    pub ports: Vec<PortsOf>,
    /// By sender and receiver: what is allowed; none: they have no addresses of this family.
    pub allowed: Vec<Vec<Option<Reach>>>,
}

/// What is allowed between pods of a row and those of a column, of which each is another pod. (Where there is but one,
/// it reaches itself.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Each may reach each.
    Allowed,
    /// None may reach any.
    Forbidden,
    /// Some may.
    Partly,
}

/// Ports of a protocol, over a family of addresses, that no policy tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortsOf {
    /// The family of the addresses.
    pub family: Family,
    /// The protocol.
    pub protocol: PortProtocol,
    /// The first of them.
    pub first: u16,
    /// The last of them.
    pub last: u16,
}

/// All protocols with ports.
const PROTOCOLS: [PortProtocol; 3] = [PortProtocol::Tcp, PortProtocol::Udp, PortProtocol::Sctp];

/// The first address of a family that a pod has.
pub fn address(pod: &Pod, family: Family) -> Option<IpAddr> {
    pod.addresses.iter().copied().find(|address| Family::of(*address) == family)
}

/// The matrix of a lab, with a row for all pods of which policies say the same.
pub fn matrix(lab: &NetworkPolicies) -> Matrix<'_> {
    let judge = Judge::new(lab);
    let kinds = kinds(lab);
    let rows: Vec<Row<'_>> = kinds
        .into_iter()
        .map(|pods| Row { name: pods.first().map(ToString::to_string).unwrap_or_default(), pods })
        .collect();
    let addresses = lab.pods.values().flat_map(|pod| &pod.addresses);
    let families: BTreeSet<Family> = addresses.map(|address| Family::of(*address)).collect();
    let all = families
        .into_iter()
        .flat_map(|family| PROTOCOLS.into_iter().flat_map(move |protocol| told_apart(lab, family, protocol)));
    let layers = joined(all.map(|ports| Layer { ports: vec![ports], allowed: allowed(lab, &judge, &rows, ports) }));
    Matrix { rows, layers }
}

/// Layers in which the same is allowed as one.
fn joined(all: impl Iterator<Item = Layer>) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for own in all {
        match layers.iter_mut().find(|layer| layer.allowed == own.allowed) {
            Some(layer) => layer.ports.extend(own.ports),
            None => layers.push(own),
        }
    }
    layers
}

/// The pods, those together that nothing tells apart which policies ask for.
fn kinds<'l>(lab: &'l NetworkPolicies) -> Vec<Vec<&'l NsName>> {
    let enforced: Vec<&NetworkPolicy> = lab.policies.iter().filter(|policy| policy.is_enforced).collect();
    let rules = |policy: &'l NetworkPolicy| {
        let all = [&policy.ingress, &policy.egress].into_iter().flatten().flatten();
        (policy, all.collect::<Vec<&NetworkPolicyRule>>())
    };
    let rules: Vec<_> = enforced.into_iter().map(rules).collect();
    let ports = rules.iter().flat_map(|(_, rules)| rules).flat_map(|rule| &rule.ports);
    let names: BTreeSet<&str> = ports
        .filter_map(|port| match &port.port {
            PortMatch::Named(name) => Some(name.as_str()),
            PortMatch::All | PortMatch::Numbers(..) => None,
        })
        .collect();
    let mut kinds: Vec<Vec<&NsName>> = Vec::new();
    let mut known: HashMap<(Vec<bool>, Vec<String>), usize> = HashMap::new();
    for (name, pod) in &lab.pods {
        let addresses = [Family::Ipv4, Family::Ipv6].map(|family| address(pod, family));
        let mut is: Vec<bool> = addresses.iter().map(Option::is_some).collect();
        for (policy, rules) in &rules {
            is.push(policy.namespace == pod.namespace && policy.pods.selects(&pod.labels));
            for peer in rules.iter().flat_map(|rule| &rule.peers) {
                match peer {
                    PolicyPeer::Pods { .. } => is.push(is_pod(lab, policy, peer, pod)),
                    PolicyPeer::Block { .. } => {
                        is.push(addresses.iter().flatten().any(|address| is_in_block(peer, *address)));
                    }
                }
            }
        }
        let ports = pod.ports.iter().filter(|port| names.contains(port.name.as_str()));
        let ports: BTreeSet<String> =
            ports.map(|port| format!("{} {} {}", port.name, port.protocol, port.number)).collect();
        let at = *known.entry((is, ports.into_iter().collect())).or_insert(kinds.len());
        match kinds.get_mut(at) {
            Some(kind) => kind.push(name),
            None => kinds.push(vec![name]),
        }
    }
    kinds
}

fn allowed(lab: &NetworkPolicies, judge: &Judge<'_>, rows: &[Row<'_>], ports: PortsOf) -> Vec<Vec<Option<Reach>>> {
    let own = |pod: Option<&&NsName>| address(lab.pods.get(*pod?)?, ports.family);
    let (first, last): (Vec<_>, Vec<_>) = rows.iter().map(|row| (own(row.pods.first()), own(row.pods.last()))).unzip();
    // Of one kind, the last is another pod than the first, if there are several.
    let cell = |source: Option<IpAddr>, destination: Option<IpAddr>| {
        let port = Some((ports.protocol, ports.first));
        let allows = judge.verdict(&Connection { source: source?, destination: destination?, port }).allows();
        Some(if allows { Reach::Allowed } else { Reach::Forbidden })
    };
    first.iter().map(|from| last.iter().map(|to| cell(*from, *to)).collect()).collect()
}

impl<'l> Matrix<'l> {
    /// The same with a row for each value of a label, and one for the pods without it.
    #[must_use]
    pub fn by(&self, lab: &'l NetworkPolicies, label: &str) -> Self {
        let mut values: BTreeMap<Option<&str>, Vec<&'l NsName>> = BTreeMap::new();
        for (name, pod) in &lab.pods {
            values.entry(pod.labels.get(label).map(String::as_str)).or_default().push(name);
        }
        let kind: HashMap<&NsName, usize> =
            self.rows.iter().enumerate().flat_map(|(at, row)| row.pods.iter().map(move |pod| (*pod, at))).collect();
        // How many pods of each kind a row has.
        let parts: Vec<BTreeMap<usize, usize>> = values
            .values()
            .map(|pods| {
                let mut parts = BTreeMap::new();
                for at in pods.iter().filter_map(|pod| kind.get(pod)) {
                    *parts.entry(*at).or_default() += 1;
                }
                parts
            })
            .collect();
        let cell = |allowed: &[Vec<Option<Reach>>], from: usize, to: usize| {
            let pairs = parts.get(from)?.iter().flat_map(|(sender, many)| {
                let receivers = parts.get(to).into_iter().flatten();
                // One pod alone is no pair.
                let others = receivers.filter(move |(receiver, _)| from != to || *receiver != sender || *many > 1);
                others.filter_map(|(receiver, _)| *allowed.get(*sender)?.get(*receiver)?)
            });
            pairs.reduce(|one, other| if one == other { one } else { Reach::Partly })
        };
        let count = values.len();
        let layer = |layer: &Layer| Layer {
            ports: layer.ports.clone(),
            allowed: (0..count).map(|from| (0..count).map(|to| cell(&layer.allowed, from, to)).collect()).collect(),
        };
        let layers = joined(self.layers.iter().map(layer));
        let named = |(value, pods): (Option<&str>, Vec<&'l NsName>)| {
            let name = value.map_or_else(|| format!("no {label}"), |value| format!("{label}={value}"));
            Row { name, pods }
        };
        Self { rows: values.into_iter().map(named).collect(), layers }
    }
}

/// All ports of a protocol, cut wherever a policy or the name of a port may make a difference.
fn told_apart(lab: &NetworkPolicies, family: Family, protocol: PortProtocol) -> Vec<PortsOf> {
    let mut begins = BTreeSet::from([1]);
    let mut cut = |first: u16, last: u16| {
        begins.insert(first);
        begins.extend(last.checked_add(1));
    };
    let enforced = lab.policies.iter().filter(|policy| policy.is_enforced);
    let rules = enforced.flat_map(|policy| [&policy.ingress, &policy.egress]).flatten().flatten();
    let mut names = BTreeSet::new();
    for port in rules.flat_map(|rule| &rule.ports).filter(|port| port.protocol == protocol) {
        match &port.port {
            PortMatch::All => {}
            PortMatch::Numbers(first, last) => cut(*first, *last),
            PortMatch::Named(name) => {
                names.insert(name);
            }
        }
    }
    let own = lab.pods.values().flat_map(|pod| &pod.ports);
    for port in own.filter(|port| port.protocol == protocol && names.contains(&port.name)) {
        cut(port.number, port.number);
    }
    let ends = begins.iter().skip(1).map(|next| next - 1).chain([u16::MAX]);
    let ports = begins.iter().zip(ends);
    ports.map(|(first, last)| PortsOf { family, protocol, first: *first, last }).collect()
}
