//! Devices: which have to be made, made anew or changed. Planned after all other interfaces, since what is upon an interface
//! goes with it and comes after it.

use super::links::{find, remove, replace, settings, wanted};
use super::{Compared, Phases, Step};
use crate::lab::{Interface, InterfaceKind, InterfaceRef, NsName, VirtualInterface};

/// No file stacks more devices upon each other.
const DEEPEST: usize = 16;

/// Plans the devices that are missing, that are not what they should be, or that go with what they are upon.
pub(super) fn compare(compared: &Compared<'_>, phases: &mut Phases) {
    let mut staying = Vec::new();
    for (end, device, link) in in_order(compared) {
        let why = match find(compared, &end) {
            Some(live) => match stays(&end, live, device, phases) {
                Ok(()) => {
                    staying.push((end, link));
                    continue;
                }
                Err(why) => {
                    remove(&end, live, &why, phases);
                    why
                }
            },
            None => replace(&end, None, phases),
        };
        phases.fresh.insert(end.clone());
        let lab = compared.lab.name.clone();
        let step =
            Step::AddVirtualInterface { end: end.clone(), device: device.clone(), mac: link.mac, mtu: link.mtu, lab };
        phases.devices.add(step, why);
        if let Some(master) = &link.master {
            let step = Step::SetMaster { end: end.clone(), from: None, to: Some(master.clone()) };
            phases.device_settings.add(step, format!("it is to be a port of {master}"));
        }
        if link.up {
            phases.devices_up.add(Step::SetUp { end, up: true }, "it was just made");
        }
    }
    // Whether one is still plugged in is known only now: the VRF that it is a port of may have come after it.
    for (end, link) in staying {
        settings(compared, &end, link, phases);
    }
}

/// Whether a device can stay, with what has to be changed on it planned; or why it has to be made anew.
fn stays(end: &InterfaceRef, live: &Interface, device: &VirtualInterface, phases: &mut Phases) -> Result<(), String> {
    let is = match &live.kind {
        InterfaceKind::Virtual(is) => is,
        _ => return Err(format!("{end} is a {}", live.kind_name())),
    };
    if is != device && !is.can_become(device) {
        let upon = is.lower().map(|parent| format!(" upon {parent}")).unwrap_or_default();
        return Err(format!("it is {is}{upon}, which cannot be changed"));
    }
    if let Some(parent) = is.parent(&end.ns)
        && (phases.drops(&parent) || phases.fresh.contains(&parent))
    {
        return Err(format!("it goes with {parent}"));
    }
    if is != device {
        let step = Step::SetVirtualInterface { end: end.clone(), from: is.clone(), to: device.clone() };
        phases.device_settings.add(step, format!("it is {is}"));
    }
    Ok(())
}

/// All devices that are wanted; one that is upon another comes after it.
fn in_order<'a>(compared: &Compared<'a>) -> Vec<(InterfaceRef, &'a VirtualInterface, &'a Interface)> {
    let mut all = Vec::new();
    for (ns, wanted) in &compared.lab.namespaces {
        for (name, link) in &wanted.interfaces {
            if let Some(device) = link.device() {
                all.push((InterfaceRef { ns: ns.clone(), name: name.clone() }, device, link));
            }
        }
    }
    all.sort_by_cached_key(|(end, device, _)| depth(compared, &end.ns, device));
    all
}

/// How many devices a device is upon.
fn depth(compared: &Compared<'_>, ns: &NsName, device: &VirtualInterface) -> usize {
    let next = |end: &InterfaceRef| wanted(compared, end).and_then(Interface::device)?.parent(&end.ns);
    // Faults of the file rule out that they go round in a circle.
    std::iter::successors(device.parent(ns), next).take(DEEPEST).count()
}
