//! What the built-in name servers of a lab know: the zones of the file, the names of its cluster, and whom they ask.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use super::dns_zones;
use super::net::{Net, ResolvedNamespace};
use super::service_pods::Pods;
use super::services::{Resolved, Services};
use crate::dns::{Cluster, ClusterEndpoint, ClusterPort, ClusterService, PodNames, ServiceKind};
use crate::lab::{DnsData, DnsName, Family, NsName};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{self, DEFAULT_NAMESPACE, File, ServiceType, Spanned};

/// The zone of a cluster, where the file does not say.
const ZONE: &str = "cluster.local";
/// For how many seconds the names of a cluster may be kept, where the file does not say: as kubeadm has it.
const CLUSTER_TTL: u32 = 30;
/// RFC 2181, section 8.
const MOST_SECONDS: u32 = i32::MAX as u32;
/// The Kubernetes namespaces that every cluster has.
const NAMESPACES: [&str; 4] = [DEFAULT_NAMESPACE, "kube-node-lease", "kube-public", "kube-system"];
/// The service of a cluster's name servers.
const SERVER: (&str, &str) = ("kube-system", "kube-dns");

/// What each of them knows, by their namespaces.
pub fn resolve(
    file: &File,
    net: &Net<'_>,
    services: &Services,
    found: &mut Collector<'_>,
) -> BTreeMap<NsName, DnsData> {
    let mut servers: BTreeMap<usize, &schema::Server> = BTreeMap::new();
    for (at, namespace) in net.namespaces.iter().enumerate() {
        for server in namespace.written.serve.iter().filter(|server| server.dns.is_some()) {
            if let Some(first) = servers.get(&at) {
                let message = "a second name server; a namespace has one";
                found.add(Diagnostic::new(Code::SecondServer, server.span, message).also(first.span, "the first"));
            } else {
                servers.insert(at, server);
            }
        }
    }
    let pods = Pods::new(net, &services.nodes);
    let mut all = BTreeMap::new();
    for (at, server) in &servers {
        let Some(namespace) = net.namespaces.get(*at) else { continue };
        let forward = forward((*at, namespace), server, &servers, net, found);
        let ttl = seconds(server.ttl.as_ref(), found);
        let mut zones = Vec::new();
        for (name, written) in &server.zones.entries {
            zones.push(dns_zones::zone(&name.value, written, ttl.unwrap_or(dns_zones::TTL), found));
        }
        if let Some(names) = &server.cluster_names {
            let ttl = ttl.unwrap_or(CLUSTER_TTL);
            zones.extend(cluster(file, names, (services, &pods), (ttl, !forward.is_empty())).zones());
        }
        if zones.is_empty() && server.forward.is_none() && namespace.written.whole {
            let fault = Diagnostic::new(Code::MissingKey, server.span, "this name server knows nothing");
            found.add(fault.help("write `zones`, `cluster_names` or `forward`".to_owned()));
        }
        all.insert(namespace.name.clone(), DnsData { zones, forward });
    }
    all
}

fn seconds(ttl: Option<&Spanned<u32>>, found: &mut Collector<'_>) -> Option<u32> {
    let Spanned { value, span } = ttl?;
    if *value > MOST_SECONDS {
        let message = format!("{value} seconds are more than DNS has a number for: {MOST_SECONDS}");
        found.add(Diagnostic::new(Code::NumberOutOfRange, *span, message));
    }
    Some(*value)
}

