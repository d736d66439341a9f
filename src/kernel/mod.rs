//! The kernel: the only room with system calls on the network. It says what is, and carries out steps. It knows nothing
//! of what should be or of the order of steps, and remembers nothing between two commands.

mod code;
pub mod connections;
mod details;
mod error;
pub mod facts;
pub(crate) mod file_watch;
pub mod firewall;
mod handshake;
pub mod ip_counters;
pub mod losses;
pub mod neighbours;
mod netlink;
pub mod netns;
mod objects;
mod observe;
pub mod open_files;
pub mod own_addresses;
pub mod packet_size;
mod port_state;
pub mod process;
mod run;
pub mod sandbox;
mod scope;
pub mod sockets;
pub mod sysctl;
pub mod taps;
mod threads;
pub(crate) mod wait;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::BorrowedFd;

pub use code::KernelCode;
pub use details::Details;
pub use error::KernelError;
#[cfg(any(test, fuzzing))]
pub(crate) use firewall::fuzzing::{restored_rules, tables_and_chains};
#[cfg(any(test, fuzzing))]
pub(crate) use observe::fuzzing::namespace_in;
pub use port_state::PortState;
pub use scope::{Marked, Scope};

use crate::lab::{
    Address, ChainId, IfName, InterfaceRef, LabName, NsName, Observed, Remembered, SysctlKey, SysctlValue,
};
use crate::steps::Step;
use netlink::NetlinkError;
use netns::NetnsHandles;

/// The kernel, seen from the network namespace in which it was opened, which is `host`.
///
/// Keeps a netlink socket for each namespace that it has dealt with.
pub struct Kernel {
    handles: NetnsHandles,
    /// Conversations about firewalls that are closed at the end; see [`firewall::run_and_hold`].
    held: Vec<firewall::Nftables>,
}

impl Kernel {
    /// Opens the kernel in the calling thread's network namespace. Raises this process's limit on open files as far as
    /// it may: every namespace takes two.
    ///
    /// # Errors
    /// Where no netlink socket can be opened.
    pub fn open() -> Result<Self, KernelError> {
        open_files::raise();
        Ok(Self { handles: NetnsHandles::open()?, held: Vec::new() })
    }

    /// What is there: `host`, every namespace that is wanted and exists, and every one with the lab's mark.
    ///
    /// A leftover file with the lab's mark is an empty namespace with an owner (without even a loopback), or, where
    /// that namespace is wanted, nothing: making it puts it in the file's place.
    ///
    /// A part of a namespace that cannot be read is noted as such, and the rest is read. What other users left in
    /// `/run/netns` is no error.
    ///
    /// # Errors
    /// Where `/run/netns` cannot be read, or the process has too many open files.
    pub fn observe(&mut self, scope: &Scope<'_>) -> Result<Observed, KernelError> {
        self.observe_after(scope, &[], &Observed::default())
    }

    /// The same after some steps on what was `before`: a large firewall of which the kernel says that nobody but these
    /// has changed it is not listed again.
    ///
    /// # Errors
    /// As with [`Self::observe`].
    pub fn observe_after(
        &mut self,
        scope: &Scope<'_>,
        done: &[&Step],
        before: &Observed,
    ) -> Result<Observed, KernelError> {
        self.handles.let_go();
        observe::live(&mut self.handles, scope, done, before)
    }

