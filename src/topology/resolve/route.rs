//! Routes, made as concrete as the kernel keeps them.

use std::collections::{BTreeSet, HashMap};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::net::ResolvedNamespace;
use super::{contradictions, next_hops};
use crate::lab::{DEFAULT_IPV6_METRIC, Family, IfName, MAIN_TABLE, Route, RouteKind, RouteScope};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{self, Destination};

pub fn routes(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) -> BTreeSet<Route> {
    let mut routes = BTreeSet::new();
    // The destination of a route without a gateway is on the link, so a gateway of another route may be in it.
    let direct: HashMap<IpNet, IfName> = namespace
        .written
        .routes
        .iter()
        .filter(|route| route.via.is_none())
        .filter_map(|route| Some((destination(route), route.dev.as_ref()?.value.clone())))
        .collect();
    let mut slots = HashMap::new();
    for written in &namespace.written.routes {
        let Some(route) = route(namespace, written, &direct, found) else { continue };
        if let Some(first) = slots.insert((route.table, route.to, route.metric), written.to.span) {
            let help = "give one of them another metric or table".to_owned();
            let fault = Diagnostic::new(
                Code::RouteTwice,
                written.to.span,
                "this route has the same destination, table and metric as another",
            );
            found.add(fault.help(help).also(first, "the other"));
        }
        if let Some(interface) = namespace.makes_route(route.table, route.to).filter(|_| route.metric == 0) {
            let message =
                format!("the kernel adds the route to {} itself, from the address of `{}`", route.to, interface.name);
            found.add(
                Diagnostic::new(Code::ConnectedRoute, written.to.span, message)
                    .help("remove it, or give it a metric".to_owned()),
            );
        }
        contradictions::route_through_down(namespace, &route, written.to.span, found);
        routes.insert(route);
    }
    routes
}

/// Where a route leads, with the family of its gateway or source if it is `default`.
fn destination(route: &schema::Route) -> IpNet {
    let hop = route.nexthops.iter().find_map(|hop| hop.via.as_ref());
    let like = route.via.as_ref().or(route.source.as_ref()).or(hop).map(|address| address.value);
    match route.to.value {
        Destination::Subnet(net) => net,
        Destination::Default => everything(like.map_or(Family::Ipv4, Family::of)),
    }
}

fn everything(family: Family) -> IpNet {
    match family {
        Family::Ipv4 => IpNet::V4(Ipv4Net::default()),
        Family::Ipv6 => IpNet::V6(Ipv6Net::default()),
    }
}

fn route(
    namespace: &ResolvedNamespace<'_>,
    written: &schema::Route,
    direct: &HashMap<IpNet, IfName>,
    found: &mut Collector<'_>,
) -> Option<Route> {
    let to = destination(written);
    let ipv6 = to.addr().is_ipv6();
    let kind = written.kind.as_ref().map_or(RouteKind::Unicast, |kind| kind.value.0);
    if !addresses_fit(namespace, written, to, found) {
        return None;
    }
    let (via, dev, nexthops) = match kind {
        RouteKind::Unicast => next_hops::of(namespace, written, direct, found)?,
        RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => {
            next_hops::needless(written, found);
            (None, None, BTreeSet::new())
        }
    };
    let metric = match (written.metric.as_ref().map_or(0, |metric| metric.value), ipv6) {
        (0, true) => DEFAULT_IPV6_METRIC,
        (metric, _) => metric,
    };
    let route = Route {
        table: written.table.as_ref().map_or(MAIN_TABLE, |table| table.value.0),
        to,
        metric,
        kind,
        via,
        dev,
        source: written.source.as_ref().map(|source| source.value),
        scope: RouteScope::Global,
        onlink: written.onlink.as_ref().is_some_and(|onlink| onlink.value),
        nexthops,
    };
    let scope = match &written.scope {
        Some(scope) if ipv6 && scope.value.0 != RouteScope::Global => {
            found.add(Diagnostic::new(Code::KeyNotAllowed, scope.span, "IPv6 routes have no scope"));
            RouteScope::Global
        }
        Some(scope) => scope.value.0,
        None => route.default_scope(),
    };
    Some(Route { scope, ..route })
}

/// Whether gateway and source are of the destination's family; and that the source is the namespace's own.
fn addresses_fit(
    namespace: &ResolvedNamespace<'_>,
    written: &schema::Route,
    to: IpNet,
    found: &mut Collector<'_>,
) -> bool {
    let hops = written.nexthops.iter().map(|hop| (&hop.via, "gateway"));
    let addresses = [(&written.via, "gateway"), (&written.source, "source")].into_iter().chain(hops);
    for (address, what) in addresses.filter_map(|(address, what)| Some((address.as_ref()?, what))) {
        if address.value.is_ipv6() != to.addr().is_ipv6() {
            let message = format!("the {what} {} and the destination {to} are of different families", address.value);
            found.add(Diagnostic::new(Code::FamilyMismatch, address.span, message));
            return false;
        }
    }
    // The machine has addresses that the file does not know.
    let all_known = namespace.written.whole && !namespace.name.is_host();
    if let Some(source) = written.source.as_ref().filter(|source| all_known && !namespace.holds(source.value)) {
        let message = format!("no interface of {} has the address {}", namespace.name, source.value);
        found.add(Diagnostic::new(Code::NoSuchAddress, source.span, message));
    }
    true
}
