//! VLANs: which ports of bridges, and which bridges, are in others than they should be. Planned after everything that makes
//! an interface or plugs it in, since the kernel then puts it where it puts every new port.

use super::links::{find, master};
use super::{Compared, Phases, Step};
use crate::lab::{InterfaceKind, InterfaceRef};

/// Plans the VLANs of all ports and bridges.
pub(super) fn compare(compared: &Compared<'_>, phases: &mut Phases) {
    for (ns, wanted) in &compared.lab.namespaces {
        for (name, want) in &wanted.interfaces {
            let is_bridge = matches!(want.kind, InterfaceKind::Bridge(_));
            if !is_bridge && want.master.is_none() {
                continue;
            }
            let end = InterfaceRef { ns: ns.clone(), name: name.clone() };
            let live = find(compared, &end).filter(|_| !phases.fresh.contains(&end));
            let stays = live.filter(|live| is_bridge || master(&end, live, &phases.fresh) == want.master.as_ref());
            let from = stays.and_then(|live| live.vlans.clone()).unwrap_or_default();
            let to = want.vlans.clone().unwrap_or_default();
            if from != to {
                let why = match stays {
                    Some(_) => format!("they are {from}"),
                    None => "the kernel begins with VLAN 1".to_owned(),
                };
                phases.vlans.add(Step::SetVlans { end, is_bridge, from, to }, why);
            }
        }
    }
}
