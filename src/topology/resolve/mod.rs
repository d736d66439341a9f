//! From the file as written to the lab: what its names mean, and whether everything fits together.
//!
//! Each part finds the faults of its own subject and goes on. Where something could not be read, faults that would
//! only follow from that are left out.

mod address;
mod asks;
mod bridge;
mod bridge_port;
mod broadcast_domains;
mod chains;
mod check_protocol;
mod checks;
mod contradictions;
mod disjoint_set;
mod dns_zones;
mod etc_files;
mod exec_checks;
mod fdb_entry;
mod filter;
mod gateways;
mod ingress;
mod ingress_backends;
mod ingress_controllers;
mod interface;
mod keep;
mod led;
mod load_balancer;
mod lower_interfaces;
mod mismatches;
mod mtu;
mod name_servers;
mod nat;
mod neighbour;
mod net;
mod network_policies;
mod next_hops;
mod place;
mod policy_matches;
mod policy_nodes;
mod policy_rule;
mod prefix_lengths;
mod probes;
mod program;
mod refused_hops;
mod route;
mod selectors;
mod server;
mod service_endpoints;
mod service_keys;
mod service_pods;
mod services;
mod sysctl;
mod veth;
mod virtual_interface;
mod vlans;
mod vrf;
mod vxlan;
mod wireguard;

use std::collections::BTreeMap;

use indexmap::IndexMap;

use self::chains::Chains;
use self::net::{Names, Net, ResolvedNamespace};
use self::veth::VethPairs;
use super::diagnostics::Collector;
use super::schema::File;
use crate::lab::{Family, Lab, LabName, Namespace, NsName, Origins, ProgramName};
use crate::policies;

/// The lab that the file describes; worth something only if no fault was found.
pub(super) fn resolve(file: &File, origins: Origins, found: &mut Collector<'_>) -> Lab {
    let veths = veth::resolve(file, found);
    let net = net(file, &veths, found);
    address::check(&net, &veths, found);
    nat::check(&net, found);
    program::check(&net, found);
    let services = services::resolve(file, &net, found);
    let mut namespaces: IndexMap<NsName, Namespace> =
        net.namespaces.iter().map(|own| (own.name.clone(), namespace(own, &file.name.value, found))).collect();
    for (at, own) in net.namespaces.iter().enumerate() {
        if let Some(namespace) = namespaces.get_mut(&own.name) {
            services::rules(own, at, &services, namespace);
            load_balancer::routes(own, &net, &services, namespace, found);
            namespace.wireguard = wireguard::peers(own, &net, found);
        }
    }
    for (name, program) in ingress_controllers::programs(file, &net, &services, found) {
        if let Some(namespace) = namespaces.get_mut(&name) {
            namespace.programs.insert(ProgramName::ingress(), program);
        }
    }
    let network_policies = network_policies::resolve(file, &net, found);
    for (node, table) in policies::tables(&network_policies) {
        if let Some(namespace) = namespaces.get_mut(&node) {
            namespace.nft.insert(policies::table_id(), table);
        }
    }
    let (checks, exec_checks) = checks::resolve(file, &net, (&namespaces, &services), found);
    // Of a lab that is not whole, much could be wrong that is not.
    if !found.has_faults() {
        prefix_lengths::check(&net, &namespaces, found);
        gateways::check(&net, &namespaces, found);
        mismatches::check(&net, &checks, found);
    }
    let name_servers = name_servers::resolve(file, &net, &services, found);
    let etc = etc_files::resolve(&net, &namespaces, &name_servers, found);
    let runs_in_host = exec_checks.iter().flat_map(|check| &check.from).any(NsName::is_host);
    let mentioned = runs_in_host
        || checks
            .iter()
            .flat_map(|check| &check.probes)
            .any(|probe| probe.from.is_host() || probe.to.ns.as_ref().is_some_and(NsName::is_host));
    if !mentioned && namespaces.get(&NsName::host()) == Some(&Namespace::default()) {
        namespaces.shift_remove(&NsName::host());
    }
    let description = file.description.as_ref().map(|text| text.value.0.clone());
    let name = file.name.value.clone();
    let places = program::places(&net, found);
    Lab { name, description, namespaces, checks, exec_checks, network_policies, etc, origins, places }
}

/// All namespaces with their interfaces.
fn net<'f>(file: &'f File, veths: &VethPairs<'f>, found: &mut Collector<'_>) -> Net<'f> {
    let written = file.namespaces.entries.iter();
    let mut namespaces: Vec<ResolvedNamespace<'f>> = written
        .zip(veths.by_namespace(file))
        .map(|((name, namespace), veths)| interface::namespace(&name.value, namespace, veths, found))
        .collect();
    let names = Names::new(file);
    let others = virtual_interface::finish(&mut namespaces, &names, found);
    broadcast_domains::number(&mut namespaces, veths, &others, found);
    Net::new(namespaces, names)
}

fn namespace(namespace: &net::ResolvedNamespace<'_>, lab: &LabName, found: &mut Collector<'_>) -> Namespace {
    let routes = route::routes(namespace, found);
    let ipv6 = namespace.has(Family::Ipv6) || routes.iter().any(|route| route.is_ipv6());
    let mut chains = Chains::default();
    nat::rules(namespace, lab, &mut chains, found);
    filter::rules(namespace, lab, ipv6, &mut chains, found);
    let owned = |interface: &net::ResolvedInterface| {
        let mut model = interface.model.clone();
        model.owner = Some(lab.clone());
        (interface.name.clone(), model)
    };
    let label =
        |(key, value): &(super::schema::Spanned<super::schema::Text>, super::schema::Spanned<super::schema::Text>)| {
            (key.value.0.clone(), value.value.0.clone())
        };
    Namespace {
        owner: (!namespace.name.is_host()).then(|| lab.clone()),
        interfaces: namespace.interfaces.iter().map(owned).collect(),
        routes,
        rules: policy_rule::rules(namespace, found),
        neighbours: neighbour::neighbours(namespace, found),
        fdb: fdb_entry::entries(namespace, found),
        wireguard: BTreeMap::new(),
        sysctls: sysctl::resolve(namespace, ipv6, found),
        firewall: chains.into_firewall(),
        nft: crate::lab::NftTables::new(),
        keep: keep::resolve(namespace),
        programs: program::programs(namespace, lab, found),
        labels: namespace.written.labels.entries.iter().map(label).collect(),
    }
}