/// Where the server is that is asked for everything else: its first address of each family that the asker has, too.
fn forward(
    (at, own): (usize, &ResolvedNamespace<'_>),
    server: &schema::Server,
    servers: &BTreeMap<usize, &schema::Server>,
    net: &Net<'_>,
    found: &mut Collector<'_>,
) -> Vec<SocketAddr> {
    let Some(Spanned { value: name, span }) = &server.forward else { return Vec::new() };
    let Some(to) = net.names.find(name, *span, found) else { return Vec::new() };
    let (Some(other), Some(namespace)) = (servers.get(&to), net.namespaces.get(to)) else {
        let fault = Diagnostic::new(Code::NoNameServer, *span, format!("`{name}` has no name server"));
        found.add(fault.help(format!("give it one: serve: [{{ dns: 53, zones: … }}] in `{name}`")));
        return Vec::new();
    };
    if is_circle(at, servers, net) {
        let message = "a question would go round in a circle: each server forwards it to the next";
        found.add(Diagnostic::new(Code::ForwardCircle, *span, message));
    }
    let port = other.dns.as_ref().map_or(53, |port| port.value);
    let addresses: Vec<IpAddr> = match &other.address {
        Some(address) => vec![address.value],
        None => [Family::Ipv4, Family::Ipv6]
            .into_iter()
            .filter(|family| own.has(*family))
            .filter_map(|family| namespace.first_address(family))
            .collect(),
    };
    if addresses.is_empty() && namespace.written.whole {
        let message = format!("`{name}` has no address of a family that `{}` has", own.name);
        found.add(Diagnostic::new(Code::FamilyMismatch, *span, message));
    }
    addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect()
}

/// Whether a server comes back to itself by way of those to which questions are forwarded.
fn is_circle(from: usize, servers: &BTreeMap<usize, &schema::Server>, net: &Net<'_>) -> bool {
    let next = |at: usize| net.names.get(servers.get(&at)?.forward.as_ref()?.value.as_str());
    let mut at = from;
    for _ in 0..=servers.len() {
        match next(at) {
            Some(to) if to == from => return true,
            Some(to) => at = to,
            None => return false,
        }
    }
    false
}

/// The names of the file's services and pods.
fn cluster(
    file: &File,
    names: &schema::ClusterNames,
    (services, pods): (&Services, &Pods<'_, '_>),
    (ttl, forwards): (u32, bool),
) -> Cluster {
    let zone = names.zone.as_ref().map(|zone| zone.value.clone()).or_else(|| ZONE.parse().ok());
    let written = file.services.iter().filter_map(|written| {
        let own = services.all.iter().find(|own| own.name == written.full_name())?;
        service(written, own, pods)
    });
    let services: Vec<ClusterService> = written.collect();
    let mut namespaces: BTreeSet<String> = NAMESPACES.map(str::to_owned).into();
    namespaces.extend(file.namespace_labels.entries.iter().map(|(name, _)| name.value.0.clone()));
    namespaces.extend(services.iter().map(|service| service.namespace.clone()));
    let addresses: Vec<(String, IpAddr)> = pods.all().collect();
    namespaces.extend(addresses.iter().map(|(namespace, _)| namespace.clone()));
    Cluster {
        zone: zone.unwrap_or_else(DnsName::root),
        ttl,
        pod_names: names.pods.as_ref().map_or(PodNames::default(), |pods| pods.value),
        namespaces,
        pods: addresses,
        services,
        server: Some((SERVER.0.to_owned(), SERVER.1.to_owned())),
        forwards,
    }
}

fn service(written: &schema::Service, own: &Resolved, pods: &Pods<'_, '_>) -> Option<ClusterService> {
    let (namespace, name) = own.name.split_once('/')?;
    let kind = match (written.kind(), written.is_name()) {
        (ServiceType::ExternalName, _) => {
            let other = written.external_name.as_ref()?;
            ServiceKind::ExternalName(other.value.0.parse().ok()?)
        }
        (_, true) => ServiceKind::Headless,
        (_, false) => ServiceKind::Addresses(own.addresses.clone()),
    };
    let port = |port: &schema::ServicePort, number: u16| ClusterPort {
        name: port.name.as_ref().map(|name| name.value.0.clone()),
        protocol: port.protocol(),
        number,
    };
    let mut endpoints: BTreeMap<IpAddr, Vec<ClusterPort>> = BTreeMap::new();
    let mut hostnames: BTreeMap<IpAddr, String> = BTreeMap::new();
    for at in &own.selected {
        for address in pods.addresses(*at) {
            endpoints.entry(*address).or_default();
            hostnames.extend(hostname(*at, (namespace, name), pods).map(|own| (*address, own)));
        }
    }
    for (written, numbers) in written.ports.iter().zip(&own.numbers) {
        for (at, number) in numbers {
            for address in pods.addresses(*at) {
                endpoints.entry(*address).or_default().push(port(written, *number));
            }
        }
    }
    for endpoint in &written.endpoints {
        let of = |name: &Option<Spanned<schema::DnsLabel>>| name.as_ref().map(|name| name.value.clone());
        let own = written.ports.iter().filter(|port| of(&port.name) == of(&endpoint.name));
        let own = own.map(|own| port(own, endpoint.port.value));
        endpoints.entry(endpoint.address.value).or_default().extend(own);
    }
    let families: BTreeSet<Family> = match &kind {
        ServiceKind::Addresses(addresses) => addresses.iter().copied().map(Family::of).collect(),
        ServiceKind::Headless | ServiceKind::ExternalName(_) => {
            written.ip_families.iter().map(|own| own.value.0).collect()
        }
    };
    endpoints.retain(|address, _| families.is_empty() || families.contains(&Family::of(*address)));
    let endpoint = |(address, ports)| ClusterEndpoint { address, hostname: hostnames.get(&address).cloned(), ports };
    Some(ClusterService {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        kind,
        ports: written.ports.iter().map(|own| port(own, own.port.value)).collect(),
        endpoints: endpoints.into_iter().map(endpoint).collect(),
    })
}

/// The name of a pod in a service: its `hostname`, where its `subdomain` is the service, in its own Kubernetes
/// namespace (`ShouldSetHostname` of the controller of EndpointSlices).
fn hostname(at: usize, (namespace, service): (&str, &str), pods: &Pods<'_, '_>) -> Option<String> {
    let pod = pods.net.namespaces.get(at)?.written;
    let labels = &pod.labels.entries;
    let here = labels.iter().find(|(key, _)| key.value.0 == "namespace");
    let here = here.map_or(DEFAULT_NAMESPACE, |(_, own)| &own.value.0);
    let is_its = pod.subdomain.as_ref().is_some_and(|own| own.value.0 == service) && here == namespace;
    pod.hostname.as_ref().filter(|_| is_its).map(|own| own.value.0.clone())
}
