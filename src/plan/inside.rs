//! What is inside a namespace: addresses, routes, policy rules, neighbours, forwarding entries and sysctls.
//!
//! The kernel takes some things along when it removes others (an interface its addresses and routes, the last address
//! of an interface its IPv4 routes); what would be lost that way is planned anew.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use indexmap::{IndexMap, IndexSet};
use ipnet::IpNet;

use super::links::master;
use super::{Compared, Phases, Step, gateways};
use crate::lab::{
    FdbEntry, IfName, Interface, InterfaceRef, MAIN_TABLE, Namespace, NsName, PolicyRule, Route, RouteKind, RouteScope,
    RuleAction, SysctlKey, SysctlValue,
};

const MISSING: &str = "it is missing";
const EXTRA: &str = "the file does not have it";

/// Plans everything inside one namespace.
pub(super) fn compare(compared: &Compared<'_>, ns: &NsName, want: &Namespace, is: &Namespace, phases: &mut Phases) {
    let mut lost = Lost::default();
    for (name, link) in &want.interfaces {
        let end = InterfaceRef { ns: ns.clone(), name: name.clone() };
        let live = if phases.fresh.contains(&end) { None } else { is.interfaces.get(name) };
        if live.is_none() {
            lost.interfaces.insert(name.clone());
        }
        match live.filter(|live| changes_vrf(&end, (want, link), (is, live), phases)) {
            Some(live) => {
                lost.brought_down.insert(name.clone());
                let addresses = live.addresses.iter().filter(|address| address.addr().is_ipv4()).copied().collect();
                let kept = Interface { addresses, ..live.clone() };
                self::addresses(&end, link, Some(&kept), &mut lost, phases);
            }
            None => addresses(&end, link, live, &mut lost, phases),
        }
    }
    for (name, link) in &want.interfaces {
        let end = InterfaceRef { ns: ns.clone(), name: name.clone() };
        connected(&end, want, link, is, &lost, phases);
    }
    for planned in phases.drop_devices.0.iter().chain(&phases.drop_links.0) {
        if let Step::DeleteInterface { end } = &planned.step
            && end.ns == *ns
        {
            lost.interfaces.insert(end.name.clone());
        }
    }
    routes(compared, ns, want, is, &lost, phases);
    rules(ns, want, is, phases);
    gateways::compare(ns, is, phases);
    neighbours(compared, ns, want, is, &lost, phases);
    forwarding_entries(compared, ns, want, is, &lost, phases);
    sysctls(compared, ns, want, is, &lost, phases);
}

/// What goes along with what the plan removes.
#[derive(Default)]
struct Lost {
    /// Interfaces that are removed or new: nothing is on them.
    interfaces: BTreeSet<IfName>,
    /// Interfaces that the kernel brings down and up again: they lose what hangs on them but their IPv4 addresses, with which
    /// the routes to their own subnets come back.
    brought_down: BTreeSet<IfName>,
    /// Interfaces that lose their last IPv4 address, and with it their IPv4 routes.
    without_ipv4: BTreeSet<IfName>,
    /// Addresses that go, and with them the IPv4 routes that prefer them as their source.
    addresses: BTreeSet<IpAddr>,
}

impl Lost {
    fn takes(&self, route: &Route) -> bool {
        let dev = |set: &BTreeSet<IfName>| route.dev.as_ref().is_some_and(|dev| set.contains(dev));
        dev(&self.interfaces)
            || dev(&self.brought_down)
            || (!route.is_ipv6() && dev(&self.without_ipv4))
            // An IPv6 route stays and forgets its source (fib6_remove_prefsrc).
            || (!route.is_ipv6() && route.source.is_some_and(|source| self.addresses.contains(&source)))
    }
}

/// Whether an interface becomes or ceases to be a port of a VRF; the kernel brings one that is up down and up again for it
/// (cycle_netdev in its drivers/net/vrf.c).
fn changes_vrf(
    end: &InterfaceRef,
    (wanted, want): (&Namespace, &Interface),
    (is, live): (&Namespace, &Interface),
    phases: &Phases,
) -> bool {
    let changes = master(end, live, &phases.fresh) != want.master.as_ref();
    live.up && changes && (is.vrf_of(live).is_some() || wanted.vrf_of(want).is_some())
}

