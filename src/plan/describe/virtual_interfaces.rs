//! Operations on devices and on the forwarding entries of VXLAN ends, described.

use super::{inside, ip, link_settings, marks, told, told_with};
use crate::lab::{FdbEntry, InterfaceRef, LabName, Mac, NsName, VirtualInterface};
use crate::plan::step::{Description, Step};

pub(super) fn add_device(
    end: &InterfaceRef,
    device: &VirtualInterface,
    mac: Option<Mac>,
    mtu: Option<u32>,
    lab: &LabName,
) -> Description {
    let (group, alias) = marks(&[end], lab);
    let settings = link_settings(mac, mtu, &group);
    let (upon, place) = match device.lower() {
        Some(parent) => (format!(" upon {parent}"), format!(" link {}{}", parent.name, netns(&parent.ns, &end.ns))),
        None => Default::default(),
    };
    let from = device.lower().map_or(&end.ns, |parent| &parent.ns);
    told_with(
        format!("make {} {} in {}{upon}", device.kind().name(), end.name, end.ns),
        format!("{} link add name {}{place}{settings} type {device}", ip(from), end.name),
        alias,
        Some(Step::DeleteInterface { end: end.clone() }),
    )
}

/// The word that puts what is made in one namespace into another: the host's is that of the shell.
fn netns(from: &NsName, to: &NsName) -> String {
    match to {
        _ if from == to => String::new(),
        to if to.is_host() => " netns $$".to_owned(),
        to => format!(" netns {to}"),
    }
}

pub(super) fn set_device(end: &InterfaceRef, from: &VirtualInterface, to: &VirtualInterface) -> Description {
    let options = to.changes_from(from);
    told(
        format!("set{options} on {} {end}", to.kind().name()),
        format!("{} link set dev {} type {}{options}", ip(&end.ns), end.name, to.kind().name()),
        Some(Step::SetVirtualInterface { end: end.clone(), from: to.clone(), to: from.clone() }),
    )
}

pub(super) fn add_fdb(ns: &NsName, entry: &FdbEntry) -> Description {
    told(
        format!("add forwarding entry {entry} in {ns}"),
        format!("{}bridge fdb append {entry} self permanent", inside(ns)),
        Some(Step::DeleteFdb { ns: ns.clone(), entry: entry.clone() }),
    )
}

pub(super) fn delete_fdb(ns: &NsName, entry: &FdbEntry) -> Description {
    told(
        format!("remove forwarding entry {entry} from {ns}"),
        format!("{}bridge fdb del {entry} self", inside(ns)),
        entry.is_plain().then(|| Step::AddFdb { ns: ns.clone(), entry: entry.clone() }),
    )
}
