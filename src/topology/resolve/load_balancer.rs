//! A load balancer in front of the nodes: a route for each address that services have there, over the nodes that
//! have endpoints of them. That is what the bare-metal ones do that speak BGP (MetalLB): every node that can take a
//! service's packets announces the address, and the router in front spreads connections over equal routes. Packets
//! arrive at a node as they were sent, and its rules for the address do the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::net::{Net, ResolvedNamespace};
use super::services::Services;
use crate::lab::{
    DEFAULT_IPV6_METRIC, Family, MAIN_TABLE, Namespace, NextHop, Route, RouteKind, RouteScope, is_global,
};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};

/// Adds the routes of a load balancer; where the file has another route to an address, that one stays.
pub fn routes(
    written: &ResolvedNamespace<'_>,
    net: &Net<'_>,
    services: &Services,
    namespace: &mut Namespace,
    found: &mut Collector<'_>,
) {
    let Some(key) = written.written.load_balancer.as_ref().filter(|own| own.value) else { return };
    let mut all: BTreeMap<IpAddr, BTreeSet<NextHop>> = BTreeMap::new();
    for port in services.all.iter().flat_map(|service| &service.ports) {
        let Some(address) = port.model.load_balancer_ip else { continue };
        if let Some((interface, subnet)) = written.connected(address) {
            let (name, dev) = (&written.name, &interface.name);
            let message = format!("the `loadBalancerIP` {address} is in {subnet}, the subnet of {name}/{dev}");
            let fault = Diagnostic::new(Code::SubnetsOverlap, key.span, message);
            let help = "machines there would look for it themselves: choose one that is in no subnet of the lab";
            found.add(fault.help(help.to_owned()));
            continue;
        }
        let hops = services.nodes_of(&port.model).filter_map(|node| {
            let own = net.namespaces.get(node)?;
            let is_usable = |own: IpAddr| is_global(own) && Family::of(own) == Family::of(address);
            let via = own.shared_with(written, is_usable)?;
            let (interface, _) = written.connected(via)?;
            Some(NextHop { via: Some(via), dev: interface.name.clone(), weight: 1 })
        });
        all.entry(address).or_default().extend(hops);
    }
    let is_taken = |to: IpNet| namespace.routes.iter().any(|own| own.table == MAIN_TABLE && own.to == to);
    let routes = all.into_iter().filter_map(|(address, hops)| route(address.into(), hops));
    let routes: Vec<Route> = routes.filter(|route| !is_taken(route.to)).collect();
    namespace.routes.extend(routes);
}

/// A route over one or several next hops; without any, there is none.
fn route(to: IpNet, hops: BTreeSet<NextHop>) -> Option<Route> {
    let only = hops.first().filter(|_| hops.len() == 1).cloned();
    let (via, dev) = only.clone().map_or((None, None), |only| (only.via, Some(only.dev)));
    hops.first()?;
    Some(Route {
        table: MAIN_TABLE,
        to,
        metric: if to.addr().is_ipv6() { DEFAULT_IPV6_METRIC } else { 0 },
        kind: RouteKind::Unicast,
        via,
        dev,
        source: None,
        scope: RouteScope::Global,
        onlink: false,
        mtu: None,
        nexthops: if only.is_some() { BTreeSet::new() } else { hops },
    })
}
