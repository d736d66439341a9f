//! Undoing: back to what there was when the run began.
//!
//! First the inverse of each step, last one first. Then the kernel is observed again, and what differs from the
//! beginning (what the kernel removed by itself, what has no inverse) is planned like any other difference.

use std::collections::BTreeSet;
use std::slice::from_ref;

use super::apply::Run;
use super::plan::all_of;
use super::{EngineError, Event, UndoError, flows, host_settings};
use crate::kernel::KernelError;
use crate::lab::{IfName, InterfaceRef, LabName, NsName, SysctlKey, SysctlValue};
use crate::plan::{self, PlannedStep};
use crate::steps::{InterfaceStep, MarkStep, Presence, Step, SysctlStep};

impl Run<'_> {
    /// Undoes what was done, and adds the result to the error.
    pub(super) fn undo(mut self, error: EngineError) -> EngineError {
        // What is started now is of a former file.
        self.machine.places.clear();
        let done = std::mem::take(&mut self.done);
        let mut outcome = UndoError { undone: done.len(), is_left: false, failed: Vec::new() };
        // To start a program anew, the former one was ended.
        let may_have_ended = self.under_way.iter().any(|planned| planned.step.starts_a_program());
        if !done.is_empty() {
            (self.report)(Event::Undoing(done.len()));
            self.run_inverses(&done);
        }
        if !done.is_empty() || may_have_ended {
            self.return_to_the_beginning(&mut outcome);
            self.forget_flows(&done, &mut outcome);
        }
        self.forget_the_attempt(&mut outcome);
        self.machine.memory.told.iter().for_each(|told| (self.report)(Event::Told(told)));
        error.with(outcome)
    }

    /// Runs the inverses. What one of them cannot do, the second observation will find.
    fn run_inverses(&mut self, done: &[PlannedStep]) {
        let makes_namespace = |planned: &&PlannedStep| planned.step.makes_namespace();
        let made: BTreeSet<NsName> = done.iter().filter(makes_namespace).map(|made| made.step.namespace()).collect();
        let inverse = |planned: &PlannedStep| {
            // What is in a namespace that this run made is removed with it.
            let goes_along = made.contains(&planned.step.namespace());
            let stays = |inverse: &Step| inverse.removes_namespace() || inverse.program().is_some();
            let inverse = self.inverse(&planned.step).filter(|inverse| !goes_along || stays(inverse));
            // What programs need may be back only later: all are started together, once everything else is as it was.
            inverse.filter(|inverse| !inverse.starts_a_program())
        };
        let inverses: Vec<Step> = done.iter().rev().filter_map(inverse).collect();
        let inverses = all_at_once(&self.lab.name, inverses);
        (self.report)(Event::Undone(done.len().saturating_sub(inverses.len())));
        let _ = self.run_all(&inverses);
    }

    /// Runs steps, says how far it is, and goes on where one is refused. Steps that go together are run together, and
    /// where that is refused, one by one.
    fn run_all(&mut self, steps: &[Step]) -> Vec<KernelError> {
        let mut failed = Vec::new();
        for group in steps.chunk_by(|a, b| b.batches_with(a)) {
            match self.machine.run(group) {
                Ok(()) => {}
                Err(error) if group.len() == 1 => failed.push(error),
                Err(_) => failed.extend(group.iter().filter_map(|step| self.machine.run(from_ref(step)).err())),
            }
            (self.report)(Event::Undone(group.len()));
        }
        failed
    }

    /// The inverse of a step. A host setting that the lab had claimed before the run stays claimed, and what the
    /// lab owned it still owns.
    fn inverse(&self, step: &Step) -> Option<Step> {
        if let Step::Sysctl(SysctlStep::Set { ns, key, from, to, lab }) = step
            && ns.is_host()
            && self.claimed_before(key).is_some()
        {
            let (from, to) = (Some(to.clone()), from.clone()?);
            return Some(Step::Sysctl(SysctlStep::Set {
                ns: ns.clone(),
                key: key.clone(),
                from,
                to,
                lab: lab.clone(),
            }));
        }
        if let Step::Mark(MarkStep { interface, change: Presence::Add(_), .. }) = step
            && self.owned_before(interface)
        {
            return None;
        }
        step.inverse()
    }

    /// Whether an interface was the lab's when the run began, and only one of its marks was missing.
    fn owned_before(&self, interface: &InterfaceRef) -> bool {
        let before = self.before.namespaces.get(&interface.ns);
        before.is_some_and(|ns| ns.half_marked.contains(&interface.name))
    }

    /// Whether the lab had claimed a host setting when the run began, and which value, if that is known.
    fn claimed_before(&self, key: &SysctlKey) -> Option<&Option<SysctlValue>> {
        self.before.namespaces.get(&NsName::host())?.claims.get(key)?.get(&self.lab.name)
    }

    /// Makes the lab's claims to host settings what they were when the run began.
    fn return_claims(&mut self) -> Result<(), KernelError> {
        // It ended before anything was seen, and so before anything was claimed.
        if self.before.namespaces.is_empty() {
            return Ok(());
        }
        let lab = &self.lab.name;
        let now = host_settings::claimed_by(lab)?;
        for key in now.iter().filter(|key| self.claimed_before(key).is_none()).cloned().collect::<Vec<_>>() {
            self.machine.run(&[Step::Sysctl(SysctlStep::RestoreHost { key, lab: lab.clone() })])?;
        }
        let claims = self.before.namespaces.get(&NsName::host()).into_iter().flat_map(|host| &host.claims);
        for (key, labs) in claims {
            let Some(Some(value)) = labs.get(lab) else { continue };
            if now.contains(key) {
                host_settings::claim(&mut self.machine.kernel, key, value, lab)?;
            } else {
                let (ns, key, to, lab) = (NsName::host(), key.clone(), value.clone(), lab.clone());
                self.machine.run(&[Step::Sysctl(SysctlStep::Set { ns, key, from: None, to, lab })])?;
            }
        }
        Ok(())
    }

    /// Plans and runs what still differs from the beginning, and says what is not as it was all the same.
    fn return_to_the_beginning(&mut self, outcome: &mut UndoError) {
        let result = self.try_to_return(outcome);
        outcome.failed.extend(result.err().map(|error| error.to_string()));
    }

    fn try_to_return(&mut self, outcome: &mut UndoError) -> Result<(), KernelError> {
        let now = self.machine.observe(&all_of(self.lab))?;
        let way_back = plan::way_back(self.lab, &self.before, &now);
        let steps: Vec<Step> = way_back.steps.into_iter().map(|planned| planned.step).collect();
        let failed = self.run_all(&steps);
        let now = if steps.is_empty() { now } else { self.machine.observe(&all_of(self.lab))? };
        let unrestored = plan::unrestored(self.lab, &self.before, &now);
        let unread = now.unread.into_iter().map(|unread| unread.why);
        outcome.failed.extend(failed.iter().map(KernelError::to_string).chain(unrestored).chain(unread));
        Ok(())
    }

    /// Forgets the flows that rules have led which are no longer there.
    fn forget_flows(&mut self, done: &[PlannedStep], outcome: &mut UndoError) {
        // Of the steps that were under way, some may have been done.
        let attempted: Vec<PlannedStep> = done.iter().chain(&self.under_way).cloned().collect();
        let before = |ns: &NsName| self.before.namespaces.get(ns).map(|before| &before.is);
        let result = flows::forget_stale(&mut self.machine.kernel, before, &attempted);
        outcome.failed.extend(result.err().map(|error| error.to_string()));
    }

    /// Releases the host settings that the run has claimed, and removes the state of a lab that was not there before.
    fn forget_the_attempt(&mut self, outcome: &mut UndoError) {
        // What is still there is still the lab's.
        if let Some(before) = self.list_before.take().filter(|_| outcome.failed.is_empty()) {
            outcome.failed.extend(self.folder.list_deviceless_routes(&before).err().map(|error| error.to_string()));
        }
        // One that fails keeps none of the others from being done.
        let done = [self.return_claims(), self.note_claims(), self.machine.tidy(), self.folder.remove_if_unused()];
        outcome.failed.extend(done.into_iter().filter_map(|done| Some(done.err()?.to_string())));
    }

    /// Notes the lab's claims in its marks, if the run has changed them and the lab was there before.
    fn note_claims(&mut self) -> Result<(), KernelError> {
        if (self.has_claimed || self.has_released) && self.folder.is_applied()? {
            host_settings::note(&mut self.machine.kernel, &self.lab.name)?;
        }
        Ok(())
    }
}

