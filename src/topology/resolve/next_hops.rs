//! Where a route leads next: its gateway and interface, or several of them.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use super::net::{ResolvedInterface, ResolvedNamespace};
use super::refused_hops::{self, Direct};
use crate::lab::{Family, IfName, MAIN_TABLE, NextHop, RouteKind, is_global};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Spanned};

/// A next hop as it is written.
struct Written<'f> {
    via: Option<&'f Spanned<IpAddr>>,
    dev: Option<&'f Spanned<IfName>>,
    onlink: bool,
    table: u32,
    span: Span,
    /// What it is written in: "route".
    what: &'static str,
    /// What to do where it says nothing.
    help: &'static str,
}

/// The gateway, the interface, or several next hops, of which there are two at least.
pub fn of(
    namespace: &ResolvedNamespace<'_>,
    route: &schema::Route,
    direct: &Direct,
    found: &mut Collector<'_>,
) -> Option<(Option<IpAddr>, Option<IfName>, BTreeSet<NextHop>)> {
    let table = route.table.as_ref().map_or(MAIN_TABLE, |table| table.value.0);
    let onlink = route.onlink.as_ref().is_some_and(|onlink| onlink.value);
    if route.nexthops.is_empty() {
        let written = Written {
            via: route.via.as_ref(),
            dev: route.dev.as_ref(),
            onlink,
            table,
            span: route.to.span,
            what: "route",
            help: "add `via`, `dev`, or a `type` such as `blackhole`",
        };
        let dev = device(namespace, &written, direct, found)?;
        return Some((route.via.as_ref().map(|via| via.value), Some(dev), BTreeSet::new()));
    }
    either_or(route, found);
    let hops = several(namespace, route, table, direct, found)?;
    // One alone is a next hop like any other.
    match hops.first().filter(|_| hops.len() == 1) {
        Some(hop) => Some((hop.via, Some(hop.dev.clone()), BTreeSet::new())),
        None => Some((None, None, hops)),
    }
}

/// Reports a next hop of a route whose type needs none.
pub fn needless(route: &schema::Route, kind: RouteKind, found: &mut Collector<'_>) {
    let hop = route.nexthops.first().map(|hop| hop.span);
    let span = route.via.as_ref().map(|via| via.span).or(route.dev.as_ref().map(|dev| dev.span)).or(hop);
    if let Some(span) = span {
        let message = format!("a route of type `{}` has no `via`, no `dev` and no `nexthops`", kind.word().trim_end());
        found.add(Diagnostic::new(Code::KeyNotAllowed, span, message));
    }
}

/// Reports what a route with several next hops has besides.
fn either_or(route: &schema::Route, found: &mut Collector<'_>) {
    let (via, dev) = (route.via.as_ref().map(|via| via.span), route.dev.as_ref().map(|dev| dev.span));
    let onlink = route.onlink.as_ref().filter(|onlink| onlink.value).map(|onlink| onlink.span);
    if let Some(span) = via.or(dev).or(onlink) {
        let message = "a route with `nexthops` has no `via`, `dev` or `onlink` of its own";
        found.add(
            Diagnostic::new(Code::ContradictoryKeys, span, message)
                .help("put `via` and `dev` into an entry of `nexthops`".to_owned()),
        );
    }
}

fn several(
    namespace: &ResolvedNamespace<'_>,
    route: &schema::Route,
    table: u32,
    direct: &Direct,
    found: &mut Collector<'_>,
) -> Option<BTreeSet<NextHop>> {
    let mut hops = BTreeSet::new();
    let mut first: HashMap<(Option<IpAddr>, IfName), Span> = HashMap::new();
    for hop in &route.nexthops {
        let written = Written {
            via: hop.via.as_ref(),
            dev: hop.dev.as_ref(),
            onlink: false,
            table,
            span: hop.span,
            what: "entry",
            help: "add `via` or `dev`",
        };
        let dev = device(namespace, &written, direct, found)?;
        let via = hop.via.as_ref().map(|via| via.value);
        if let Some(first) = first.insert((via, dev.clone()), hop.span) {
            let fault = Diagnostic::new(Code::EntryTwice, hop.span, "this next hop is given twice");
            found.add(fault.help("give it a larger `weight` instead".to_owned()).also(first, "here"));
        }
        hops.insert(NextHop { via, dev, weight: hop.weight.as_ref().map_or(1, |weight| weight.value.0) });
    }
    Some(hops)
}

