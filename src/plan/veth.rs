//! Veth pairs: which have to be made.

use super::bridge_port::{attach, is_in_vrf};
use super::compared::Compared;
use super::draft::Draft;
use super::interface::{ABSENT, replace};
use crate::lab::{Interface, InterfaceRef};
use crate::steps::{InterfaceStep, NewInterface, Step, Tier, VethStep};

/// Plans one veth pair, unless it is there or, seen from its other interface, planned already.
pub(super) fn make(compared: &Compared<'_>, a: &InterfaceRef, b: &InterfaceRef, draft: &mut Draft) {
    let (live_a, live_b) = (compared.find(a), compared.find(b));
    let is_there = live_a.and_then(Interface::peer) == Some(b) && live_b.and_then(Interface::peer) == Some(a);
    if is_there || draft.fresh.contains(a) {
        return;
    }
    let why = replace(a, live_a, draft);
    let why_b = replace(b, live_b, draft);
    let why = if why == ABSENT { why_b } else { why };
    let (Some(want_a), Some(want_b)) = (compared.wanted(a), compared.wanted(b)) else { return };
    draft.fresh.extend([a.clone(), b.clone()]);
    // The main interface is brought up and attached at once, so it is the one in the host, or else the one on a bridge.
    let b_is_main = (b.ns.is_host(), want_b.master.is_some()) > (a.ns.is_host(), want_a.master.is_some());
    let ((main, want_main), (peer, want_peer)) =
        if b_is_main { ((b, want_b), (a, want_a)) } else { ((a, want_a), (b, want_b)) };
    let master = want_main.master.clone().filter(|_| !is_in_vrf(compared, main, want_main));
    // With VLANs or options of its own, it would be another port at first.
    let up = want_main.up && want_main.vlans.is_none() && want_main.port.is_default();
    for (interface, want, is_attached, is_up) in
        [(main, want_main, master.is_some(), up), (peer, want_peer, false, false)]
    {
        if !is_attached {
            attach(compared, interface, want, draft);
        }
        if want.up && !is_up {
            let step = InterfaceStep::Up { interface: interface.clone(), tier: Tier::Base, up: true };
            draft.add(Step::Interface(step), "it was just made");
        }
    }
    let (main, peer) = (new(main, want_main), new(peer, want_peer));
    draft.add(Step::Veth(VethStep { main, master, up, peer, lab: compared.lab.name.clone() }), why);
}

fn new(interface: &InterfaceRef, want: &Interface) -> NewInterface {
    NewInterface { interface: interface.clone(), mac: want.mac, mtu: want.mtu }
}
