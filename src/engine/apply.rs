//! Makes the kernel look like a lab.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::state::{Journal, LabState, own_unattached};
use super::{
    EngineError, Event, Interrupts, Listener, UndoError, deviceless_routes, original_sysctls, preconditions, ready,
};
use crate::kernel::{Kernel, Scope};
use crate::lab::{Lab, LabName, NsName, Observed};
use crate::plan::{self, Conflict, Plan, PlannedStep};
use crate::preflight::Finding;
use crate::steps::{Step, SysctlStep};

/// How often a plan is made anew when the kernel shows something else than what was set: a step may have side effects
/// that the plan did not foresee, and somebody may change things meanwhile (see [`look_again`] for where that is looked
/// for).
const ROUNDS: usize = 3;

/// A plan, and what stands in its way.
#[derive(Debug)]
pub struct Planned {
    /// What is to be done.
    pub plan: Plan,
    /// What is not the lab's own and would have to be touched.
    pub conflicts: Vec<Conflict>,
    /// What else stands in the way, or will; asked only where there is something to do.
    pub findings: Vec<Finding>,
}

/// What an apply did.
#[derive(Debug)]
pub struct Applied {
    /// The steps that were done.
    pub steps: Vec<PlannedStep>,
    /// How long it took, from the first look at the kernel to the last.
    pub elapsed: Duration,
}

/// How to apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Where another nslab works on the lab: say so instead of waiting.
    pub no_wait: bool,
    /// Take over what exists under a wanted name and is nobody's.
    pub adopt: bool,
}

/// Compares a lab with the kernel; changes nothing.
pub fn plan(lab: &Lab) -> Result<Planned, EngineError> {
    preconditions::demand_privileges(lab)?;
    let mut planned = planned(lab, &observe(&lab.name, Some(lab))?);
    if !planned.plan.is_empty() {
        planned.findings = preconditions::find(lab)?;
    }
    Ok(planned)
}

/// What the kernel shows of a lab, with `desired` also of what that wants.
pub fn observe(lab: &LabName, desired: Option<&Lab>) -> Result<Observed, EngineError> {
    look(&mut Kernel::open()?, &Scope { lab, desired, inside: true })
}

pub(super) fn look(kernel: &mut Kernel, scope: &Scope<'_>) -> Result<Observed, EngineError> {
    let mut live = kernel.observe(scope)?;
    deviceless_routes::keep_own(kernel, scope.lab, &mut live)?;
    Ok(live)
}

/// So many namespaces are made before signals are heard again.
const NAMESPACES_AT_ONCE: usize = 64;

/// Steps that join, as they are run together.
fn parts(group: &[PlannedStep]) -> std::slice::Chunks<'_, PlannedStep> {
    let makes_namespaces = group.iter().all(|planned| planned.step.makes_namespace());
    group.chunks(if makes_namespaces { NAMESPACES_AT_ONCE } else { group.len().max(1) })
}

/// Looks at what some steps may have changed since `before`: at everything, or only at the namespaces inside of which
/// they stay. What somebody does meanwhile in others, the next plan sees.
fn look_again<'a>(
    kernel: &mut Kernel,
    lab: &Lab,
    mut steps: impl Iterator<Item = &'a PlannedStep>,
    before: &Observed,
) -> Result<Observed, EngineError> {
    let scope = all_of(lab);
    let touched = steps.try_fold(BTreeSet::new(), |mut touched, planned| {
        touched.insert(planned.step.only_namespace()?);
        Some(touched)
    });
    let Some(touched) = touched else { return look(kernel, &scope) };
    let mut live = kernel.observe_again(&scope, &touched, before)?;
    deviceless_routes::keep_own(kernel, &lab.name, &mut live)?;
    Ok(live)
}

/// Everything that a comparison with a lab needs.
pub(super) fn all_of(lab: &Lab) -> Scope<'_> {
    Scope { lab: &lab.name, desired: Some(lab), inside: true }
}

fn planned(lab: &Lab, live: &Observed) -> Planned {
    Planned { plan: plan::plan(lab, live), conflicts: plan::conflicts(lab, live), findings: Vec::new() }
}

