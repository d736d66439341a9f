//! Services: which pods are their endpoints, and which faults are in them.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::net::{Net, ResolvedNamespace};
use super::service_pods::Pods;
use super::{service_endpoints, service_keys};
use crate::lab::{Family, IpProtocol, Namespace};
use crate::services::{self, ServicePort};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{
    self, Affinity, DEFAULT_NAMESPACE, File, Prefix, ProxyMode, Service, Spanned, TrafficPolicy,
};

/// For how long a client comes to the same pod, in seconds (`DefaultClientIPServiceAffinitySeconds`).
const AFFINITY: u32 = 10_800;
/// `--service-node-port-range`.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_000..=32_767;

/// How many rules of services are worth making, on all nodes together.
const MAX_RULES: usize = 2_000_000;

/// The services of a file.
pub struct Services {
    pub all: Vec<Resolved>,
    /// Which of all have a name, with or without its Kubernetes namespace.
    by_name: HashMap<String, Vec<usize>>,
    /// Which port of all is at an address.
    by_address: HashMap<(IpAddr, IpProtocol, u16), (usize, usize)>,
    by_node_port: HashMap<(Family, IpProtocol, u16), (usize, usize)>,
    /// Which service has a port for health checks.
    health_checks: HashMap<u16, String>,
    /// The nodes, with what their rules depend on, of each family.
    pub nodes: HashMap<usize, Vec<services::Node>>,
}

/// A service.
pub struct Resolved {
    /// `NAMESPACE/NAME`.
    pub name: String,
    /// Its addresses, one for each of its families; none: it is headless, or a name alone.
    pub addresses: Vec<IpAddr>,
    /// Its ports at the first address, then at the second.
    pub ports: Vec<Port>,
    /// The pods that it selects.
    pub selected: Vec<usize>,
    /// Of each port as it is written, its number at each of these pods.
    pub numbers: Vec<Vec<(usize, u16)>>,
}

impl Resolved {
    /// Its name, without its Kubernetes namespace if that is `default`.
    pub fn short_name(&self) -> &str {
        let own = self.name.split_once('/').filter(|(namespace, _)| *namespace == DEFAULT_NAMESPACE);
        own.map_or(&self.name, |(_, name)| name)
    }
}

/// A port of a service, and where it leads.
pub struct Port {
    pub model: ServicePort,
    /// The endpoints with their namespaces.
    pub endpoints: Vec<(usize, SocketAddr)>,
}

/// All services, and what is wrong with them.
pub fn resolve<'f>(file: &'f File, net: &Net<'f>, found: &mut Collector<'_>) -> Services {
    let nodes = nodes(net, found);
    let pods = Pods::new(net, &nodes);
    let (by_name, by_address, by_node_port, health_checks) = Default::default();
    let mut services = Services { all: Vec::new(), by_name, by_address, by_node_port, health_checks, nodes };
    let mut names: HashMap<String, Span> = HashMap::new();
    let mut room = MAX_RULES / services.nodes.len().max(1);
    for written in &file.services {
        let name = written.full_name();
        if let Some(first) = names.insert(name.clone(), written.name.span) {
            let fault = Diagnostic::new(Code::NameTwice, written.name.span, format!("there are two services `{name}`"));
            found.add(fault.also(first, "the first"));
            continue;
        }
        service_keys::keys_fit(written, found);
        service_endpoints::check(written, net, found);
        let selected = pods.of(written, found);
        let addresses = service_keys::addresses(written, found);
        let many = written.ports.len().saturating_mul(addresses.len());
        let rules = many.saturating_mul(8 + 4 * selected.len().max(written.endpoints.len()));
        let Some(rest) = room.checked_sub(rules) else {
            let message = format!("with this service, the nodes have more than {MAX_RULES} rules");
            let fault = Diagnostic::new(Code::TooMany, written.name.span, message);
            found.add(fault.help("take fewer nodes, services or pods".to_owned()));
            break;
        };
        room = rest;
        let (ports, numbers) = ports(written, &addresses, (&pods, &selected), found);
        services.take_ports(&ports, written, found);
        for name in [name.as_str(), written.name.value.0.as_str()] {
            services.by_name.entry(name.to_owned()).or_default().push(services.all.len());
        }
        services.all.push(Resolved { name, addresses, ports, selected, numbers });
    }
    services
}

