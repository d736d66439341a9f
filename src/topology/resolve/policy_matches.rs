//! What network policies ask for that nobody has: such a policy, peer or port changes nothing, and is surely a mistake.

use std::collections::{BTreeMap, BTreeSet};

use super::net::Net;
use crate::lab::{LabelSelector, Labels, NAME_LABEL, NsName, Pod, PortProtocol};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, File, NetworkPolicy, PolicyPeer, PolicyPort, Spanned, TargetPort};

/// Whom policies may be about.
struct Cluster<'n> {
    pods: &'n BTreeMap<NsName, Pod>,
    namespaces: &'n BTreeMap<String, Labels>,
    /// The ports of pods that have names.
    ports: BTreeSet<(&'n str, PortProtocol)>,
}

/// Warns of all policies, peers and ports that match nobody.
pub fn check(
    file: &File,
    net: &Net<'_>,
    pods: &BTreeMap<NsName, Pod>,
    namespaces: &BTreeMap<String, Labels>,
    found: &mut Collector<'_>,
) {
    if !net.is_whole() {
        return;
    }
    let ports = pods.values().flat_map(|pod| &pod.ports).map(|port| (port.name.as_str(), port.protocol));
    let cluster = Cluster { pods, namespaces, ports: ports.collect() };
    let is_enforced = |policy: &&NetworkPolicy| Spanned::is_on(policy.enforce.as_ref(), true);
    for policy in file.policies.iter().filter(is_enforced) {
        let spec = &policy.spec;
        let ingress = spec.ingress.iter().map(|rule| (&rule.from, &rule.ports));
        let egress = spec.egress.iter().map(|rule| (&rule.to, &rule.ports));
        let is_for_somebody = cluster.subject(policy, found);
        for (peers, ports) in ingress.chain(egress) {
            if is_for_somebody {
                peers.iter().for_each(|peer| cluster.peer(policy, peer, found));
            }
            ports.iter().for_each(|port| cluster.port(port, found));
        }
    }
}

/// The first thing that a selector asks for; none: it asks for nothing.
fn first(selector: Option<&schema::LabelSelector>) -> Option<Span> {
    let selector = selector?;
    let label = selector.match_labels.entries.first().map(|(key, _)| key.span);
    label.or_else(|| selector.match_expressions.first().map(|expression| expression.key.span))
}

fn ignored(span: Span, message: String) -> Diagnostic {
    Diagnostic::warning(Code::PolicyIgnored, span, message)
}

impl Cluster<'_> {
    /// Whether a policy selects a pod.
    fn subject(&self, policy: &NetworkPolicy, found: &mut Collector<'_>) -> bool {
        let namespace = policy.namespace();
        let written = policy.spec.pod_selector.as_ref();
        let selector = written.map(schema::LabelSelector::requirements).unwrap_or_default();
        let own = || self.pods.values().filter(|pod| pod.namespace == namespace);
        if own().any(|pod| selector.selects(&pod.labels)) {
            return true;
        }
        let warning = match first(written).filter(|_| own().next().is_some()) {
            Some(span) => {
                let message = format!("no pod of the namespace `{namespace}` has such labels: this isolates nobody");
                ignored(span, message).help(self.elsewhere(&selector, "the policy belongs into that `namespace`"))
            }
            None => {
                let span = policy.namespace.as_ref().map_or(policy.name.span, |own| own.span);
                let message = format!("the namespace `{namespace}` has no pods: this isolates nobody");
                ignored(span, message)
            }
        };
        found.tell(warning);
        false
    }

    /// A peer that is nobody. Who asks for nothing means whoever will be there.
    fn peer(&self, policy: &NetworkPolicy, peer: &PolicyPeer, found: &mut Collector<'_>) {
        let [pods, namespaces] = [peer.pod_selector.as_ref(), peer.namespace_selector.as_ref()];
        let Some(span) = first(pods).or_else(|| first(namespaces)) else { return };
        let of_pods = pods.map(schema::LabelSelector::requirements).unwrap_or_default();
        let of_namespaces = namespaces.map(schema::LabelSelector::requirements);
        let is_there = |pod: &Pod| match &of_namespaces {
            None => pod.namespace == policy.namespace(),
            Some(selector) => self.namespaces.get(&pod.namespace).is_some_and(|labels| selector.selects(labels)),
        };
        if self.pods.values().any(|pod| is_there(pod) && of_pods.selects(&pod.labels)) {
            return;
        }
        if let Some(selector) =
            of_namespaces.filter(|selector| !self.namespaces.values().any(|own| selector.selects(own)))
        {
            let span = first(namespaces).unwrap_or(span);
            let message = "no namespace has such labels: this peer is nobody".to_owned();
            found.tell(ignored(span, message).help(self.by_name(&selector)));
            return;
        }
        let message = match namespaces {
            None => format!("no pod of the namespace `{}` has such labels: this peer is nobody", policy.namespace()),
            Some(_) => "no pod of these namespaces has such labels: this peer is nobody".to_owned(),
        };
        let help = self.elsewhere(&of_pods, "without a `namespaceSelector`, a peer is in the policy's namespace");
        found.tell(ignored(span, message).help(help.filter(|_| namespaces.is_none())));
    }

    /// Where there are pods that a selector would select.
    fn elsewhere(&self, selector: &LabelSelector, why: &str) -> Option<String> {
        let other = self.pods.values().find(|pod| selector.selects(&pod.labels))?;
        Some(format!("there are such pods in the namespace `{}`: {why}", other.namespace))
    }

    /// A namespace is often meant by its name, which is the value of one label only.
    fn by_name(&self, selector: &LabelSelector) -> Option<String> {
        let mut values = selector.0.iter().flat_map(|wanted| &wanted.values);
        let name = values.find(|value| self.namespaces.contains_key(*value))?;
        Some(format!(
            "by its name, a namespace is selected with `{NAME_LABEL}: {name}`; `namespace_labels` gives it more"
        ))
    }

    /// A port of a name that no pod has.
    fn port(&self, port: &PolicyPort, found: &mut Collector<'_>) {
        let protocol = port.protocol.as_ref().map_or(PortProtocol::Tcp, |own| own.value);
        let Some(Spanned { value: TargetPort::Name(name), span }) = &port.port else { return };
        if !self.ports.contains(&(name, protocol)) {
            let names = self.ports.iter().filter(|(_, of)| *of == protocol).map(|(own, _)| own);
            let help = found.did_you_mean(name, names);
            let message = format!("no pod has a port `{name}` of {protocol}, so that this allows nothing");
            found.tell(ignored(*span, message).help(help));
        }
    }
}
