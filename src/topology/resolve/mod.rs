//! From the file as written to the lab: what its names mean, and whether everything fits together.
//!
//! Each part finds the faults of its own subject and goes on. Where something could not be read, faults that would
//! only follow from that are left out.

mod addresses;
mod broadcast_domains;
mod chains;
mod checks;
mod filter;
mod interfaces;
mod lower_interfaces;
mod nat;
mod net;
mod probes;
mod routing;
mod selectors;
mod sysctls;
mod veths;
mod virtual_interfaces;
mod vlans;
mod vrfs;
mod vxlans;

use indexmap::IndexMap;

use self::chains::Chains;
use super::diagnostics::Collector;
use super::schema::File;
use crate::lab::{Family, Lab, LabName, Namespace, NsName, Origins};

/// The lab that the file describes; worth something only if no fault was found.
pub(super) fn resolve(file: &File, origins: Origins, found: &mut Collector<'_>) -> Lab {
    let cables = veths::resolve(file, found);
    let net = interfaces::resolve(file, &cables, found);
    addresses::check(&net, &cables, found);
    nat::check(&net, found);
    let mut namespaces: IndexMap<NsName, Namespace> =
        net.spaces.iter().map(|space| (space.name.clone(), namespace(space, &file.name.value, found))).collect();
    let checks = checks::resolve(file, &net, found);
    let mentioned = checks
        .iter()
        .flat_map(|check| &check.probes)
        .any(|probe| probe.from.is_host() || probe.to.ns.as_ref().is_some_and(NsName::is_host));
    if !mentioned && namespaces.get(&NsName::host()) == Some(&Namespace::default()) {
        namespaces.shift_remove(&NsName::host());
    }
    let description = file.description.as_ref().map(|text| text.value.0.clone());
    Lab { name: file.name.value.clone(), description, namespaces, checks, origins }
}

fn namespace(space: &net::Space<'_>, lab: &LabName, found: &mut Collector<'_>) -> Namespace {
    let routes = routing::routes(space, found);
    let ipv6 = space.has(Family::Ipv6) || routes.iter().any(|route| route.is_ipv6());
    let mut chains = Chains::default();
    nat::rules(space, lab, &mut chains, found);
    filter::rules(space, lab, ipv6, &mut chains, found);
    let owned = |interface: &net::ResolvedInterface| {
        let mut link = interface.link.clone();
        link.owner = Some(lab.clone());
        (interface.name.clone(), link)
    };
    let label =
        |(key, value): &(super::schema::Spanned<super::schema::Text>, super::schema::Spanned<super::schema::Text>)| {
            (key.value.0.clone(), value.value.0.clone())
        };
    Namespace {
        owner: (!space.name.is_host()).then(|| lab.clone()),
        interfaces: space.interfaces.iter().map(owned).collect(),
        routes,
        rules: routing::rules(space, found),
        neighbours: routing::neighbours(space, found),
        fdb: vxlans::fdb(space, found),
        sysctls: sysctls::resolve(space, ipv6, found),
        firewall: chains.into_firewall(),
        labels: space.written.labels.entries.iter().map(label).collect(),
    }
}
