//! Pods: who is selected by services, and at which ports.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::net::{Net, ResolvedNamespace};
use crate::lab::Family;
use crate::services;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{self, DEFAULT_NAMESPACE, Service, Spanned, TargetPort};

/// The pods, ready to be selected.
pub struct Pods<'n, 'f> {
    pub net: &'n Net<'f>,
    /// The addresses in the networks of pods, one of each family, of those that have any, by the places of their
    /// namespaces.
    addresses: HashMap<usize, Vec<IpAddr>>,
    /// Of each Kubernetes namespace and label there, the pods that have it.
    by_label: HashMap<(&'f str, &'f str, &'f str), Vec<usize>>,
}

impl<'n, 'f> Pods<'n, 'f> {
    /// Pods are what has an address in the network of pods and is no node.
    pub fn new(net: &'n Net<'f>, nodes: &HashMap<usize, Vec<services::Node>>) -> Self {
        let clusters: HashSet<_> = nodes.values().flatten().map(|node| node.cluster).collect();
        let mut pods = Self { net, addresses: HashMap::new(), by_label: HashMap::new() };
        for (at, namespace) in net.namespaces.iter().enumerate().filter(|(at, _)| !nodes.contains_key(at)) {
            let own = namespace.addresses().map(|(_, own)| own.value.ip());
            let own: Vec<IpAddr> = own.filter(|own| clusters.iter().any(|net| net.contains(own))).collect();
            if own.is_empty() {
                continue;
            }
            pods.addresses.insert(at, own);
            let labels = &namespace.written.labels.entries;
            let here = labels.iter().find(|(key, _)| key.value.0 == "namespace");
            let here = here.map_or(DEFAULT_NAMESPACE, |(_, value)| &value.value.0);
            for (key, value) in labels {
                pods.by_label.entry((here, &key.value.0, &value.value.0)).or_default().push(at);
            }
        }
        pods
    }

    /// The pods of a service that are ready, or may be not.
    pub fn of(&self, written: &Service, found: &mut Collector<'_>) -> Vec<usize> {
        let mut selected = if written.pods.is_empty() { self.selected(written) } else { self.named(written, found) };
        if !written.publish_not_ready_addresses.as_ref().is_some_and(|own| own.value) {
            let is_ready = |ns: &ResolvedNamespace<'_>| Spanned::is_on(ns.written.ready.as_ref(), true);
            selected.retain(|at| self.net.namespaces.get(*at).is_some_and(is_ready));
        }
        selected
    }

    fn named(&self, written: &Service, found: &mut Collector<'_>) -> Vec<usize> {
        let mut named = Vec::new();
        for pod in &written.pods {
            let Some(at) = self.net.names.find(&pod.value, pod.span, found) else { continue };
            match self.addresses.contains_key(&at) {
                true if !named.contains(&at) => named.push(at),
                true => {}
                false => {
                    let message = format!("`{}` is no pod: it has no address in the network of pods", pod.value);
                    found.add(Diagnostic::new(Code::NotNamespace, pod.span, message));
                }
            }
        }
        named
    }

    /// Those with all the labels, in the service's Kubernetes namespace. A selector that selects nobody is legal.
    fn selected(&self, written: &Service) -> Vec<usize> {
        let has = |at: usize, label: &(Spanned<schema::Text>, Spanned<schema::Text>)| {
            let namespace = self.net.namespaces.get(at).map(|namespace| &namespace.written.labels.entries);
            let same = |own: &(Spanned<schema::Text>, Spanned<schema::Text>)| {
                (&own.0.value, &own.1.value) == (&label.0.value, &label.1.value)
            };
            namespace.is_some_and(|labels| labels.iter().any(same))
        };
        let Some((first, rest)) = written.selector.entries.split_first() else { return Vec::new() };
        let here = written.namespace.as_ref().map_or(DEFAULT_NAMESPACE, |own| &own.value.0);
        let all = self.by_label.get(&(here, first.0.value.0.as_str(), first.1.value.0.as_str()));
        let all = all.map_or(&[][..], Vec::as_slice).iter().copied();
        all.filter(|at| rest.iter().all(|label| has(*at, label))).collect()
    }

