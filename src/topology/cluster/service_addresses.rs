//! The addresses and node ports of services: those that the author chose, and for the rest those that their names make.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::super::diagnostics::{Collector, Diagnostic, Span};
use super::super::schema::{Cluster, ClusterIp, Prefix, Service, ServicePort, Spanned, WrittenService};
use super::numbers;
use super::piece::Place;
use crate::lab::{IpProtocol, fnv1a};
use crate::topology::code::Code;
use crate::topology::yaml::{Node as Tree, Value};

/// `--service-cluster-ip-range` of kubeadm.
const NETWORK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 96, 0, 0), 12);
/// The ports that a name can make: of 30000 to 32767, the first 86 are left to those who choose (KEP 3668).
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30_086..=32_767;
/// How many addresses at the beginning of a network are left to those who choose, at most and at least (KEP 3070).
const CHOSEN: std::ops::RangeInclusive<u32> = 16..=256;

/// The network of the services, where the cluster has any.
pub fn network(
    cluster: &Cluster,
    nodes: &[IpNet],
    pods: &[IpNet],
    found: &mut Collector<'_>,
) -> Option<Spanned<IpNet>> {
    let first = cluster.services.first().map(|first| first.tree.span);
    let mode = cluster.proxy_mode.as_ref().map(|mode| mode.span);
    let network = match &cluster.service_network {
        Some(Spanned { value: Prefix(net), span }) => Spanned { value: *net, span: *span },
        None => Spanned { value: NETWORK.into(), span: first.or(mode)? },
    };
    let Spanned { value: net, span } = network;
    if net.addr().is_ipv6() || !pods.iter().any(|pods| pods.addr().is_ipv4()) {
        let message = "services have IPv4 addresses, and lead to the IPv4 addresses of pods";
        let help = "write a `pod_network` and a `service_network` of IPv4".to_owned();
        found.add(Diagnostic::new(Code::Ipv4Only, span, message).help(help));
        return None;
    }
    let all = nodes.iter().map(|net| ("node", net)).chain(pods.iter().map(|net| ("pod", net)));
    for (what, other) in all {
        if net.contains(other) || other.contains(&net) {
            let message = format!("the service network {net} and the {what} network {other} overlap");
            let fault = Diagnostic::new(Code::SubnetsOverlap, span, message);
            found.add(fault.help("write another `service_network`".to_owned()));
        }
    }
    if net.prefix_len() > 28 {
        let message = format!("{net} is too small for services: they need a /28 at least");
        found.add(Diagnostic::new(Code::NetworkTooSmall, span, message));
    }
    Some(network)
}

/// The services as they are written, each with its address and node ports.
pub fn with_addresses(written: &[WrittenService], network: &Spanned<IpNet>, found: &mut Collector<'_>) -> Vec<Tree> {
    let mut taken = Taken::default();
    written.iter().map(|service| taken.complete(service, network.value, found)).collect()
}

/// Which addresses and node ports are whose.
#[derive(Default)]
struct Taken {
    addresses: HashMap<IpAddr, (String, Span)>,
    node_ports: HashMap<(IpProtocol, u16), (String, Span)>,
}

impl Taken {
    fn complete(&mut self, written: &WrittenService, network: IpNet, found: &mut Collector<'_>) -> Tree {
        let WrittenService { service, tree } = written;
        let mut tree = tree.clone();
        let Value::Map(entries) = &mut tree.value else { return tree };
        if service.is_name() {
            return tree;
        }
        let place = Place(service.name.span);
        match &service.cluster_ip {
            Some(Spanned { value: ClusterIp::Address(address), span }) => {
                self.address(*address, *span, service, network, found);
            }
            Some(_) => {}
            None => {
                if let Some(address) = made(&service.full_name(), network) {
                    self.address(address, service.name.span, service, network, found);
                    entries.push(place.field("clusterIP", address));
                }
            }
        }
        let ports = entries.iter_mut().find(|(key, _)| is(key, "ports")).map(|(_, ports)| &mut ports.value);
        if let (Some(Value::List(items)), true) = (ports, service.has_node_ports()) {
            for (port, item) in service.ports.iter().zip(items) {
                self.node_port(service, port, item, found);
            }
        }
        tree
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
                let many = u32::from(NODE_PORTS.end() - NODE_PORTS.start()) + 1;
                let place = fnv1a(&format!("{name}/{}", port.protocol())) % many;
                let number = NODE_PORTS.start() + u16::try_from(place).unwrap_or_default();
                if let Value::Map(entries) = &mut item.value {
                    entries.push(Place(port.port.span).field("nodePort", number));
                }
                (number, port.port.span)
            }
        };
        if let Some((other, first)) = self.node_ports.insert((port.protocol(), number), (name.clone(), span))
            && other != name
        {
            let message = format!("`{name}` has the node port {number}, which is `{other}`'s");
            let fault = Diagnostic::new(Code::PublishedTwice, span, message).also(first, format!("`{other}`"));
            found.add(fault.help("node ports are made from names: give one of them a `nodePort`".to_owned()));
        }
    }
}

/// The address that a name makes: behind those that are left to people who choose, and before the last one.
fn made(name: &str, network: IpNet) -> Option<IpAddr> {
    let size = 1_u32.checked_shl(32 - u32::from(network.prefix_len()))?;
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