/// The outgoing interface: the one that is named, or the one in whose subnet the gateway is.
fn device(
    namespace: &ResolvedNamespace<'_>,
    written: &Written<'_>,
    direct: &Direct,
    found: &mut Collector<'_>,
) -> Option<IfName> {
    let named = match written.dev {
        Some(dev) => Some(namespace.find(dev, false, found)?),
        None => None,
    };
    let Some(via) = written.via else {
        // Where the namespace could not be read whole, its `type` may be what is missing.
        if named.is_none() && namespace.written.whole {
            let help = written.help.to_owned();
            let message = format!("this {} has no next hop", written.what);
            found.add(Diagnostic::new(Code::NoNextHop, written.span, message).help(help));
        }
        return named;
    };
    if refused_hops::unusable(namespace, via, named.as_ref(), written.onlink, direct, found) {
        return None;
    }
    // The kernel looks in the VRF of the interface that is named, or else in that of the route's table.
    let vrf = named.as_ref().and_then(|dev| namespace.interface(dev)).map(|dev| namespace.table_of(dev));
    let table = vrf.unwrap_or(written.table);
    let connected = namespace.connected_in(table, via.value).map(|(interface, _)| interface);
    if connected.is_some_and(|interface| namespace.holds_in(namespace.table_of(interface), via.value)) {
        let message = format!("the gateway {} is {} itself", via.value, namespace.name);
        found.add(
            Diagnostic::new(Code::GatewayIsSelf, via.span, message)
                .help("write the address of the next router".to_owned()),
        );
        return None;
    }
    if written.onlink || (!is_global(via.value) && named.is_some()) {
        return on_link(namespace, via, named, connected, found);
    }
    let connected = connected.map(|interface| interface.name.clone());
    let connected = connected.or_else(|| direct.dev([written.table, table], via.value));
    match (named, connected) {
        (None, Some(dev)) => Some(dev),
        (Some(named), Some(dev)) if named == dev => Some(dev),
        (Some(named), Some(dev)) => {
            wrong_dev(via, &dev, &named, found);
            None
        }
        (_, None) => {
            no_subnet(namespace, via, found);
            None
        }
    }
}

/// The interface on whose link a gateway is taken to be. Unlike IPv4, IPv6 looks whether another interface of its VRF
/// leads there all the same.
fn on_link(
    namespace: &ResolvedNamespace<'_>,
    via: &Spanned<IpAddr>,
    named: Option<IfName>,
    connected: Option<&ResolvedInterface>,
    found: &mut Collector<'_>,
) -> Option<IfName> {
    let Some(named) = named else {
        let message = "an `onlink` gateway needs `dev`: no subnet says where it is";
        found.add(Diagnostic::new(Code::NoDev, via.span, message));
        return None;
    };
    let vrf = namespace.interface(&named).map(|dev| namespace.table_of(dev));
    let is_elsewhere =
        |dev: &&ResolvedInterface| dev.name != named && Some(namespace.table_of(dev)) == vrf && via.value.is_ipv6();
    if let Some(dev) = connected.filter(|_| is_global(via.value)).filter(is_elsewhere) {
        wrong_dev(via, &dev.name, &named, found);
        return None;
    }
    Some(named)
}

fn wrong_dev(via: &Spanned<IpAddr>, dev: &IfName, named: &IfName, found: &mut Collector<'_>) {
    let message = format!("the gateway {} is reached through `{dev}`, not through `{named}`", via.value);
    found.add(Diagnostic::new(Code::WrongDev, via.span, message));
}

fn no_subnet(namespace: &ResolvedNamespace<'_>, via: &Spanned<IpAddr>, found: &mut Collector<'_>) {
    if !namespace.written.whole {
        return;
    }
    let family = Family::of(via.value);
    let subnets: Vec<String> = namespace
        .addresses()
        .filter(|(interface, own)| !interface.name.is_lo() && own.value.family() == family)
        .flat_map(|(_, own)| own.value.subnets())
        .map(|subnet| subnet.to_string())
        .take(5)
        .collect();
    let help = match subnets.as_slice() {
        [] => format!("{} has no address of this family", namespace.name),
        subnets => format!("{} is connected to {}", namespace.name, subnets.join(", ")),
    };
    let message = format!("no connected subnet of {} contains the gateway {}", namespace.name, via.value);
    found.add(Diagnostic::new(Code::GatewayUnreachable, via.span, message).help(help));
}