    /// Where a port leads: to its number at each pod, or to the port of that name there. Pods without it are none.
    pub fn numbers(&self, port: &schema::ServicePort, pods: &[usize], found: &mut Collector<'_>) -> Vec<(usize, u16)> {
        let number = |at: usize| match port.target_port.as_ref().map(|target| &target.value) {
            None => Some(port.port.value),
            Some(TargetPort::Number(number)) => Some(*number),
            Some(TargetPort::Name(name)) => {
                let ports = &self.net.namespaces.get(at)?.written.ports.entries;
                let own =
                    ports.iter().find(|(own, to)| own.value.0 == *name && to.value.protocol.of_ip() == port.protocol());
                own.map(|(_, to)| to.value.number)
            }
        };
        let numbers: Vec<(usize, u16)> = pods.iter().filter_map(|at| Some((*at, number(*at)?))).collect();
        if let (true, false, Some(target)) = (numbers.is_empty(), pods.is_empty(), &port.target_port) {
            self.has_no_such_port(port, target, pods, found);
        }
        numbers
    }

    /// The addresses of a pod in the networks of pods.
    pub fn addresses(&self, at: usize) -> &[IpAddr] {
        self.addresses.get(&at).map_or(&[], Vec::as_slice)
    }

    /// The addresses of all pods, each with its Kubernetes namespace.
    pub fn all(&self) -> impl Iterator<Item = (String, IpAddr)> {
        self.addresses.iter().flat_map(|(at, addresses)| {
            let labels = self.net.namespaces.get(*at).map(|own| &own.written.labels.entries);
            let here = labels.and_then(|labels| labels.iter().find(|(key, _)| key.value.0 == "namespace"));
            let here = here.map_or(DEFAULT_NAMESPACE, |(_, value)| &value.value.0);
            addresses.iter().map(move |address| (here.to_owned(), *address))
        })
    }

    /// Ports of pods at their addresses of a family. Pods without one are none.
    pub fn at(&self, numbers: &[(usize, u16)], family: Family) -> Vec<(usize, SocketAddr)> {
        let address = |at: &usize| self.addresses.get(at)?.iter().copied().find(|own| Family::of(*own) == family);
        numbers.iter().filter_map(|(at, number)| Some((*at, SocketAddr::new(address(at)?, *number)))).collect()
    }

    /// None of the pods has a port of a name.
    fn has_no_such_port(
        &self,
        port: &schema::ServicePort,
        target: &Spanned<TargetPort>,
        pods: &[usize],
        found: &mut Collector<'_>,
    ) {
        let TargetPort::Name(name) = &target.value else { return };
        let ports =
            || pods.iter().filter_map(|at| self.net.namespaces.get(*at)).flat_map(|own| &own.written.ports.entries);
        let help = match ports().find(|(own, _)| own.value.0 == *name) {
            Some((_, to)) => {
                let protocol = to.value.protocol.to_string();
                Some(format!("there it is a port of {protocol}: write `protocol: {}`", protocol.to_uppercase()))
            }
            None => found.did_you_mean(name, ports().map(|(own, _)| &own.value.0)),
        };
        let help = help.unwrap_or_else(|| match found.manifest(target.span) {
            Some(_) => format!("name a port of their containers: `- {{ name: {name}, containerPort: 8080 }}`"),
            None => format!("give the pods a port of this name: `ports: {{ {name}: 8080 }}`"),
        });
        let message = format!("no pod of this service has a port `{name}` of {}", port.protocol());
        found.add(Diagnostic::new(Code::NoTargetPort, target.span, message).help(help));
    }
}
