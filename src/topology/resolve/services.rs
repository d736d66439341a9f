//! Services: which pods are their endpoints, and which faults are in them.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::net::{Net, ResolvedNamespace};
use super::service_endpoints;
use crate::lab::{Family, IpProtocol, Namespace};
use crate::services::{self, ServicePort};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{
    self, Affinity, ClusterIp, DEFAULT_NAMESPACE, File, ProxyMode, Service, ServiceType, Spanned, TargetPort,
    TrafficPolicy,
};

/// For how long a client comes to the same pod, in seconds (`DefaultClientIPServiceAffinitySeconds`).
const AFFINITY: u32 = 10_800;
/// The longest that can be asked for (`MaxClientIPServiceAffinitySeconds`).
const LONGEST_AFFINITY: u32 = 86_400;
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
    by_node_port: HashMap<(IpProtocol, u16), (usize, usize)>,
    /// The nodes, with what their rules depend on.
    pub nodes: HashMap<usize, services::Node>,
}

/// A service.
pub struct Resolved {
    /// `NAMESPACE/NAME`.
    pub name: String,
    /// Its address; none: it is headless, or a name alone.
    pub address: Option<IpAddr>,
    pub ports: Vec<Port>,
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

/// The pods, ready to be selected.
struct Pods<'n, 'f> {
    net: &'n Net<'f>,
    /// Those with an address in the network of pods, by the places of their namespaces.
    addresses: HashMap<usize, IpAddr>,
    /// Of each Kubernetes namespace and label there, the pods that have it.
    by_label: HashMap<(&'f str, &'f str, &'f str), Vec<usize>>,
}

/// All services, and what is wrong with them.
pub fn resolve<'f>(file: &'f File, net: &Net<'f>, found: &mut Collector<'_>) -> Services {
    let nodes = nodes(net, found);
    let pods = Pods::new(net, &nodes);
    let (by_name, by_address, by_node_port) = Default::default();
    let mut services = Services { all: Vec::new(), by_name, by_address, by_node_port, nodes };
    let mut names: HashMap<String, Span> = HashMap::new();
    let mut room = MAX_RULES / services.nodes.len().max(1);
    for written in &file.services {
        let name = written.full_name();
        if let Some(first) = names.insert(name.clone(), written.name.span) {
            let fault = Diagnostic::new(Code::NameTwice, written.name.span, format!("there are two services `{name}`"));
            found.add(fault.also(first, "the first"));
            continue;
        }
        keys_fit(written, found);
        service_endpoints::check(written, net, found);
        let selected = pods.of(written, found);
        let rules = written.ports.len().saturating_mul(8 + 4 * selected.len().max(written.endpoints.len()));
        let Some(rest) = room.checked_sub(rules) else {
            let message = format!("with this service, the nodes have more than {MAX_RULES} rules");
            let fault = Diagnostic::new(Code::TooMany, written.name.span, message);
            found.add(fault.help("take fewer nodes, services or pods".to_owned()));
            break;
        };
        room = rest;
        let address = address(written, found);
        let ports = ports(written, address, (&pods, &selected), found);
        services.take_ports(&ports, written, found);
        for name in [name.as_str(), written.name.value.0.as_str()] {
            services.by_name.entry(name.to_owned()).or_default().push(services.all.len());
        }
        services.all.push(Resolved { name, address, ports });
    }
    services
}

/// The nodes on which kube-proxy runs.
fn nodes(net: &Net<'_>, found: &mut Collector<'_>) -> HashMap<usize, services::Node> {
    let mut nodes = HashMap::new();
    for (at, namespace) in net.namespaces.iter().enumerate() {
        let Some(proxy) = &namespace.written.kube_proxy else { continue };
        let ipv6 =
            [&proxy.cluster, &proxy.pods].into_iter().chain(&proxy.services).find(|net| net.value.0.addr().is_ipv6());
        if let Some(net) = ipv6 {
            found.add(Diagnostic::new(Code::Ipv4Only, net.span, "services lead to the IPv4 addresses of pods"));
        }
        if namespace.name.is_host() {
            let message = "`host` cannot be a node: its own firewall would be changed";
            let fault = Diagnostic::new(Code::KeyNotAllowed, proxy.cluster.span, message);
            found.add(fault.help("give kube-proxy a namespace of its own".to_owned()));
        }
        let addresses = namespace.addresses().map(|(_, own)| own.value.ip()).filter(|own| !own.is_loopback());
        let (cluster, pods) = (proxy.cluster.value.0, proxy.pods.value.0);
        let services = proxy.services.as_ref().map(|net| net.value.0);
        nodes.insert(at, services::Node { cluster, pods, services, addresses: addresses.collect() });
    }
    nodes
}

/// Adds what kube-proxy writes on a node.
pub fn rules(written: &ResolvedNamespace<'_>, at: usize, services: &Services, namespace: &mut Namespace) {
    let (Some(proxy), Some(node)) = (&written.written.kube_proxy, services.nodes.get(&at)) else { return };
    let ports: Vec<&ServicePort> =
        services.all.iter().flat_map(|service| &service.ports).map(|port| &port.model).collect();
    match proxy.mode.as_ref().map_or(ProxyMode::Iptables, |mode| mode.value) {
        ProxyMode::Iptables => namespace.firewall.chains.extend(services::chains(node, &ports)),
        ProxyMode::Nftables => namespace.nft.extend([services::table(node, &ports)]),
    }
}

/// Keys that go with certain types only.
fn keys_fit(written: &Service, found: &mut Collector<'_>) {
    let kind = written.kind();
    let mut only = |span: Option<Span>, key: &str, fits: bool, of: &str| {
        if let Some(span) = span.filter(|_| !fits) {
            found.add(Diagnostic::new(Code::KeyNotAllowed, span, format!("`{key}` is for services of {of}")));
        }
    };
    let of_balancer = kind == ServiceType::LoadBalancer;
    let balancer = "the type LoadBalancer";
    let outside = "the types NodePort and LoadBalancer";
    only(written.load_balancer_ip.as_ref().map(|at| at.span), "loadBalancerIP", of_balancer, balancer);
    let ranges = written.load_balancer_source_ranges.first().map(|at| at.span);
    only(ranges, "loadBalancerSourceRanges", of_balancer, balancer);
    let policy = written.external_traffic_policy.as_ref().map(|at| at.span);
    only(policy, "externalTrafficPolicy", written.has_node_ports(), outside);
    for port in &written.ports {
        only(port.node_port.as_ref().map(|at| at.span), "nodePort", written.has_node_ports(), outside);
    }
    let external = kind == ServiceType::ExternalName;
    only(written.external_name.as_ref().map(|at| at.span), "externalName", external, "the type ExternalName");
    if external {
        for (key, _) in &written.selector.entries {
            only(Some(key.span), "selector", false, "other types: ExternalName is a name alone");
        }
        let rest = "other types: ExternalName has no address";
        only(written.cluster_ip.as_ref().map(|at| at.span), "clusterIP", false, rest);
        if written.external_name.is_none() {
            let message = "a service of the type ExternalName needs `externalName`";
            found.add(Diagnostic::new(Code::MissingKey, written.name.span, message));
        }
    } else if written.is_name() && kind != ServiceType::ClusterIp {
        only(written.kind.as_ref().map(|at| at.span), "type", false, "services with an address: `clusterIP` is None");
    }
    if let (Some((key, _)), Some(pod)) = (written.selector.entries.first(), written.pods.first()) {
        let fault = Diagnostic::new(Code::ContradictoryKeys, pod.span, "`pods` names what `selector` selects");
        found.add(fault.also(key.span, "the selector").help("keep one of them".to_owned()));
    }
    affinity_fits(written, found);
}

fn affinity_fits(written: &Service, found: &mut Collector<'_>) {
    let Some(timeout) = timeout(written) else { return };
    let is_on = written.session_affinity.as_ref().is_some_and(|own| own.value == Affinity::ClientIp);
    if !(1..=LONGEST_AFFINITY).contains(&timeout.value) {
        let message = format!("{} seconds; it is from 1 to {LONGEST_AFFINITY}", timeout.value);
        found.add(Diagnostic::new(Code::NumberOutOfRange, timeout.span, message));
    } else if !is_on {
        let message = "`timeoutSeconds` is for services with `sessionAffinity: ClientIP`";
        found.add(Diagnostic::new(Code::KeyNotAllowed, timeout.span, message));
    }
}

fn timeout(written: &Service) -> Option<&Spanned<u32>> {
    written.session_affinity_config.as_ref()?.client_ip.as_ref()?.timeout.as_ref()
}

fn address(written: &Service, found: &mut Collector<'_>) -> Option<IpAddr> {
    if written.is_name() {
        return None;
    }
    for own in written.external_ips.iter().chain(&written.load_balancer_ip) {
        if own.value.is_ipv6() {
            found.add(Diagnostic::new(Code::Ipv4Only, own.span, "services have IPv4 addresses"));
        } else if service_endpoints::is_of_nobody(own.value) {
            let message = format!("{} is not the address of one machine", own.value);
            found.add(Diagnostic::new(Code::ReservedAddress, own.span, message));
        }
    }
    for range in written.load_balancer_source_ranges.iter().filter(|range| range.value.0.addr().is_ipv6()) {
        found.add(Diagnostic::new(Code::Ipv4Only, range.span, "services have IPv4 addresses"));
    }
    match &written.cluster_ip {
        Some(Spanned { value: ClusterIp::Address(address), .. }) if address.is_ipv4() => Some(*address),
        Some(Spanned { span, .. }) => {
            found.add(Diagnostic::new(Code::Ipv4Only, *span, "services have IPv4 addresses"));
            None
        }
        None => {
            let fault = Diagnostic::new(Code::MissingKey, written.name.span, "a service needs `clusterIP`");
            found.add(fault.help("only services of a `cluster` get an address by themselves".to_owned()));
            None
        }
    }
}

/// The ports of a service that have rules; those of one without an address are only looked at.
fn ports(
    written: &Service,
    address: Option<IpAddr>,
    (pods, selected): (&Pods<'_, '_>, &[usize]),
    found: &mut Collector<'_>,
) -> Vec<Port> {
    if written.ports.is_empty() && !written.is_name() {
        found.add(Diagnostic::new(Code::MissingKey, written.name.span, "a service needs `ports`"));
    }
    let mut names = HashSet::new();
    let mut numbers = HashMap::new();
    let mut ports = Vec::new();
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
        let endpoints = match written.endpoints.is_empty() {
            true => pods.endpoints(port, selected, found),
            false => service_endpoints::of_port(written, port, pods.net),
        };
        if let Some(address) = address {
            let model = model(written, port, address, &endpoints);
            ports.push(Port { model, endpoints });
        }
    }
    ports
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
    ServicePort {
        service: written.full_name(),
        name: port.name.as_ref().map(|name| name.value.0.clone()),
        protocol: port.protocol(),
        cluster_ip: address,
        port: port.port.value,
        node_port: port.node_port.as_ref().map(|port| port.value),
        external_ips: written.external_ips.iter().map(|own| own.value).collect(),
        load_balancer_ip: written.load_balancer_ip.as_ref().map(|own| own.value),
        source_ranges: written.load_balancer_source_ranges.iter().map(|range| range.value.0).collect(),
        external_is_local: is_local(written.external_traffic_policy.as_ref()),
        internal_is_local: is_local(written.internal_traffic_policy.as_ref()),
        affinity: affinity.then(|| timeout(written).map_or(AFFINITY, |own| own.value)),
        endpoints: endpoints.iter().map(|(_, endpoint)| *endpoint).collect(),
    }
}