/// Makes the kernel look like the lab; `text` is the topology file, kept with the lab's state.
pub fn apply(lab: &Lab, text: &str, options: Options, tell: Listener<'_>) -> Result<Applied, EngineError> {
    let mut stop = Interrupts::hold();
    let start = Instant::now();
    preconditions::demand_privileges(lab)?;
    let state = LabState::lock(&lab.name, !options.no_wait, &mut stop, tell)?;
    let (kernel, before) = (Kernel::open()?, Observed::default());
    let mut run = Run {
        lab,
        options,
        state,
        kernel,
        stop,
        tell,
        before,
        has_claimed: false,
        has_given_up: false,
        is_foreign: false,
        done: Vec::new(),
    };
    match run.converge().and_then(|()| run.finish(text)) {
        // A signal that comes now comes too late; `Interrupts` takes it when it goes.
        Ok(()) => Ok(Applied { steps: run.done, elapsed: start.elapsed() }),
        Err(error) => Err(run.undo(error)),
    }
}

/// One apply under way.
pub(super) struct Run<'a> {
    pub(super) lab: &'a Lab,
    options: Options,
    pub(super) state: LabState,
    pub(super) kernel: Kernel,
    stop: Interrupts,
    pub(super) tell: Listener<'a>,
    /// What there was at the beginning: where undoing leads back to.
    pub(super) before: Observed,
    /// Whether the lab has claimed host settings just now.
    pub(super) has_claimed: bool,
    /// Whether the lab has given up host settings just now.
    pub(super) has_given_up: bool,
    /// Whether the lab is as it should be, but not ours.
    is_foreign: bool,
    /// What has been done so far.
    pub(super) done: Vec<PlannedStep>,
}

