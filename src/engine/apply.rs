//! Makes the kernel look like a lab.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::lock::lock;
use super::plan::{Planned, all_of, compare};
use super::{
    EngineError, Event, Interrupts, Listener, Machine, UndoError, deviceless_routes, etc_files, flows, host_settings,
    original_sysctls, policy_flows, preconditions, ready, wireguard_keys,
};
use crate::kernel::KernelError;
use crate::lab::{IfName, Lab, LabName, NsName, Observed, Part};
use crate::plan::{self, PlannedStep};
use crate::preflight::Finding;
use crate::state::{self, Activity, Identity, Journal, LabFolder};
use crate::steps::{Step, SysctlStep};

/// How often a plan is made anew when the kernel shows something else than what was set: a step may have side effects
/// that the plan did not foresee, and other programs may change things meanwhile (see [`look_again`] for where that is
/// looked for).
const MAX_ROUNDS: usize = 3;

/// What an apply did.
#[derive(Debug)]
pub struct Applied {
    /// The steps that were done.
    pub steps: Vec<PlannedStep>,
    /// How long it took, from the first look at the kernel to the last.
    pub elapsed: Duration,
    /// What could not be read, and why; nothing was done there.
    pub unread: Vec<String>,
}

/// How to apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Do not wait for another nslab that is working on the lab.
    pub no_wait: bool,
    /// Make what exists under a wanted name, and belongs to no lab, the lab's.
    pub adopt: bool,
    /// If a program cannot be started, leave everything as it is then, to be looked at.
    pub keep: bool,
    /// Which of the machines that make the lab together this is, and its interface on the network between them.
    pub machine: Option<(&'a NsName, &'a IfName)>,
}

/// How many namespaces are made before signals are handled again.
const NAMESPACES_AT_ONCE: usize = 64;

/// Steps that are run together, in the parts between which signals are handled.
fn parts(group: &[PlannedStep]) -> std::slice::Chunks<'_, PlannedStep> {
    let makes_namespaces = group.iter().all(|planned| planned.step.makes_namespace());
    group.chunks(if makes_namespaces { NAMESPACES_AT_ONCE } else { group.len().max(1) })
}

/// Looks at what some steps may have changed since `before`: at everything, or only at the namespaces inside of which
/// they stay. What other programs do meanwhile in others, the next plan sees.
fn look_again<'a>(
    machine: &mut Machine,
    lab: &Lab,
    steps: impl Iterator<Item = &'a PlannedStep>,
    before: &Observed,
) -> Result<Observed, EngineError> {
    let scope = all_of(lab);
    let done: Vec<&Step> = steps.map(|planned| &planned.step).collect();
    let touched: Option<BTreeSet<NsName>> = done.iter().map(|step| step.only_namespace()).collect();
    let Some(touched) = touched else { return Ok(machine.observe_after(&scope, &done, before)?) };
    Ok(machine.observe_again(&scope, &touched, &done, before)?)
}

/// A firewall that cannot be read is no part that could be left as it is: without its rules, the rest of a lab would
/// let through what they are to stop.
fn demand_firewalls(live: &Observed) -> Result<(), EngineError> {
    let firewalls = live.unread.iter().filter(|unread| unread.part == Part::Firewall);
    let unread: Vec<String> = firewalls.map(|unread| unread.why.clone()).collect();
    if unread.is_empty() { Ok(()) } else { Err(EngineError::NotRead(unread)) }
}

/// Makes the kernel look like the lab; `text` is the topology file, kept with the lab's state.
///
/// # Errors
/// The lab cannot be applied to this machine, the kernel refused a step, or a signal came; everything was undone.
pub fn apply(lab: &Lab, text: &str, options: Options<'_>, report: Listener<'_>) -> Result<Applied, EngineError> {
    let mut stop = Interrupts::hold();
    let start = Instant::now();
    preconditions::demand_privileges(lab)?;
    // First, so that there is no folder of a lab where nothing can be done for it.
    let (mut machine, before) = (Machine::open()?, Observed::default());
    let folder = lock(&lab.name, !options.no_wait, &mut stop, report)?;
    machine.may_have_programs = folder.may_have_programs();
    (machine.keeps_programs, machine.places) = (options.keep, lab.places.clone());
    let mut run = Run {
        lab,
        options,
        folder,
        machine,
        stop,
        report,
        before,
        list_before: None,
        has_claimed: false,
        has_listed: false,
        has_released: false,
        is_not_owned: false,
        unread: Vec::new(),
        done: Vec::new(),
        under_way: Vec::new(),
    };
    match run.converge().and_then(|()| run.finish(text)) {
        // A signal that comes now comes too late: dropping `Interrupts` discards it.
        Ok(()) => {
            run.machine.memory.told.iter().for_each(|told| (run.report)(Event::Told(told)));
            Ok(Applied { steps: run.done, elapsed: start.elapsed(), unread: run.unread })
        }
        Err(error) => {
            let error = run.stop.behind(error);
            Err(if options.keep && error.is_of_a_program() { run.leave(text, error) } else { run.undo(error) })
        }
    }
}

