//! Virtual interfaces: which have to be made, made anew or changed. Planned after all other interfaces, since what is
//! stacked on an interface goes with it and comes after it.

use super::bridge_port::attach;
use super::compared::Compared;
use super::draft::Draft;
use super::interface::{remove, replace};
use crate::lab::{Interface, InterfaceKind, InterfaceRef, MAX_STACKING, NsName, VirtualInterface};
use crate::steps::{Change, InterfaceStep, NewInterface, Step, Tier, VirtualInterfaceStep};

/// Plans the virtual interfaces that are missing, that are not what they should be, or that go with what they are
/// stacked on; the others, which stay.
pub(super) fn make<'a>(compared: &Compared<'a>, draft: &mut Draft) -> Vec<(InterfaceRef, &'a Interface)> {
    let mut staying = Vec::new();
    for (interface, kind, want) in in_order(compared) {
        let why = match compared.find(&interface) {
            Some(live) => match stays(compared, &interface, live, kind, draft) {
                Ok(()) => {
                    staying.push((interface, want));
                    continue;
                }
                Err(why) => {
                    remove(&interface, live, &why, draft);
                    why
                }
            },
            None => replace(&interface, None, draft),
        };
        draft.fresh.insert(interface.clone());
        let new = NewInterface { interface: interface.clone(), mac: want.mac, mtu: want.mtu };
        let lab = compared.lab.name.clone();
        draft.add(Step::VirtualInterface(VirtualInterfaceStep::Add { new, kind: kind.clone(), lab }), why);
        attach(compared, &interface, want, draft);
        if want.up {
            let step = InterfaceStep::Up { interface, tier: Tier::Virtual, up: true };
            draft.add(Step::Interface(step), "it was just made");
        }
    }
    staying
}

/// Whether a virtual interface can stay, with what has to be changed on it planned; or why it has to be made anew.
fn stays(
    compared: &Compared<'_>,
    interface: &InterfaceRef,
    live: &Interface,
    to: &VirtualInterface,
    draft: &mut Draft,
) -> Result<(), String> {
    if let Some(foreign) = compared.live(&interface.ns).foreign.interfaces.get(&interface.name) {
        return Err(format!("it is {}, which cannot be changed", foreign.text));
    }
    let from = live.virtual_interface().ok_or_else(|| format!("{interface} is a {}", live.kind_name()))?;
    if from != to && !from.can_become(to) {
        let parent = from.lower().map(|parent| format!(" on {parent}")).unwrap_or_default();
        return Err(format!("it is {from}{parent}, which cannot be changed"));
    }
    if let Some(parent) = from.parent(&interface.ns)
        && (draft.removes(&parent) || draft.fresh.contains(&parent))
    {
        return Err(format!("it goes with {parent}"));
    }
    if from != to {
        let change = Change { from: from.clone(), to: to.clone() };
        let step = VirtualInterfaceStep::Options { interface: interface.clone(), change };
        draft.add(Step::VirtualInterface(step), format!("it is {from}"));
    }
    Ok(())
}

/// All virtual interfaces that are wanted; one that is stacked on another comes after it.
fn in_order<'a>(compared: &Compared<'a>) -> Vec<(InterfaceRef, &'a VirtualInterface, &'a Interface)> {
    let kind = |(interface, want): (InterfaceRef, &'a Interface)| match &want.kind {
        InterfaceKind::Virtual(kind) => Some((interface, kind, want)),
        InterfaceKind::Loopback | InterfaceKind::Veth { .. } | InterfaceKind::Bridge(_) | InterfaceKind::Other(_) => {
            None
        }
    };
    let mut all: Vec<_> = compared.interfaces().filter_map(kind).collect();
    all.sort_by_cached_key(|(interface, kind, _)| depth(compared, &interface.ns, kind));
    all
}

/// How many virtual interfaces one is stacked on.
fn depth(compared: &Compared<'_>, ns: &NsName, kind: &VirtualInterface) -> usize {
    let next =
        |parent: &InterfaceRef| compared.wanted(parent).and_then(Interface::virtual_interface)?.parent(&parent.ns);
    // Errors in the file rule out that they go round in a circle.
    std::iter::successors(kind.parent(ns), next).take(MAX_STACKING).count()
}
