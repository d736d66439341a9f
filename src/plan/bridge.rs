//! Bridges: which have to be made, what is left to do when their ports are there, and their options.

use super::bridge_port::{attach, ports, smallest_mtu};
use super::compared::Compared;
use super::draft::Draft;
use super::interface::replace;
use crate::lab::{BridgeOptions, Interface, InterfaceKind, InterfaceRef, Mac};
use crate::steps::{BridgeStep, Change, InterfaceStep, NewInterface, Step, Tier};

/// Plans a bridge, unless there is one already.
pub(super) fn make(
    compared: &Compared<'_>,
    interface: InterfaceRef,
    want: &Interface,
    options: BridgeOptions,
    draft: &mut Draft,
) {
    let live = compared.find(&interface);
    if live.is_some_and(|live| matches!(live.kind, InterfaceKind::Bridge(_))) {
        return;
    }
    let why = replace(&interface, live, draft);
    draft.fresh.insert(interface.clone());
    let new = NewInterface { mac: mac(&interface, want), mtu: want.mtu, interface };
    draft.add(Step::Bridge(BridgeStep::Add { new, options, lab: compared.lab.name.clone() }), why);
}

/// The MAC address that a bridge is made with. Left to the kernel, it is the lowest of its ports', and another one
/// when ports come and go (br_stp_recalculate_bridge_id): whoever knows the namespace by the former one then loses it.
/// So a bridge with IP addresses is made with one that stays.
fn mac(interface: &InterfaceRef, want: &Interface) -> Option<Mac> {
    want.mac.or_else(|| (!want.addresses.is_empty()).then(|| Mac::made_for(interface)))
}

/// Plans what is left to do on a bridge that is made.
pub(super) fn complete(compared: &Compared<'_>, interface: &InterfaceRef, want: &Interface, draft: &mut Draft) {
    attach(compared, interface, want, draft);
    if want.up {
        let step = InterfaceStep::Up { interface: interface.clone(), tier: Tier::Bridge, up: true };
        draft.add(Step::Interface(step), "its ports are in place");
    }
}

/// Plans the MTU of bridges that get ports, once all are attached: they take on theirs, whatever they were made with,
/// until they have been given another one than they had.
pub(super) fn keep_mtu(compared: &Compared<'_>, draft: &mut Draft) {
    for (interface, want) in compared.interfaces().filter(|(_, want)| matches!(want.kind, InterfaceKind::Bridge(_))) {
        let is_right = || compared.find(&interface).is_some_and(|is| is.mtu == want.mtu);
        if draft.fresh.contains(&interface) || (is_right() && gets_ports(compared, &interface, draft)) {
            keep_mtu_of(compared, &interface, want, draft);
        }
    }
}

fn keep_mtu_of(compared: &Compared<'_>, interface: &InterfaceRef, want: &Interface, draft: &mut Draft) {
    let ports = ports(compared, interface);
    if let (Some(to), Some(from)) = (want.mtu, smallest_mtu(&ports))
        && from != to
    {
        let after_virtual_ports = ports.iter().any(|port| port.virtual_interface().is_some());
        let tier = if after_virtual_ports { Tier::Virtual } else { Tier::Bridge };
        let step = InterfaceStep::Mtu { interface: interface.clone(), tier, change: Change { from, to } };
        draft.add(Step::Interface(step), "it took on that of its ports");
    }
}

/// Whether a bridge that is there gets another port.
fn gets_ports(compared: &Compared<'_>, bridge: &InterfaceRef, draft: &Draft) -> bool {
    let wanted = compared.lab.namespaces.get(&bridge.ns).into_iter().flat_map(|wanted| &wanted.interfaces);
    let mut ports = wanted.filter(|(_, port)| port.master.as_ref() == Some(&bridge.name));
    ports.any(|(name, _)| {
        let port = InterfaceRef { ns: bridge.ns.clone(), name: name.clone() };
        let master = compared.find(&port).and_then(|there| there.master.as_ref());
        draft.fresh.contains(&port) || master != Some(&bridge.name)
    })
}

/// Plans the options that differ on a bridge that stays.
pub(super) fn compare(interface: &InterfaceRef, want: &Interface, is: &Interface, draft: &mut Draft) {
    if let (InterfaceKind::Bridge(from), InterfaceKind::Bridge(to)) = (&is.kind, &want.kind)
        && let (from, to) = (from.or(*to), to.or(*from))
        && from != to
    {
        let change = Change { from, to };
        draft.add(Step::Bridge(BridgeStep::Options { interface: interface.clone(), change }), "its options differ");
    }
}
