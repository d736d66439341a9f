//! Names that the lab wants and somebody else has, and host settings that another lab needs otherwise: nothing of theirs may
//! be touched.

use serde::Serialize;

use super::planned::PlannedStep;
use crate::lab::{
    IfName, Interface, InterfaceRef, Lab, LabName, Live, Namespace, NsName, Route, VirtualInterface, Vxlan,
};
use crate::steps::{MarkStep, Presence, Step, Tier};

/// Something that exists under a wanted name and does not carry the lab's mark, or a host setting that two labs need to differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// What it is and its name: "namespace red", "bridge v-net-0 of the host". Of a setting, which lab needs which value.
    pub what: String,
    /// The lab that it belongs to; none: it is nobody's that we know.
    pub owner: Option<LabName>,
    /// The interface that carries the mark, or would: of a namespace, its loopback. None, where nothing could carry one.
    #[serde(skip)]
    pub marked: Option<InterfaceRef>,
    /// Whether it is a host setting: nothing to take over.
    #[serde(skip)]
    pub is_setting: bool,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.owner {
            _ if self.is_setting => f.write_str(&self.what),
            Some(owner) => write!(f, "{} exists and belongs to lab {owner}", self.what),
            None => write!(f, "{} exists and was not made by nslab", self.what),
        }
    }
}

/// Finds every namespace, and every interface of `host`, that the lab wants and that is not its own; and every host setting
/// that another lab needs otherwise.
pub fn conflicts(lab: &Lab, live: &Live) -> Vec<Conflict> {
    let mut found = Vec::new();
    for (ns, wanted) in &lab.namespaces {
        let Some(is) = live.namespaces.get(ns) else { continue };
        if !ns.is_host() {
            if is.owner.as_ref() != Some(&lab.name) {
                let marked = is
                    .interfaces
                    .contains_key(&IfName::lo())
                    .then(|| InterfaceRef { ns: ns.clone(), name: IfName::lo() });
                found.push(Conflict {
                    what: format!("namespace {ns}"),
                    owner: is.owner.clone(),
                    marked,
                    is_setting: false,
                });
            }
            continue;
        }
        for name in wanted.interfaces.keys() {
            if let Some(link) = is.interfaces.get(name)
                && link.owner.as_ref() != Some(&lab.name)
            {
                let what = format!("{} {name} of {}", link.kind_name(), NsName::host());
                let marked = Some(InterfaceRef { ns: ns.clone(), name: name.clone() });
                found.push(Conflict { what, owner: link.owner.clone(), marked, is_setting: false });
            }
        }
        found.extend(vxlans(&lab.name, wanted, is));
        found.extend(settings(&lab.name, wanted, is));
        found.extend(routes(lab, wanted, is));
    }
    found
}

/// Ends of VXLANs under other names, at whose port packets with the same number arrive: the kernel makes no second one.
fn vxlans(lab: &LabName, wanted: &Namespace, is: &Namespace) -> Vec<Conflict> {
    let ends = |(name, link): (&IfName, &Interface)| match link.device() {
        Some(VirtualInterface::Vxlan(vxlan)) => Some((name.clone(), vxlan.clone(), link.owner.clone())),
        Some(
            VirtualInterface::Macvlan { .. }
            | VirtualInterface::Ipvlan { .. }
            | VirtualInterface::Vlan { .. }
            | VirtualInterface::Ipip { .. }
            | VirtualInterface::Dummy
            | VirtualInterface::Vrf { .. },
        )
        | None => None,
    };
    let wanted: Vec<_> = wanted.interfaces.iter().filter_map(ends).collect();
    let in_the_way = is.interfaces.iter().filter_map(ends).filter(|(name, there, owner)| {
        let collides = |(own, vxlan, _): &(IfName, Vxlan, _)| own != name && vxlan.collides(there);
        owner.as_ref() != Some(lab) && wanted.iter().any(collides)
    });
    let conflict = |(name, there, owner): (IfName, Vxlan, _)| Conflict {
        what: format!("vxlan {name} of {} with the id {} on port {}", NsName::host(), there.id, there.port),
        owner,
        marked: None,
        is_setting: false,
    };
    in_the_way.map(conflict).collect()
}

/// The settings that another lab needs to have another value.
fn settings(lab: &LabName, wanted: &Namespace, is: &Namespace) -> Vec<Conflict> {
    let mut found = Vec::new();
    for (key, value) in &wanted.sysctls {
        for (other, others) in is.claims.get(key).into_iter().flatten().filter(|(other, _)| *other != lab) {
            if let Some(others) = others.as_ref().filter(|others| *others != value) {
                let what = format!(
                    "lab {lab} needs {key}={value} in {}, and lab {other} needs {key}={others}",
                    NsName::host()
                );
                found.push(Conflict { what, owner: Some(other.clone()), marked: None, is_setting: true });
            }
        }
    }
    found
}

/// The machine's own routes that stand in the place (table, destination, metric) of one that the lab wants.
fn routes(lab: &Lab, wanted: &Namespace, is: &Namespace) -> Vec<Conflict> {
    let of_lab = |dev: &IfName| is.interfaces.get(dev).is_some_and(|link| link.owner.as_ref() == Some(&lab.name));
    let theirs = |there: &&Route| match &there.dev {
        Some(dev) => !of_lab(dev),
        None => !is.marked.routes.contains(there),
    };
    let in_the_way = is
        .routes
        .iter()
        .filter(theirs)
        .filter(|there| !wanted.routes.contains(there) && wanted.routes.iter().any(|route| route.same_slot(there)));
    let what = |there: &Route| format!("route {there} of {}", NsName::host());
    in_the_way.map(|there| Conflict { what: what(there), owner: None, marked: None, is_setting: false }).collect()
}

/// Plans to take ownership of what has no owner; none, if something belongs to another lab or cannot be marked.
pub fn adoption(lab: &LabName, conflicts: &[Conflict]) -> Option<Vec<PlannedStep>> {
    let step = |conflict: &Conflict| {
        let interface = conflict.marked.clone().filter(|_| conflict.owner.is_none())?;
        let mark = MarkStep { interface, tier: Tier::Base, change: Presence::Add(lab.clone()) };
        Some(PlannedStep { step: Step::Mark(mark), why: "it was made by hand".to_owned() })
    };
    conflicts.iter().map(step).collect()
}
