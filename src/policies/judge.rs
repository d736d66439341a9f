//! Whether one pod may reach another, and which policy and rule says so.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use crate::lab::{
    Direction, NetworkPolicies, NetworkPolicy, NetworkPolicyRule, NsName, Pod, PolicyPeer, PolicyPort, PortMatch,
    PortProtocol,
};

/// Answers questions about the policies of a lab: those that are enforced.
pub struct Judge<'l> {
    lab: &'l NetworkPolicies,
    /// Who has an address.
    holders: HashMap<IpAddr, Holder<'l>>,
    /// The policies that isolate a pod in a direction.
    isolating: BTreeMap<Direction, BTreeMap<&'l NsName, Vec<&'l NetworkPolicy>>>,
}

/// Who has an address; nobody here: it is outside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder<'l> {
    Pod(&'l NsName),
    Node(&'l NsName),
}

/// The first packet of a connection, as the nodes of pods see it: after services have been translated, and before a
/// node's address takes the place of a pod's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// The port that it goes to, with its protocol; none: a protocol without ports, such as ICMP.
    pub port: Option<(PortProtocol, u16)>,
}

/// What policies say about a connection, which needs both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict<'l> {
    /// Whether its sender may send it.
    pub egress: Side<'l>,
    /// Whether its receiver may get it.
    pub ingress: Side<'l>,
}

/// What policies say about one side of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side<'l> {
    /// No policy has a say.
    Free(Free),
    /// A rule allows it.
    Allowed {
        /// The policy.
        policy: &'l NetworkPolicy,
        /// Which of its rules in this direction, counted from 0.
        rule: usize,
    },
    /// These policies isolate the pod, and none of their rules allows it.
    Isolated(Vec<&'l NetworkPolicy>),
}

/// Why no policy has a say about one side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Free {
    /// It is no pod.
    NoPod,
    /// No policy isolates the pod.
    NotIsolated,
    /// The other side is the same pod.
    Itself,
    /// The other side is the node that the pod is on.
    OwnNode,
}

impl Verdict<'_> {
    /// Whether the connection is possible.
    pub fn allows(&self) -> bool {
        [&self.egress, &self.ingress].into_iter().all(|side| !matches!(side, Side::Isolated(_)))
    }
}

/// The policies that are enforced, and isolate a pod in a direction.
pub(super) fn isolating<'l>(
    lab: &'l NetworkPolicies,
    pod: &'l Pod,
    direction: Direction,
) -> impl Iterator<Item = &'l NetworkPolicy> {
    let enforced = lab.policies.iter().filter(|policy| policy.is_enforced);
    let about = enforced.filter(move |policy| policy.rules(direction).is_some());
    about.filter(move |policy| policy.namespace == pod.namespace && policy.pods.selects(&pod.labels))
}

/// Whether a peer of a policy is this pod.
pub(super) fn is_pod(lab: &NetworkPolicies, policy: &NetworkPolicy, peer: &PolicyPeer, pod: &Pod) -> bool {
    let PolicyPeer::Pods { namespaces, pods } = peer else { return false };
    let is_there = match namespaces {
        None => pod.namespace == policy.namespace,
        Some(namespaces) => lab.namespaces.get(&pod.namespace).is_some_and(|labels| namespaces.selects(labels)),
    };
    is_there && pods.selects(&pod.labels)
}

/// Whether a peer of a policy is this address.
pub(super) fn is_in_block(peer: &PolicyPeer, address: IpAddr) -> bool {
    let PolicyPeer::Block { net, except } = peer else { return false };
    net.contains(&address) && !except.iter().any(|except| except.contains(&address))
}