/// The inverses, with those that remove what this run has made in `host`, and namespaces, where the last of them is,
/// and all at once: one by one, each interface costs the kernel some 20 ms. What is on the interfaces goes with them.
fn all_at_once(lab: &LabName, inverses: Vec<Step>) -> Vec<Step> {
    let removed = |step: &Step| {
        let Step::Interface(InterfaceStep::Remove { interface, .. }) = step else { return None };
        interface.ns.is_host().then(|| interface.clone())
    };
    let links: BTreeSet<InterfaceRef> = inverses.iter().filter_map(removed).collect();
    let is_removal = |step: &Step| removed(step).is_some() || step.removes_namespace();
    let Some(last) = inverses.iter().rposition(is_removal) else { return inverses };
    let (mut steps, mut namespaces, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for (n, step) in inverses.into_iter().enumerate() {
        if step.removes_namespace() {
            namespaces.push(step);
        } else if !step.interface().is_some_and(|interface| links.contains(interface)) {
            if n < last { steps.push(step) } else { after.push(step) }
        }
    }
    steps.extend(namespaces);
    let interfaces: Vec<IfName> = links.into_iter().map(|interface| interface.name).collect();
    if !interfaces.is_empty() {
        steps.push(Step::Interface(InterfaceStep::RemoveFromHost { lab: lab.clone(), interfaces }));
    }
    steps.extend(after);
    steps
}
