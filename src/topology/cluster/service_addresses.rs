//! The addresses and node ports of services: those that the author chose, and for the rest those that their names make.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::super::diagnostics::{Collector, Diagnostic, Span};
use super::super::schema::{Cluster, ClusterIp, IpFamilyPolicy, Prefix, Service, ServicePort, Spanned, WrittenService};
use super::addresses;
use super::numbers;
use super::piece::{Entry, Place};
use crate::lab::{Family, IpProtocol, fnv1a};
use crate::topology::code::Code;
use crate::topology::yaml::{Node as Tree, Value};

/// `--service-cluster-ip-range` of kubeadm.
const NETWORK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 12);
/// The ports that a name can make: of 30000 to 32767, the first 86 are left to those who choose (KEP 3668).
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_086..=32_767;
/// How many addresses at the beginning of a network are left to those who choose, at most and at least (KEP 3070).
const CHOSEN: std::ops::RangeInclusive<u32> = 16..=256;

/// The networks of the services, one for each family, where the cluster has any.
pub fn networks(cluster: &Cluster, (nodes, pods): (&[IpNet], &[IpNet]), found: &mut Collector<'_>) -> Vec<IpNet> {
    let first = cluster.services.first().map(|first| first.tree.span);
    let mode = cluster.proxy_mode.as_ref().map(|mode| mode.span);
    let by_default = |span| Spanned { value: Prefix(NETWORK.into()), span };
    let default: Vec<Spanned<Prefix>> = first.or(mode).map(by_default).into_iter().collect();
    let written = cluster.service_network.as_ref().map_or(&default[..], |written| &written.0);
    for Spanned { value: Prefix(net), span } in written {
        fits(*net, *span, (nodes, pods), found);
    }
    addresses::networks(written, found)
}

/// Whether services can have the addresses of a network.
fn fits(net: IpNet, span: Span, (nodes, pods): (&[IpNet], &[IpNet]), found: &mut Collector<'_>) {
    let family = Family::of(net.addr());
    if !pods.iter().any(|pods| Family::of(pods.addr()) == family) {
        let message = format!("services have the address families of pods, and no pod has an {family} address");
        let help = format!("write a `pod_network` of {family}, or a `service_network` of the other family");
        found.add(Diagnostic::new(Code::FamilyMismatch, span, message).help(help));
    }
    let all = nodes.iter().map(|net| ("node", net)).chain(pods.iter().map(|net| ("pod", net)));
    for (what, other) in all {
        if net.contains(other) || other.contains(&net) {
            let message = format!("the service network {net} and the {what} network {other} overlap");
            let fault = Diagnostic::new(Code::SubnetsOverlap, span, message);
            found.add(fault.help("write another `service_network`".to_owned()));
        }
    }
    let longest = net.max_prefix_len() - 4;
    if net.prefix_len() > longest {
        let message = format!("{net} is too small for services: they need a /{longest} at least");
        found.add(Diagnostic::new(Code::NetworkTooSmall, span, message));
    }
}

/// The networks of services as they are written, or the default.
pub fn written(cluster: &Cluster) -> Vec<IpNet> {
    match &cluster.service_network {
        Some(written) => written.0.iter().map(|net| net.value.0).collect(),
        None => vec![NETWORK.into()],
    }
}

/// The services as they are written, each with its addresses and node ports.
pub fn with_addresses(written: &[WrittenService], networks: &[IpNet], found: &mut Collector<'_>) -> Vec<Tree> {
    let mut taken = Taken::default();
    written.iter().map(|service| taken.complete(service, networks, found)).collect()
}

/// The networks of a service's addresses, in their order (`initIPFamilyFields` of Kubernetes' service registry).
fn chosen(service: &Service, networks: &[IpNet], found: &mut Collector<'_>) -> Vec<IpNet> {
    let of = |family: Family| networks.iter().copied().find(|net| Family::of(net.addr()) == family);
    let address = |own: &Spanned<ClusterIp>| match own.value {
        ClusterIp::Address(address) => Some((Family::of(address), own.span)),
        ClusterIp::Headless => None,
    };
    let named = service.ip_families.iter().map(|own| (own.value.0, own.span));
    let mut wanted: Vec<(Family, Span)> = named.collect();
    if wanted.is_empty() {
        wanted.extend(service.cluster_ips().filter_map(address));
    }
    let mut all: Vec<IpNet> = Vec::new();
    for (family, span) in &wanted {
        match of(*family) {
            None => {
                let message = format!("the cluster has no network of services of {family}");
                let fault = Diagnostic::new(Code::FamilyMismatch, *span, message);
                found.add(fault.help(format!("write a second `service_network`, of {family}")));
            }
            Some(net) if all.contains(&net) => {
                let message = format!("{family} is there already: a service has an address of each family");
                found.add(Diagnostic::new(Code::SecondAddress, *span, message));
            }
            Some(net) => all.push(net),
        }
    }
    if wanted.is_empty() {
        all.extend(networks.first());
    }
    policy(service, networks, (&mut all, wanted.get(1)), found);
    all
}

