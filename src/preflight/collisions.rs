//! Subnets and routes of a lab in `host` that the host uses already: its LAN, Docker's bridge, a VPN, another lab.
//!
//! A route in the very place of a lab's is a conflict, and reported as such. Only what touches `host` can collide:
//! namespaces of the lab's own have routing tables of their own.

use ipnet::IpNet;

use super::code::MachineCode;
use super::facts::{Facts, Taken};
use super::finding::Finding;
use super::needs::Needs;

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
    subnets.chain(routes).collect()
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