fn addresses(end: &InterfaceRef, want: &Interface, live: Option<&Interface>, lost: &mut Lost, phases: &mut Phases) {
    let none = IndexSet::new();
    let is = live.map_or(&none, |link| &link.addresses);
    let extra: Vec<IpNet> = is.difference(&want.addresses).filter(|a| !is_kernels(end, a)).copied().collect();
    let misplaced = misplaced(&want.addresses, is);
    let drops = extra.iter().map(|address| (address, EXTRA.to_owned()));
    let drops = drops.chain(misplaced.iter().map(|(address, first)| (address, format!("{first} comes before it"))));
    for (&address, why) in drops {
        phases.drop_addresses.add(Step::DeleteAddress { end: end.clone(), address }, why);
        lost.addresses.insert(address.addr());
    }
    let ipv4 = |addresses: &mut dyn Iterator<Item = &IpNet>| addresses.filter(|a| a.addr().is_ipv4()).count();
    let gone = ipv4(&mut extra.iter().chain(misplaced.keys()));
    if gone > 0 && gone == ipv4(&mut is.iter()) {
        lost.without_ipv4.insert(end.name.clone());
    }
    for &address in &want.addresses {
        // With a subnet's first address, the kernel removes the others (promote_secondaries is off by default).
        let place = |address: &IpNet| is.get_index_of(address);
        let before_it = |gone: &&IpNet| gone.trunc() == address.trunc() && place(gone) < place(&address);
        let endangered = || extra.iter().chain(misplaced.keys()).filter(|gone| gone.addr().is_ipv4()).find(before_it);
        if !is.contains(&address) {
            phases.addresses.add(Step::AddAddress { end: end.clone(), address }, MISSING);
        } else if let Some(first) = misplaced.get(&address) {
            phases.addresses.add(Step::AddAddress { end: end.clone(), address }, format!("it comes after {first}"));
        } else if let Some(gone) = endangered() {
            phases.addresses.add(
                Step::AddAddress { end: end.clone(), address },
                format!("the kernel removes it together with {gone}"),
            );
        }
    }
}

/// Addresses that stand before the one that the file has first in their subnet, which is the one that packets leave with
/// (`IFA_F_SECONDARY` is what the kernel says of the others); with that one. For IPv6, the order says nothing.
fn misplaced(want: &IndexSet<IpNet>, is: &IndexSet<IpNet>) -> IndexMap<IpNet, IpNet> {
    let mut firsts = BTreeMap::new();
    for address in want.iter().filter(|address| address.addr().is_ipv4()) {
        firsts.entry(address.trunc()).or_insert(*address);
    }
    let stands_before = |address: &IpNet, first: &IpNet| match is.get_index_of(first) {
        Some(place) => is.get_index_of(address) < Some(place),
        None => true,
    };
    let wanted = is.iter().filter(|address| want.contains(*address));
    let with_first = wanted.filter_map(|address| Some((*address, *firsts.get(&address.trunc())?)));
    with_first.filter(|(address, first)| stands_before(address, first)).collect()
}

/// Addresses that the kernel gives the loopback by itself.
fn is_kernels(end: &InterfaceRef, address: &IpNet) -> bool {
    end.name.is_lo() && address.addr().is_loopback()
}

/// The routes to its own subnets that the kernel makes with an interface's addresses: what metric and scope it gives
/// them is in fib_add_ifaddr and addrconf_prefix_route.
pub(super) fn implied<'a>(ns: &Namespace, name: &'a IfName, link: &'a Interface) -> impl Iterator<Item = Route> + 'a {
    let table = ns.vrf_of(link).unwrap_or(MAIN_TABLE);
    let subnets = link.addresses.iter().filter(|address| address.prefix_len() < address.max_prefix_len());
    // Of several addresses in one subnet, the first brings the route.
    let first = |address: &&IpNet| {
        let mut before = link.addresses.iter().take_while(|before| before != address);
        !before.any(|before| before.trunc() == address.trunc())
    };
    subnets.filter(move |address| link.up && !name.is_lo() && first(address)).map(move |address| {
        let ipv4 = address.addr().is_ipv4();
        Route {
            table,
            to: address.trunc(),
            metric: if ipv4 { 0 } else { 256 },
            kind: RouteKind::Unicast,
            via: None,
            dev: Some(name.clone()),
            source: ipv4.then(|| address.addr()),
            scope: if ipv4 { RouteScope::Link } else { RouteScope::Global },
            onlink: false,
        }
    })
}