    /// The same, where nothing but what is in some namespaces can have changed since `before`, and not their
    /// interfaces: only those are looked at. A large firewall of which the kernel says that nobody but `done` has
    /// changed it is not listed again.
    ///
    /// # Errors
    /// As with [`Self::observe`].
    pub fn observe_again(
        &mut self,
        scope: &Scope<'_>,
        namespaces: &BTreeSet<NsName>,
        done: &[&Step],
        before: &Observed,
    ) -> Result<Observed, KernelError> {
        observe::again(&mut self.handles, scope, namespaces, done, before)
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

    /// What is in a namespace that was observed, besides what is observed of all: with the states of some of its
    /// interfaces. Nothing of one that cannot be entered, which the observation tells.
    pub fn details(&mut self, ns: &NsName, interfaces: &[IfName]) -> Details {
        self.handles.get(ns).map_or_else(|_| Details::default(), |netns| details::details(netns, ns, interfaces))
    }

    /// The lab of every namespace that carries a mark.
    ///
    /// # Errors
    /// As with [`Self::observe`].
    pub fn owners(&mut self) -> Result<BTreeMap<NsName, LabName>, KernelError> {
        observe::owners(&mut self.handles)
    }

    /// Runs steps in their order, and stops at the first that fails. A step is done wholly or not at all, and so are
    /// steps that follow and join one another (see [`Step::batches_with`]); but of namespaces that are removed
    /// together, one that cannot be keeps no other. The kernel begins to free namespaces that were removed when the
    /// first step of another kind comes, or [`Self::observe`] or [`Self::free_removed`].
    ///
    /// Host settings are set as they are, and not restored: what they were is no knowledge of the kernel's. Firewall
    /// steps in `host` are for one nslab at a time: two at once could remove each other's tables.
    ///
    /// # Errors
    /// What the kernel refused, beginning with the step's own text.
    pub fn run(&mut self, steps: &[Step]) -> Result<(), KernelError> {
        for group in steps.chunk_by(|before, step| step.batches_with(before)) {
            if !group.iter().all(Step::works_beside_removed) {
                self.handles.let_go();
            }
            run::batch(&mut self.handles, &mut self.held, group)?;
        }
        Ok(())
    }

    /// What is written into the marks of a lab from now on: what host settings that it needs were before.
    pub fn set_former_settings(&mut self, settings: BTreeMap<SysctlKey, String>) {
        self.handles.remembered.settings = settings;
    }

    /// What is written into the marks of a lab from now on: hashes of its routes and policy rules in `host` that no
    /// interface belongs to.
    pub fn set_listed_routes(&mut self, hashes: BTreeSet<u32>) {
        self.handles.remembered.routes = hashes;
    }

    /// What the marks of labs say besides whose they are: those of links in `host`, which only root here can give, and
    /// those in namespaces to which that lab has given their names.
    ///
    /// # Errors
    /// As with [`Self::observe`].
    pub fn remembered(&mut self) -> Result<BTreeMap<LabName, Remembered>, KernelError> {
        observe::remembered(&mut self.handles)
    }

    /// Writes the marks of everything that there is of a lab anew.
    ///
    /// # Errors
    /// The kernel refuses to list or mark something.
    pub fn renew_marks(&mut self, lab: &LabName) -> Result<(), KernelError> {
        let Some(marked) = self.marks()?.remove(lab) else { return Ok(()) };
        let mark = self.handles.mark(lab);
        // A leftover file has no loopback, and may not be opened.
        let namespaces = marked.namespaces.into_iter().filter(|ns| self.handles.get(ns).is_ok());
        let loopbacks: Vec<InterfaceRef> = namespaces.map(|ns| InterfaceRef { ns, name: IfName::lo() }).collect();
        let in_host = marked.interfaces.into_iter().map(|name| InterfaceRef { ns: NsName::host(), name });
        for interface in loopbacks.into_iter().chain(in_host) {
            objects::mark::set(self.handles.get(&interface.ns)?, &interface, &mark.to_string(), lab.group())
                .map_err(|error| error.about(format!("mark {interface} as a part of lab {lab}")))?;
        }
        Ok(())
    }

    /// The present value of a setting of `host`, as the kernel prints it; none where there is no such setting, or no
    /// value yet.
    ///
    /// # Errors
    /// It may not be read.
    pub fn host_setting(&mut self, key: &SysctlKey) -> Result<Option<String>, KernelError> {
        sysctl::text(self.host()?, key)
    }

    /// Sets a setting of `host`.
    ///
    /// # Errors
    /// There is no such setting, or the kernel does not take the value.
    pub fn set_host_setting(&mut self, key: &SysctlKey, value: &SysctlValue) -> Result<(), KernelError> {
        sysctl::write(self.host()?, &NsName::host(), key, value)
    }

    /// Restores a value that [`Self::host_setting`] has read, where the setting still exists and differs.
    ///
    /// # Errors
    /// The kernel does not take the value.
    pub fn restore_host_setting(&mut self, key: &SysctlKey, was: &str) -> Result<(), KernelError> {
        sysctl::restore_text(self.host()?, &NsName::host(), key, was)
    }

    /// What the kernel changes along with a setting of `host`, as it is now; none where it changes nothing else.
    ///
    /// # Errors
    /// It may not be read.
    pub fn along_with_host_setting(&mut self, key: &SysctlKey) -> Result<Option<String>, KernelError> {
        sysctl::along_with(self.host()?, key)
    }

    /// Restores what [`Self::along_with_host_setting`] has read.
    ///
    /// # Errors
    /// The kernel does not take a value.
    pub fn restore_along(&mut self, along: &str) -> Result<(), KernelError> {
        sysctl::restore_along(self.host()?, along)
    }

    fn host(&mut self) -> Result<BorrowedFd<'_>, KernelError> {
        Ok(self.handles.get(&NsName::host())?.fd())
    }