/// The families of the pods that a headless service stands for, where the cluster has two and it has one of them. One
/// without a selector has both, if it does not say which.
fn families_of_name(service: &Service, networks: &[IpNet], found: &mut Collector<'_>) -> Option<Entry> {
    let is_for_anybody = service.selector.entries.is_empty() && service.pods.is_empty();
    let says = !service.ip_families.is_empty() || service.ip_family_policy.is_some();
    if !service.is_headless() || networks.len() < 2 || (is_for_anybody && !says) {
        return None;
    }
    let chosen = chosen(service, networks, found);
    let [only] = chosen.as_slice() else { return None };
    let place = Place(service.ip_families.first().map_or(service.name.span, |own| own.span));
    let family = place.scalar(Family::of(only.addr()));
    Some(place.entry("ipFamilies", place.list([family])))
}

/// Adds the second family where the policy asks for it. Without a policy, the author's own two are meant.
fn policy(
    service: &Service,
    networks: &[IpNet],
    (all, second): (&mut Vec<IpNet>, Option<&(Family, Span)>),
    found: &mut Collector<'_>,
) {
    let Some(Spanned { value: policy, span }) = &service.ip_family_policy else { return };
    match (policy, second) {
        (IpFamilyPolicy::Single, Some((family, second))) => {
            let message = format!("with `ipFamilyPolicy: SingleStack`, there is no second family, {family}");
            let fault = Diagnostic::new(Code::ContradictoryKeys, *second, message).also(*span, "the policy");
            found.add(fault.help("write PreferDualStack, or leave the second one out".to_owned()));
        }
        (IpFamilyPolicy::Single, None) => {}
        (IpFamilyPolicy::RequireDual, _) if networks.len() < 2 => {
            let message = "the cluster has services of one family only";
            let fault = Diagnostic::new(Code::FamilyMismatch, *span, message);
            found.add(fault.help("write a `service_network` of both families, or PreferDualStack".to_owned()));
        }
        (IpFamilyPolicy::PreferDual | IpFamilyPolicy::RequireDual, _) => {
            let others = networks.iter().filter(|net| !all.contains(net)).copied();
            let others: Vec<IpNet> = others.collect();
            all.extend(others);
        }
    }
}

/// Which addresses and node ports are whose.
#[derive(Default)]
struct Taken {
    addresses: HashMap<IpAddr, (String, Span)>,
    node_ports: HashMap<(IpProtocol, u16), (String, Span)>,
}

impl Taken {
    fn complete(&mut self, written: &WrittenService, networks: &[IpNet], found: &mut Collector<'_>) -> Tree {
        let WrittenService { service, tree } = written;
        let mut tree = tree.clone();
        let Value::Map(entries) = &mut tree.value else { return tree };
        // What the cluster chooses by is its own.
        entries.retain(|(key, _)| !is(key, "ipFamilies") && !is(key, "ipFamilyPolicy"));
        if service.is_name() || networks.is_empty() {
            entries.extend(families_of_name(service, networks, found));
            return tree;
        }
        self.addresses(service, networks, entries, found);
        let ports = entries.iter_mut().find(|(key, _)| is(key, "ports")).map(|(_, ports)| &mut ports.value);
        if let (Some(Value::List(items)), true) = (ports, service.has_node_ports()) {
            for (port, item) in service.ports.iter().zip(items) {
                self.node_port(service, port, item, found);
            }
        }
        self.health_check(service, entries, found);
        tree
    }

    /// Gives a service its addresses: those that are written, and for the rest those that its name makes.
    fn addresses(
        &mut self,
        service: &Service,
        networks: &[IpNet],
        entries: &mut Vec<Entry>,
        found: &mut Collector<'_>,
    ) {
        let place = Place(service.name.span);
        let mut given = service.cluster_ips();
        let mut all: Vec<Tree> = Vec::new();
        let mut is_made = false;
        let networks = chosen(service, networks, found);
        for network in networks.iter().copied() {
            let (address, span) = match given.next() {
                Some(Spanned { value: ClusterIp::Address(address), span }) => (Some(*address), *span),
                Some(_) | None => (made(&service.full_name(), network), service.name.span),
            };
            let Some(address) = address else { continue };
            is_made |= span == service.name.span;
            self.address(address, span, service, network, found);
            all.push(Place(span).scalar(address));
        }
        let room = networks.len().max(service.ip_families.len());
        if let Some(more) = service.cluster_ips().nth(room).filter(|_| !service.ip_families.is_empty()) {
            let message = "there are more `clusterIPs` than families of the service";
            let fault = Diagnostic::new(Code::ContradictoryKeys, more.span, message);
            found.add(fault.help("write both into `ipFamilies`, or leave these out".to_owned()));
        }
        if is_made {
            // That both are there, and say the same, is looked at later.
            let is_alone = service.cluster_ips.is_empty();
            entries.retain(|(key, _)| !(is(key, "clusterIPs") || is_alone && is(key, "clusterIP")));
            entries.push(match all.len() {
                1 => place.entry("clusterIP", all.remove(0)),
                _ => place.entry("clusterIPs", place.list(all)),
            });
        }
    }

