//! Names that the lab wants and that already belong to something else, and host settings that another lab needs
//! otherwise: nothing of theirs may be touched.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::planned::PlannedStep;
use crate::lab::{
    IfName, Interface, InterfaceRef, Lab, LabName, Namespace, NsName, Observed, ObservedNamespace, PolicyRule, Route,
    RouteSlot, VirtualInterface, VxlanSlot,
};
use crate::steps::{ForeignStep, InterfaceStep, MarkStep, Presence, Step, Tier};

/// What kind of conflict it is. Its name is the variant's in kebab case; its comment is its line in `docs/codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictCode {
    /// What `apply --adopt` would take over would have to be removed, or something in it that nslab cannot make again.
    AdoptionRemoves,
    /// Somebody else keeps files in `/etc/netns` for a namespace whose files the lab needs to be its own.
    EtcFilesExist,
    /// An interface of `host` has a name that the lab needs, and does not belong to it.
    InterfaceExists,
    /// An interface has an alternative name that the lab needs as the name of another one.
    NameTaken,
    /// A namespace has a name that the lab needs, and does not belong to it.
    NamespaceExists,
    /// A policy rule of `host` that the lab needs is another lab's.
    PolicyRuleExists,
    /// A route of `host`, not the lab's, has the place (table, destination, metric) of one that the lab needs.
    RouteExists,
    /// Two labs need different values of a host setting.
    SettingConflict,
    /// A VXLAN interface of `host` has the id and port of one that the lab needs, and does not belong to it.
    VxlanExists,
}

impl fmt::Display for ConflictCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Something that exists under a wanted name and does not carry the lab's mark, or a host setting that two labs need to
/// differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// What kind of conflict it is.
    pub code: ConflictCode,
    /// What it is and its name: "namespace red", "bridge v-net-0 of the host". Of a setting, which lab needs which
    /// value.
    pub what: String,
    /// The lab that it belongs to; none: its owner is unknown.
    pub owner: Option<LabName>,
    /// The interface that carries the mark, or would: of a namespace, its loopback. None, where nothing could carry
    /// one.
    #[serde(skip)]
    pub marked: Option<InterfaceRef>,
}

impl Conflict {
    /// A route of `host`.
    pub(crate) fn of_route(route: &impl fmt::Display, owner: Option<LabName>) -> Self {
        let what = format!("route {route} of {}", NsName::host());
        Self { code: ConflictCode::RouteExists, what, owner, marked: None }
    }

    /// A policy rule of `host`.
    pub(crate) fn of_rule(rule: &PolicyRule, owner: LabName) -> Self {
        let what = format!("policy rule {rule} of {}", NsName::host());
        Self { code: ConflictCode::PolicyRuleExists, what, owner: Some(owner), marked: None }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            _ if self.code == ConflictCode::AdoptionRemoves => f.write_str(&self.what),
            Some(_) if self.code == ConflictCode::SettingConflict => f.write_str(&self.what),
            Some(owner) => write!(f, "{} exists and belongs to lab {owner}", self.what),
            None => write!(f, "{} exists and was not made by nslab", self.what),
        }
    }
}

/// Finds every namespace, and every interface of `host`, that the lab wants and that is not its own; and every host
/// setting that another lab needs otherwise.
pub fn conflicts(lab: &Lab, live: &Observed) -> Vec<Conflict> {
    let mut found = Vec::new();
    for (ns, wanted) in &lab.namespaces {
        let Some(observed) = live.namespaces.get(ns) else { continue };
        let is = &observed.is;
        found.extend(alternative_names(&lab.name, ns, wanted, observed));
        if !ns.is_host() {
            if is.owner.as_ref() != Some(&lab.name) {
                let marked = is
                    .interfaces
                    .contains_key(&IfName::lo())
                    .then(|| InterfaceRef { ns: ns.clone(), name: IfName::lo() });
                let (code, what) = (ConflictCode::NamespaceExists, format!("namespace {ns}"));
                found.push(Conflict { code, what, owner: is.owner.clone(), marked });
            }
            continue;
        }
        for name in wanted.interfaces.keys() {
            if let Some(interface) = is.interfaces.get(name)
                && interface.owner.as_ref() != Some(&lab.name)
            {
                let what = format!("{} {name} of {}", interface.kind_name(), NsName::host());
                let marked = Some(InterfaceRef { ns: ns.clone(), name: name.clone() });
                let code = ConflictCode::InterfaceExists;
                found.push(Conflict { code, what, owner: interface.owner.clone(), marked });
            }
        }
        found.extend(vxlans(&lab.name, wanted, observed));
        found.extend(settings(&lab.name, wanted, observed));
        found.extend(routes(lab, wanted, observed));
        let rules = observed.routing_of_others.rules.iter().filter(|(rule, _)| wanted.rules.contains(*rule));
        found.extend(rules.map(|(rule, owner)| Conflict::of_rule(rule, owner.clone())));
    }
    let taken = live.etc.taken.iter().filter(|ns| lab.etc.namespaces.contains_key(*ns));
    let what = |ns: &NsName| format!("/etc/netns/{ns}");
    let conflict = |ns| Conflict { code: ConflictCode::EtcFilesExist, what: what(ns), owner: None, marked: None };
    found.extend(taken.map(conflict));
    found
}

