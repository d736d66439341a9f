//! Interfaces of any kind: which are removed, and their settings: mark, up or down, MTU, MAC address.

use super::bridge_port::{ports, smallest_mtu};
use super::compared::Compared;
use super::draft::{Draft, EXTRA};
use crate::lab::{ETHERNET_MTU, IfName, Interface, InterfaceFlags, InterfaceKind, InterfaceRef, VirtualInterface};
use crate::steps::{Change, InterfaceStep, MarkStep, Presence, Step, Tier};

/// The MTU that every loopback begins with (`loopback_setup` in the kernel).
const LOOPBACK_MTU: u32 = 65536;

/// The MTU that every VRF begins with: the largest packet of IPv6 with its header (`vrf_setup` in the kernel).
const VRF_MTU: u32 = 65575;

/// The reason for making what is not there.
pub(super) const ABSENT: &str = "it does not exist";

/// Plans the removal of an interface in whose place another is wanted; the reason for making the new one.
pub(super) fn replace(interface: &InterfaceRef, live: Option<&Interface>, draft: &mut Draft) -> String {
    let Some(live) = live else { return ABSENT.to_owned() };
    let why = match &live.kind {
        InterfaceKind::Veth { peer: Some(peer) } => format!("{interface} is a veth whose peer is {peer}"),
        InterfaceKind::Veth { peer: None } => format!("{interface} is a veth whose peer is elsewhere"),
        InterfaceKind::Loopback | InterfaceKind::Bridge(_) | InterfaceKind::Other(_) | InterfaceKind::Virtual(_) => {
            format!("{interface} is a {}", live.kind_name())
        }
    };
    remove(interface, live, &why, draft);
    why
}

/// Plans the removal of an interface, unless its peer's removal, planned already, takes it along.
pub(super) fn remove(interface: &InterfaceRef, live: &Interface, why: &str, draft: &mut Draft) {
    if !draft.removes(interface) && !live.peer().is_some_and(|peer| draft.removes(peer)) {
        draft.remove(interface, Tier::of(&live.kind), why);
    }
}

/// Plans the removal of interfaces that the file does not have: in the lab's own namespaces all of them, in `host`
/// those that carry the lab's mark.
pub(super) fn remove_extras(compared: &Compared<'_>, draft: &mut Draft) {
    for (ns, is) in &compared.live.namespaces {
        let wanted = compared.lab.namespaces.get(ns);
        if wanted.is_none() && !ns.is_host() {
            continue;
        }
        for (name, live) in &is.is.interfaces {
            let mine = if ns.is_host() { live.owner.as_ref() == Some(&compared.lab.name) } else { !is_kernels(name) };
            if mine && !wanted.is_some_and(|wanted| wanted.interfaces.contains_key(name)) {
                remove(&InterfaceRef { ns: ns.clone(), name: name.clone() }, live, EXTRA, draft);
            }
        }
    }
}

fn is_kernels(name: &IfName) -> bool {
    name.is_lo() || name.is_fallback_tunnel()
}

/// Plans the settings that differ on an interface that stays.
pub(super) fn compare(
    compared: &Compared<'_>,
    interface: &InterfaceRef,
    want: &Interface,
    is: &Interface,
    draft: &mut Draft,
) {
    let tier = Tier::of(&want.kind);
    let interface = || interface.clone();
    if interface().ns.is_host() && compared.host().half_marked.contains(&interface().name) {
        let change = Presence::Add(compared.lab.name.clone());
        let step = Step::Mark(MarkStep { interface: interface(), tier, change });
        draft.add(step, "of the lab's marks on it, alias and group, one is missing");
    }
    if is.up != want.up {
        let why = if want.up { "it is down" } else { "it is up" };
        draft.add(Step::Interface(InterfaceStep::Up { interface: interface(), tier, up: want.up }), why);
    }
    if let (Some(from), Some(to)) = (is.mtu, expected_mtu(compared, &interface(), want))
        && from != to
    {
        let change = Change { from, to };
        draft
            .add(Step::Interface(InterfaceStep::Mtu { interface: interface(), tier, change }), format!("it is {from}"));
    }
    if let (Some(from), Some(to)) = (is.mac, want.mac)
        && from != to
    {
        let change = Change { from, to };
        draft
            .add(Step::Interface(InterfaceStep::Mac { interface: interface(), tier, change }), format!("it is {from}"));
    }
    flags(compared, interface(), want, is, draft);
}

/// Plans the flags that differ on an interface that stays; in `host`, on those of the lab.
fn flags(compared: &Compared<'_>, interface: InterfaceRef, want: &Interface, is: &Interface, draft: &mut Draft) {
    // The kernel changes them along with the mode of an ipvlan.
    let stays = want.kind == is.kind || want.virtual_interface().is_none();
    if let (Some(from), Some(to)) = (is.flags, expected_flags(compared, want))
        && from != to
        && is.is_of(&compared.lab.name, &interface.ns)
        && stays
    {
        let tier = Tier::of(&want.kind);
        let step = InterfaceStep::Flags { interface, tier, change: Change { from, to } };
        draft.add(Step::Interface(step), "its flags differ");
    }
}

/// The flags that an unchanged interface has: those of its kind, or those of its parent.
fn expected_flags(compared: &Compared<'_>, want: &Interface) -> Option<InterfaceFlags> {
    let parent = || {
        let parent = compared.wanted(want.virtual_interface()?.lower()?)?;
        parent.kind.flags()
    };
    want.flags.or_else(|| want.kind.flags()).or_else(parent)
}

/// The MTU that an unchanged interface has: what the file says, or the kernel's default. A bridge takes the smallest of
/// its ports (br_mtu_auto_adjust). The loopback of `host` is left alone.
fn expected_mtu(compared: &Compared<'_>, interface: &InterfaceRef, want: &Interface) -> Option<u32> {
    let of_kind = || match want.kind {
        InterfaceKind::Veth { .. } => Some(ETHERNET_MTU),
        InterfaceKind::Bridge(_) => Some(smallest_mtu(&ports(compared, interface)).unwrap_or(ETHERNET_MTU)),
        InterfaceKind::Loopback => (!interface.ns.is_host()).then_some(LOOPBACK_MTU),
        InterfaceKind::Virtual(VirtualInterface::Vrf { .. }) => Some(VRF_MTU),
        // The file's lab says it.
        InterfaceKind::Virtual(_) | InterfaceKind::Other(_) => None,
    };
    want.mtu.or_else(of_kind)
}
