//! Ports: which bridge or VRF an interface is attached to, and the options of a bridge's port.

use super::compared::Compared;
use super::draft::Draft;
use crate::lab::{ETHERNET_MTU, IfName, Interface, InterfaceKind, InterfaceRef, PortOptions};
use crate::steps::{BridgePortStep, Change, Step, Tier};

/// Plans which bridge or VRF an interface that stays is a port of.
pub(super) fn compare(
    compared: &Compared<'_>,
    interface: &InterfaceRef,
    want: &Interface,
    is: &Interface,
    draft: &mut Draft,
) {
    let from = master(interface, is, draft).cloned();
    if from == want.master {
        return;
    }
    let why = match &from {
        Some(master) => format!("it is a port of {master}"),
        None => "it is not a port".to_owned(),
    };
    let change = Change { from, to: want.master.clone() };
    let tier = tier(compared, interface, want);
    draft.add(Step::BridgePort(BridgePortStep::Master { interface: interface.clone(), tier, change }), why);
}

/// Plans that a new interface is attached.
pub(super) fn attach(compared: &Compared<'_>, interface: &InterfaceRef, want: &Interface, draft: &mut Draft) {
    let Some(master) = &want.master else { return };
    let why = format!("it is to be a port of {master}");
    let change = Change { from: None, to: Some(master.clone()) };
    let tier = tier(compared, interface, want);
    draft.add(Step::BridgePort(BridgePortStep::Master { interface: interface.clone(), tier, change }), why);
}

/// Plans the options of all ports of bridges. After everything that attaches a port, since the kernel gives a new port
/// options of its own.
pub(super) fn options(compared: &Compared<'_>, draft: &mut Draft) {
    for (interface, want) in compared.interfaces() {
        let live = compared.find(&interface).filter(|_| !draft.fresh.contains(&interface));
        let stays = live.filter(|live| master(&interface, live, draft) == want.master.as_ref());
        let mut from = stays.map_or_else(PortOptions::default, |live| live.port);
        if speaks_stp(compared, &interface, want) {
            from.forwarding = want.port.forwarding;
        }
        // Where it is no port of a bridge, there is nothing to compare: both are those of a new port.
        if from != want.port {
            let why = if stays.is_some() { "its options differ" } else { "a new port has others" };
            let change = Change { from, to: want.port };
            draft.add(Step::BridgePort(BridgePortStep::Options { interface, change }), why);
        }
    }
}

/// Whether the bridge is to speak STP: then STP decides what its ports do with frames, from its first step on.
fn speaks_stp(compared: &Compared<'_>, port: &InterfaceRef, want: &Interface) -> bool {
    let bridge = want.master.clone().map(|name| InterfaceRef { ns: port.ns.clone(), name });
    let kind = bridge.and_then(|bridge| compared.wanted(&bridge)).map(|bridge| &bridge.kind);
    matches!(kind, Some(InterfaceKind::Bridge(options)) if options.stp)
}

/// When an interface is attached: a VRF is a virtual interface and made later than bridges.
fn tier(compared: &Compared<'_>, interface: &InterfaceRef, want: &Interface) -> Tier {
    if is_in_vrf(compared, interface, want) { Tier::Virtual } else { Tier::of(&want.kind) }
}

/// Whether an interface is to be a port of a VRF, or is one.
pub(super) fn is_in_vrf(compared: &Compared<'_>, interface: &InterfaceRef, want: &Interface) -> bool {
    compared.lab.namespaces.get(&interface.ns).is_some_and(|ns| ns.vrf_of(want).is_some())
}

/// What an interface is attached to now; nothing where that is made anew.
pub(super) fn master<'a>(interface: &InterfaceRef, live: &'a Interface, draft: &Draft) -> Option<&'a IfName> {
    let is_fresh =
        |master: &IfName| draft.fresh.contains(&InterfaceRef { ns: interface.ns.clone(), name: master.clone() });
    live.master.as_ref().filter(|master| !is_fresh(master))
}

/// The wanted ports of a bridge.
pub(super) fn ports<'a>(compared: &Compared<'a>, bridge: &InterfaceRef) -> Vec<&'a Interface> {
    let all = compared.lab.namespaces.get(&bridge.ns).into_iter().flat_map(|wanted| wanted.interfaces.values());
    all.filter(|port| port.master.as_ref() == Some(&bridge.name)).collect()
}

/// The smallest MTU of some ports.
pub(super) fn smallest_mtu(ports: &[&Interface]) -> Option<u32> {
    ports.iter().map(|port| port.mtu.unwrap_or(ETHERNET_MTU)).min()
}
