//! Endpoints of services that are written one by one, and the faults in them.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use super::net::{Net, is_link_local};
use crate::lab::Family;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{DnsLabel, Service, ServicePort, Spanned};

/// Where a port of a service leads, with the namespaces there.
pub fn of_port(written: &Service, port: &ServicePort, family: Family, net: &Net<'_>) -> Vec<(usize, SocketAddr)> {
    let of = |name: &Option<Spanned<DnsLabel>>| name.as_ref().map(|name| name.value.clone());
    let own = written.endpoints.iter().filter(|endpoint| of(&endpoint.name) == of(&port.name));
    let own = own.filter(|endpoint| Family::of(endpoint.address.value) == family);
    let at = own.filter_map(|endpoint| {
        let holder = net.only_holder(endpoint.address.value)?;
        Some((holder, SocketAddr::new(endpoint.address.value, endpoint.port.value)))
    });
    at.collect()
}

/// What is wrong with the endpoints of a service.
pub fn check(written: &Service, net: &Net<'_>, found: &mut Collector<'_>) {
    let names: HashSet<Option<&DnsLabel>> =
        written.ports.iter().map(|port| port.name.as_ref().map(|name| &name.value)).collect();
    for endpoint in &written.endpoints {
        let Spanned { value: address, span } = endpoint.address;
        let name = endpoint.name.as_ref();
        if !names.contains(&name.map(|name| &name.value)) {
            let message = match name {
                Some(name) => format!("the service has no port `{}`", name.value.0),
                None => "the ports of the service have names: an endpoint needs the `name` of one".to_owned(),
            };
            let help =
                found.did_you_mean(name.map_or("", |name| &name.value.0), names.iter().flatten().map(|name| &name.0));
            found.add(Diagnostic::new(Code::UnknownName, name.map_or(span, |name| name.span), message).help(help));
        }
        if is_of_everybody(address) {
            let message = format!("{address} means something else in every namespace");
            found.add(Diagnostic::new(Code::LocalAddress, span, message));
        } else if !net.has_address(address) && net.is_whole() {
            let help = net.address_like(address, found);
            let message = format!("no namespace has the address {address}");
            found.add(Diagnostic::new(Code::NoSuchAddress, span, message).help(help));
        } else if net.has_address(address) && net.only_holder(address).is_none() {
            let message = format!("several namespaces have the address {address}");
            found.add(Diagnostic::new(Code::AmbiguousAddress, span, message));
        }
    }
    let Some(first) = written.endpoints.first() else { return };
    let selector = written.selector.entries.first().map(|(key, _)| key.span);
    if let Some(span) = selector.or(written.pods.first().map(|pod| pod.span)) {
        let message = "`endpoints` are for services without `selector` and `pods`";
        let fault = Diagnostic::new(Code::ContradictoryKeys, first.address.span, message);
        found.add(fault.also(span, "these select pods").help("keep one of them".to_owned()));
    }
}

/// Whether every namespace has the address, or may have it.
fn is_of_everybody(address: IpAddr) -> bool {
    address.is_loopback() || is_link_local(address)
}

/// Whether packets to an address do not go to one machine on the network (`ValidateNonSpecialIP`).
pub fn is_of_nobody(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(own) if own.is_broadcast());
    let is_special = address.is_unspecified() || address.is_loopback() || address.is_multicast();
    is_special || is_broadcast || is_link_local(address)
}
