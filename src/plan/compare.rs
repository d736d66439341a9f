//! The comparison, object by object.

use super::compared::{Compared, Sides};
use super::draft::Draft;
use super::lost::Lost;
use super::planned::Plan;
use super::unread::assumed;
use super::{
    address, bridge, bridge_port, etc_files, fdb_entry, firewall, foreign, gateways, interface, namespace, neighbour,
    nft, policy_rule, program, route, services, sysctl, veth, virtual_interface, vlans, wireguard,
};
use crate::lab::{Interface, InterfaceKind, InterfaceRef, Lab, NsName, Observed};

/// Compares what is wanted with what is, as far as that could be read.
pub fn plan(lab: &Lab, live: &Observed) -> Plan {
    let mut draft = Draft::default();
    let live = assumed(lab, live);
    let compared = Compared::new(lab, &live);
    namespace::add(&compared, &mut draft);
    interfaces(&compared, &mut draft);
    for (ns, want) in &lab.namespaces {
        let observed = compared.live(ns);
        inside(&Sides { compared: &compared, ns, want, is: &observed.is, observed }, &mut draft);
    }
    let host = NsName::host();
    if !lab.namespaces.contains_key(&host) {
        // An earlier file of this lab may have used it.
        let (want, observed) = (&compared.nothing.is, compared.host());
        inside(&Sides { compared: &compared, ns: &host, want, is: &observed.is, observed }, &mut draft);
    }
    namespace::remove(&compared, &mut draft);
    etc_files::compare(&lab.name, &lab.etc, &live.etc, &mut draft);
    program::compare(&compared, &mut draft);
    let mut steps = draft.in_order();
    services::explain(lab, &mut steps);
    Plan { lab: lab.name.clone(), steps }
}

/// Plans everything about interfaces, and notes which are made.
fn interfaces(compared: &Compared<'_>, draft: &mut Draft) {
    for (interface, want) in compared.interfaces() {
        match &want.kind {
            InterfaceKind::Bridge(options) => bridge::make(compared, interface, want, *options, draft),
            InterfaceKind::Veth { peer: Some(peer) } => veth::make(compared, &interface, peer, draft),
            InterfaceKind::Loopback
            | InterfaceKind::Veth { peer: None }
            | InterfaceKind::Other(_)
            | InterfaceKind::Virtual(_) => {}
        }
    }
    interface::remove_extras(compared, draft);
    // What is stacked on an interface goes with it and comes after it. Whether a virtual interface that stays is still
    // attached is known only when all are planned: the VRF that it is a port of may come after it.
    for (interface, want) in virtual_interface::make(compared, draft) {
        settings(compared, &interface, want, draft);
    }
    for (interface, want) in compared.interfaces().filter(|(_, want)| want.virtual_interface().is_none()) {
        settings(compared, &interface, want, draft);
    }
    bridge::keep_mtu(compared, draft);
    bridge_port::options(compared, draft);
    vlans::compare(compared, draft);
}

/// Plans the settings of an interface that is there, or is a new bridge.
fn settings(compared: &Compared<'_>, interface: &InterfaceRef, want: &Interface, draft: &mut Draft) {
    if draft.fresh.contains(interface) {
        if matches!(want.kind, InterfaceKind::Bridge(_)) {
            bridge::complete(compared, interface, want, draft);
        }
        return;
    }
    // A new namespace's loopback is brought up with it.
    let Some(is) = compared.find(interface) else { return };
    bridge_port::compare(compared, interface, want, is, draft);
    interface::compare(compared, interface, want, is, draft);
    bridge::compare(interface, want, is, draft);
}

/// Plans everything inside one namespace.
fn inside(sides: &Sides<'_>, draft: &mut Draft) {
    let begin = draft.len();
    let mut lost = Lost::of(sides, draft);
    address::compare(sides, &mut lost, draft);
    route::compare(sides, &lost, draft);
    policy_rule::compare(sides, draft);
    gateways::compare(sides, begin, draft);
    neighbour::compare(sides, &lost, draft);
    fdb_entry::compare(sides, &lost, draft);
    wireguard::compare(sides, &lost, draft);
    foreign::compare(sides, &lost, draft);
    sysctl::compare(sides, &lost, draft);
    firewall::compare(&sides.compared.lab.name, sides.ns, &sides.want.firewall, &sides.observed.firewall, draft);
    nft::compare(sides, draft);
}
