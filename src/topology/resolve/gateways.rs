//! Warnings about gateways that nothing on their segment has. (A gateway that does not forward is none of them: labs
//! show routes, and where they end, with namespaces that only receive.)

use std::collections::HashMap;
use std::net::IpAddr;

use indexmap::IndexMap;

use super::net::{Net, ResolvedInterface, ResolvedNamespace, is_link_local};
use crate::forwarding::Layer2;
use crate::lab::{Family, IfName, InterfaceKind, InterfaceRef, Namespace, NsName, Route, RouteKind, VirtualKind};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{self, Spanned};

/// So many addresses are named.
const NAMED: usize = 4;

/// The lab, in which gateways are looked for.
struct Search<'a> {
    net: &'a Net<'a>,
    namespaces: &'a IndexMap<NsName, Namespace>,
    layer2: Layer2<'a>,
}

/// A gateway as it is written, and the interface that leads to it.
struct Gateway<'a> {
    of: &'a ResolvedNamespace<'a>,
    via: &'a Spanned<IpAddr>,
    dev: &'a ResolvedInterface,
}

pub fn check(net: &Net<'_>, namespaces: &IndexMap<NsName, Namespace>, found: &mut Collector<'_>) {
    let search = Search { net, namespaces, layer2: Layer2::new(namespaces) };
    for of in &net.namespaces {
        let Some(model) = namespaces.get(&of.name) else { continue };
        let devs = devs(model);
        for (via, dev) in of.written.routes.iter().flat_map(hops) {
            let dev = dev.or_else(|| devs.get(&via.value).copied()).and_then(|dev| of.interface(dev));
            // Which link-local addresses the kernel makes is not known.
            let is_known = !(via.value.is_ipv6() && is_link_local(via.value));
            let Some(dev) = dev.filter(|dev| is_known && asks_for_neighbours(dev)) else { continue };
            let gateway = Gateway { of, via, dev };
            if let Some(warning) = search.nobody(&gateway) {
                found.add(warning);
            }
        }
    }
}

/// Whether an interface leads to one of several neighbours: what goes into a tunnel comes out at its other end.
fn asks_for_neighbours(dev: &ResolvedInterface) -> bool {
    match &dev.model.kind {
        InterfaceKind::Veth { .. } | InterfaceKind::Bridge(_) => true,
        InterfaceKind::Loopback | InterfaceKind::Other(_) => false,
        InterfaceKind::Virtual(kind) => match kind.kind() {
            VirtualKind::Vxlan | VirtualKind::Macvlan | VirtualKind::Ipvlan | VirtualKind::Vlan => true,
            VirtualKind::Ipip | VirtualKind::Gre | VirtualKind::Wireguard | VirtualKind::Dummy | VirtualKind::Vrf => {
                false
            }
        },
    }
}

/// The gateways of a route as they are written.
fn hops(route: &schema::Route) -> impl Iterator<Item = (&Spanned<IpAddr>, Option<&IfName>)> {
    let own = route.via.as_ref().map(|via| (via, route.dev.as_ref()));
    let several = route.nexthops.iter().filter_map(|hop| Some((hop.via.as_ref()?, hop.dev.as_ref())));
    own.into_iter().chain(several).map(|(via, dev)| (via, dev.map(|dev| &dev.value)))
}

/// The interface through which each gateway of a namespace is reached.
fn devs(namespace: &Namespace) -> HashMap<IpAddr, &IfName> {
    let hops = namespace.routes.iter().filter(|route| route.kind == RouteKind::Unicast).flat_map(Route::hops);
    hops.filter_map(|(via, dev)| Some((via?, dev))).collect()
}

impl Search<'_> {
    /// Whether nothing there has, or answers for, the address.
    fn nobody(&self, gateway: &Gateway<'_>) -> Option<Diagnostic> {
        let (net, via) = (self.net, gateway.via.value);
        if net.holder_in(via, gateway.dev.broadcast_domain).is_some() {
            return None;
        }
        // With a permanent entry, nothing is asked for.
        let mut entries = self.namespaces.get(&gateway.of.name)?.neighbours.iter();
        if entries.any(|entry| entry.dev == gateway.dev.name && entry.address == via) {
            return None;
        }
        let from = InterfaceRef { ns: gateway.of.name.clone(), name: gateway.dev.name.clone() };
        if self.layer2.owner(&from, via).is_some() || self.leads_outside(&from, via) {
            return None;
        }
        let (dev, ns) = (&gateway.dev.name, &gateway.of.name);
        let holder = net.namespaces.iter().find(|namespace| namespace.holds(via));
        let message = match holder {
            Some(holder) => format!("the gateway {via} is {}, which is not on the segment of {ns}/{dev}", holder.name),
            None => format!("no namespace has the address {via} of this gateway"),
        };
        Some(Diagnostic::warning(Code::GatewayNobody, gateway.via.span, message).help(self.others(gateway)))
    }

    /// Whether something that the file does not know may have the address: the machine, or what is behind a VXLAN.
    fn leads_outside(&self, from: &InterfaceRef, via: IpAddr) -> bool {
        let reached = self.layer2.neighbours(from);
        let is_machine = reached.iter().chain([from]).any(|one| one.ns.is_host());
        let mut links = reached.iter().chain([from]);
        (is_machine && !self.net.has_subnet_of(via)) || links.any(|link| self.has_far_end(link))
    }

    /// Whether a VXLAN sends to addresses that no namespace has.
    fn has_far_end(&self, link: &InterfaceRef) -> bool {
        let Some(namespace) = self.namespaces.get(&link.ns) else { return false };
        namespace.fdb.iter().any(|entry| entry.dev == link.name && !self.net.has_address(entry.to))
    }

    /// Who has an address of the family there.
    fn others(&self, gateway: &Gateway<'_>) -> Option<String> {
        let (segment, family) = (gateway.dev.broadcast_domain, Family::of(gateway.via.value));
        let others = self.net.namespaces.iter().filter(|other| other.name != gateway.of.name);
        let there = others.flat_map(|other| other.addresses().map(move |(interface, own)| (other, interface, own)));
        let fits = |interface: &ResolvedInterface, own: IpAddr| {
            interface.broadcast_domain == segment && Family::of(own) == family
        };
        let mut there = there.filter(|(_, interface, own)| fits(interface, own.value.ip()));
        let some: Vec<String> =
            there.by_ref().take(NAMED).map(|(other, _, own)| format!("{} of {}", own.value.ip(), other.name)).collect();
        let more = match there.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!some.is_empty()).then(|| format!("the addresses there: {}{more}", some.join(", ")))
    }
}