/// The nodes on which kube-proxy runs, once for each family.
fn nodes(net: &Net<'_>, found: &mut Collector<'_>) -> HashMap<usize, Vec<services::Node>> {
    let mut nodes = HashMap::new();
    for (at, namespace) in net.namespaces.iter().enumerate() {
        let Some(proxy) = &namespace.written.kube_proxy else { continue };
        if namespace.name.is_host() {
            let span = proxy.cluster.0.first().map_or_else(Span::default, |net| net.span);
            let message = "`host` cannot be a node: its own firewall would be changed";
            let fault = Diagnostic::new(Code::KeyNotAllowed, span, message);
            found.add(fault.help("give kube-proxy a namespace of its own".to_owned()));
        }
        let addresses = namespace.addresses().map(|(_, own)| own.value.ip()).filter(|own| !own.is_loopback());
        let addresses: Vec<IpAddr> = addresses.collect();
        let services = proxy.services.as_ref().map_or(&[][..], |services| &services.0);
        let mut own: Vec<services::Node> = Vec::new();
        for cluster in &proxy.cluster.0 {
            let Spanned { value: Prefix(net), span } = *cluster;
            let family = Family::of(net.addr());
            let of_family = |nets: &[Spanned<Prefix>]| {
                nets.iter().map(|net| net.value.0).find(|net| Family::of(net.addr()) == family)
            };
            let is_second = own.iter().any(|other| Family::of(other.cluster.addr()) == family);
            match of_family(&proxy.pods.0) {
                Some(pods) if !is_second => {
                    own.push(services::Node {
                        cluster: net,
                        pods,
                        services: of_family(services),
                        addresses: addresses.clone(),
                    });
                }
                Some(_) => {
                    let message = format!("{net} is a second subnet of the same family");
                    found.add(Diagnostic::new(Code::SecondSubnet, span, message));
                }
                None => {
                    let message = format!("`pods` has no part of {net}");
                    found.add(Diagnostic::new(Code::FamilyMismatch, span, message));
                }
            }
        }
        nodes.insert(at, own);
    }
    nodes
}

fn is_node_port(port: u16, span: Span, found: &mut Collector<'_>) {
    if !NODE_PORTS.contains(&port) {
        let message = format!("{port} is not a node port: these are from 30000 to 32767");
        found.add(Diagnostic::new(Code::NumberOutOfRange, span, message));
    }
}

/// Adds what kube-proxy writes on a node.
pub fn rules(written: &ResolvedNamespace<'_>, at: usize, services: &Services, namespace: &mut Namespace) {
    let (Some(proxy), Some(nodes)) = (&written.written.kube_proxy, services.nodes.get(&at)) else { return };
    let ports: Vec<&ServicePort> =
        services.all.iter().flat_map(|service| &service.ports).map(|port| &port.model).collect();
    for node in nodes {
        match proxy.mode.as_ref().map_or(ProxyMode::Iptables, |mode| mode.value) {
            ProxyMode::Iptables => namespace.firewall.chains.extend(services::chains(node, &ports)),
            ProxyMode::Nftables => namespace.nft.extend([services::table(node, &ports)]),
        }
    }
}

/// The ports of a service that have rules, and the number of each as it is written at the pods; those of one without
/// an address are only looked at.
fn ports(
    written: &Service,
    addresses: &[IpAddr],
    (pods, selected): (&Pods<'_, '_>, &[usize]),
    found: &mut Collector<'_>,
) -> (Vec<Port>, Vec<Vec<(usize, u16)>>) {
    if written.ports.is_empty() && !written.is_name() {
        found.add(Diagnostic::new(Code::MissingKey, written.name.span, "a service needs `ports`"));
    }
    let mut names = HashSet::new();
    let mut numbers = HashMap::new();
    let mut numbers_of = Vec::new();
    for port in &written.ports {
        match &port.name {
            None if written.ports.len() > 1 => {
                let message = "a port needs a `name` where there are several";
                found.add(Diagnostic::new(Code::MissingKey, port.port.span, message));
            }
            Some(name) if !names.insert(&name.value) => {
                let message = format!("there are two ports `{}`", name.value.0);
                found.add(Diagnostic::new(Code::NameTwice, name.span, message));
            }
            _ => {}
        }
        if let Some(first) = numbers.insert((port.protocol(), port.port.value), port.port.span) {
            let message = format!("the port {}/{} is taken", port.port.value, port.protocol());
            found.add(Diagnostic::new(Code::PublishedTwice, port.port.span, message).also(first, "the first"));
        }
        let selects = written.endpoints.is_empty();
        numbers_of.push(if selects { pods.numbers(port, selected, found) } else { Vec::new() });
    }
    let mut ports = Vec::new();
    for address in addresses {
        let family = Family::of(*address);
        for (port, numbers) in written.ports.iter().zip(&numbers_of) {
            let endpoints = match written.endpoints.is_empty() {
                true => pods.at(numbers, family),
                false => service_endpoints::of_port(written, port, family, pods.net),
            };
            let model = model(written, port, *address, &endpoints);
            ports.push(Port { model, endpoints });
        }
    }
    (ports, numbers_of)
}

