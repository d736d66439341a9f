//! Gateways that the kernel takes no route through, whatever else is there (`fib_check_nh` and `ip6_route_check_nh` in
//! the kernel).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::net::ResolvedNamespace;
use crate::forwarding::Prefixes;
use crate::lab::{IfName, LOCAL_TABLE, MAIN_TABLE, RouteKind, RouteScope};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Destination, Spanned};

/// The routes of a namespace behind which a gateway of another route may be, and those whose destinations are the
/// namespace itself.
#[derive(Default)]
pub struct Direct {
    /// Destinations on a link, by the routing table.
    on_link: HashMap<u32, Prefixes<IfName>>,
    /// Destinations of local routes, by the routing table.
    local: HashMap<u32, Prefixes<()>>,
}

impl Direct {
    /// Notes a route of the file that leads to a link, or nowhere but here.
    pub fn add(&mut self, route: &schema::Route, to: IpNet, kind: RouteKind) {
        let table = route.table.as_ref().map_or(kind.default_table(), |table| table.value.0);
        match (kind, &route.dev) {
            (RouteKind::Local, _) => drop(self.local.entry(table).or_default().get_or_insert(to, ())),
            (RouteKind::Unicast, Some(dev)) if route.via.is_none() && leads_to_a_link(route, to) => {
                self.on_link.entry(table).or_default().get_or_insert(to, dev.value.clone());
            }
            _ => {}
        }
    }

    /// The interface behind which a gateway is. The kernel looks into the route's own table, and then into that which
    /// the policy rules lead to; those of the file come after the routes.
    pub fn dev(&self, tables: [u32; 2], via: IpAddr) -> Option<IfName> {
        let tables = tables.into_iter().chain([MAIN_TABLE]);
        let mut found = tables.filter_map(|table| self.on_link.get(&table)?.longest(via));
        found.next().map(|(_, dev)| dev.clone())
    }

    fn is_local(&self, table: u32, address: IpAddr) -> bool {
        self.local.get(&table).is_some_and(|local| local.longest(address).is_some())
    }
}

/// An IPv4 gateway is looked for on links only, and the scope of a route says whether it leads to one.
fn leads_to_a_link(route: &schema::Route, to: IpNet) -> bool {
    let scope = route.scope.as_ref().map_or(RouteScope::Link, |scope| scope.value.0);
    to.addr().is_ipv6() || matches!(scope, RouteScope::Link | RouteScope::Host)
}

/// Reports an address that is no single router's, or this namespace's own; whether it was one.
pub fn unusable(
    namespace: &ResolvedNamespace<'_>,
    via: &Spanned<IpAddr>,
    dev: Option<&IfName>,
    onlink: bool,
    direct: &Direct,
    found: &mut Collector<'_>,
) -> bool {
    let vrf = dev.and_then(|dev| namespace.interface(dev)).map_or(MAIN_TABLE, |dev| namespace.table_of(dev));
    let local_table = if vrf == MAIN_TABLE { LOCAL_TABLE } else { vrf };
    let of_broadcast = |subnet: IpNet| subnet.prefix_len() <= 30 && subnet.broadcast() == via.value;
    let is_broadcast = || {
        let mut own = namespace.addresses().filter(|(interface, _)| namespace.table_of(interface) == vrf);
        own.any(|(_, own)| own.value.connected().any(|subnet| !own.value.is_ipv6() && of_broadcast(subnet)))
    };
    let what = match via.value {
        ip if ip.is_unspecified() => "no address",
        ip if ip.is_multicast() => "an address of a group",
        IpAddr::V4(Ipv4Addr::BROADCAST) => "the address of everybody on the link",
        IpAddr::V4(_) if is_broadcast() => "the broadcast address of a subnet",
        ip if ip.is_loopback() => "an address of the loopback",
        // An IPv6 gateway may be in a local route, as long as no interface has it.
        ip if onlink && ip.is_ipv4() && direct.is_local(local_table, ip) => "local by a route of the file",
        ip if ip.is_ipv6() && dev.is_some_and(IfName::is_lo) => "not behind `lo`",
        _ => return false,
    };
    let message = format!("the gateway {} is {what}", via.value);
    let help = "write the address of the next router".to_owned();
    found.add(Diagnostic::new(Code::GatewayInvalid, via.span, message).help(help));
    true
}

/// Reports a route whose scope says that its destination is nearer than a gateway.
pub fn scope(route: &schema::Route, found: &mut Collector<'_>) {
    let Some(scope) = route.scope.as_ref().filter(|scope| is_near(scope.value.0)) else { return };
    let is_ipv6 = matches!(route.to.value, Destination::Subnet(net) if net.addr().is_ipv6());
    let hop = route.nexthops.iter().find_map(|hop| hop.via.as_ref()).or(route.via.as_ref());
    let several = route.nexthops.get(1).filter(|_| scope.value.0 == RouteScope::Host).map(|hop| hop.span);
    let (word, second): (_, Option<(Span, _)>) = match hop {
        Some(via) => ("no gateway", Some((via.span, "the gateway"))),
        None => ("no second next hop", several.map(|span| (span, "the second"))),
    };
    if let Some((span, label)) = second.filter(|_| !is_ipv6) {
        let message = format!("a route of the scope `{}` has {word}", scope.value.0);
        let fault = Diagnostic::new(Code::ContradictoryKeys, scope.span, message).also(span, label);
        found.add(fault.help("leave `scope` out".to_owned()));
    }
}

fn is_near(scope: RouteScope) -> bool {
    matches!(scope, RouteScope::Link | RouteScope::Host)
}

/// Reports next hops of an IPv6 route that have no gateway, where there are several.
pub fn without_gateway(route: &schema::Route, to: IpNet, found: &mut Collector<'_>) {
    if !to.addr().is_ipv6() || route.nexthops.len() < 2 {
        return;
    }
    for hop in route.nexthops.iter().filter(|hop| hop.via.is_none()) {
        let message = "of several next hops, each of IPv6 has a gateway";
        found.add(Diagnostic::new(Code::NoNextHop, hop.span, message).help("add `via`".to_owned()));
    }
}
