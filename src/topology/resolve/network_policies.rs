//! Network policies: what they say, whom they are about, and which faults are in them.

use std::collections::{BTreeMap, HashMap};

use super::net::Net;
use super::{policy_matches, policy_nodes};
use crate::lab::{
    Direction, LabelOperator, LabelSelector, Labels, NAME_LABEL, NetworkPolicies, NetworkPolicy, NetworkPolicyRule,
    PolicyPeer, PolicyPort, PortMatch, PortProtocol,
};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, File, IpBlock, Spanned, TargetPort};

/// How many rules on every node, and how many elements of sets of pods there, are worth making.
const MAX_ELEMENTS: usize = 4_000_000;

/// All policies, and what is wrong with them.
pub fn resolve(file: &File, net: &Net<'_>, found: &mut Collector<'_>) -> NetworkPolicies {
    let (nodes, pods) = policy_nodes::resolve(net, found);
    let mut namespaces = namespace_labels(file, found);
    let own = pods.values().map(|pod| pod.namespace.clone());
    let own: Vec<String> = own.chain(file.policies.iter().map(|policy| policy.namespace().to_owned())).collect();
    for name in own {
        namespaces.entry(name).or_default();
    }
    for (name, labels) in &mut namespaces {
        labels.insert(NAME_LABEL.to_owned(), name.clone());
    }
    let mut first: HashMap<(&str, &str), Span> = HashMap::new();
    for policy in &file.policies {
        let name = (policy.namespace(), policy.name.value.0.as_str());
        if let Some(first) = first.insert(name, policy.name.span) {
            let message = format!("there are two policies `{}/{}`", name.0, name.1);
            found.add(Diagnostic::new(Code::NameTwice, policy.name.span, message).also(first, "the first"));
        }
    }
    let rules = |policy: &schema::NetworkPolicy| 1 + policy.spec.ingress.len() + policy.spec.egress.len();
    let rules: usize = file.policies.iter().map(rules).sum();
    let elements = rules.saturating_mul(pods.len());
    let ways = file.policies.iter().map(ways).fold(0, usize::saturating_add);
    let last = file.policies.last().map(|policy| policy.name.span);
    let (many_pods, many_nodes) = (pods.len(), nodes.len());
    for (many, message, help) in [
        (
            elements,
            format!("{rules} rules of policies for {many_pods} pods on {many_nodes} nodes are too many"),
            "take fewer policies, pods or nodes",
        ),
        (
            ways,
            format!("{ways} pairs of a peer and a port in the rules of policies, on {many_nodes} nodes, are too many"),
            "write ranges of ports, with `endPort`, and larger blocks",
        ),
    ] {
        if let Some(last) = last.filter(|_| many.saturating_mul(many_nodes) > MAX_ELEMENTS) {
            found.add(Diagnostic::new(Code::TooMany, last, message).help(help.to_owned()));
            return NetworkPolicies::default();
        }
    }
    policy_nodes::are_enforced(file, net, &pods, found);
    policy_matches::check(file, net, &pods, &namespaces, found);
    let policies = file.policies.iter().map(|policy| resolved(policy, found)).collect();
    NetworkPolicies { namespaces, pods, nodes, policies }
}

/// How many pairs of a peer and a port its rules have, each of which is a rule of a node.
fn ways(policy: &schema::NetworkPolicy) -> usize {
    let of = |peers: &[schema::PolicyPeer], ports: &[schema::PolicyPort]| {
        peers.len().max(1).saturating_mul(ports.len().max(1))
    };
    let ingress = policy.spec.ingress.iter().map(|rule| of(&rule.from, &rule.ports));
    let egress = policy.spec.egress.iter().map(|rule| of(&rule.to, &rule.ports));
    ingress.chain(egress).fold(0, usize::saturating_add)
}

fn namespace_labels(file: &File, found: &mut Collector<'_>) -> BTreeMap<String, Labels> {
    let mut all = BTreeMap::new();
    for (name, written) in &file.namespace_labels.entries {
        for (key, value) in &written.entries {
            if key.value.0 == NAME_LABEL && value.value.0 != name.value.0 {
                let message = format!("this label is `{}` in every namespace of that name", name.value.0);
                found.add(Diagnostic::new(Code::ReservedName, value.span, message).help("leave it out".to_owned()));
            }
        }
        let labels = written.entries.iter().map(|(key, value)| (key.value.0.clone(), value.value.0.clone()));
        all.insert(name.value.0.clone(), labels.collect());
    }
    all
}

