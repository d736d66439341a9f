//! The kernel: the only room with system calls. It says what is, and carries out steps; what should be, and in
//! which order, is decided elsewhere.

mod error;
pub mod facts;
mod failpoint;
pub mod firewall;
pub mod neighbours;
mod netlink;
pub mod netns;
mod objects;
mod observe;
pub mod open_files;
mod port_state;
pub mod process;
mod run;
pub mod sandbox;
pub mod sockets;
pub(crate) mod state;
pub mod sysctl;
mod threads;

use std::collections::{BTreeMap, BTreeSet};

pub use error::KernelError;
#[cfg(any(test, fuzzing))]
pub(crate) use firewall::fuzzing::{restored_rules, saved_rules, tables_and_chains};
#[cfg(any(test, fuzzing))]
pub(crate) use observe::fuzzing::namespace_in;
pub use port_state::PortState;

use crate::lab::{IfName, InterfaceRef, Lab, LabName, NsName, Observed, SysctlKey, SysctlValue};
use crate::steps::Step;
use netlink::NetlinkError;
use netns::NetnsHandles;

/// The kernel, seen from the network namespace in which it was opened, which is `host`.
///
/// Keeps a netlink socket for each namespace that it has dealt with.
pub struct Kernel {
    handles: NetnsHandles,
}

/// What to observe.
pub struct Scope<'a> {
    /// Whose things: every namespace with this lab's mark is observed, wanted or not.
    pub lab: &'a LabName,
    /// What is wanted: says which namespaces, sysctls and link-local addresses are of interest besides.
    pub desired: Option<&'a Lab>,
    /// Whether to look into the lab's own namespaces; or else only their marks are read, which is enough to remove
    /// them.
    pub inside: bool,
}

impl Scope<'_> {
    /// Whether a namespace is wanted.
    fn wants(&self, ns: &NsName) -> bool {
        self.desired.is_some_and(|lab| lab.namespaces.contains_key(ns))
    }
}

/// What carries the mark of one lab.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    /// Namespaces, and leftover files of those that were being made or removed when nslab was killed.
    pub namespaces: BTreeSet<NsName>,
    /// Interfaces in `host`.
    pub interfaces: BTreeSet<IfName>,
    /// What host settings were before the lab.
    pub settings: BTreeMap<SysctlKey, String>,
}

impl Kernel {
    /// Opens the kernel in the calling thread's network namespace. Raises this process's limit on open files as far as
    /// it may: every namespace takes two.
    ///
    /// # Errors
    /// Where no netlink socket can be opened.
    pub fn open() -> Result<Self, KernelError> {
        open_files::raise();
        Ok(Self { handles: NetnsHandles::open()? })
    }

    /// What is there: `host`, every namespace that is wanted and exists, and every one with the lab's mark.
    ///
    /// A leftover file with the lab's mark is an empty namespace with an owner (without even a loopback), or, where
    /// that namespace is wanted, nothing: making it puts it in the file's place.
    ///
    /// # Errors
    /// Where the kernel refuses to list something. What other users left in `/run/netns` is no error.
    pub fn observe(&mut self, scope: &Scope<'_>) -> Result<Observed, KernelError> {
        self.handles.let_go();
        observe::live(&mut self.handles, scope)
    }

    /// The same, where nothing but what is in some namespaces can have changed since `before`, and not their
    /// interfaces: only those are looked at.
    ///
    /// # Errors
    /// As with [`Self::observe`].
    pub fn observe_again(
        &mut self,
        scope: &Scope<'_>,
        namespaces: &BTreeSet<NsName>,
        before: &Observed,
    ) -> Result<Observed, KernelError> {
        observe::again(&mut self.handles, scope, namespaces, before)
    }

    /// What carries a mark, by lab. A link in `host` that has a lab's group and no alias yet counts as its own, if
    /// anything else of that lab is there.
    ///
    /// # Errors
    /// As with [`Self::observe`].
    pub fn marks(&mut self) -> Result<BTreeMap<LabName, Marked>, KernelError> {
        observe::marks(&mut self.handles)
    }

    /// Whether a port of a bridge forwards yet. To be asked makes newer kernels handle what they have put off for it.
    ///
    /// # Errors
    /// The kernel refuses to show it.
    pub fn port_state(&mut self, port: &InterfaceRef) -> Result<PortState, KernelError> {
        let refused = |error: NetlinkError| error.about(format!("ask for the state of {port}"));
        port_state::port_state(self.handles.get(&port.ns)?, &port.name).map_err(refused)
    }

    /// The lab of every namespace that carries a mark.
    ///
    /// # Errors
    /// As with [`Self::observe`].
    pub fn owners(&mut self) -> Result<BTreeMap<NsName, LabName>, KernelError> {
        observe::owners(&mut self.handles)
    }

