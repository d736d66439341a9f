//! Namespaces and interfaces: which have to be made, made anew, changed or removed.

use std::collections::BTreeSet;

use super::{Compared, Phases, Step, VethEnd, virtual_interfaces, vlans};
use crate::lab::{IfName, Interface, InterfaceKind, InterfaceRef, Mac, NsName};

/// MTU of an Ethernet interface that nobody has changed (ETH_DATA_LEN).
const ETHERNET_MTU: u32 = 1500;

pub(super) const MISSING: &str = "it does not exist";

/// Interfaces that the kernel itself puts into every namespace when a tunnel module is loaded, and that nobody can
/// remove (see `net.core.fb_tunnels_only_for_init_net` in the kernel's sysctl documentation).
const FALLBACK_TUNNELS: [&str; 9] =
    ["tunl0", "sit0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6gre0"];

/// Plans everything about namespaces and interfaces, and notes which interfaces are made.
pub(super) fn compare(compared: &Compared<'_>, phases: &mut Phases) {
    for ns in compared.lab.own_namespaces() {
        if !compared.live.namespaces.contains_key(ns) {
            phases.namespaces.add(Step::AddNamespace { ns: ns.clone(), lab: compared.lab.name.clone() }, MISSING);
        }
    }
    make_links(compared, phases);
    remove_extras(compared, phases);
    virtual_interfaces::compare(compared, phases);
    for (ns, wanted) in &compared.lab.namespaces {
        for (name, want) in &wanted.interfaces {
            let end = InterfaceRef { ns: ns.clone(), name: name.clone() };
            if want.device().is_none() {
                settings(compared, &end, want, phases);
            }
        }
    }
    vlans::compare(compared, phases);
}

/// Plans the bridges and veth pairs that are missing or not what they should be.
fn make_links(compared: &Compared<'_>, phases: &mut Phases) {
    for (ns, wanted) in &compared.lab.namespaces {
        for (name, want) in &wanted.interfaces {
            let end = InterfaceRef { ns: ns.clone(), name: name.clone() };
            match &want.kind {
                InterfaceKind::Bridge(options) => {
                    let why = match find(compared, &end) {
                        Some(Interface { kind: InterfaceKind::Bridge(_), .. }) => continue,
                        other => replace(&end, other, phases),
                    };
                    let lab = compared.lab.name.clone();
                    phases.fresh.insert(end.clone());
                    let mac = bridge_mac(&end, want);
                    phases.bridges.add(Step::AddBridge { end, options: *options, mac, mtu: want.mtu, lab }, why);
                }
                // Each pair is seen from both its ends, and planned at the first.
                InterfaceKind::Veth { peer: Some(peer) } if !phases.fresh.contains(&end) => {
                    veth(compared, &end, peer, phases)
                }
                _ => {}
            }
        }
    }
}

/// The hardware address that a bridge is made with. Left to the kernel, it is the lowest of its ports', and another one
/// when ports come and go (br_stp_recalculate_bridge_id): whoever knows the namespace by the former one then loses it.
/// So a bridge with IP addresses is made with one that stays.
fn bridge_mac(end: &InterfaceRef, want: &Interface) -> Option<Mac> {
    want.mac.or_else(|| (!want.addresses.is_empty()).then(|| Mac::made_for(end)))
}

/// Plans one veth pair, unless it is there already.
fn veth(compared: &Compared<'_>, a: &InterfaceRef, b: &InterfaceRef, phases: &mut Phases) {
    let (live_a, live_b) = (find(compared, a), find(compared, b));
    if live_a.and_then(Interface::peer) == Some(b) && live_b.and_then(Interface::peer) == Some(a) {
        return;
    }
    let why = replace(a, live_a, phases);
    let why_b = replace(b, live_b, phases);
    let why = if why == MISSING { why_b } else { why };
    let (Some(link_a), Some(link_b)) = (wanted(compared, a), wanted(compared, b)) else { return };
    // The main end is made up and plugged in at once, so it is the one in the host, or else the one on a bridge.
    let b_is_main = (b.ns.is_host(), link_b.master.is_some()) > (a.ns.is_host(), link_a.master.is_some());
    let ((main, main_link), (peer, peer_link)) =
        if b_is_main { ((b, link_b), (a, link_a)) } else { ((a, link_a), (b, link_b)) };
    let veth_end = |end: &InterfaceRef, link: &Interface, is_main: bool| VethEnd {
        end: end.clone(),
        mac: link.mac,
        mtu: link.mtu,
        master: link.master.clone().filter(|_| is_main && !is_in_vrf(compared, end, link)),
        // With VLANs of its own, it would be in another one at first.
        up: is_main && link.up && link.vlans.is_none(),
    };
    phases.fresh.extend([a.clone(), b.clone()]);
    let (main, peer) = (veth_end(main, main_link, true), veth_end(peer, peer_link, false));
    for (made, link) in [(&main, main_link), (&peer, peer_link)] {
        if let Some(master) = link.master.as_ref().filter(|_| made.master.is_none()) {
            let step = Step::SetMaster { end: made.end.clone(), from: None, to: Some(master.clone()) };
            let in_vrf = is_in_vrf(compared, &made.end, link);
            let phase = if in_vrf { &mut phases.device_settings } else { &mut phases.link_settings };
            phase.add(step, format!("it is to be a port of {master}"));
        }
        if link.up && !made.up {
            phases.links_up.add(Step::SetUp { end: made.end.clone(), up: true }, "it was just made");
        }
    }
    phases.veths.add(Step::AddVeth { main, peer, lab: compared.lab.name.clone() }, why);
}