fn model(
    written: &Service,
    port: &schema::ServicePort,
    address: IpAddr,
    endpoints: &[(usize, SocketAddr)],
) -> ServicePort {
    let is_local =
        |policy: Option<&Spanned<TrafficPolicy>>| policy.is_some_and(|own| own.value == TrafficPolicy::Local);
    let affinity = written.session_affinity.as_ref().is_some_and(|own| own.value == Affinity::ClientIp);
    let family = Family::of(address);
    let own = |others: &mut dyn Iterator<Item = &Spanned<IpAddr>>| -> Vec<IpAddr> {
        others.map(|other| other.value).filter(|other| Family::of(*other) == family).collect()
    };
    let ranges = written.load_balancer_source_ranges.iter().map(|range| range.value.0);
    ServicePort {
        service: written.full_name(),
        name: port.name.as_ref().map(|name| name.value.0.clone()),
        protocol: port.protocol(),
        cluster_ip: address,
        port: port.port.value,
        node_port: port.node_port.as_ref().map(|port| port.value),
        health_check_node_port: written.health_check_node_port.as_ref().map(|port| port.value),
        external_ips: own(&mut written.external_ips.iter()),
        load_balancer_ip: own(&mut written.load_balancer_ip.iter()).pop(),
        source_ranges: ranges.filter(|range| Family::of(range.addr()) == family).collect(),
        external_is_local: is_local(written.external_traffic_policy.as_ref()),
        internal_is_local: is_local(written.internal_traffic_policy.as_ref()),
        affinity: affinity.then(|| service_keys::timeout(written).map_or(AFFINITY, |own| own.value)),
        endpoints: endpoints.iter().map(|(_, endpoint)| *endpoint).collect(),
    }
}

impl Services {
    /// Puts the ports of a service down, each of which is once at an address, and on the nodes.
    fn take_ports(&mut self, ports: &[Port], written: &Service, found: &mut Collector<'_>) {
        let service = self.all.len();
        self.take_health_check(written, found);
        let family = |port: &Port| Family::of(port.model.cluster_ip);
        for (at, (port, from)) in ports.iter().zip(written.ports.iter().cycle()).enumerate() {
            let ServicePort { cluster_ip, load_balancer_ip, external_ips, protocol, port: number, .. } = &port.model;
            let taken = |message: String, span| Diagnostic::new(Code::PublishedTwice, span, message);
            for address in [cluster_ip].into_iter().chain(load_balancer_ip).chain(external_ips) {
                if let Some(other) = self.by_address.insert((*address, *protocol, *number), (service, at))
                    && other.0 != service
                {
                    let name = self.all.get(other.0).map_or("", |other| &other.name);
                    found.add(taken(format!("{address} port {number}/{protocol} is `{name}`'s"), from.port.span));
                }
            }
            let (Some(node_port), span) =
                (port.model.node_port, from.node_port.as_ref().map_or(from.port.span, |own| own.span))
            else {
                continue;
            };
            if at < written.ports.len() {
                is_node_port(node_port, span, found);
            }
            if let Some(other) = self.by_node_port.insert((family(port), *protocol, node_port), (service, at)) {
                let name = self.all.get(other.0).map_or(written.name.value.0.as_str(), |other| &other.name);
                found.add(taken(format!("the node port {node_port}/{protocol} is `{name}`'s"), span));
            }
            if let Some(name) = self.health_checks.get(&node_port).filter(|_| *protocol == IpProtocol::Tcp) {
                found.add(taken(format!("the node port {node_port} is `{name}`'s, for health checks"), span));
            }
        }
    }