impl<'n, 'f> Pods<'n, 'f> {
    /// Pods are what has an address in the network of pods and is no node.
    fn new(net: &'n Net<'f>, nodes: &HashMap<usize, services::Node>) -> Self {
        let clusters: HashSet<_> = nodes.values().map(|node| node.cluster).collect();
        let mut pods = Self { net, addresses: HashMap::new(), by_label: HashMap::new() };
        for (at, namespace) in net.namespaces.iter().enumerate().filter(|(at, _)| !nodes.contains_key(at)) {
            let mut own = namespace.addresses().map(|(_, own)| own.value.ip());
            let Some(address) = own.find(|own| clusters.iter().any(|net| net.contains(own))) else { continue };
            pods.addresses.insert(at, address);
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
    fn of(&self, written: &Service, found: &mut Collector<'_>) -> Vec<usize> {
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
    fn endpoints(
        &self,
        port: &schema::ServicePort,
        pods: &[usize],
        found: &mut Collector<'_>,
    ) -> Vec<(usize, SocketAddr)> {
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
        let at = |at: &usize| Some((*at, SocketAddr::new(*self.addresses.get(at)?, number(*at)?)));
        let endpoints: Vec<(usize, SocketAddr)> = pods.iter().filter_map(at).collect();
        if let (true, false, Some(target)) = (endpoints.is_empty(), pods.is_empty(), &port.target_port) {
            self.has_no_such_port(port, target, pods, found);
        }
        endpoints
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

impl Services {
    /// Puts the ports of a service down, each of which is once at an address, and on the nodes.
    fn take_ports(&mut self, ports: &[Port], written: &Service, found: &mut Collector<'_>) {
        let service = self.all.len();
        for (at, (port, from)) in ports.iter().zip(&written.ports).enumerate() {
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
            if !NODE_PORTS.contains(&node_port) {
                let message = format!("{node_port} is not a node port: these are from 30000 to 32767");
                found.add(Diagnostic::new(Code::NumberOutOfRange, span, message));
            }
            if let Some(other) = self.by_node_port.insert((*protocol, node_port), (service, at)) {
                let name = self.all.get(other.0).map_or(written.name.value.0.as_str(), |other| &other.name);
                found.add(taken(format!("the node port {node_port}/{protocol} is `{name}`'s"), span));
            }
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
        node.filter(|node| self.nodes.contains_key(node))?;
        get(*self.by_node_port.get(&(protocol, port))?).map(|port| (port, true))
    }

    /// The node of a namespace: itself, or that of which it is a pod.
    fn node_of(&self, at: usize, namespace: &ResolvedNamespace<'_>) -> Option<&services::Node> {
        let of_pod = || {
            let own = namespace.first_address(Family::Ipv4)?;
            self.nodes.values().find(|node| node.pods.contains(&own))
        };
        self.nodes.get(&at).or_else(of_pod)
    }

    /// The endpoints to which a packet of a namespace may come, by way of a node where it goes to one.
    pub fn endpoints<'s>(
        &'s self,
        port: &'s Port,
        is_external: bool,
        (from, namespace): (usize, &ResolvedNamespace<'_>),
        node: Option<usize>,
    ) -> Vec<(usize, u16)> {
        let own = || self.node_of(from, namespace);
        let only = match is_external {
            false if port.model.internal_is_local => own(),
            true if port.model.external_is_local && own().is_none() => node.and_then(|node| self.nodes.get(&node)),
            _ => None,
        };
        let all = port.endpoints.iter().filter(|(_, to)| only.is_none_or(|node| node.pods.contains(&to.ip())));
        all.map(|(at, to)| (*at, to.port())).collect()
    }
}
