//! VLANs: which ports of bridges, and which bridges, are in others than they should be. Planned after everything that
//! makes an interface or attaches it, since the kernel then puts it where it puts every new port.

use super::bridge_port::master;
use super::compared::Compared;
use super::draft::Draft;
use crate::lab::InterfaceKind;
use crate::steps::{Change, Step, VlansStep};

/// Plans the VLANs of all ports and bridges.
pub(super) fn compare(compared: &Compared<'_>, draft: &mut Draft) {
    for (interface, want) in compared.interfaces() {
        let is_bridge = matches!(want.kind, InterfaceKind::Bridge(_));
        if !is_bridge && want.master.is_none() {
            continue;
        }
        let live = compared.find(&interface).filter(|_| !draft.fresh.contains(&interface));
        let stays = live.filter(|live| is_bridge || master(&interface, live, draft) == want.master.as_ref());
        let from = stays.and_then(|live| live.vlans.clone()).unwrap_or_default();
        let to = want.vlans.clone().unwrap_or_default();
        if from != to {
            let why = match stays {
                Some(_) => format!("they are {from}"),
                None => "the kernel begins with VLAN 1".to_owned(),
            };
            draft.add(Step::Vlans(VlansStep { interface, is_bridge, change: Change { from, to } }), why);
        }
    }
}
