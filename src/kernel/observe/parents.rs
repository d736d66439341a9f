//! The parent of each virtual interface: exactly, also where it is in another namespace.
//!
//! A virtual interface has its parent's index, and this namespace's own number for the namespace that the parent is in.
//! The kernel is asked for the parent's name and MAC address, which only few interfaces of that index have; of
//! those, the number says which it is.

use std::collections::BTreeMap;

use super::interfaces::{Interfaces, StackedInterface};
use super::parts::unread;
use super::peers::{NsidCache, ask, identity, number_of};
use crate::kernel::KernelError;
use crate::kernel::netns::NetnsHandles;
use crate::lab::{IfName, InterfaceKind, InterfaceRef, NsName, Observed, Part};

/// Sets the parents of all devices whose parent was observed too. A namespace of which that cannot be found out counts
/// as unread.
pub(super) fn connect(handles: &mut NetnsHandles, seen: &BTreeMap<NsName, Interfaces>, live: &mut Observed) {
    let mut numbers = NsidCache::new();
    for (ns, interfaces) in seen {
        for upper in &interfaces.stacked {
            let holder = match upper.netns {
                None => Some(ns),
                Some(number) => match elsewhere(handles, &mut numbers, seen, live, (ns, upper, number)) {
                    Ok(holder) => holder,
                    Err(error) => {
                        live.unread.push(unread(ns, Part::Everything, &error));
                        break;
                    }
                },
            };
            let name = holder.and_then(|holder| Some((holder, seen.get(holder)?.names.get(&upper.parent)?)));
            let end = name.map(|(ns, name)| InterfaceRef { ns: ns.clone(), name: name.clone() });
            set(live, ns, &upper.name, end);
        }
    }
}

/// The namespace, known to `ns` by a number, that the parent of a virtual interface is in.
fn elsewhere<'a>(
    handles: &mut NetnsHandles,
    numbers: &mut NsidCache<'a>,
    seen: &'a BTreeMap<NsName, Interfaces>,
    live: &Observed,
    (ns, upper, number): (&'a NsName, &StackedInterface, i32),
) -> Result<Option<&'a NsName>, KernelError> {
    let Some(wanted) = ask(handles, ns, upper.parent, number)? else { return Ok(None) };
    for other in seen.keys().filter(|other| *other != ns) {
        let looks_so = identity(live, seen, (other, upper.parent)).as_ref() == Some(&wanted);
        if looks_so && number_of(handles, numbers, ns, other)? == number {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

fn set(live: &mut Observed, ns: &NsName, name: &IfName, end: Option<InterfaceRef>) {
    let interface = live.namespaces.get_mut(ns).and_then(|namespace| namespace.is.interfaces.get_mut(name));
    if let Some(InterfaceKind::Virtual(virtual_interface)) = interface.map(|interface| &mut interface.kind)
        && let Some(parent) = virtual_interface.lower_mut()
    {
        *parent = end;
    }
}
