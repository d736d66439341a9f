//! Opening network namespaces, and doing something inside them.

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use super::KernelError;
use crate::lab::NsName;

/// Opens the namespace of a name (`/run/netns/NAME`); `host` is the namespace of this thread.
pub fn open(ns: &NsName) -> Result<OwnedFd, KernelError> {
    let path = if ns.is_host() { "/proc/thread-self/ns/net".to_owned() } else { format!("/run/netns/{}", ns.as_str()) };
    let refused = |e: std::io::Error| {
        KernelError::new(format!("cannot open namespace {ns}"))
            .errno(Errno::from_raw(e.raw_os_error().unwrap_or_default()))
    };
    File::open(path).map(OwnedFd::from).map_err(refused)
}

/// Does `work` inside a namespace, in a thread of its own that ends with it.
pub fn run_in<T: Send>(ns: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> Result<T, KernelError> {
    let refused = |e: Errno| KernelError::new("cannot enter a network namespace").errno(e);
    let inside = || setns(ns, CloneFlags::CLONE_NEWNET).map_err(refused).map(|()| work());
    std::thread::scope(|scope| {
        scope.spawn(inside).join().unwrap_or_else(|_| Err(KernelError::new("a thread inside a namespace stopped")))
    })
}