/// Alternative names of interfaces that stay: no other interface can be called so.
fn alternative_names(lab: &LabName, ns: &NsName, wanted: &Namespace, observed: &ObservedNamespace) -> Vec<Conflict> {
    let there = &observed.is.interfaces;
    let stays = |holder: &IfName| {
        let is_ours = |found: &Interface| found.is_of(lab, ns);
        wanted.interfaces.contains_key(holder) || holder.is_lo() || !there.get(holder).is_some_and(is_ours)
    };
    let is_taken = |(name, holder): &(&IfName, &IfName)| {
        wanted.interfaces.contains_key(*name) && !there.contains_key(*name) && stays(holder)
    };
    let conflict = |(name, holder): (&IfName, &IfName)| Conflict {
        code: ConflictCode::NameTaken,
        what: format!("alternative name {name} of {holder} in {ns}"),
        owner: None,
        marked: None,
    };
    observed.alternative_names.iter().filter(is_taken).map(conflict).collect()
}

/// VXLAN interfaces under other names, at whose port packets with the same number arrive: the kernel makes no second
/// one.
fn vxlans(lab: &LabName, wanted: &Namespace, observed: &ObservedNamespace) -> Vec<Conflict> {
    let wanted: Vec<(&IfName, VxlanSlot)> = wanted.interfaces.iter().filter_map(wanted_vxlan).collect();
    let mut found = Vec::new();
    for (name, there) in &observed.is.interfaces {
        let Some(slot) = observed.vxlan_slot(name).filter(|_| there.owner.as_ref() != Some(lab)) else { continue };
        if wanted.iter().any(|(own, wanted)| *own != name && *wanted == slot) {
            let what = format!("vxlan {name} of {} with the id {} on port {}", NsName::host(), slot.id, slot.port);
            let code = ConflictCode::VxlanExists;
            found.push(Conflict { code, what, owner: there.owner.clone(), marked: None });
        }
    }
    found
}

fn wanted_vxlan<'a>((name, interface): (&'a IfName, &Interface)) -> Option<(&'a IfName, VxlanSlot)> {
    interface.virtual_interface().and_then(VirtualInterface::vxlan).map(|vxlan| (name, vxlan.slot()))
}

/// The settings that another lab needs to have another value.
fn settings(lab: &LabName, wanted: &Namespace, is: &ObservedNamespace) -> Vec<Conflict> {
    let mut found = Vec::new();
    for (key, value) in &wanted.sysctls {
        for (other, others) in is.claims.get(key).into_iter().flatten().filter(|(other, _)| *other != lab) {
            if let Some(others) = others.as_ref().filter(|others| !others.agrees_with(key, value)) {
                let what = format!(
                    "lab {lab} needs {key}={value} in {}, and lab {other} needs {key}={others}",
                    NsName::host()
                );
                let code = ConflictCode::SettingConflict;
                found.push(Conflict { code, what, owner: Some(other.clone()), marked: None });
            }
        }
    }
    found
}

/// The machine's own routes in the place (table, destination, metric) of one that the lab wants.
fn routes(lab: &Lab, wanted: &Namespace, observed: &ObservedNamespace) -> Vec<Conflict> {
    let ObservedNamespace { is, nslab_routing, routing_of_others, foreign, .. } = observed;
    let of_lab = |dev: &IfName| is.interfaces.get(dev).is_some_and(|there| there.owner.as_ref() == Some(&lab.name));
    let theirs = |there: &&Route| match is.is_unattached(there) {
        false => !there.devs().all(of_lab),
        true => !nslab_routing.routes.contains(*there),
    };
    let is_in_the_way = |slot: RouteSlot| wanted.routes.iter().any(|route| route.slot() == slot);
    let owner = |there: &Route| routing_of_others.routes.get(there).cloned();
    // One that nobody needs and that is as the lab wants it is not in the way.
    let differs = |there: &&Route| !wanted.routes.contains(*there) || owner(there).is_some();
    let known = is.routes.iter().filter(theirs).filter(differs).filter(|there| is_in_the_way(there.slot()));
    let known = known.map(|there| Conflict::of_route(there, owner(there)));
    let foreign = foreign.routes.iter().filter(|there| !there.is_ours && there.slot.is_some_and(is_in_the_way));
    known.chain(foreign.map(|there| Conflict::of_route(&there.object.text, None))).collect()
}

/// What keeps a lab from being adopted although nobody else owns it: adopting never deletes what nslab could not make
/// again, be it what is adopted or something in it.
pub fn removed_by_adoption(conflicts: &[Conflict], steps: &[PlannedStep]) -> Vec<Conflict> {
    let is_about = |adopted: &InterfaceRef, step: &Step| {
        if let Step::Interface(InterfaceStep::Remove { interface, .. }) = step {
            return interface == adopted || (!adopted.ns.is_host() && interface.ns == adopted.ns);
        }
        let Step::Foreign(ForeignStep { ns, change: Presence::Remove(_) }) = step else { return false };
        !ns.is_host() && *ns == adopted.ns
    };
    let removal = |conflict: &Conflict| {
        let adopted = conflict.marked.as_ref()?;
        let step = steps.iter().find(|planned| is_about(adopted, &planned.step))?;
        let what = format!("to adopt {}, nslab would have to {} ({})", conflict.what, step.step.text(), step.why);
        Some(Conflict { code: ConflictCode::AdoptionRemoves, what, ..conflict.clone() })
    };
    conflicts.iter().filter_map(removal).collect()
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