fn resolved(written: &schema::NetworkPolicy, found: &mut Collector<'_>) -> NetworkPolicy {
    let spec = &written.spec;
    let types = &spec.policy_types;
    let is_listed = |direction| types.iter().any(|kind| kind.value.0 == direction);
    let is_ingress = types.is_empty() || is_listed(Direction::Ingress);
    let is_egress = if types.is_empty() { !spec.egress.is_empty() } else { is_listed(Direction::Egress) };
    if let Some(kind) = types.first() {
        let unlisted = [("ingress", is_ingress, spec.ingress.len()), ("egress", is_egress, spec.egress.len())];
        for (key, _, _) in unlisted.into_iter().filter(|(_, is_on, rules)| !is_on && *rules > 0) {
            let message = format!("`{key}` says nothing here: it is not among `policyTypes`");
            found.add(Diagnostic::warning(Code::PolicyIgnored, kind.span, message));
        }
    }
    let ingress = spec.ingress.iter().map(|rule| self::rule(&rule.from, &rule.ports, found)).collect();
    let egress = spec.egress.iter().map(|rule| self::rule(&rule.to, &rule.ports, found)).collect();
    NetworkPolicy {
        name: written.name.value.0.clone(),
        namespace: written.namespace().to_owned(),
        line: found.line(written.name.span) as u64,
        manifest: found.manifest(written.name.span),
        is_enforced: Spanned::is_on(written.enforce.as_ref(), true),
        pods: spec.pod_selector.as_ref().map(|own| selector(own, found)).unwrap_or_default(),
        ingress: is_ingress.then_some(ingress),
        egress: is_egress.then_some(egress),
    }
}

fn rule(peers: &[schema::PolicyPeer], ports: &[schema::PolicyPort], found: &mut Collector<'_>) -> NetworkPolicyRule {
    let peers = peers.iter().filter_map(|written| peer(written, found)).collect();
    NetworkPolicyRule { peers, ports: ports.iter().map(|written| port(written, found)).collect() }
}

fn peer(written: &schema::PolicyPeer, found: &mut Collector<'_>) -> Option<PolicyPeer> {
    let schema::PolicyPeer { pod_selector, namespace_selector, ip_block, span } = written;
    let has_selector = pod_selector.is_some() || namespace_selector.is_some();
    match ip_block {
        Some(block) => {
            if has_selector {
                let message = "`ipBlock` stands alone: a peer is either addresses or pods";
                let fault = Diagnostic::new(Code::ContradictoryKeys, *span, message);
                found.add(fault.help("begin another peer with a dash: one of them is enough".to_owned()));
            }
            Some(self::block(block, found))
        }
        None if has_selector => {
            let namespaces = namespace_selector.as_ref().map(|own| selector(own, found));
            let pods = pod_selector.as_ref().map(|own| selector(own, found)).unwrap_or_default();
            Some(PolicyPeer::Pods { namespaces, pods })
        }
        None => {
            let message = "a peer needs `podSelector`, `namespaceSelector` or `ipBlock`";
            let help = "`podSelector: {}` is every pod of the namespace; a rule without peers is for everybody";
            found.add(Diagnostic::new(Code::MissingKey, *span, message).help(help.to_owned()));
            None
        }
    }
}

fn block(written: &IpBlock, found: &mut Collector<'_>) -> PolicyPeer {
    let net = written.cidr.value.0;
    for except in &written.except {
        let own = except.value.0;
        if !net.contains(&own) || own == net {
            let message = match own == net {
                true => format!("{own} is all of {net}: nothing is left"),
                false => format!("{own} is not in {net}, from which it is to be taken"),
            };
            found.add(
                Diagnostic::new(Code::AddressOutsideNetwork, except.span, message).also(written.cidr.span, "here"),
            );
        }
    }
    PolicyPeer::Block { net, except: written.except.iter().map(|except| except.value.0).collect() }
}

fn port(written: &schema::PolicyPort, found: &mut Collector<'_>) -> PolicyPort {
    let protocol = written.protocol.as_ref().map_or(PortProtocol::Tcp, |own| own.value);
    let end = written.end_port.as_ref();
    let port = match written.port.as_ref().map(|own| &own.value) {
        None => {
            if let Some(end) = end {
                found.add(Diagnostic::new(Code::MissingKey, end.span, "`endPort` needs a `port` to begin with"));
            }
            PortMatch::All
        }
        Some(TargetPort::Name(name)) => {
            if let Some(end) = end {
                let message = format!("`endPort` needs a number to begin with, and `{name}` is a name");
                found.add(Diagnostic::new(Code::KeyNotAllowed, end.span, message));
            }
            PortMatch::Named(name.clone())
        }
        Some(TargetPort::Number(first)) => {
            if let Some(end) = end.filter(|end| end.value < *first) {
                let message = format!("the ports end with {} before they begin with {first}", end.value);
                found.add(Diagnostic::new(Code::NumberOutOfRange, end.span, message));
            }
            PortMatch::Numbers(*first, end.map_or(*first, |end| end.value))
        }
    };
    PolicyPort { protocol, port }
}

fn selector(written: &schema::LabelSelector, found: &mut Collector<'_>) -> LabelSelector {
    for expression in &written.match_expressions {
        let Spanned { value: operator, span } = expression.operator;
        let needs_values = matches!(operator, LabelOperator::In | LabelOperator::NotIn);
        match expression.values.first() {
            None if needs_values => {
                let message = format!("`{operator}` needs `values`");
                found.add(Diagnostic::new(Code::MissingKey, span, message));
            }
            Some(first) if !needs_values => {
                let message = format!("`{operator}` has no `values`: it asks whether there is such a label");
                found.add(Diagnostic::new(Code::KeyNotAllowed, first.span, message));
            }
            _ => {}
        }
    }
    written.requirements()
}
