//! The labs on this machine, and the state of one of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{EngineError, Machine, as_on_this_machine};
use crate::kernel::process::{self, Process};
use crate::kernel::{Marked, Scope};
use crate::lab::{IfName, Lab, LabName, NsName, Observed, ObservedProgram, PortProtocol, ProgramRef};
use crate::plan::{self, Plan};
use crate::topology::Topology;
use crate::{programs, state, topology};

/// The labs on this machine.
#[derive(Debug)]
pub struct Labs {
    /// What carries a mark in the kernel, by lab.
    pub marks: BTreeMap<LabName, Marked>,
    /// The labs that have a folder in `/run/nslab`.
    pub saved: Vec<LabName>,
    /// How many programs those have, whether they run or have ended; none of a lab whose supervisor does not say.
    pub programs: BTreeMap<LabName, usize>,
}

/// Every lab that has a mark in the kernel or a folder.
///
/// # Errors
/// The kernel refuses to list something, or `/run/nslab` cannot be read.
pub fn labs() -> Result<Labs, EngineError> {
    let saved = state::labs()?;
    let count = |lab: &LabName| Some((lab.clone(), programs::list(lab).ok()?.unwrap_or_default().len()));
    let programs = saved.iter().filter_map(count).collect();
    Ok(Labs { marks: Machine::open()?.marks()?, saved, programs })
}

impl Labs {
    /// Their names, in order.
    pub fn names(&self) -> Vec<LabName> {
        let mut names: Vec<LabName> = self.marks.keys().chain(&self.saved).cloned().collect();
        names.sort();
        names.dedup();
        names
    }
}

/// Whether a lab has a folder: quicker to find out than whether it has marks.
///
/// # Errors
/// `/run/nslab` cannot be read.
pub fn is_kept(lab: &LabName) -> Result<bool, EngineError> {
    Ok(state::labs()?.contains(lab))
}

/// The topology of a lab as it was applied.
#[derive(Debug)]
pub struct Kept {
    /// The file that it is kept in.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// The topology of a lab as it was applied.
///
/// # Errors
/// It is not kept, or cannot be read.
pub fn as_applied(lab: &LabName) -> Result<Kept, EngineError> {
    let text = state::topology(lab)?.ok_or_else(|| EngineError::TopologyNotKept(lab.clone()))?;
    Ok(Kept { file: state::topology_file(lab), text })
}

/// Another lab that has namespaces, or interfaces of the host, of a file's: it was made from the file under another
/// name.
///
/// # Errors
/// The kernel refuses to list something.
pub fn built_as(lab: &Lab) -> Result<Option<LabName>, EngineError> {
    let host = lab.namespaces.get(&NsName::host());
    let has = |marked: &Marked| {
        marked.namespaces.iter().any(|ns| lab.namespaces.contains_key(ns))
            || marked.interfaces.iter().any(|name| host.is_some_and(|host| host.interfaces.contains_key(name)))
    };
    let mut others = Machine::open()?.marks()?.into_iter().filter(|(other, _)| *other != lab.name);
    Ok(others.find(|(_, marked)| has(marked)).map(|(other, _)| other))
}

/// One lab: what there is of it, what runs in it, and what differs from its file.
#[derive(Debug)]
pub struct Status {
    /// What the kernel shows.
    pub live: Observed,
    /// What differs from the topology as applied; none where that is not kept.
    pub drift: Option<Plan>,
    /// What could not be read, and why; what differs there is not in `drift`.
    pub unread: Vec<String>,
    /// The processes in each of its namespaces.
    pub processes: BTreeMap<NsName, Vec<Process>>,
    /// The ports at which its programs listen.
    pub ports: BTreeMap<ProgramRef, BTreeSet<(u16, PortProtocol)>>,
    /// Whether programs were started, and whoever held them is gone.
    pub has_lost_programs: bool,
    /// Which of the machines that make the lab together this is, and its interface on the network between them.
    pub machine: Option<(NsName, IfName)>,
}

/// What there is of a lab.
pub(super) struct Look {
    /// The kernel that was asked.
    pub machine: Machine,
    /// The topology as applied, if it is kept.
    pub saved: Option<Topology>,
    /// What the kernel shows.
    pub live: Observed,
    /// The lab's own namespaces.
    pub own: Vec<NsName>,
}

/// Looks at a lab. The topology as applied says what is wanted; without it, what is there can still be shown.
///
/// # Errors
/// There is no such lab, or the kernel refuses to show something.
pub(super) fn look(lab: &LabName) -> Result<Look, EngineError> {
    let saved = state::topology(lab)?.and_then(|text| topology::parse("the topology as applied", &text).ok());
    let saved = saved.and_then(|saved| as_on_this_machine(saved).ok());
    let desired = saved.as_ref().map(|topology| &topology.lab);
    let mut machine = Machine::open()?;
    let live = machine.observe(&Scope { lab, desired, inside: true })?;
    let namespaces = live.namespaces.iter();
    let own: Vec<NsName> =
        namespaces.filter(|(_, ns)| ns.is.owner.as_ref() == Some(lab)).map(|(name, _)| name.clone()).collect();
    if own.is_empty() && saved.is_none() {
        return Err(EngineError::NoSuchLab(lab.clone()));
    }
    Ok(Look { machine, saved, live, own })
}

/// The state of one lab.
///
/// # Errors
/// There is no such lab, or the kernel refuses to show something.
pub fn status(lab: &LabName) -> Result<Status, EngineError> {
    let Look { saved, live, own, .. } = look(lab)?;
    let machine = saved.as_ref().and_then(|saved| saved.machine.as_ref());
    let machine = machine.map(|own| (own.share.node.clone(), own.dev.clone()));
    let drift = saved.map(|saved| plan::plan(&saved.lab, &live));
    let unread = live.unread.iter().map(|unread| unread.why.clone()).collect();
    let processes = process::in_namespaces(&own)?;
    let keeper = |(name, own): (&ProgramRef, &ObservedProgram)| Some((name.clone(), programs::ports(own.keeper?)));
    let ports = live.programs.iter().filter_map(keeper).collect();
    let are_noted = live.namespaces.values().any(|ns| ns.has_programs);
    let has_lost_programs = are_noted && programs::list(lab)?.is_none();
    Ok(Status { live, drift, unread, processes, ports, has_lost_programs, machine })
}