/// Plans the routes to an interface's own subnets that somebody removed; with the address, they come by themselves.
fn connected(
    end: &InterfaceRef,
    wanted: &Namespace,
    want: &Interface,
    is: &Namespace,
    lost: &Lost,
    phases: &mut Phases,
) {
    let comes_anew = lost.interfaces.contains(&end.name) || lost.brought_down.contains(&end.name);
    let Some(live) = is.interfaces.get(&end.name).filter(|live| live.up && !comes_anew) else {
        return;
    };
    for route in implied(wanted, &end.name, want) {
        let address_stays = live.addresses.iter().any(|address| address.trunc() == route.to)
            && !phases.addresses.0.iter().any(|planned| {
                matches!(&planned.step, Step::AddAddress { end: of, address } if of == end && address.trunc() == route.to)
            });
        if address_stays && !is.connected.iter().chain(&is.routes).any(|there| is_connected(there, &route)) {
            phases.routes.add(Step::AddRoute { ns: end.ns.clone(), route }, MISSING);
        }
    }
}

/// Whether a route does what the kernel's own route to a subnet does.
fn is_connected(there: &Route, implied: &Route) -> bool {
    there.via.is_none() && there.same_slot(implied) && there.dev == implied.dev
}

fn routes(compared: &Compared<'_>, ns: &NsName, want: &Namespace, is: &Namespace, lost: &Lost, phases: &mut Phases) {
    let remaining: Vec<&Route> = is.routes.iter().filter(|route| !lost.takes(route)).collect();
    let mut replaced = BTreeSet::new();
    for route in
        want.routes.difference(&is.routes).chain(want.routes.intersection(&is.routes).filter(|r| lost.takes(r)))
    {
        // What is somebody else's in `host` is not replaced, but in the way (see `conflicts`).
        let is_replaceable = |there: &Route| {
            there.same_slot(route) && !want.routes.contains(there) && is_ours_in_place(compared, ns, is, there)
        };
        let there = remaining.iter().find(|there| is_replaceable(there));
        // A route through a gateway needs the route that reaches the gateway.
        let phase = if route.via.is_some() { &mut phases.routes_via } else { &mut phases.routes };
        match there {
            Some(&from) => {
                replaced.insert(from);
                let step = Step::ReplaceRoute { ns: ns.clone(), from: from.clone(), to: route.clone() };
                phase.add(step, format!("there is {from}"));
            }
            None => phase.add(Step::AddRoute { ns: ns.clone(), route: route.clone() }, MISSING),
        }
    }
    for &route in &remaining {
        let implied = || {
            want.interfaces.iter().any(|(name, link)| implied(want, name, link).any(|own| is_connected(route, &own)))
        };
        if !want.routes.contains(route) && !replaced.contains(route) && is_mine(compared, ns, is, route) && !implied() {
            phases.drop_routes.add(Step::DeleteRoute { ns: ns.clone(), route: route.clone() }, EXTRA);
        }
    }
}

/// Whether a route that the file does not have is the lab's to remove: all are in its own namespaces; in `host`
/// those that are marked, and go through an interface of the lab or through none.
fn is_mine(compared: &Compared<'_>, ns: &NsName, is: &Namespace, route: &Route) -> bool {
    let dev_is_no_others = route.dev.as_ref().is_none_or(|dev| is_of_lab(compared, is, dev));
    !ns.is_host() || (is.marked.routes.contains(route) && dev_is_no_others)
}

/// Whether a route in the place of a wanted one is the lab's to replace: also one that somebody altered, as long as it goes
/// through an interface of the lab.
fn is_ours_in_place(compared: &Compared<'_>, ns: &NsName, is: &Namespace, route: &Route) -> bool {
    let goes_through_lab = route.dev.as_ref().is_some_and(|dev| is_of_lab(compared, is, dev));
    goes_through_lab || is_mine(compared, ns, is, route)
}

fn is_of_lab(compared: &Compared<'_>, is: &Namespace, dev: &IfName) -> bool {
    is.interfaces.get(dev).is_some_and(|link| link.owner.as_ref() == Some(&compared.lab.name))
}