/// Plans the removal of an interface that stands where another is wanted; the reason for making the new one.
pub(super) fn replace(end: &InterfaceRef, live: Option<&Interface>, phases: &mut Phases) -> String {
    let Some(live) = live else { return MISSING.to_owned() };
    let why = match &live.kind {
        InterfaceKind::Veth { peer: Some(peer) } => format!("{end} is a veth whose other end is {peer}"),
        InterfaceKind::Veth { peer: None } => format!("{end} is a veth whose other end is elsewhere"),
        _ => format!("{end} is a {}", live.kind_name()),
    };
    remove(end, live, &why, phases);
    why
}

/// Plans the removal of an interface, unless its peer's removal, planned already, takes it along.
pub(super) fn remove(end: &InterfaceRef, live: &Interface, why: &str, phases: &mut Phases) {
    let planned = |end: &InterfaceRef| phases.drops(end);
    if !planned(end) && !live.peer().is_some_and(planned) {
        let phase = if live.device().is_some() { &mut phases.drop_devices } else { &mut phases.drop_links };
        phase.add(Step::DeleteInterface { end: end.clone() }, why);
    }
}

/// Plans the removal of interfaces that the file does not have: in the lab's own namespaces all of them, in `host`
/// those that carry the lab's mark.
fn remove_extras(compared: &Compared<'_>, phases: &mut Phases) {
    for (ns, is) in &compared.live.namespaces {
        let wanted = compared.lab.namespaces.get(ns);
        if wanted.is_none() && !ns.is_host() {
            continue;
        }
        for (name, live) in &is.interfaces {
            let mine = if ns.is_host() { live.owner.as_ref() == Some(&compared.lab.name) } else { !is_kernels(name) };
            if mine && !wanted.is_some_and(|wanted| wanted.interfaces.contains_key(name)) {
                remove(&InterfaceRef { ns: ns.clone(), name: name.clone() }, live, "the file does not have it", phases);
            }
        }
    }
}

fn is_kernels(name: &IfName) -> bool {
    name.is_lo() || FALLBACK_TUNNELS.contains(&name.as_str())
}

/// Plans the settings of an interface: bridge, MTU, hardware address, bridge options, up or down.
pub(super) fn settings(compared: &Compared<'_>, end: &InterfaceRef, want: &Interface, phases: &mut Phases) {
    if phases.fresh.contains(end) {
        if matches!(want.kind, InterfaceKind::Bridge(_)) {
            new_bridge(compared, end, want, phases);
        }
        return;
    }
    let Some(is) = find(compared, end) else {
        // A new namespace's loopback is made up with it.
        return;
    };
    plug(compared, end, want, is, phases);
    let (ups, settings) = match want.kind {
        InterfaceKind::Bridge(_) => (&mut phases.bridges_up, &mut phases.link_settings),
        InterfaceKind::Virtual(_) => (&mut phases.devices_up, &mut phases.device_settings),
        _ => (&mut phases.links_up, &mut phases.link_settings),
    };
    if end.ns.is_host() && compared.host().half_marked.contains(&end.name) {
        let step = Step::Mark { end: end.clone(), lab: compared.lab.name.clone() };
        settings.add(step, "of the lab's marks on it, alias and group, one is missing");
    }
    if is.up != want.up {
        let why = if want.up { "it is down" } else { "it is up" };
        ups.add(Step::SetUp { end: end.clone(), up: want.up }, why);
    }
    if let (Some(from), Some(to)) = (is.mtu, expected_mtu(compared, &end.ns, &end.name, want))
        && from != to
    {
        settings.add(Step::SetMtu { end: end.clone(), from, to }, format!("it is {from}"));
    }
    if let (Some(from), Some(to)) = (is.mac, want.mac)
        && from != to
    {
        settings.add(Step::SetMac { end: end.clone(), from, to }, format!("it is {from}"));
    }
    if let (InterfaceKind::Bridge(from), InterfaceKind::Bridge(to)) = (&is.kind, &want.kind)
        && from != to
    {
        let step = Step::SetBridge { end: end.clone(), from: *from, to: *to };
        settings.add(step, "its options differ");
    }
}

