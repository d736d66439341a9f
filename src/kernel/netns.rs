//! Network namespaces: opening them, and running something inside one.

use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open as open_file};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;

use super::KernelError;
use crate::lab::NsName;

/// Runs something inside a namespace: in a thread that enters it, and ends.
pub fn run_in<T: Send>(ns: BorrowedFd<'_>, f: impl FnOnce() -> T + Send) -> Result<T, KernelError> {
    let inside = || {
        setns(ns, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| KernelError::new("enter a network namespace").errno(errno))?;
        Ok(f())
    };
    std::thread::scope(|scope| match scope.spawn(inside).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Opens a namespace by its name; `host` is that of the calling thread.
pub fn open(ns: &NsName) -> Result<OwnedFd, KernelError> {
    let path = if ns.is_host() { "/proc/thread-self/ns/net".to_owned() } else { format!("/run/netns/{ns}") };
    open_file(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map_err(|errno| {
        let error = KernelError::new(format!("open network namespace {ns}")).errno(errno);
        if errno == Errno::ENOENT { error.hint("there is no namespace of that name") } else { error }
    })
}