    /// Runs steps in their order, and stops at the first that fails. A step is done wholly or not at all, and so are
    /// steps that follow and join one another (see [`Step::batches_with`]). The kernel begins to free namespaces that
    /// were removed when the first step of another kind comes, or [`Self::observe`] or [`Self::tidy`].
    ///
    /// # Errors
    /// What the kernel refused, beginning with the step's own text.
    pub fn run(&mut self, steps: &[Step]) -> Result<(), KernelError> {
        for group in steps.chunk_by(|before, step| step.batches_with(before)) {
            if !group.iter().all(Step::removes_namespace) {
                self.handles.let_go();
            }
            run::batch(&mut self.handles, group)?;
        }
        Ok(())
    }

    /// Counts a lab among those that need a value of a host setting, and remembers what it was before the first of
    /// them; whether the lab was not among them yet.
    ///
    /// # Errors
    /// Where another lab needs another value, or the state directory cannot be written.
    pub fn claim_setting(&mut self, key: &SysctlKey, value: &SysctlValue, lab: &LabName) -> Result<bool, KernelError> {
        sysctl::claim_host(self.handles.get(&NsName::host())?.fd(), key, value, lab)
    }

    /// Learns what the host settings that a lab needs were before, for the marks of what is made from now on.
    pub fn learn_settings(&mut self, lab: &LabName) -> Result<(), KernelError> {
        self.handles.settings = sysctl::host_former(lab)?;
        Ok(())
    }

    /// Writes what host settings were into the marks of what there is of a lab already.
    pub fn note_settings(&mut self, lab: &LabName) -> Result<(), KernelError> {
        self.learn_settings(lab)?;
        let Some(marked) = self.marks()?.remove(lab) else { return Ok(()) };
        let mark = self.handles.mark(lab);
        // A leftover file has no loopback, and may not be opened.
        let namespaces = marked.namespaces.into_iter().filter(|ns| self.handles.get(ns).is_ok());
        let ends: Vec<InterfaceRef> = namespaces.map(|ns| InterfaceRef { ns, name: IfName::lo() }).collect();
        let links = marked.interfaces.into_iter().map(|name| InterfaceRef { ns: NsName::host(), name });
        for end in ends.into_iter().chain(links) {
            objects::mark::set(self.handles.get(&end.ns)?, &end, &mark.to_string(), lab.group())
                .map_err(|error| error.about(format!("mark {end} as a part of lab {lab}")))?;
        }
        Ok(())
    }

    /// Notes in a namespace what one of its sysctls was before the lab; one with a value that is too long for a note is
    /// not noted.
    pub fn note_former(&mut self, ns: &NsName, key: &SysctlKey, was: &SysctlValue) -> Result<(), KernelError> {
        let refused = |error: NetlinkError| error.about(format!("note what {key} was in {ns}"));
        objects::sysctl::remember(self.handles.get(ns)?, key, was).map_err(refused)
    }

    /// Removes a note of what a sysctl was.
    pub fn forget_former(&mut self, ns: &NsName, key: &SysctlKey, was: &SysctlValue) -> Result<(), KernelError> {
        let refused = |error: NetlinkError| error.about(format!("forget what {key} was in {ns}"));
        objects::sysctl::forget(self.handles.get(ns)?, key, was).map_err(refused)
    }

    /// Takes over from the marks what host settings were, for labs whose folders are lost, this one among them.
    pub fn recall_settings(&mut self, lab: &LabName) -> Result<(), KernelError> {
        let lost = |marks: BTreeMap<LabName, Marked>, known: &[String]| -> Vec<(LabName, Marked)> {
            let is_lost = |(owner, marked): &(LabName, Marked)| {
                !marked.settings.is_empty() && (owner == lab || !known.iter().any(|name| name == owner.as_str()))
            };
            marks.into_iter().filter(is_lost).collect()
        };
        if lost(self.marks()?, &[]).is_empty() {
            return Ok(());
        }
        sysctl::recall_host(|known| Ok(lost(self.marks()?, known)))
    }

    /// Forgets the neighbours that a namespace has learned through some of its interfaces: who answers there may be
    /// another one now, and the kernel believes what it has learned for up to a minute.
    pub fn forget_neighbours(&mut self, ns: &NsName, interfaces: &[&IfName]) -> Result<(), KernelError> {
        neighbours::forget_through(self.handles.get(ns)?, interfaces)
    }

    /// The host settings that a lab needs: those to restore when it goes.
    pub fn claimed_settings(&self, lab: &LabName) -> Result<Vec<SysctlKey>, KernelError> {
        sysctl::host_claims(lab)
    }

    /// Removes from the host what is of no more use: empty firewall tables of ours that a run which was killed has
    /// left, and the folder of host settings where there are none.
    pub fn tidy(&mut self) -> Result<(), KernelError> {
        self.handles.let_go();
        firewall::tidy(self.handles.get(&NsName::host())?.fd())?;
        sysctl::forget_unclaimed()
    }
}
