//! The nodes that enforce network policies and their pods, and whether what the pods send each other passes a node's
//! rules at all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::net::{Net, ResolvedInterface, ResolvedNamespace};
use crate::lab::{
    Address, Family, IfName, InterfaceKind, InterfaceRef, Labels, NamedPort, NsName, Pod, PolicyConntrack, PolicyNode,
    SysctlValue,
};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{DEFAULT_NAMESPACE, File, NetworkPolicy, Spanned};

/// The label of a network namespace that names the pod's Kubernetes namespace, and is none of the pod's labels.
const NAMESPACE_LABEL: &str = "namespace";

/// As `nf_call_iptables` of a bridge, for IPv6, and for all bridges of a namespace.
const IPV6_OF_BRIDGES: &str = "net.bridge.bridge-nf-call-ip6tables";

/// The nodes that enforce policies, and all pods.
pub fn resolve(net: &Net<'_>, found: &mut Collector<'_>) -> (BTreeMap<NsName, PolicyNode>, BTreeMap<NsName, Pod>) {
    let (mut nodes, subnets) = nodes(net, found);
    let pods = pods(net, &nodes, &subnets);
    for way in ways(net, &pods) {
        let (Attached::ToBridge(bridge), Some(node)) = (&way.attached, nodes.get_mut(way.node)) else { continue };
        let broadcasts = node.bridges.entry(bridge.name.clone()).or_default();
        let subnets = way.interface.addresses.iter().flat_map(|own| own.value.subnets());
        broadcasts.extend(subnets.filter_map(broadcast));
    }
    (nodes, pods)
}

/// The broadcast address of a subnet that has one (RFC 3021).
fn broadcast(subnet: IpNet) -> Option<IpAddr> {
    (subnet.addr().is_ipv4() && subnet.prefix_len() <= 30).then(|| subnet.broadcast())
}

/// The nodes, and which of them has the pods of a subnet.
fn nodes(net: &Net<'_>, found: &mut Collector<'_>) -> (BTreeMap<NsName, PolicyNode>, Vec<(IpNet, NsName)>) {
    let mut nodes = BTreeMap::new();
    let mut subnets: Vec<(IpNet, NsName)> = Vec::new();
    for namespace in &net.namespaces {
        let Some(written) = &namespace.written.network_policies else { continue };
        for pods in &written.pods.0 {
            let own = pods.value.0;
            if let Some((other, node)) = subnets.iter().find(|(net, _)| net.contains(&own) || own.contains(net)) {
                let message = format!("{own} and {other}, which is `{node}`'s, overlap");
                found.add(Diagnostic::new(Code::SubnetsOverlap, pods.span, message));
            }
            if namespace.name.is_host() {
                let message = "`host` cannot be a node: its own firewall would be changed";
                let fault = Diagnostic::new(Code::KeyNotAllowed, pods.span, message);
                found.add(fault.help("give the node a namespace of its own".to_owned()));
            }
            subnets.push((own, namespace.name.clone()));
        }
        let addresses = namespace.addresses().map(|(_, own)| own.value.ip()).filter(|own| !own.is_loopback());
        let conntrack = written.conntrack.as_ref().map_or_else(PolicyConntrack::default, |own| own.value);
        let node = PolicyNode { addresses: addresses.collect(), bridges: BTreeMap::new(), conntrack };
        nodes.insert(namespace.name.clone(), node);
    }
    (nodes, subnets)
}

/// Pods are what has an address in a node's subnets of pods, and is no node.
fn pods(net: &Net<'_>, nodes: &BTreeMap<NsName, PolicyNode>, subnets: &[(IpNet, NsName)]) -> BTreeMap<NsName, Pod> {
    let mut pods = BTreeMap::new();
    for namespace in net.namespaces.iter().filter(|namespace| !nodes.contains_key(&namespace.name)) {
        let own = || namespace.addresses().map(|(_, own)| own.value.ip());
        let node_of = |own| subnets.iter().find(|(net, _)| net.contains(&own)).map(|(_, node)| node);
        let Some(node) = own().find_map(node_of) else { continue };
        let addresses = own().filter(|own| node_of(*own).is_some()).collect();
        pods.insert(namespace.name.clone(), pod(namespace, addresses, node.clone()));
    }
    pods
}

fn pod(namespace: &ResolvedNamespace<'_>, addresses: Vec<IpAddr>, node: NsName) -> Pod {
    let written = &namespace.written.labels.entries;
    let all: Labels = written.iter().map(|(key, value)| (key.value.0.clone(), value.value.0.clone())).collect();
    let own = all.get(NAMESPACE_LABEL).map_or(DEFAULT_NAMESPACE, String::as_str).to_owned();
    let labels = all.into_iter().filter(|(key, _)| key != NAMESPACE_LABEL).collect();
    let ports = namespace.written.ports.entries.iter().map(|(name, port)| NamedPort {
        name: name.value.0.clone(),
        number: port.value.number,
        protocol: port.value.protocol,
    });
    Pod { namespace: own, labels, addresses, ports: ports.collect(), node }
}

/// How a pod is attached to the rest of the world.
struct Way<'n> {
    pod: &'n NsName,
    node: &'n NsName,
    /// The pod's interface, with an address in the network of pods.
    interface: &'n ResolvedInterface,
    attached: Attached<'n>,
}

