//! The operation on the VLANs of a port, described.

use super::inside;
use crate::lab::{InterfaceRef, Vlans};
use crate::plan::step::{Description, Step};

/// What is new comes first, so that there is a VLAN for frames without a tag at any moment.
pub(super) fn set_vlans(end: &InterfaceRef, is_bridge: bool, from: &Vlans, to: &Vlans) -> Description {
    let (itself, of) = if is_bridge { (" itself", " self") } else { ("", "") };
    let bridge = format!("{}bridge vlan", inside(&end.ns));
    let (new, gone) = (to.unlike(from), from.absent_in(to));
    let add = new.ranges().iter().map(|range| format!("{bridge} add dev {} vid {range}{of}", end.name));
    let del = gone.ranges().iter().map(|range| format!("{bridge} del dev {} vid {}{of}", end.name, range.numbers()));
    let script: Vec<String> = add.chain(del).collect();
    Description {
        text: format!("set the VLANs of {end}{itself} to {to}"),
        command: script.join("; "),
        script,
        inverse: Some(Step::SetVlans { end: end.clone(), is_bridge, from: to.clone(), to: from.clone() }),
    }
}
