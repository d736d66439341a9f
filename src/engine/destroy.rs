//! Removes a lab: everything that carries its mark, and then its state.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::lock::lock_for_removal;
use super::{EngineCode, EngineError, Event, Interrupts, Listener, Machine, Told, flows, host_settings, sides};
use crate::kernel::{KernelError, Scope};
use crate::lab::{LabName, Observed, SysctlKey, Unread};
use crate::plan::{PlannedStep, teardown};
use crate::programs;
use crate::state::{self, Activity, Journal};
use crate::steps::Step;

/// What a removal did.
#[derive(Debug)]
pub struct Destroyed {
    /// The steps that were done; none where there was nothing to remove.
    pub steps: Vec<PlannedStep>,
    /// How long it took; the kernel goes on freeing memory afterwards.
    pub elapsed: Duration,
}

/// Removes a lab. A step that fails does not stop the rest; having nothing to remove is no error. The marks in the
/// kernel say what is to go: state that is lost, odd or cannot be written stops nothing, and is told.
///
/// # Errors
/// Something could not be removed.
pub fn destroy(lab: &LabName, wait: bool, report: Listener<'_>) -> Result<Destroyed, EngineError> {
    // Half a lab is of no use: once begun, the removal is finished before a signal is handled.
    let mut stop = Interrupts::hold();
    let start = Instant::now();
    let mut machine = Machine::open()?;
    let folder = lock_for_removal(lab, wait, &mut stop, report)?;
    machine.may_have_programs = folder.may_have_programs();
    machine.memory.told.extend(folder.why_not().and_then(Told::unless_odd));
    if state::machine_of(lab).is_ok_and(|machine| machine.is_some()) {
        // Where whoever holds them open does not answer, the lab goes all the same.
        let _ = sides::close_checks(lab);
    }
    let live = machine.observe(&Scope { lab, desired: None, inside: false })?;
    let (unread, beside) = unread(&live);
    machine.memory.told.extend(beside);
    let unproven = machine.unproven.iter().map(|what| {
        let text =
            format!("{what} of the host may have been made by nslab, and no record says for which lab: it stays");
        Told::new(text, EngineCode::RecordLost)
    });
    machine.memory.told.extend(unproven);
    let settings = settings(&mut machine, lab, &live);
    let steps = teardown(lab, &live, &settings);
    if !steps.is_empty() {
        let texts = steps.iter().map(|planned| planned.step.text()).collect();
        let written = folder.write_journal(&Journal::new(lab, Activity::Destroying, texts));
        machine.memory.told.extend(written.err().as_ref().and_then(Told::unless_odd));
    }
    report(Event::Planned(steps.len()));
    let mut failed = unread;
    failed.extend(end_strays(&machine, lab, &live).err().map(|error| error.to_string()));
    for group in steps.chunk_by(|a, b| b.step.batches_with(&a.step)) {
        let only: Vec<Step> = group.iter().map(|planned| planned.step.clone()).collect();
        match machine.run(&only) {
            Ok(()) => group.iter().for_each(|planned| report(Event::Done(planned))),
            Err(error) => failed.push(error.to_string()),
        }
    }
    // Nothing of the lab's rules is left.
    failed.extend(flows::forget_stale(&mut machine.kernel, |_| None, &steps).err().map(|error| error.to_string()));
    failed.extend(left(&mut machine, lab));
    // What a run that was killed may have left in the host.
    let forgotten = host_settings::forget_unclaimed(&mut machine.kernel, &mut machine.memory, lab);
    failed.extend(forgotten.err().map(|error| error.to_string()));
    failed.extend(machine.tidy().err().map(|error| error.to_string()));
    if failed.is_empty() {
        failed.extend(folder.remove().err().map(|error| error.to_string()));
    }
    machine.memory.told.iter().for_each(|told| report(Event::Told(told)));
    if !failed.is_empty() {
        return Err(EngineError::Leftovers(failed));
    }
    Ok(Destroyed { steps, elapsed: start.elapsed() })
}

/// Ends what is left of programs where their supervisor is gone: what it still has, the steps end.
fn end_strays(machine: &Machine, lab: &LabName, live: &Observed) -> Result<(), KernelError> {
    let are_noted = live.namespaces.values().any(|ns| ns.has_programs);
    if !live.programs.is_empty() || !(are_noted || machine.may_have_programs) {
        return Ok(());
    }
    let own = live.namespaces.iter().filter(|(_, ns)| ns.is.owner.as_ref() == Some(lab));
    programs::end(lab, &own.map(|(ns, _)| ns.clone()).collect(), &[], Duration::ZERO).map(drop)
}

/// What could not be read although something of the lab's may be in it; and whatever else could not be read.
fn unread(live: &Observed) -> (Vec<String>, Vec<Told>) {
    let (matters, beside): (Vec<&Unread>, Vec<&Unread>) =
        live.unread.iter().partition(|unread| unread.part.may_hold_a_labs());
    let why = |unread: &Unread| match unread.ns.is_host() {
        true => unread.why.clone(),
        false => format!("{}; it stays", unread.why),
    };
    let told = beside.into_iter().map(|unread| Told::new(unread.why.clone(), EngineCode::NotRead));
    (matters.into_iter().map(why).collect(), told.collect())
}

/// The lab's chains that the kernel still has, where a program only said that it had removed them.
fn left(machine: &mut Machine, lab: &LabName) -> Vec<String> {
    match machine.kernel.chains_left(lab) {
        Ok(chains) => chains.iter().map(|chain| format!("chain {chain} of host is still there")).collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// The host settings that a lab needs, by their files and by its marks.
fn settings(machine: &mut Machine, lab: &LabName, live: &Observed) -> Vec<SysctlKey> {
    let mut settings: BTreeSet<SysctlKey> = match host_settings::claimed_by(lab) {
        Ok(claimed) => claimed.into_iter().collect(),
        Err(error) => {
            machine.memory.told.push(Told::from(&error));
            BTreeSet::new()
        }
    };
    // Whether another lab needs one is also in that lab's marks.
    if !settings.is_empty() || live.namespaces.values().any(|ns| ns.says_more) {
        let recalled = host_settings::recall(&mut machine.kernel, &mut machine.memory, lab);
        machine.memory.told.extend(recalled.err().as_ref().and_then(Told::unless_odd));
        settings
            .extend(machine.memory.remembered.get(lab).into_iter().flat_map(|of_lab| of_lab.settings.keys().cloned()));
    }
    settings.into_iter().collect()
}
