//! Going into a namespace for a moment, and coming back.
//!
//! The namespace belongs to a thread, and the calling thread goes itself: starting a thread for every visit costs
//! several times as much as what is done there.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};

use super::super::KernelError;

/// Runs something inside a namespace; afterwards the calling thread is where it was.
///
/// # Errors
/// Where the namespace may not be entered, or this one not be entered again (`EPERM`).
pub fn run_in<T>(ns: BorrowedFd<'_>, f: impl FnOnce() -> T) -> Result<T, KernelError> {
    let visit = NetnsGuard::begin()?;
    visit.enter(ns)?;
    Ok(f())
}

/// Runs something inside a new namespace, which is gone afterwards unless `f` has given it a name or keeps it open.
///
/// # Errors
/// Where no namespace can be made, or this one not be entered again (`EPERM`).
pub(in crate::kernel) fn run_in_new<T>(f: impl FnOnce() -> T) -> Result<T, KernelError> {
    let visit = NetnsGuard::begin()?;
    visit.enter_new()?;
    Ok(f())
}

/// Opens the namespace of the calling thread.
pub(super) fn own() -> std::io::Result<OwnedFd> {
    Ok(File::open("/proc/thread-self/ns/net")?.into())
}

/// Whether this process has rights over the network namespace that it is in. Root of a user namespace has none over one
/// that was there before: the host's, in a container.
pub fn is_ours() -> bool {
    NetnsGuard::begin().is_ok()
}

/// The time that a thread is elsewhere, in one namespace after the other; its end leads home.
pub(in crate::kernel) struct NetnsGuard {
    home: OwnedFd,
}

impl NetnsGuard {
    /// Makes sure of the way back; see [`run_in`] for the errors.
    pub fn begin() -> Result<Self, KernelError> {
        let failed = || KernelError::new("note which namespace to come back to");
        let home = own().map_err(|error| failed().with_io(&error))?;
        // Who may not come back must not leave: a namespace of another user's cannot be entered, not even by its
        // processes.
        to(home.as_fd()).map_err(|errno| failed().with_errno(errno))?;
        Ok(Self { home })
    }

    /// Goes on to a namespace.
    pub fn enter(&self, ns: BorrowedFd<'_>) -> Result<(), KernelError> {
        to(ns).map_err(|errno| KernelError::new("enter a namespace").with_errno(errno))
    }

    /// Goes on to a new namespace.
    pub fn enter_new(&self) -> Result<(), KernelError> {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| KernelError::new("make a namespace").with_errno(errno))
    }
}

fn to(ns: BorrowedFd<'_>) -> Result<(), Errno> {
    setns(ns, CloneFlags::CLONE_NEWNET)
}

impl Drop for NetnsGuard {
    fn drop(&mut self) {
        if to(self.home.as_fd()).is_err() {
            // It could be entered a moment ago. Whatever this process did from here on would be done to the wrong
            // network.
            std::process::abort();
        }
    }
}
