//! Which keys of a service go together, and its addresses.

use std::net::IpAddr;

use super::service_endpoints;
use crate::lab::Family;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{Affinity, ClusterIp, Service, ServiceType, Spanned};

/// The longest that a client can be remembered, in seconds (`MaxClientIPServiceAffinitySeconds`).
const LONGEST_AFFINITY: u32 = 86_400;

/// Keys that go with certain types only.
pub fn keys_fit(written: &Service, found: &mut Collector<'_>) {
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
    let health = written.health_check_node_port.as_ref().map(|at| at.span);
    let checked = "the type LoadBalancer with `externalTrafficPolicy: Local`";
    only(health, "healthCheckNodePort", written.is_health_checked(), checked);
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
        only(written.cluster_ips().next().map(|at| at.span), "clusterIP", false, rest);
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

pub fn timeout(written: &Service) -> Option<&Spanned<u32>> {
    written.session_affinity_config.as_ref()?.client_ip.as_ref()?.timeout.as_ref()
}

/// Its addresses, one for each of its families; none: it is headless, or a name alone.
pub fn addresses(written: &Service, found: &mut Collector<'_>) -> Vec<IpAddr> {
    let families = written.ip_families.first().filter(|_| !written.is_headless()).map(|family| family.span);
    for (span, key) in
        [(families, "ipFamilies"), (written.ip_family_policy.as_ref().map(|at| at.span), "ipFamilyPolicy")]
    {
        if let Some(span) = span {
            let fault = Diagnostic::new(Code::KeyNotAllowed, span, format!("`{key}` is for services of a `cluster`"));
            found.add(fault.help("here a service has the families of its `clusterIPs`".to_owned()));
        }
    }
    if written.is_name() {
        return Vec::new();
    }
    let mut addresses: Vec<IpAddr> = Vec::new();
    for Spanned { value, span } in written.cluster_ips() {
        let ClusterIp::Address(own) = value else { continue };
        match addresses.iter().any(|other| Family::of(*other) == Family::of(*own)) {
            false => addresses.push(*own),
            true => {
                let message = "a service has one address of each family";
                found.add(Diagnostic::new(Code::SecondAddress, *span, message));
            }
        }
    }
    match (&written.cluster_ip, addresses.first()) {
        (_, None) => {
            let fault = Diagnostic::new(Code::MissingKey, written.name.span, "a service needs `clusterIP`");
            found.add(fault.help("only services of a `cluster` get an address by themselves".to_owned()));
        }
        (Some(Spanned { value, span }), Some(first)) if *value != ClusterIp::Address(*first) => {
            let message = format!("`clusterIP` is the first of `clusterIPs`, {first}");
            found.add(Diagnostic::new(Code::ContradictoryKeys, *span, message));
        }
        (Some(_) | None, Some(_)) => {}
    }
    outside(written, &addresses, found);
    addresses
}

/// Further addresses are of the families that the service has: others would lead nowhere.
fn outside(written: &Service, addresses: &[IpAddr], found: &mut Collector<'_>) {
    let mut is_theirs = |family: Family, span: Span| {
        let is_theirs = addresses.is_empty() || addresses.iter().any(|own| Family::of(*own) == family);
        if !is_theirs {
            let fault = Diagnostic::new(Code::FamilyMismatch, span, format!("the service has no address of {family}"));
            found.add(fault.help("give it a `clusterIP` of this family, too".to_owned()));
        }
        is_theirs
    };
    let mut special = Vec::new();
    for own in written.external_ips.iter().chain(&written.load_balancer_ip) {
        if is_theirs(Family::of(own.value), own.span) && service_endpoints::is_of_nobody(own.value) {
            special.push(own);
        }
    }
    for range in &written.load_balancer_source_ranges {
        is_theirs(Family::of(range.value.0.addr()), range.span);
    }
    for own in special {
        let message = format!("{} is not the address of one machine", own.value);
        found.add(Diagnostic::new(Code::ReservedAddress, own.span, message));
    }
}