    /// The port at which a load balancer asks, over TCP, is on every node, and no other service's.
    fn take_health_check(&mut self, written: &Service, found: &mut Collector<'_>) {
        let Some(Spanned { value: port, span }) = written.health_check_node_port else { return };
        is_node_port(port, span, found);
        let of_ports = [Family::Ipv4, Family::Ipv6];
        let of_ports = of_ports.iter().find_map(|family| self.by_node_port.get(&(*family, IpProtocol::Tcp, port)));
        if let Some(other) = of_ports.and_then(|(service, _)| self.all.get(*service)) {
            let message = format!("the node port {port}/tcp is `{}`'s", other.name);
            found.add(Diagnostic::new(Code::PublishedTwice, span, message));
        }
        if let Some(other) = self.health_checks.insert(port, written.full_name()) {
            let message = format!("the node port {port} is `{other}`'s, for health checks");
            found.add(Diagnostic::new(Code::PublishedTwice, span, message));
        }
    }

    /// The service of a name in a check: `web`, or `shop/web`; without its Kubernetes namespace, the only one of that
    /// name, or the one in `default`.
    pub fn find(&self, name: &str) -> Result<usize, Option<String>> {
        let of = |name: &str| self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        match of(name) {
            [] => Err(None),
            [one] => Ok(*one),
            [first, ..] => match of(&format!("{DEFAULT_NAMESPACE}/{name}")) {
                [one] => Ok(*one),
                _ => Err(self.all.get(*first).map(|first| format!("write service/{}", first.name))),
            },
        }
    }

    /// The port of a service at an address, or on a node.
    pub fn port_at(
        &self,
        node: Option<usize>,
        address: IpAddr,
        protocol: IpProtocol,
        port: u16,
    ) -> Option<(&Port, bool)> {
        let get = |(service, port): (usize, usize)| self.all.get(service)?.ports.get(port);
        if let Some(place) = self.by_address.get(&(address, protocol, port)) {
            let found = get(*place)?;
            return Some((found, found.model.cluster_ip != address));
        }
        let family = Family::of(address);
        node.and_then(|node| self.node(node, family))?;
        get(*self.by_node_port.get(&(family, protocol, port))?).map(|port| (port, true))
    }

    /// The nodes of a family that take packets for a port from outside, as they have endpoints for them.
    pub fn nodes_of(&self, port: &ServicePort) -> impl Iterator<Item = usize> {
        let family = Family::of(port.cluster_ip);
        let mut nodes: Vec<usize> = self.nodes.keys().copied().collect();
        nodes.sort_unstable();
        let has = move |node: &services::Node| {
            let mut endpoints = port.endpoints.iter();
            endpoints.any(|endpoint| !port.external_is_local || node.pods.contains(&endpoint.ip()))
        };
        nodes.into_iter().filter(move |at| self.node(*at, family).is_some_and(has))
    }

    /// What the rules of a family depend on, of a node.
    fn node(&self, at: usize, family: Family) -> Option<&services::Node> {
        self.nodes.get(&at)?.iter().find(|node| Family::of(node.cluster.addr()) == family)
    }

    /// The node of a namespace: itself, or that of which it is a pod.
    fn node_of(&self, at: usize, namespace: &ResolvedNamespace<'_>, family: Family) -> Option<&services::Node> {
        let of_pod = || {
            let own = namespace.first_address(family)?;
            self.nodes.values().flatten().find(|node| node.pods.contains(&own))
        };
        self.node(at, family).or_else(of_pod)
    }

    /// The endpoints to which a packet of a namespace may come, by way of a node where it goes to one.
    pub fn endpoints<'s>(
        &'s self,
        port: &'s Port,
        is_external: bool,
        (from, namespace): (usize, &ResolvedNamespace<'_>),
        node: Option<usize>,
    ) -> Vec<(usize, u16)> {
        let family = Family::of(port.model.cluster_ip);
        let own = || self.node_of(from, namespace, family);
        let only = match is_external {
            false if port.model.internal_is_local => own(),
            true if port.model.external_is_local && own().is_none() => node.and_then(|node| self.node(node, family)),
            _ => None,
        };
        let all = port.endpoints.iter().filter(|(_, to)| only.is_none_or(|node| node.pods.contains(&to.ip())));
        all.map(|(at, to)| (*at, to.port())).collect()
    }
}