impl<'l> Judge<'l> {
    /// For the policies of a lab.
    pub fn new(lab: &'l NetworkPolicies) -> Self {
        let mut holders = HashMap::new();
        for (name, node) in &lab.nodes {
            holders.extend(node.addresses.iter().map(|address| (*address, Holder::Node(name))));
        }
        let mut isolating: BTreeMap<Direction, BTreeMap<_, _>> = BTreeMap::new();
        for (name, pod) in &lab.pods {
            holders.extend(pod.addresses.iter().map(|address| (*address, Holder::Pod(name))));
            for direction in Direction::ALL {
                let policies: Vec<_> = self::isolating(lab, pod, direction).collect();
                if !policies.is_empty() {
                    isolating.entry(direction).or_default().insert(name, policies);
                }
            }
        }
        Self { lab, holders, isolating }
    }

    /// What policies say about a connection.
    pub fn verdict(&self, connection: &Connection) -> Verdict<'l> {
        let (from, to) = (self.holders.get(&connection.source), self.holders.get(&connection.destination));
        let (from, to) = (from.copied(), to.copied());
        let egress = self.side(Direction::Egress, (from, to), connection);
        let ingress = self.side(Direction::Ingress, (to, from), connection);
        Verdict { egress, ingress }
    }

    /// The policies that isolate a pod in a direction, in the order of the file.
    pub fn isolating(&self, pod: &NsName, direction: Direction) -> &[&'l NetworkPolicy] {
        self.isolating.get(&direction).and_then(|pods| pods.get(pod)).map_or(&[], Vec::as_slice)
    }

    fn side(
        &self,
        direction: Direction,
        (own, other): (Option<Holder<'l>>, Option<Holder<'l>>),
        connection: &Connection,
    ) -> Side<'l> {
        let Some(Holder::Pod(name)) = own else { return Side::Free(Free::NoPod) };
        let Some(pod) = self.lab.pods.get(name) else { return Side::Free(Free::NoPod) };
        let policies = self.isolating(name, direction);
        // A pod is never cut off from itself, nor from the node that it is on.
        if policies.is_empty() {
            return Side::Free(Free::NotIsolated);
        } else if other == own {
            return Side::Free(Free::Itself);
        } else if other == Some(Holder::Node(&pod.node)) {
            return Side::Free(Free::OwnNode);
        }
        for policy in policies {
            let rules = policy.rules(direction).unwrap_or_default();
            if let Some(rule) = rules.iter().position(|rule| self.fits(policy, rule, direction, connection)) {
                return Side::Allowed { policy, rule };
            }
        }
        Side::Isolated(policies.to_vec())
    }

    fn fits(
        &self,
        policy: &NetworkPolicy,
        rule: &NetworkPolicyRule,
        direction: Direction,
        connection: &Connection,
    ) -> bool {
        let other = match direction {
            Direction::Ingress => connection.source,
            Direction::Egress => connection.destination,
        };
        let is_peer = rule.peers.is_empty() || rule.peers.iter().any(|peer| self.is_peer(policy, peer, other));
        is_peer && (rule.ports.is_empty() || rule.ports.iter().any(|port| self.is_port(port, connection)))
    }

    fn is_peer(&self, policy: &NetworkPolicy, peer: &PolicyPeer, address: IpAddr) -> bool {
        match peer {
            PolicyPeer::Block { .. } => is_in_block(peer, address),
            PolicyPeer::Pods { .. } => self.pod_at(address).is_some_and(|pod| is_pod(self.lab, policy, peer, pod)),
        }
    }

    fn is_port(&self, port: &PolicyPort, connection: &Connection) -> bool {
        let Some((protocol, number)) = connection.port.filter(|(protocol, _)| *protocol == port.protocol) else {
            return false;
        };
        match &port.port {
            PortMatch::All => true,
            PortMatch::Numbers(first, last) => (*first..=*last).contains(&number),
            PortMatch::Named(name) => self.pod_at(connection.destination).is_some_and(|pod| {
                pod.ports.iter().any(|own| (&own.name, own.protocol, own.number) == (name, protocol, number))
            }),
        }
    }

    fn pod_at(&self, address: IpAddr) -> Option<&'l Pod> {
        match self.holders.get(&address)? {
            Holder::Pod(name) => self.lab.pods.get(*name),
            Holder::Node(_) => None,
        }
    }
}