/// What is at the other end.
enum Attached<'n> {
    /// The node, which forwards all that the pod sends.
    ToNode,
    /// A bridge of the node.
    ToBridge(&'n ResolvedInterface),
    /// Something that is not the node's.
    Elsewhere(&'n InterfaceRef),
}

/// The interfaces of pods that have addresses of theirs, and lead out.
fn ways<'n>(net: &'n Net<'_>, pods: &'n BTreeMap<NsName, Pod>) -> impl Iterator<Item = Way<'n>> {
    let own = net.namespaces.iter().filter_map(|own| Some((own, pods.get_key_value(&own.name)?)));
    own.flat_map(move |(namespace, (name, pod))| {
        let is_pods = |own: &Spanned<Address>| pod.addresses.contains(&own.value.ip());
        let interfaces = namespace.interfaces.iter().filter(move |interface| interface.addresses.iter().any(is_pods));
        interfaces.filter_map(move |interface| {
            let attached = attached(net, &interface.model.kind, &pod.node)?;
            Some(Way { pod: name, node: &pod.node, interface, attached })
        })
    })
}

fn attached<'n>(net: &'n Net<'_>, kind: &'n InterfaceKind, node: &NsName) -> Option<Attached<'n>> {
    let other = match kind {
        InterfaceKind::Veth { peer } => peer.as_ref()?,
        // Those with one parent reach each other there, whatever the parent's namespace filters.
        InterfaceKind::Virtual(of) => return Some(Attached::Elsewhere(of.lower()?)),
        InterfaceKind::Loopback | InterfaceKind::Bridge(_) | InterfaceKind::Other(_) => return None,
    };
    if other.ns != *node {
        return Some(Attached::Elsewhere(other));
    }
    let namespace = net.namespaces.get(net.names.get(node.as_str())?)?;
    let bridge = namespace.bridge_of(namespace.interface(&other.name)?).and_then(|name| namespace.interface(name));
    Some(bridge.map_or(Attached::ToNode, Attached::ToBridge))
}

/// A policy that nobody enforces is a mistake, unless the author says that he wants it so.
pub fn are_enforced(file: &File, net: &Net<'_>, pods: &BTreeMap<NsName, Pod>, found: &mut Collector<'_>) {
    let is_enforced = |policy: &&NetworkPolicy| Spanned::is_on(policy.enforce.as_ref(), true);
    for policy in file.policies.iter().filter(|policy| !is_enforced(policy)) {
        let span = policy.enforce.as_ref().map_or(policy.name.span, |enforce| enforce.span);
        let message = format!("the policy `{}` is ignored: everything that it forbids works", policy.name.value.0);
        found.add(Diagnostic::warning(Code::PolicyIgnored, span, message));
    }
    let Some(first) = file.policies.iter().find(is_enforced) else { return };
    let is_node = |own: &ResolvedNamespace<'_>| own.written.network_policies.is_some();
    if !net.namespaces.iter().any(is_node) && net.names.are_whole() {
        let message = "nobody enforces this policy: no namespace has `network_policies`";
        let help = "put policies under `cluster:`, or give each node `network_policies: { pods: … }`; \
                    `enforce: false` shows what a network does that ignores them";
        found.add(Diagnostic::new(Code::PolicyNotEnforced, first.name.span, message).help(help.to_owned()));
    }
    let mut bridges: BTreeSet<(&NsName, &IfName)> = BTreeSet::new();
    for way in ways(net, pods) {
        match way.attached {
            Attached::ToNode => {}
            Attached::ToBridge(bridge) if bridges.insert((way.node, &bridge.name)) => {
                if let Some(node) = net.names.get(way.node.as_str()).and_then(|at| net.namespaces.get(at)) {
                    passes(node, bridge, found);
                }
            }
            Attached::ToBridge(_) => {}
            Attached::Elsewhere(other) => {
                let (pod, node) = (way.pod, way.node);
                let message = format!("what `{pod}` sends at {other} does not pass the rules of its node, `{node}`");
                let help = "link the pod to its node, or to a bridge of the node's".to_owned();
                found.add(Diagnostic::new(Code::PolicyNotEnforced, way.interface.span, message).help(help));
            }
        }
    }
}

/// What crosses a bridge of pods has to pass the rules, over both families: all pods have IPv6 link-local addresses.
fn passes(node: &ResolvedNamespace<'_>, bridge: &ResolvedInterface, found: &mut Collector<'_>) {
    let mut lacks = |family: Family, span: Span, help: String| {
        let (name, version) = (&bridge.name, if family == Family::Ipv6 { " over IPv6" } else { "" });
        let message = format!("what pods send each other{version} on `{name}` does not pass the rules of policies");
        found.add(Diagnostic::new(Code::PolicyNotEnforced, span, message).help(help));
    };
    if bridge.model.bridge_options().is_some_and(|options| !options.nf_call_iptables) {
        lacks(Family::Ipv4, bridge.span, "write `nf_call_iptables: true` at the bridge".to_owned());
    }
    let mut written = node.written.sysctls.entries.iter();
    let written = written.find(|(key, _)| key.value.as_str() == IPV6_OF_BRIDGES);
    if !written.is_some_and(|(_, value)| SysctlValue::is_on(&value.value)) {
        let span = written.map_or(bridge.span, |(_, value)| value.span);
        let help = format!("write `sysctls: {{ {IPV6_OF_BRIDGES}: 1 }}` at `{}`", node.name);
        lacks(Family::Ipv6, span, help);
    }
}