    /// Notes in a namespace what one of its sysctls was before the lab; one with a value that is too long for a note is
    /// not noted.
    ///
    /// # Errors
    /// The kernel refuses the alternative name.
    pub fn note_former(&mut self, ns: &NsName, key: &SysctlKey, was: &SysctlValue) -> Result<(), KernelError> {
        let refused = |error: NetlinkError| error.about(format!("note what {key} was in {ns}"));
        objects::sysctl::remember(self.handles.get(ns)?, key, was).map_err(refused)
    }

    /// Removes a note of what a sysctl was.
    ///
    /// # Errors
    /// The kernel refuses to remove the alternative name.
    pub fn forget_former(&mut self, ns: &NsName, key: &SysctlKey, was: &SysctlValue) -> Result<(), KernelError> {
        let refused = |error: NetlinkError| error.about(format!("forget what {key} was in {ns}"));
        objects::sysctl::forget(self.handles.get(ns)?, key, was).map_err(refused)
    }

    /// Notes in a namespace that programs of the lab run there.
    ///
    /// # Errors
    /// The kernel refuses the alternative name.
    pub(crate) fn note_programs(&mut self, ns: &NsName) -> Result<(), KernelError> {
        let refused = |error: NetlinkError| error.about(format!("note that programs run in {ns}"));
        objects::program::note(self.handles.get(ns)?).map_err(refused)
    }

    /// Removes that note.
    ///
    /// # Errors
    /// The kernel refuses to remove the alternative name.
    pub(crate) fn forget_programs(&mut self, ns: &NsName) -> Result<(), KernelError> {
        let refused = |error: NetlinkError| error.about(format!("forget that programs run in {ns}"));
        objects::program::forget(self.handles.get(ns)?).map_err(refused)
    }

    /// Forgets the neighbours that a namespace has learned through some of its interfaces: who answers there may be
    /// another one now, and the kernel believes what it has learned for up to a minute.
    ///
    /// # Errors
    /// The kernel refuses to list or remove them.
    pub fn forget_neighbours(&mut self, ns: &NsName, interfaces: &[&IfName]) -> Result<(), KernelError> {
        neighbours::forget_through(self.handles.get(ns)?, interfaces)
    }

    /// Forgets what a namespace has learned about the ways of its packets: how large they may be, and redirections.
    ///
    /// # Errors
    /// The kernel refuses to list or remove them.
    pub fn forget_route_exceptions(&mut self, ns: &NsName) -> Result<(), KernelError> {
        objects::route_exceptions::forget(self.handles.get(ns)?)
            .map_err(|error| error.about(format!("forget what {ns} has learned about its routes")))
    }

    /// The addresses of the machine, also of interfaces that no file names.
    ///
    /// # Errors
    /// The kernel refuses to list them.
    pub fn addresses_of_host(&mut self) -> Result<BTreeSet<Address>, KernelError> {
        let refused = |error: NetlinkError| error.about("list the addresses of host".to_owned());
        objects::address::all(self.handles.get(&NsName::host())?).map_err(refused)
    }

    /// Forgets the flows of a namespace that are `stale`.
    ///
    /// # Errors
    /// The kernel refuses to list or to forget them.
    pub fn forget_flows(
        &mut self,
        ns: &NsName,
        stale: impl Fn(&connections::TrackedFlow) -> bool + Sync,
    ) -> Result<(), KernelError> {
        connections::forget(self.handles.get(ns)?.fd(), stale)
    }

    /// Lets the kernel begin to free the namespaces that were removed.
    pub fn free_removed(&mut self) {
        self.handles.let_go();
    }

    /// What there still is of a lab's chains in the firewall of `host`, by the kernel's own account.
    ///
    /// # Errors
    /// The kernel refuses to list chains.
    pub fn chains_left(&mut self, lab: &LabName) -> Result<Vec<ChainId>, KernelError> {
        firewall::chains_left(self.host()?, lab)
    }

    /// Whether a run that was killed may have left empty firewall tables of nslab in `host`.
    ///
    /// # Errors
    /// The kernel refuses to list tables.
    pub fn has_our_tables(&mut self) -> Result<bool, KernelError> {
        firewall::has_our_tables(self.host()?)
    }

    /// Removes empty firewall tables of nslab from `host`. Two nslabs at once must not do so; see [`Self::run`].
    ///
    /// # Errors
    /// The kernel refuses to list or remove tables.
    pub fn remove_empty_tables(&mut self) -> Result<(), KernelError> {
        firewall::tidy(self.host()?)
    }
}