/// Plans which bridge or VRF an interface is a port of.
fn plug(compared: &Compared<'_>, end: &InterfaceRef, want: &Interface, is: &Interface, phases: &mut Phases) {
    let from = master(end, is, &phases.fresh).cloned();
    if from == want.master {
        return;
    }
    let why = match &from {
        Some(master) => format!("it is a port of {master}"),
        None => "it is no port".to_owned(),
    };
    let is_late = want.device().is_some() || is_in_vrf(compared, end, want);
    let settings = if is_late { &mut phases.device_settings } else { &mut phases.link_settings };
    settings.add(Step::SetMaster { end: end.clone(), from, to: want.master.clone() }, why);
}

/// Whether an interface is to be a port of a VRF, which is a device and made later than bridges.
fn is_in_vrf(compared: &Compared<'_>, end: &InterfaceRef, want: &Interface) -> bool {
    compared.lab.namespaces.get(&end.ns).is_some_and(|ns| ns.vrf_of(want).is_some())
}

/// What an interface is plugged into now; nothing where that is made anew.
pub(super) fn master<'a>(
    end: &InterfaceRef,
    live: &'a Interface,
    fresh: &BTreeSet<InterfaceRef>,
) -> Option<&'a IfName> {
    live.master.as_ref().filter(|master| !fresh.contains(&InterfaceRef { ns: end.ns.clone(), name: (*master).clone() }))
}

/// Plans what is left to do on a bridge that is made.
fn new_bridge(compared: &Compared<'_>, end: &InterfaceRef, want: &Interface, phases: &mut Phases) {
    if let Some(vrf) = &want.master {
        let step = Step::SetMaster { end: end.clone(), from: None, to: Some(vrf.clone()) };
        phases.device_settings.add(step, format!("it is to be a port of {vrf}"));
    }
    // With its first port, a new bridge takes on the MTU of its ports, whatever it was made with.
    let ports = ports(compared, &end.ns, &end.name);
    if let (Some(to), Some(from)) = (want.mtu, smallest(&ports))
        && from != to
    {
        let devices = ports.iter().any(|port| port.device().is_some());
        let settings = if devices { &mut phases.device_settings } else { &mut phases.link_settings };
        settings.add(Step::SetMtu { end: end.clone(), from, to }, "it took on that of its ports");
    }
    if want.up {
        phases.bridges_up.add(Step::SetUp { end: end.clone(), up: true }, "its ports are in place");
    }
}

/// The wanted ports of a bridge.
fn ports<'a>(compared: &Compared<'a>, ns: &NsName, bridge: &IfName) -> Vec<&'a Interface> {
    let links = compared.lab.namespaces.get(ns).into_iter().flat_map(|wanted| wanted.interfaces.values());
    links.filter(|link| link.master.as_ref() == Some(bridge)).collect()
}

/// The smallest MTU of some ports.
fn smallest(ports: &[&Interface]) -> Option<u32> {
    ports.iter().map(|port| port.mtu.unwrap_or(ETHERNET_MTU)).min()
}

/// The MTU that an interface has where nobody changed it: what the file says, or the kernel's default. A bridge
/// takes the smallest of its ports (br_mtu_auto_adjust). The loopback's is left alone.
fn expected_mtu(compared: &Compared<'_>, ns: &NsName, name: &IfName, want: &Interface) -> Option<u32> {
    if want.mtu.is_some() {
        return want.mtu;
    }
    match want.kind {
        InterfaceKind::Veth { .. } => Some(ETHERNET_MTU),
        InterfaceKind::Bridge(_) => Some(smallest(&ports(compared, ns, name)).unwrap_or(ETHERNET_MTU)),
        _ => None,
    }
}

pub(super) fn find<'a>(compared: &Compared<'a>, end: &InterfaceRef) -> Option<&'a Interface> {
    compared.live.namespaces.get(&end.ns)?.interfaces.get(&end.name)
}

pub(super) fn wanted<'a>(compared: &Compared<'a>, end: &InterfaceRef) -> Option<&'a Interface> {
    compared.lab.namespaces.get(&end.ns)?.interfaces.get(&end.name)
}
