//! Subnets and routes of a lab in `host` that the host uses already: its LAN, Docker's bridge, a VPN, another lab.
//!
//! A route in the very place of a lab's is a conflict, and reported as such. Only what touches `host` can collide:
//! namespaces of the lab's own have routing tables of their own.

use ipnet::IpNet;

use super::code::MachineCode;
use super::facts::{Facts, Taken};
use super::finding::Finding;
use super::needs::Needs;
use crate::lab::Route;

/// Every subnet and every route of the lab that collides, each with the first thing that it collides with.
pub(super) fn find(needs: &Needs, facts: &Facts) -> Vec<Finding> {
    let subnets = needs.host_subnets.iter().filter_map(|(name, net)| {
        let taken = foreign(needs, facts).find(|taken| overlap(*net, taken))?;
        Some(overlaps(&format!("the subnet {net} of host/{name}"), taken))
    });
    let routes = needs.host_routes.iter().filter_map(|route| {
        let taken = foreign(needs, facts).find(|taken| overlap(route.to, taken))?;
        Some(overlaps(&format!("the lab's route {route} in host"), taken))
    });
    subnets.chain(routes).chain(defaults(needs, facts)).chain(advertised(needs, facts)).collect()
}

/// Default routes of the lab that would be used instead of the host's own: those whose author has not said by a metric
/// which of the two counts.
fn defaults<'a>(needs: &'a Needs, facts: &'a Facts) -> impl Iterator<Item = Finding> + 'a {
    let unsaid = |route: &&Route| route.to.prefix_len() == 0 && route.metric == route.default_metric();
    let unsaid = needs.host_routes.iter().filter(unsaid);
    unsaid.filter_map(|route| {
        // One of the same metric is in its place, which is a conflict.
        let comes_after = |taken: &&Taken| {
            let is_beside = taken.net == route.to && taken.table == route.table;
            is_beside && taken.metric > route.metric && !taken.by_nslab
        };
        let taken = foreign(needs, facts).find(comes_after)?;
        Some(Finding::error(
            MachineCode::SubnetOfHost,
            format!("the lab's route {route} in host would be used instead of the host's own {}", taken.text),
            "give the lab's route a `metric` that is larger than that of the host's, or remove the host's",
        ))
    })
}

/// Routes that a router has advertised to the host, and that the kernel removes when the host begins to forward IPv6
/// (`addrconf_fixup_forwarding`).
fn advertised<'a>(needs: &'a Needs, facts: &'a Facts) -> impl Iterator<Item = Finding> + 'a {
    let lost = facts.taken.iter().filter(|taken| needs.host_forwards_ipv6 && taken.goes_with_forwarding).take(1);
    lost.map(|taken| {
        Finding::error(
            MachineCode::AdvertisedRouteLost,
            format!("the host is to forward IPv6, and would lose its own {}, which a router advertises", taken.text),
            format!("have it heeded all the same: sysctl -w net.ipv6.conf.{}.accept_ra=2", taken.dev.replace('.', "/")),
        )
    })
}

/// What is not the lab's own: an interface of a name that the lab wants is a conflict, and reported as such.
fn foreign<'a>(needs: &'a Needs, facts: &'a Facts) -> impl Iterator<Item = &'a Taken> {
    facts.taken.iter().filter(|taken| {
        let same_name = needs.host_interfaces.iter().any(|name| name.as_str() == taken.dev);
        let own_route = || taken.by_nslab && needs.host_routes.iter().any(|route| route.to == taken.net);
        !same_name && taken.owner != needs.lab && !own_route()
    })
}

fn overlap(net: IpNet, taken: &Taken) -> bool {
    // Overlaps with everything do not matter: default routes, and the two halves of one that VPNs set instead.
    let everything = |net: IpNet| net.prefix_len() <= 1;
    let link_local = matches!(taken.net, IpNet::V6(net) if net.addr().is_unicast_link_local());
    !everything(net)
        && !everything(taken.net)
        && !link_local
        && (net.contains(&taken.net.network()) || taken.net.contains(&net.network()))
}

fn overlaps(mine: &str, taken: &Taken) -> Finding {
    let text = &taken.text;
    match &taken.owner {
        Some(lab) => Finding::error(
            MachineCode::SubnetOfAnotherLab,
            format!("{mine} overlaps the {text} of lab {lab}"),
            format!("give one of the two labs another prefix, or remove the other one first: nslab destroy {lab}"),
        ),
        None => Finding::error(
            MachineCode::SubnetOfHost,
            format!("{mine} overlaps the host's own {text}"),
            "packets to one of them would go to the other: give the lab another prefix, or let a namespace be its \
             router instead of host",
        ),
    }
}
