//! Interfaces on the way that the file leads a packet, and that are not as it says: in another VLAN or VRF, of another
//! mode, or missing.

use super::evidence::Case;
use super::frame::Kind;
use super::remedy;
use crate::forwarding::{Cause, Obstacle, Way};
use crate::lab::{IfName, Interface, InterfaceKind, InterfaceRef, Lab, VlanRange, Vlans};

/// An interface that is not as the file says, in words, and what to do about it.
pub(super) struct Altered {
    pub at: InterfaceRef,
    pub words: String,
    pub to_do: Vec<String>,
}

/// The interface that is not as the file says next to where the packet was seen last: from there on, or else before it,
/// as what happens in the wrong VLAN shows only later. None of an obstacle that has to do with nothing of the kind.
pub(super) fn interface(case: &Case<'_>, obstacle: Option<&Obstacle>) -> Option<Altered> {
    let fits = |at: &InterfaceRef| match obstacle.map(|obstacle| (&obstacle.ns, &obstacle.cause)) {
        None
        | Some((
            _,
            Cause::NobodyHas { unplugged: None, proxy: None, .. }
            | Cause::OtherVlan(_)
            | Cause::OtherVlanInterface { .. }
            | Cause::MacvlanMode { .. }
            | Cause::NoTunnelEnd { .. }
            | Cause::OtherSource { .. }
            | Cause::AnswerElsewhere(_),
        )) => true,
        Some((ns, Cause::NoRoute { .. } | Cause::RouteDrops(_))) => at.ns == *ns,
        Some(_) => false,
    };
    let evidence = case.evidence;
    let there = on_way(evidence.wanted, &case.wanted.there);
    let back = case.wanted.back.as_ref().map(|back| on_way(evidence.wanted, back)).unwrap_or_default();
    let last = case.sightings.iter().rfind(|sighting| !matches!(sighting.seen.kind, Kind::Error(_)));
    let seen = last.and_then(|last| {
        let is_it = |at: &InterfaceRef| at.ns == last.ns && at.name == last.interface;
        match last.seen.kind {
            Kind::Sent => there.iter().rposition(is_it),
            Kind::Answer | Kind::Reset | Kind::Error(_) => Some(there.len() + back.iter().rposition(is_it)?),
        }
    });
    let seen = seen.unwrap_or_default();
    let all = there.iter().chain(&back).enumerate().filter(|(_, at)| fits(at));
    let altered = all.filter_map(|(place, at)| Some((place, at, difference(evidence.wanted, evidence.live, at)?)));
    let (_, at, words) = altered.min_by_key(|(place, ..)| (*place < seen, place.abs_diff(seen)))?;
    // What is to be done about an interface is no matter of the cause.
    let obstacle = Obstacle { ns: at.ns.clone(), interface: Some(at.name.clone()), cause: Cause::NoNamespace };
    Some(Altered { at: at.clone(), words, to_do: remedy::by_steps(&obstacle, &evidence.remedies) })
}

/// The interfaces on a way, each port with what it is a port of.
fn on_way(lab: &Lab, way: &Way) -> Vec<InterfaceRef> {
    let mut all = Vec::new();
    for leg in &way.legs {
        for crossing in &leg.crossings {
            let at = &crossing.at;
            let interface = lab.namespaces.get(&at.ns).and_then(|own| own.interfaces.get(&at.name));
            let master = interface.and_then(|interface| interface.master.clone());
            all.push(at.clone());
            all.extend(master.map(|name| InterfaceRef { ns: at.ns.clone(), name }));
        }
        all.extend(leg.tunnel.iter().flat_map(|tunnel| on_way(lab, tunnel)));
    }
    all
}