impl Run<'_> {
    fn converge(&mut self) -> Result<(), EngineError> {
        if self.state.is_new()? {
            self.kernel.recall_settings(&self.lab.name)?;
        }
        self.before = look(&mut self.kernel, &all_of(self.lab))?;
        let mut live = None;
        let mut planned = planned(self.lab, &self.before);
        for round in 0..ROUNDS {
            let contrary = planned.conflicts.iter().any(|conflict| conflict.owner.is_some());
            if planned.plan.is_empty() && !contrary && (planned.conflicts.is_empty() || !self.options.adopt) {
                self.is_foreign = !planned.conflicts.is_empty();
                if self.is_foreign {
                    (self.tell)(Event::NotOurs(planned.conflicts.len()));
                    return Ok(());
                }
                if round == 0 {
                    self.claim_settings()?;
                }
                return self.settle(live.as_ref());
            }
            // Somebody may have made something under a wanted name meanwhile.
            let adoption = self.clear_the_way(&planned, round)?;
            if round == 0 {
                self.before_the_first_change(&planned)?;
            }
            self.run_steps(&adoption)?;
            self.run_steps(&planned.plan.steps)?;
            let steps = adoption.iter().chain(&planned.plan.steps);
            let before = live.as_ref().unwrap_or(&self.before);
            let now = look_again(&mut self.kernel, self.lab, steps, before)?;
            planned = self::planned(self.lab, &now);
            live = Some(now);
        }
        match planned.plan.is_empty() {
            true => self.settle(live.as_ref()),
            false => Err(EngineError::NotKept { rest: planned.plan.steps, undo: UndoError::default() }),
        }
    }

    /// Everything is as it should be: what remains is to note what is to go back to some day.
    fn settle(&mut self, live: Option<&Observed>) -> Result<(), EngineError> {
        self.forget_neighbours()?;
        if self.has_given_up {
            self.kernel.note_settings(&self.lab.name)?;
        }
        original_sysctls::settle(&mut self.kernel, self.lab, live.unwrap_or(&self.before))?;
        if !self.done.is_empty() {
            ready::wait(&mut self.kernel, self.lab, &mut self.stop, &mut self.tell)?;
        }
        self.stop.heed()
    }

    /// What the lab's namespaces have learned of hardware addresses holds no longer where interfaces were made anew.
    fn forget_neighbours(&mut self) -> Result<(), EngineError> {
        if !self.done.iter().any(|planned| planned.step.brings_mac_address()) {
            return Ok(());
        }
        for (ns, wanted) in &self.lab.namespaces {
            // One that had nothing but its loopback has learned nothing.
            if self.before.namespaces.get(ns).is_some_and(|before| before.is.interfaces.len() > 1) {
                self.kernel.forget_neighbours(ns, &wanted.interfaces.keys().collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }

    /// Tells everything that stands in the way at once; what is to be taken over does not. The steps that take it over.
    fn clear_the_way(&mut self, planned: &Planned, round: usize) -> Result<Vec<PlannedStep>, EngineError> {
        let adoption = match self.options.adopt {
            true => plan::adoption(&self.lab.name, &planned.conflicts),
            false => None,
        };
        let conflicts: Vec<Finding> = match adoption {
            Some(_) => Vec::new(),
            None => planned.conflicts.iter().map(Finding::from).collect(),
        };
        let others = if round == 0 { preconditions::find(self.lab)? } else { Vec::new() };
        let (errors, warnings): (Vec<Finding>, Vec<Finding>) =
            conflicts.into_iter().chain(others).partition(Finding::is_error);
        if !errors.is_empty() {
            return Err(EngineError::Obstacles(errors));
        }
        warnings.iter().for_each(|warning| (self.tell)(Event::Warning(warning)));
        Ok(adoption.unwrap_or_default())
    }

    /// The journal is written, and host settings are claimed.
    fn before_the_first_change(&mut self, planned: &Planned) -> Result<(), EngineError> {
        let (lab, steps) = (&self.lab.name, &planned.plan.steps);
        let before = own_unattached(lab)?.unwrap_or_default();
        self.state.write_unattached(&deviceless_routes::wanted(self.lab).into_iter().chain(before).collect())?;
        self.state.write_journal(&Journal::new(lab, "applying", steps.iter().map(|s| s.step.text()).collect()))?;
        self.claim_settings()?;
        (self.tell)(Event::Planned(steps.len()));
        Ok(())
    }

    /// Claims the host settings that the lab needs and had not claimed when the run began, also those that are right
    /// already.
    fn claim_settings(&mut self) -> Result<(), EngineError> {
        let (lab, host) = (&self.lab.name, NsName::host());
        let claims = self.before.namespaces.get(&host).map(|host| &host.claims);
        for (key, value) in self.lab.namespaces.get(&host).into_iter().flat_map(|host| &host.sysctls) {
            let claimed = claims.and_then(|claims| claims.get(key)?.get(lab)?.as_ref());
            if claimed != Some(value) && self.kernel.claim_setting(key, value, lab)? {
                self.has_claimed = true;
            }
        }
        match self.has_claimed {
            true => self.kernel.note_settings(lab)?,
            false => self.kernel.learn_settings(lab)?,
        }
        Ok(())
    }

    fn run_steps(&mut self, steps: &[PlannedStep]) -> Result<(), EngineError> {
        for group in steps.chunk_by(|a, b| b.step.batches_with(&a.step)).flat_map(parts) {
            self.stop.heed()?;
            let only: Vec<Step> = group.iter().map(|planned| planned.step.clone()).collect();
            self.kernel.run(&only).map_err(|cause| EngineError::Step(Box::new(cause), UndoError::default()))?;
            for planned in group {
                self.has_given_up |= matches!(planned.step, Step::Sysctl(SysctlStep::RestoreHost { .. }));
                (self.tell)(Event::Done(planned));
                self.done.push(planned.clone());
            }
        }
        Ok(())
    }

    /// Notes that the lab is applied; nothing is written where nothing has changed.
    fn finish(&mut self, text: &str) -> Result<(), EngineError> {
        if self.is_foreign {
            return self.state.remove_if_unused();
        }
        let lab = self.lab;
        if self.done.is_empty() && super::saved_topology(&lab.name)?.as_deref() == Some(text) {
            return Ok(());
        }
        self.state.write_journal(&Journal::new(&lab.name, "applied", Vec::new()))?;
        self.state.write_unattached(&deviceless_routes::wanted(lab))?;
        // Last, so that what is undone because of an error here leaves the topology of before.
        self.state.write_topology(text)
    }
}
