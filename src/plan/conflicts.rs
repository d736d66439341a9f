//! Names that the lab wants and somebody else has: nothing of theirs may be touched.

use serde::Serialize;

use super::{PlannedStep, Step};
use crate::lab::{End, IfName, Lab, LabName, Live, NsName};

/// Something that exists under a wanted name and does not carry the lab's mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// What it is and its name: "namespace red", "bridge v-net-0 of the host".
    pub what: String,
    /// The lab that it belongs to; none: it is nobody's that we know.
    pub owner: Option<LabName>,
    /// The interface that carries the mark, or would: of a namespace, its loopback. None, where nothing could carry one.
    #[serde(skip)]
    pub end: Option<End>,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.owner {
            Some(owner) => write!(f, "{} exists and belongs to lab {owner}", self.what),
            None => write!(f, "{} exists and was not made by nslab", self.what),
        }
    }
}

/// Finds every namespace, and every interface of `host`, that the lab wants and that is not its own.
pub fn conflicts(lab: &Lab, live: &Live) -> Vec<Conflict> {
    let mut found = Vec::new();
    for (ns, wanted) in &lab.namespaces {
        let Some(is) = live.namespaces.get(ns) else { continue };
        if !ns.is_host() {
            if is.owner.as_ref() != Some(&lab.name) {
                let end = is.links.contains_key(&IfName::lo()).then(|| End { ns: ns.clone(), name: IfName::lo() });
                found.push(Conflict { what: format!("namespace {ns}"), owner: is.owner.clone(), end });
            }
            continue;
        }
        for name in wanted.links.keys() {
            if let Some(link) = is.links.get(name)
                && link.owner.as_ref() != Some(&lab.name)
            {
                let what = format!("{} {name} of {}", link.kind_name(), NsName::host());
                let end = Some(End { ns: ns.clone(), name: name.clone() });
                found.push(Conflict { what, owner: link.owner.clone(), end });
            }
        }
    }
    found
}

/// Plans to take over what is nobody's; none, if something belongs to another lab or cannot be marked.
pub fn adoption(lab: &LabName, conflicts: &[Conflict]) -> Option<Vec<PlannedStep>> {
    let step = |conflict: &Conflict| match (&conflict.owner, &conflict.end) {
        (None, Some(end)) => Some(PlannedStep {
            step: Step::Adopt { end: end.clone(), lab: lab.clone() },
            why: "it was made by hand".to_owned(),
        }),
        _ => None,
    };
    conflicts.iter().map(step).collect()
}
