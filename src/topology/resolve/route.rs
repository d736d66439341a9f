//! Routes, made as concrete as the kernel keeps them.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::net::ResolvedNamespace;
use super::refused_hops::{self, Direct};
use super::{contradictions, mtu, next_hops};
use crate::lab::{
    Address, DEFAULT_IPV6_METRIC, Family, IfName, LOCAL_TABLE, MAIN_TABLE, Route, RouteKind, RouteScope,
    VirtualInterface,
};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{self, Destination};

/// The largest MTU that the kernel gives a route (ip_metrics_convert).
const MAX_MTU: u32 = 65535 - 15;

/// The loopback's address, which every namespace has.
const LOOPBACK: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::LOCALHOST, 8);

pub fn routes(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) -> BTreeSet<Route> {
    let mut routes = BTreeSet::new();
    // The destination of a route without a gateway is on the link, so a gateway of another route may be in it.
    let mut direct = Direct::default();
    for route in &namespace.written.routes {
        direct.add(route, destination(route), kind(route));
    }
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
        if let Some(name) = made_by(namespace, &route) {
            let message = format!("the kernel adds the route to {} itself, from the address of `{name}`", route.to);
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

fn kind(route: &schema::Route) -> RouteKind {
    route.kind.as_ref().map_or(RouteKind::Unicast, |kind| kind.value.0)
}

/// The interface with whose address the kernel adds a route in the very place of this one: to its subnet, or, in the
/// table of local addresses, to the address itself, the broadcast address of its subnet, and all of loopback's.
fn made_by(namespace: &ResolvedNamespace<'_>, route: &Route) -> Option<IfName> {
    if route.metric != 0 {
        return None;
    }
    if let Some(interface) = namespace.makes_route(route.table, route.to) {
        return Some(interface.name.clone());
    }
    if route.table == MAIN_TABLE {
        // It has no local addresses, of which there may be as many as routes.
        return None;
    }
    let is_local = |own: Address| {
        let is_broadcast = |subnet: IpNet| subnet.prefix_len() <= 30 && IpNet::from(subnet.broadcast()) == route.to;
        route.to == IpNet::from(own.ip()) || own.connected().any(is_broadcast)
    };
    let local_table = |table| if table == MAIN_TABLE { LOCAL_TABLE } else { table };
    let mut addresses = namespace.addresses();
    let local = addresses.find(|(interface, own)| {
        let is_here = local_table(namespace.table_of(interface)) == route.table;
        let is_loopback = interface.name.is_lo() && own.value.connected().any(|subnet| subnet == route.to);
        is_here && (is_local(own.value) || is_loopback)
    });
    let of_lo = [LOOPBACK.trunc(), LOOPBACK.addr().into(), LOOPBACK.broadcast().into()];
    let is_lo = route.table == LOCAL_TABLE && of_lo.map(IpNet::V4).contains(&route.to);
    local.map(|(interface, _)| interface.name.clone()).or_else(|| is_lo.then(IfName::lo))
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
    direct: &Direct,
    found: &mut Collector<'_>,
) -> Option<Route> {
    let to = destination(written);
    let ipv6 = to.addr().is_ipv6();
    let kind = kind(written);
    if !addresses_fit(namespace, written, to, found) {
        return None;
    }
    let (via, dev, nexthops) = match kind {
        RouteKind::Unicast => {
            refused_hops::scope(written, found);
            refused_hops::without_gateway(written, to, found);
            next_hops::of(namespace, written, direct, found)?
        }
        RouteKind::Local => (None, Some(local_dev(namespace, written, found)?), BTreeSet::new()),
        RouteKind::Throw | RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => {
            next_hops::needless(written, kind, found);
            (None, None, BTreeSet::new())
        }
    };
    let metric = match (written.metric.as_ref().map_or(0, |metric| metric.value), ipv6) {
        (0, true) => DEFAULT_IPV6_METRIC,
        (metric, _) => metric,
    };
    let route = Route {
        table: written.table.as_ref().map_or(kind.default_table(), |table| table.value.0),
        to,
        metric,
        kind,
        via,
        dev,
        source: written.source.as_ref().map(|source| source.value),
        scope: RouteScope::Global,
        onlink: written.onlink.as_ref().is_some_and(|onlink| onlink.value),
        mtu: None,
        nexthops,
    };
    let route = Route { mtu: largest_packet(namespace, written, &route, found), ..route };
    let scope = match &written.scope {
        Some(scope) if ipv6 && scope.value.0 != RouteScope::Global => {
            found.add(Diagnostic::new(Code::KeyNotAllowed, scope.span, "IPv6 routes have no scope"));
            RouteScope::Global
        }
        Some(scope) if kind == RouteKind::Local && scope.value.0 != RouteScope::Host => {
            found.add(Diagnostic::new(Code::ContradictoryKeys, scope.span, "a local route has the scope `host`"));
            RouteScope::Host
        }
        Some(scope) => scope.value.0,
        None => route.default_scope(),
    };
    Some(Route { scope, ..route })
}

/// The interface of a local route: the loopback, unless another one is named.
fn local_dev(namespace: &ResolvedNamespace<'_>, written: &schema::Route, found: &mut Collector<'_>) -> Option<IfName> {
    let hop = written.nexthops.first().map(|hop| hop.span);
    let onlink = written.onlink.as_ref().filter(|onlink| onlink.value).map(|onlink| onlink.span);
    if let Some(span) = written.via.as_ref().map(|via| via.span).or(hop).or(onlink) {
        let message = "a route of type `local` has no `via`, no `onlink` and no `nexthops`";
        found.add(Diagnostic::new(Code::KeyNotAllowed, span, message));
    }
    match &written.dev {
        Some(dev) => namespace.find(dev, false, found),
        None if namespace.name.is_host() => {
            let message = "a local route of `host` needs `dev`: `lo` of `host` belongs to the machine";
            found.add(Diagnostic::new(Code::NoDev, written.to.span, message));
            None
        }
        None => Some(IfName::lo()),
    }
}

/// The MTU of a route: one that its packets can have, and that its interfaces have room for.
fn largest_packet(
    namespace: &ResolvedNamespace<'_>,
    written: &schema::Route,
    route: &Route,
    found: &mut Collector<'_>,
) -> Option<u32> {
    let mtu = written.mtu.as_ref()?;
    if route.kind != RouteKind::Unicast {
        let message = format!("a route of type `{}` has no `mtu`", route.kind.word().trim_end());
        found.add(Diagnostic::new(Code::KeyNotAllowed, mtu.span, message));
        return None;
    }
    let least = mtu::least(route.is_ipv6());
    if !(least..=MAX_MTU).contains(&mtu.value) {
        let message = format!("an MTU of {} bytes; it has to be from {least} to {MAX_MTU}", mtu.value);
        found.add(Diagnostic::new(Code::BadMtu, mtu.span, message));
        return None;
    }
    let room = |dev: &IfName| {
        let interface = namespace.interface(dev)?;
        // Their packets go on to another route, or come back.
        let is_virtual =
            dev.is_lo() || matches!(interface.model.virtual_interface(), Some(VirtualInterface::Vrf { .. }));
        (!is_virtual).then(|| (mtu::of_interface(namespace, interface), &interface.name))
    };
    if let Some((room, name)) = route.devs().filter_map(room).min().filter(|(room, _)| mtu.value > *room) {
        let message = format!("`{name}` has no room for packets of {} bytes", mtu.value);
        let help = format!("write {room} at most, or give `{name}` a larger MTU");
        found.add(Diagnostic::new(Code::BadMtu, mtu.span, message).help(help));
    }
    Some(mtu.value)
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
