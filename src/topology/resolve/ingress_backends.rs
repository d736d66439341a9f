//! Backends of ingress: which service they are, and where its pods are.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use super::net::ResolvedNamespace;
use super::service_pods::Pods;
use super::services::{Resolved, Services};
use crate::ingress::Backend;
use crate::lab::{Family, IpProtocol};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{File, Ingress, IngressBackend, Service, ServicePort, ServiceType, Spanned, TargetPort};

/// The services of a file, to be found by backends.
pub struct Backends<'n, 'f> {
    pods: Pods<'n, 'f>,
    /// The services by their full names, as they are written and as they were resolved.
    services: HashMap<String, (&'f Service, Option<&'n Resolved>)>,
    /// Whether some may be missing because they could not be read.
    is_whole: bool,
}

impl<'n, 'f> Backends<'n, 'f> {
    pub fn new(file: &'f File, services: &'n Services, pods: Pods<'n, 'f>) -> Self {
        let resolved: HashMap<&str, &Resolved> = services.all.iter().map(|own| (own.name.as_str(), own)).collect();
        let written = file.services.iter().map(|own| (own.full_name(), own));
        let services = written.map(|(name, own)| (name.clone(), (own, resolved.get(name.as_str()).copied())));
        Self { pods, services: services.collect(), is_whole: !file.cluster }
    }

    /// The backend that is meant; a service or a port that is not there is a fault.
    pub fn find(&self, ingress: &Ingress, written: &IngressBackend, found: &mut Collector<'_>) -> Option<Backend> {
        let namespace = ingress.kubernetes_namespace();
        let name = &written.service.name;
        let Some((service, _)) = self.services.get(&format!("{namespace}/{}", name.value.0)) else {
            if self.is_whole {
                self.unknown(namespace, &written.service.name.value.0, name.span, found);
            }
            return None;
        };
        if service.kind() == ServiceType::ExternalName {
            let message = format!("`{}` is another name, and no pods of the lab", name.value.0);
            found.add(Diagnostic::new(Code::NotModelled, name.span, message));
            return None;
        }
        let port = port(service, written, found)?;
        if port.protocol() != IpProtocol::Tcp {
            let message = format!("HTTP needs a port of TCP, and this one is of {}", port.protocol());
            found.add(Diagnostic::new(Code::UnknownService, written.service.port.span, message));
            return None;
        }
        let port = port.name.as_ref().map_or_else(|| port.port.value.to_string(), |name| name.value.0.clone());
        Some(Backend { namespace: namespace.to_owned(), service: name.value.0.clone(), port })
    }

    fn unknown(&self, namespace: &str, name: &str, span: Span, found: &mut Collector<'_>) {
        let elsewhere = self.services.keys().filter_map(|own| own.split_once('/'));
        let elsewhere = elsewhere.filter(|(_, own)| *own == name).map(|(other, _)| other).min();
        let help = match elsewhere {
            Some(other) => {
                Some(format!("there is one in `{other}`; an ingress leads to services of its own namespace"))
            }
            None => {
                let here = self.services.keys().filter_map(|own| own.strip_prefix(namespace)?.strip_prefix('/'));
                found.did_you_mean(name, here)
            }
        };
        let message = format!("there is no service `{namespace}/{name}`");
        found.add(Diagnostic::new(Code::UnknownService, span, message).help(help));
    }

    /// Where a backend is, for a controller of these address families: each pod that is ready, once.
    pub fn endpoints(&self, backend: &Backend, controller: &ResolvedNamespace<'_>) -> Vec<SocketAddr> {
        let name = format!("{}/{}", backend.namespace, backend.service);
        let Some((written, Some(own))) = self.services.get(&name) else { return Vec::new() };
        let is_port = |port: &ServicePort| match &port.name {
            Some(name) => name.value.0 == backend.port,
            None => port.port.value.to_string() == backend.port,
        };
        let mut all: BTreeMap<SocketAddr, ()> = BTreeMap::new();
        for (port, numbers) in written.ports.iter().zip(&own.numbers).filter(|(port, _)| is_port(port)) {
            for (at, number) in numbers {
                let addresses = self.pods.addresses(*at).iter();
                let address = addresses.copied().find(|own| controller.has(Family::of(*own)));
                all.extend(address.map(|address| (SocketAddr::new(address, *number), ())));
            }
            let same = |name: &Option<Spanned<_>>| {
                name.as_ref().map(|own| &own.value) == port.name.as_ref().map(|own| &own.value)
            };
            let given = written.endpoints.iter().filter(|endpoint| same(&endpoint.name));
            let given = given.filter(|endpoint| controller.has(Family::of(endpoint.address.value)));
            all.extend(given.map(|own| (SocketAddr::new(own.address.value, own.port.value), ())));
        }
        all.into_keys().collect()
    }
}

/// The port of a service that a backend names.
fn port<'f>(service: &'f Service, written: &IngressBackend, found: &mut Collector<'_>) -> Option<&'f ServicePort> {
    let wanted = &written.service.port;
    let mut ports = service.ports.iter();
    let (port, text, span) = match (&wanted.number, &wanted.name) {
        (Some(Spanned { value, span }), None) => {
            (ports.find(|port| port.port.value == *value), value.to_string(), *span)
        }
        (None, Some(Spanned { value: TargetPort::Name(name), span })) => {
            let is_called = |port: &&ServicePort| port.name.as_ref().is_some_and(|own| own.value.0 == *name);
            (ports.find(is_called), name.clone(), *span)
        }
        (None, Some(Spanned { value: TargetPort::Number(number), span })) => {
            let fault = Diagnostic::new(Code::BadValue, *span, format!("{number} is a number, not a name"));
            found.add(fault.help(format!("write `port: {{ number: {number} }}`")));
            return None;
        }
        (Some(_), Some(_)) => {
            let message = "a port has a `number` or a `name`, not both";
            found.add(Diagnostic::new(Code::ContradictoryKeys, wanted.span, message));
            return None;
        }
        (None, None) => {
            let message = "the port of a backend needs `number` or `name`";
            found.add(Diagnostic::new(Code::MissingKey, wanted.span, message));
            return None;
        }
    };
    if port.is_none() {
        no_such_port(service, &text, span, found);
    }
    port
}

fn no_such_port(service: &Service, text: &str, span: Span, found: &mut Collector<'_>) {
    let has = service.ports.iter().map(|port| match &port.name {
        Some(name) => format!("{} ({})", port.port.value, name.value.0),
        None => port.port.value.to_string(),
    });
    let has = has.collect::<Vec<_>>().join(", ");
    let message = format!("the service `{}` has no port {text}", service.full_name());
    let help = (!has.is_empty()).then(|| format!("it has {has}"));
    found.add(Diagnostic::new(Code::UnknownService, span, message).help(help));
}
