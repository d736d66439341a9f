//! Who may reach whom, for all pods and all ports: ports about which policies say the same are taken together.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::judge::{Connection, Judge};
use crate::lab::{Family, NetworkPolicies, NsName, Pod, PortMatch, PortProtocol};

/// What policies allow among the pods of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix<'l> {
    /// The pods, in the order of their names.
    pub pods: Vec<&'l NsName>,
    /// What is allowed, for some ports each; together they have all ports of all protocols.
    pub layers: Vec<Layer>,
}

/// Ports for which the same is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The ports.
    pub ports: Vec<PortsOf>,
    /// By sender and receiver: whether it is allowed; none: they have no addresses of this family.
    pub allowed: Vec<Vec<Option<bool>>>,
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

/// The matrix of a lab.
pub fn matrix(lab: &NetworkPolicies) -> Matrix<'_> {
    let judge = Judge::new(lab);
    let addresses = lab.pods.values().flat_map(|pod| &pod.addresses);
    let families: BTreeSet<Family> = addresses.map(|address| Family::of(*address)).collect();
    let mut layers: Vec<Layer> = Vec::new();
    for family in families {
        for ports in PROTOCOLS.into_iter().flat_map(|protocol| told_apart(lab, family, protocol)) {
            let allowed = allowed(lab, &judge, ports);
            match layers.iter_mut().find(|layer| layer.allowed == allowed) {
                Some(layer) => layer.ports.push(ports),
                None => layers.push(Layer { ports: vec![ports], allowed }),
            }
        }
    }
    Matrix { pods: lab.pods.keys().collect(), layers }
}

fn allowed(lab: &NetworkPolicies, judge: &Judge<'_>, ports: PortsOf) -> Vec<Vec<Option<bool>>> {
    let own: Vec<Option<IpAddr>> = lab.pods.values().map(|pod| address(pod, ports.family)).collect();
    let cell = |source: Option<IpAddr>, destination: Option<IpAddr>| {
        let port = Some((ports.protocol, ports.first));
        Some(judge.verdict(&Connection { source: source?, destination: destination?, port }).allows())
    };
    own.iter().map(|from| own.iter().map(|to| cell(*from, *to)).collect()).collect()
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
