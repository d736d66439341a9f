//! Operations on devices and on the forwarding entries of VXLAN ends, described.

use super::{inside, ip, link_settings, marks, told, told_with};
use crate::lab::{Device, End, Fdb, LabName, Mac, NsName};
use crate::plan::step::{Description, Step};

pub(super) fn add_device(end: &End, device: &Device, mac: Option<Mac>, mtu: Option<u32>, lab: &LabName) -> Description {
    let (group, alias) = marks(&[end], lab);
    let settings = link_settings(mac, mtu, &group);
    told_with(
        format!("make {} {} in {}", device.kind().name(), end.name, end.ns),
        format!("{} link add name {}{settings} type {device}", ip(&end.ns), end.name),
        alias,
        Some(Step::DeleteLink { end: end.clone() }),
    )
}

pub(super) fn set_device(end: &End, from: &Device, to: &Device) -> Description {
    let options = to.changes_from(from);
    told(
        format!("set{options} on {} {end}", to.kind().name()),
        format!("{} link set dev {} type {}{options}", ip(&end.ns), end.name, to.kind().name()),
        Some(Step::SetDevice { end: end.clone(), from: to.clone(), to: from.clone() }),
    )
}

pub(super) fn add_fdb(ns: &NsName, entry: &Fdb) -> Description {
    told(
        format!("add forwarding entry {entry} in {ns}"),
        format!("{}bridge fdb append {entry} self permanent", inside(ns)),
        Some(Step::DeleteFdb { ns: ns.clone(), entry: entry.clone() }),
    )
}

pub(super) fn delete_fdb(ns: &NsName, entry: &Fdb) -> Description {
    told(
        format!("remove forwarding entry {entry} from {ns}"),
        format!("{}bridge fdb del {entry} self", inside(ns)),
        Some(Step::AddFdb { ns: ns.clone(), entry: entry.clone() }),
    )
}