fn difference(wanted: &Lab, live: &Lab, at: &InterfaceRef) -> Option<String> {
    let interface = wanted.namespaces.get(&at.ns)?.interfaces.get(&at.name)?;
    match live.namespaces.get(&at.ns)?.interfaces.get(&at.name) {
        None => Some(missing((wanted, live), at)),
        Some(live) => other_master(at, interface, live)
            .or_else(|| other_kind(at, interface, live))
            .or_else(|| other_vlans(at, interface, live)),
    }
}

/// That an interface of the file does not exist, and who has one of its name.
pub(super) fn missing((wanted, live): (&Lab, &Lab), at: &InterfaceRef) -> String {
    let moved = live.namespaces.iter().find(|(ns, other)| {
        let own = wanted.namespaces.get(*ns).is_some_and(|own| own.interfaces.contains_key(&at.name));
        other.interfaces.contains_key(&at.name) && !own
    });
    let where_to = moved.map(|(ns, _)| format!("; {ns} has an interface of this name")).unwrap_or_default();
    format!("{at} does not exist{where_to}")
}

fn other_master(at: &InterfaceRef, wanted: &Interface, live: &Interface) -> Option<String> {
    let name = |of: &Interface| of.master.as_ref().map(IfName::to_string);
    match (name(wanted), name(live)) {
        (wanted, live) if wanted == live => None,
        (Some(wanted), Some(live)) => Some(format!("{at} is a port of {live}, and not of {wanted}")),
        (Some(wanted), None) => Some(format!("{at} is not a port of {wanted}")),
        (None, Some(live)) => Some(format!("{at} is a port of {live}, which by the file it is not")),
        (None, None) => None,
    }
}

fn other_kind(at: &InterfaceRef, wanted: &Interface, live: &Interface) -> Option<String> {
    match (&wanted.kind, &live.kind) {
        (InterfaceKind::Bridge(wanted), InterfaceKind::Bridge(live)) => {
            let by_vlan = match (wanted.vlan_filtering, live.vlan_filtering) {
                (true, false) => Some(format!("{at} does not keep VLANs apart (vlan_filtering is off)")),
                (false, true) => Some(format!("{at} keeps VLANs apart (vlan_filtering is on)")),
                (_, _) => None,
            };
            let asks = (wanted.nf_call_iptables && !live.nf_call_iptables)
                .then(|| format!("{at} passes packets on without asking iptables (nf_call_iptables is off)"));
            by_vlan.or(asks)
        }
        (InterfaceKind::Virtual(wanted), InterfaceKind::Virtual(live)) => {
            let mut is = InterfaceKind::Virtual(live.clone());
            if live.lower().is_none() {
                is.connect_like(&InterfaceKind::Virtual(wanted.clone()));
            }
            (is != InterfaceKind::Virtual(wanted.clone())).then(|| format!("{at} is `{live}`, and not `{wanted}`"))
        }
        (
            InterfaceKind::Loopback
            | InterfaceKind::Veth { .. }
            | InterfaceKind::Bridge(_)
            | InterfaceKind::Virtual(_)
            | InterfaceKind::Other(_),
            _,
        ) => None,
    }
}

fn other_vlans(at: &InterfaceRef, wanted: &Interface, live: &Interface) -> Option<String> {
    let (default, live) = (Vlans::default(), live.vlans.as_ref()?);
    let wanted = wanted.vlans.as_ref().unwrap_or(&default);
    let numbers = |of: Vlans| of.ranges().iter().map(VlanRange::numbers).collect::<Vec<_>>().join(", ");
    let (missing, more) = (numbers(wanted.absent_in(live)), numbers(live.absent_in(wanted)));
    match (missing.as_str(), more.as_str()) {
        ("", "") if wanted == live => None,
        ("", "") => Some(format!("{at} is in its VLANs as `{live}`, and not as `{wanted}`")),
        (missing, "") => Some(format!("{at} is not in the VLAN {missing}")),
        ("", more) => Some(format!("{at} is in the VLAN {more}, too")),
        (missing, more) => Some(format!("{at} is in the VLAN {more}, and not in {missing}")),
    }
}