/// One apply under way.
pub(super) struct Run<'a> {
    pub(super) lab: &'a Lab,
    options: Options<'a>,
    pub(super) folder: LabFolder,
    pub(super) machine: Machine,
    stop: Interrupts,
    pub(super) report: Listener<'a>,
    /// What there was at the beginning: where undoing leads back to.
    pub(super) before: Observed,
    /// Which routes of the host the lab has listed before this run, if that has listed others.
    pub(super) list_before: Option<BTreeSet<Identity>>,
    /// Whether this run has claimed host settings.
    pub(super) has_claimed: bool,
    /// Whether this run has listed routes of a lab that was there before.
    has_listed: bool,
    /// Whether this run has released host settings.
    pub(super) has_released: bool,
    /// Whether everything is as the file says, but the lab does not own all of it.
    is_not_owned: bool,
    /// What could not be read at the last look.
    unread: Vec<String>,
    /// What has been done so far.
    pub(super) done: Vec<PlannedStep>,
    /// The steps that go together with the one that is being done.
    pub(super) under_way: Vec<PlannedStep>,
}

impl Run<'_> {
    fn converge(&mut self) -> Result<(), EngineError> {
        self.before = self.machine.observe(&all_of(self.lab))?;
        if self.may_lack_claims()?
            && host_settings::recall(&mut self.machine.kernel, &mut self.machine.memory, &self.lab.name)?
        {
            self.before = self.machine.observe(&all_of(self.lab))?;
        }
        let mut live = None;
        demand_firewalls(&self.before)?;
        wireguard_keys::choose(self.lab, &mut self.before);
        let mut planned = compare(self.lab, &self.before);
        for round in 0..MAX_ROUNDS {
            self.unread.clone_from(&planned.unread);
            let of_other_labs = planned.conflicts.iter().any(|conflict| conflict.owner.is_some());
            if planned.plan.is_empty() && !of_other_labs && (planned.conflicts.is_empty() || !self.options.adopt) {
                self.is_not_owned = !planned.conflicts.is_empty();
                if self.is_not_owned {
                    (self.report)(Event::NotOwned(planned.conflicts.len()));
                    return Ok(());
                }
                if round == 0 {
                    self.claim_settings()?;
                }
                return self.settle(live.as_ref());
            }
            // Another program may have made something under a wanted name meanwhile.
            let adoption = self.check_preconditions(&planned, round)?;
            if round == 0 {
                self.before_the_first_change(&planned)?;
            }
            self.run_steps(&adoption)?;
            self.run_steps(&planned.plan.steps)?;
            let steps = adoption.iter().chain(&planned.plan.steps);
            let before = live.as_ref().unwrap_or(&self.before);
            let mut now = look_again(&mut self.machine, self.lab, steps, before)?;
            demand_firewalls(&now)?;
            wireguard_keys::choose(self.lab, &mut now);
            planned = compare(self.lab, &now);
            live = Some(now);
        }
        self.unread.clone_from(&planned.unread);
        match planned.plan.is_empty() {
            true => self.settle(live.as_ref()),
            false => Err(EngineError::NotKept { rest: planned.plan.steps, undo: UndoError::default() }),
        }
    }

    /// Whether marks may know of host settings that the files know no more: where the lab's marks say more than the
    /// files, or where the lab is about to need a setting, which other labs may need as well.
    fn may_lack_claims(&mut self) -> Result<bool, KernelError> {
        let host = NsName::host();
        let claims = self.before.namespaces.get(&host).map(|host| &host.claims);
        let has_claimed = |key| claims.and_then(|claims| claims.get(key)?.get(&self.lab.name)).is_some();
        let mut wanted = self.lab.namespaces.get(&host).into_iter().flat_map(|host| host.sysctls.keys());
        if wanted.any(|key| !has_claimed(key)) {
            return Ok(true);
        }
        let says_more = self.before.namespaces.values().any(|ns| ns.says_more);
        Ok(says_more && host_settings::lacks(&mut self.machine.kernel, &self.lab.name)?)
    }

    /// Everything is as the file says: what remains is to note the original values of settings.
    fn settle(&mut self, live: Option<&Observed>) -> Result<(), EngineError> {
        self.forget_what_was_learned()?;
        self.machine.memory.told.extend(etc_files::unlinked(self.lab).filter(|_| !self.done.is_empty()));
        flows::forget_stale(&mut self.machine.kernel, |ns| self.lab.namespaces.get(ns), &self.done)?;
        policy_flows::forget_forbidden(&mut self.machine.kernel, self.lab, &self.done)?;
        if self.has_released {
            host_settings::note(&mut self.machine.kernel, &self.lab.name)?;
        }
        original_sysctls::settle(&mut self.machine.kernel, self.lab, live.unwrap_or(&self.before))?;
        wireguard_keys::settle(&self.folder, self.lab, live.unwrap_or(&self.before))?;
        if !self.done.is_empty() {
            ready::wait(&mut self.machine.kernel, self.lab, &mut self.stop, &mut self.report)?;
        }
        self.stop.check()
    }

    /// What the lab's namespaces have learned is no longer right where things have changed: neighbours where interfaces
    /// were made anew or addresses have moved, the sizes of packets and redirections of routes where ways have changed.
    fn forget_what_was_learned(&mut self) -> Result<(), EngineError> {
        let done = || self.done.iter().map(|planned| &planned.step);
        let has_moved = done().any(|step| step.brings_mac_address() || matches!(step, Step::Address(_)));
        let has_other_ways = has_moved || done().any(Step::changes_ways);
        // One that had nothing but its loopback has learned nothing.
        let had_more = |ns: &NsName| self.before.namespaces.get(ns).is_some_and(|was| was.is.interfaces.len() > 1);
        for (ns, wanted) in self.lab.namespaces.iter().filter(|(ns, _)| had_more(ns)) {
            if has_moved {
                self.machine.kernel.forget_neighbours(ns, &wanted.interfaces.keys().collect::<Vec<_>>())?;
            }
            if has_other_ways && !ns.is_host() {
                self.machine.kernel.forget_route_exceptions(ns)?;
            }
        }
        Ok(())
    }

    /// Reports everything that keeps the lab from being applied, at once. The steps that adopt what is to be adopted.
    fn check_preconditions(&mut self, planned: &Planned, round: usize) -> Result<Vec<PlannedStep>, EngineError> {
        let adoption = match self.options.adopt {
            true => plan::adoption(&self.lab.name, &planned.conflicts),
            false => None,
        };
        let conflicts: Vec<Finding> = match adoption {
            Some(_) => {
                let removed = plan::removed_by_adoption(&planned.conflicts, &planned.plan.steps);
                removed.iter().map(Finding::from).collect()
            }
            None => planned.conflicts.iter().map(Finding::from).collect(),
        };
        let others = if round == 0 { preconditions::find(self.lab)? } else { Vec::new() };
        let (errors, warnings): (Vec<Finding>, Vec<Finding>) =
            conflicts.into_iter().chain(others).partition(Finding::is_error);
        if !errors.is_empty() {
            return Err(EngineError::Preconditions(errors));
        }
        warnings.iter().for_each(|warning| (self.report)(Event::Warning(warning)));
        Ok(adoption.unwrap_or_default())
    }

    /// The journal is written, and host settings are claimed.
    fn before_the_first_change(&mut self, planned: &Planned) -> Result<(), EngineError> {
        let (lab, steps) = (&self.lab.name, &planned.plan.steps);
        let before = state::listed_by(lab)?.unwrap_or_default();
        let listed = deviceless_routes::wanted(self.lab).into_iter().chain(before.clone()).collect();
        self.folder.list_deviceless_routes(&listed)?;
        self.has_listed = listed != before && self.exists();
        // Of two that apply at once, the second to list it sees the list of the first.
        let needed = deviceless_routes::needed_meanwhile(self.lab, &before)?;
        self.list_before = Some(before);
        if let Some(conflict) = needed {
            return Err(EngineError::Preconditions(vec![Finding::from(&conflict)]));
        }
        let texts = steps.iter().map(|planned| planned.step.text()).collect();
        self.folder.write_journal(&Journal::new(lab, Activity::Applying, texts))?;
        self.folder.keep_wireguard_keys(&self.before.wireguard_keys)?;
        self.claim_settings()?;
        (self.report)(Event::Planned(steps.len()));
        Ok(())
    }

    /// Whether there was anything of the lab when the run began.
    fn exists(&self) -> bool {
        let is_own = |owner: &Option<LabName>| owner.as_ref() == Some(&self.lab.name);
        let mut namespaces = self.before.namespaces.values();
        namespaces.any(|ns| is_own(&ns.is.owner) || ns.is.interfaces.values().any(|there| is_own(&there.owner)))
    }

    /// Claims the host settings that the lab needs and had not claimed when the run began, also those that are right
    /// already.
    fn claim_settings(&mut self) -> Result<(), EngineError> {
        let (lab, host) = (&self.lab.name, NsName::host());
        let claims = self.before.namespaces.get(&host).map(|host| &host.claims);
        for (key, value) in self.lab.namespaces.get(&host).into_iter().flat_map(|host| &host.sysctls) {
            let claimed = claims.and_then(|claims| claims.get(key)?.get(lab)?.as_ref());
            if claimed != Some(value) && host_settings::claim(&mut self.machine.kernel, key, value, lab)? {
                self.has_claimed = true;
            }
        }
        match self.has_claimed || self.has_listed {
            true => host_settings::note(&mut self.machine.kernel, lab)?,
            false => host_settings::learn(&mut self.machine.kernel, lab)?,
        }
        Ok(())
    }

    fn run_steps(&mut self, steps: &[PlannedStep]) -> Result<(), EngineError> {
        for group in steps.chunk_by(|a, b| b.step.batches_with(&a.step)).flat_map(parts) {
            self.stop.check()?;
            if group.iter().any(|planned| planned.step.starts_a_program()) {
                // A program may send at once.
                ready::wait(&mut self.machine.kernel, self.lab, &mut self.stop, &mut self.report)?;
                self.stop.check()?;
            }
            let only: Vec<Step> = group.iter().map(|planned| planned.step.clone()).collect();
            self.under_way = group.to_vec();
            self.machine.run(&only).map_err(|cause| EngineError::Step(Box::new(cause), UndoError::default()))?;
            for planned in group {
                self.has_released |= matches!(planned.step, Step::Sysctl(SysctlStep::RestoreHost { .. }));
                (self.report)(Event::Done(planned));
            }
            self.done.append(&mut self.under_way);
        }
        Ok(())
    }

    /// Leaves everything as it is. The topology is kept as well: it says which programs there are.
    fn leave(self, text: &str, error: EngineError) -> EngineError {
        let failed =
            self.folder.write_topology(text, self.options.machine).err().iter().map(ToString::to_string).collect();
        error.with(UndoError { undone: self.done.len(), is_left: true, failed })
    }

    /// Writes that the lab is applied; nothing is written where nothing has changed.
    fn finish(&mut self, text: &str) -> Result<(), EngineError> {
        if self.is_not_owned {
            return Ok(self.folder.remove_if_unused()?);
        }
        let lab = self.lab;
        let machine = self.options.machine.map(|(node, dev)| (node.clone(), dev.clone()));
        let is_kept = || Ok::<_, KernelError>(state::machine_of(&lab.name)? == machine);
        if self.done.is_empty() && state::topology(&lab.name)?.as_deref() == Some(text) && is_kept()? {
            return Ok(());
        }
        self.folder.write_journal(&Journal::new(&lab.name, Activity::Applied, Vec::new()))?;
        let wanted = deviceless_routes::wanted(lab);
        let is_shorter = state::listed_by(&lab.name)?.is_some_and(|listed| listed != wanted);
        self.folder.list_deviceless_routes(&wanted)?;
        if is_shorter {
            host_settings::note(&mut self.machine.kernel, &lab.name)?;
        }
        // Last, so that undoing an error here leaves the former topology.
        Ok(self.folder.write_topology(text, self.options.machine)?)
    }
}