fn rules(ns: &NsName, want: &Namespace, is: &Namespace, phases: &mut Phases) {
    for rule in want.rules.difference(&is.rules) {
        phases.rules.add(Step::AddPolicyRule { ns: ns.clone(), rule: rule.clone() }, MISSING);
    }
    if !ns.is_host() {
        for rule in &is.lost_rules {
            let why = match rule.action {
                RuleAction::Vrf => "its VRFs need it",
                _ => "every namespace has it",
            };
            phases.rules.add(Step::AddPolicyRule { ns: ns.clone(), rule: rule.clone() }, why);
        }
    }
    let mut extra: Vec<&PolicyRule> = is.rules.difference(&want.rules).collect();
    extra.sort_by_key(|rule| Reverse(rule.conditions()));
    for rule in extra {
        if !ns.is_host() || is.marked.rules.contains(rule) {
            phases.drop_routes.add(Step::DeletePolicyRule { ns: ns.clone(), rule: rule.clone() }, EXTRA);
        }
    }
}

fn neighbours(
    compared: &Compared<'_>,
    ns: &NsName,
    want: &Namespace,
    is: &Namespace,
    lost: &Lost,
    phases: &mut Phases,
) {
    // In `host`, those on an interface of the lab are the lab's, as its addresses are.
    let is_mine = |dev: &IfName| !ns.is_host() || is_of_lab(compared, is, dev);
    let live = |entry: &&crate::lab::Neighbour| {
        !lost.interfaces.contains(&entry.dev) && !lost.brought_down.contains(&entry.dev)
    };
    for to in &want.neighbours {
        let from = is.neighbours.iter().filter(live).find(|from| from.dev == to.dev && from.address == to.address);
        if from != Some(to) {
            let why = from.map_or_else(|| MISSING.to_owned(), |from| format!("it is {}", from.mac));
            phases.neighbours.add(Step::SetNeighbour { ns: ns.clone(), from: from.cloned(), to: to.clone() }, why);
        }
    }
    for entry in is.neighbours.iter().filter(live) {
        let wanted = want.neighbours.iter().any(|want| want.dev == entry.dev && want.address == entry.address);
        if !wanted && is_mine(&entry.dev) {
            phases.drop_routes.add(Step::DeleteNeighbour { ns: ns.clone(), neighbour: entry.clone() }, EXTRA);
        }
    }
}

fn forwarding_entries(
    compared: &Compared<'_>,
    ns: &NsName,
    want: &Namespace,
    is: &Namespace,
    lost: &Lost,
    phases: &mut Phases,
) {
    let live = |entry: &&FdbEntry| !lost.interfaces.contains(&entry.dev);
    let there: BTreeSet<&FdbEntry> = is.fdb.iter().filter(live).collect();
    for entry in want.fdb.iter().filter(|entry| !there.contains(entry)) {
        phases.fdb.add(Step::AddFdb { ns: ns.clone(), entry: entry.clone() }, MISSING);
    }
    for entry in there {
        if !want.fdb.contains(entry) && (!ns.is_host() || is_of_lab(compared, is, &entry.dev)) {
            phases.drop_routes.add(Step::DeleteFdb { ns: ns.clone(), entry: entry.clone() }, EXTRA);
        }
    }
}

fn sysctls(compared: &Compared<'_>, ns: &NsName, want: &Namespace, is: &Namespace, lost: &Lost, phases: &mut Phases) {
    let lab = &compared.lab.name;
    let set = |key: &SysctlKey, from: Option<&SysctlValue>, to: &SysctlValue| {
        let (key, to, lab) = (key.clone(), to.clone(), lab.clone());
        Step::SetSysctl { ns: ns.clone(), key, from: from.cloned(), to, lab }
    };
    // These go first: forwarding of the whole namespace takes that of its interfaces along.
    for (key, was) in is.former.iter().filter(|(key, _)| !want.sysctls.contains_key(*key)) {
        let stays = |name: &IfName| want.interfaces.contains_key(name) && !lost.interfaces.contains(name);
        let goes = key.interface().is_some_and(|name| !name.is_lo() && !stays(&name));
        if let Some(from) = is.sysctls.get(key).filter(|from| *from != was && !goes) {
            phases.sysctls.add(set(key, Some(from), was), format!("it is {from}, and the file no longer sets it"));
        }
    }
    for (key, to) in &want.sysctls {
        let from = is.sysctls.get(key);
        if from != Some(to) {
            let why = from.map_or_else(|| "it is not known to be so".to_owned(), |from| format!("it is {from}"));
            phases.sysctls.add(set(key, from, to), why);
        }
    }
    for (key, labs) in &is.claims {
        if labs.contains_key(lab) && !want.sysctls.contains_key(key) {
            phases.forget.add(Step::RestoreSysctl { key: key.clone(), lab: lab.clone() }, EXTRA);
        }
    }
}