    fn address(&mut self, address: IpAddr, span: Span, service: &Service, network: IpNet, found: &mut Collector<'_>) {
        let name = service.full_name();
        if !network.contains(&address) {
            let message = format!("{address} is not in the service network, {network}");
            found.add(Diagnostic::new(Code::AddressOutsideNetwork, span, message));
        } else if let Some(what) = numbers::unusable(network, address) {
            found.add(Diagnostic::new(Code::ReservedAddress, span, format!("{address} is {what}")));
        } else if let Some((other, first)) = self.addresses.insert(address, (name.clone(), span)) {
            // That there are two of one name is told later.
            if other != name {
                let message = format!("`{name}` has the address {address}, which is `{other}`'s");
                let fault = Diagnostic::new(Code::AddressTwice, span, message).also(first, format!("`{other}`"));
                let help = "addresses are made from names: give one of them a `clusterIP`";
                found.add(fault.help(help.to_owned()));
            }
        }
    }

    fn node_port(&mut self, service: &Service, port: &ServicePort, item: &mut Tree, found: &mut Collector<'_>) {
        let name = match &port.name {
            Some(name) => format!("{}:{}", service.full_name(), name.value.0),
            None => service.full_name(),
        };
        let (number, span) = match &port.node_port {
            Some(given) => (given.value, given.span),
            None => {
                let number = made_port(&format!("{name}/{}", port.protocol()));
                if let Value::Map(entries) = &mut item.value {
                    entries.push(Place(port.port.span).field("nodePort", number));
                }
                (number, port.port.span)
            }
        };
        self.take_port((port.protocol(), number), name, span, found);
    }

    /// Gives a service the port at which load balancers ask.
    fn health_check(&mut self, service: &Service, entries: &mut Vec<Entry>, found: &mut Collector<'_>) {
        if !service.is_health_checked() {
            return;
        }
        let name = format!("{} (health checks)", service.full_name());
        let (number, span) = match &service.health_check_node_port {
            Some(given) => (given.value, given.span),
            None => {
                let (number, span) = (made_port(&name), service.name.span);
                entries.push(Place(span).field("healthCheckNodePort", number));
                (number, span)
            }
        };
        self.take_port((IpProtocol::Tcp, number), name, span, found);
    }

    fn take_port(&mut self, key: (IpProtocol, u16), name: String, span: Span, found: &mut Collector<'_>) {
        let number = key.1;
        if let Some((other, first)) = self.node_ports.insert(key, (name.clone(), span))
            && other != name
        {
            let message = format!("`{name}` has the node port {number}, which is `{other}`'s");
            let fault = Diagnostic::new(Code::PublishedTwice, span, message).also(first, format!("`{other}`"));
            found.add(fault.help("node ports are made from names: give one of them a `nodePort`".to_owned()));
        }
    }
}

/// The node port that a name makes.
fn made_port(name: &str) -> u16 {
    let many = u32::from(NODE_PORTS.end() - NODE_PORTS.start()) + 1;
    NODE_PORTS.start() + u16::try_from(fnv1a(name) % many).unwrap_or_default()
}

/// The address that a name makes: behind those that are left to people who choose, and before the last one. Of IPv6,
/// one of the first million, as many as Kubernetes gives out.
fn made(name: &str, network: IpNet) -> Option<IpAddr> {
    let bits = u32::from(network.max_prefix_len() - network.prefix_len());
    let size = 1_u32.checked_shl(if network.addr().is_ipv6() { bits.min(20) } else { bits })?;
    let first = (size / 16).clamp(*CHOSEN.start(), *CHOSEN.end());
    let first = if size <= *CHOSEN.start() { 1 } else { first };
    let many = size.checked_sub(first + 1)?;
    numbers::nth(network, u128::from(first + fnv1a(name).checked_rem(many)?))
}

fn is(key: &Tree, name: &str) -> bool {
    matches!(&key.value, Value::Scalar(text) if text == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_behind_those_that_are_chosen() {
        for (net, least) in [("10.96.0.0/12", 256), ("10.96.0.0/24", 16), ("10.96.0.0/28", 1)] {
            let net: IpNet = net.parse().unwrap();
            for number in 0..200 {
                let address = made(&format!("default/web-{number}"), net).unwrap();
                let (IpAddr::V4(address), IpAddr::V4(first)) = (address, net.network()) else { unreachable!() };
                assert!(net.contains(&IpAddr::V4(address)) && numbers::unusable(net, address.into()).is_none());
                assert!(address.to_bits() - first.to_bits() >= least, "{net}: {address}");
            }
        }
    }
}
