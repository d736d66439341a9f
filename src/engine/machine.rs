//! The kernel together with the files of `/run/nslab`: what labs there are, what there is of one, and its steps carried
//! out.

use std::collections::{BTreeMap, BTreeSet};

use super::host_settings::{self, Memory};
use super::{deviceless_routes, etc_files, marks, of_programs};
use crate::kernel::{Kernel, KernelError, Marked, Scope};
use crate::lab::{LabName, NsName, Observed, Places};
use crate::programs;
use crate::state::{self, FirewallLock, HostSettings};
use crate::steps::{Step, SysctlStep};

/// The machine, seen from the network namespace in which it was opened, which is `host`.
pub struct Machine {
    pub(super) kernel: Kernel,
    /// What is known of host settings, and what is to be told.
    pub(super) memory: Memory,
    /// Routes and policy rules in `host` that have nslab's number and are in no list, where the lab has none.
    pub(super) unproven: Vec<String>,
    /// Whether there may be programs, though no namespace notes any.
    pub(super) may_have_programs: bool,
    /// Whether programs that were started with one that cannot be are left.
    pub(super) keeps_programs: bool,
    /// Where the programs are written that may be started.
    pub(super) places: Places,
}

impl Machine {
    /// Opens the kernel in the calling thread's network namespace.
    ///
    /// # Errors
    /// As with [`Kernel::open`].
    pub fn open() -> Result<Self, KernelError> {
        let (kernel, memory, unproven, places) = (Kernel::open()?, Memory::default(), Vec::new(), Places::new());
        Ok(Self { kernel, memory, unproven, may_have_programs: false, keeps_programs: false, places })
    }

    /// What there is of a lab, and of what is wanted, as far as it can be read.
    ///
    /// # Errors
    /// As with [`Kernel::observe`]; or a file of the state cannot be read.
    pub fn observe(&mut self, scope: &Scope<'_>) -> Result<Observed, KernelError> {
        self.observe_after(scope, &[], &Observed::default())
    }

    /// The same after some steps on what was `before`; see [`Kernel::observe_after`].
    ///
    /// # Errors
    /// As with [`Self::observe`].
    pub(super) fn observe_after(
        &mut self,
        scope: &Scope<'_>,
        done: &[&Step],
        before: &Observed,
    ) -> Result<Observed, KernelError> {
        let mut live = self.kernel.observe_after(scope, done, before)?;
        self.complete(scope, &mut live)?;
        Ok(live)
    }

    /// The same after some steps, where nothing but what is in some namespaces can have changed since `before`, and
    /// not their interfaces: only those are looked at; see [`Kernel::observe_again`].
    ///
    /// # Errors
    /// As with [`Self::observe`].
    pub(super) fn observe_again(
        &mut self,
        scope: &Scope<'_>,
        namespaces: &BTreeSet<NsName>,
        done: &[&Step],
        before: &Observed,
    ) -> Result<Observed, KernelError> {
        let mut live = self.kernel.observe_again(scope, namespaces, done, before)?;
        self.complete(scope, &mut live)?;
        Ok(live)
    }

    /// Adds what the files say to what the kernel shows.
    fn complete(&mut self, scope: &Scope<'_>, live: &mut Observed) -> Result<(), KernelError> {
        if let Some(host) = live.namespaces.get_mut(&NsName::host()) {
            host.claims = state::claims()?;
        }
        let etc = scope.desired.into_iter().flat_map(|desired| desired.etc.namespaces.keys());
        live.etc = state::etc_files(scope.lab, etc)?;
        live.wireguard_keys = state::wireguard_keys(scope.lab)?;
        self.unproven = deviceless_routes::keep_own(&mut self.kernel, scope.lab, live)?;
        let are_wanted = scope.desired.is_some_and(|lab| lab.programs().next().is_some());
        let are_noted = live.namespaces.values().any(|ns| ns.has_programs);
        live.programs = match self.may_have_programs || are_wanted || are_noted {
            true => programs::list(scope.lab)?.unwrap_or_default(),
            false => BTreeMap::new(),
        };
        Ok(())
    }

    /// What carries a mark, by lab; a lab that has only a folder is not among them, one that needs host settings is.
    ///
    /// # Errors
    /// As with [`Self::observe`].
    pub fn marks(&mut self) -> Result<BTreeMap<LabName, Marked>, KernelError> {
        marks::of_all(&mut self.kernel)
    }

    /// Runs steps in their order, and stops at the first that fails; see [`Kernel::run`]. What a host setting was is
    /// kept before it is changed, and firewall rules of the host are for one nslab at a time.
    ///
    /// # Errors
    /// What the kernel refused, beginning with the step's own text.
    pub fn run(&mut self, steps: &[Step]) -> Result<(), KernelError> {
        for group in steps.chunk_by(|before, step| step.batches_with(before)) {
            match group {
                [] => {}
                [first, ..] => self.run_batch(first, group)?,
            }
        }
        Ok(())
    }

    /// Runs steps that go together, of which one is the first.
    fn run_batch(&mut self, first: &Step, group: &[Step]) -> Result<(), KernelError> {
        match first {
            Step::Sysctl(SysctlStep::Set { ns, key, to, lab, .. }) if ns.is_host() => {
                self.kernel.free_removed();
                host_settings::set(&mut self.kernel, key, to, lab)
            }
            Step::Sysctl(SysctlStep::RestoreHost { key, lab }) => {
                self.kernel.free_removed();
                host_settings::restore(&mut self.kernel, &mut self.memory, key, lab)
            }
            Step::Firewall(_) | Step::Foreign(_) if first.changes_a_firewall() && first.namespace().is_host() => {
                let _lock = FirewallLock::lock()?;
                self.kernel.run(group)
            }
            Step::Program(first) => {
                self.kernel.free_removed();
                of_programs::run(&mut self.kernel, first, group, (self.keeps_programs, &self.places))
            }
            Step::Namespace(_)
            | Step::Mark(_)
            | Step::Interface(_)
            | Step::Veth(_)
            | Step::Bridge(_)
            | Step::BridgePort(_)
            | Step::Vlans(_)
            | Step::VirtualInterface(_)
            | Step::Address(_)
            | Step::Route(_)
            | Step::PolicyRule(_)
            | Step::Neighbour(_)
            | Step::FdbEntry(_)
            | Step::Wireguard(_)
            | Step::Foreign(_)
            | Step::Firewall(_)
            | Step::Nft(_)
            | Step::Sysctl(SysctlStep::Set { .. }) => self.kernel.run(group),
            Step::EtcFiles(_) => group.iter().try_for_each(etc_files::run),
        }
    }

    /// Removes from the host what is no longer of use: empty firewall tables of nslab that a run which was killed has
    /// left, and the folder of host settings where there are none.
    ///
    /// # Errors
    /// The kernel refuses to list or remove tables, or a folder cannot be removed.
    pub(super) fn tidy(&mut self) -> Result<(), KernelError> {
        self.kernel.free_removed();
        if self.kernel.has_our_tables()? {
            let _lock = FirewallLock::lock()?;
            self.kernel.remove_empty_tables()?;
        }
        match HostSettings::lock_if_any()? {
            Some(settings) => settings.remove_unclaimed(),
            None => HostSettings::clear_place(),
        }
    }
}
