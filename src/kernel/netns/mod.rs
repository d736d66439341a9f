//! Network namespaces and their names in `/run/netns`, exactly as `ip netns` keeps them: opening, listing, removing,
//! running something inside one. Making one is in [`create`]. Nothing here knows which of them are wanted.

pub(super) mod create;
mod given_names;
mod guard;
pub(super) mod handle;
mod kind;

use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(super) use given_names::GivenNames;
pub(super) use guard::{NetnsGuard, run_in_new};
pub use guard::{is_ours, run_in};
pub(super) use handle::{NetnsHandle, NetnsHandles};
use kind::Kind;
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

use super::KernelError;
use crate::failpoint;
use crate::lab::{LabName, NsName};

/// Where namespaces have their names (`NETNS_RUN_DIR` of iproute2).
const DIRECTORY: &str = "/run/netns";

/// What `/run/netns` holds.
#[derive(Default)]
pub(super) struct Found {
    /// Namespaces, opened.
    pub namespaces: Vec<(NsName, OwnedFd)>,
    /// Files that were to become a namespace of a lab, or have been one: what a kill leaves.
    pub leftovers: Vec<(NsName, LabName)>,
    /// Names that lead to nothing, or to a namespace of others, and are no lab's.
    pub others: Vec<NsName>,
}

/// What a name in `/run/netns` stands for.
enum Named {
    /// A namespace.
    Namespace(OwnedFd),
    /// A leftover of this lab.
    Leftover(LabName),
    /// Nothing, or what another program left.
    Nothing,
    /// A namespace that is none of nslab's, whatever it says of itself: why.
    OfOthers(&'static str),
}

/// Opens a namespace by its name; `host` is the calling thread's own.
///
/// # Errors
/// `ENOENT` where there is none of that name, `EINVAL` where the file of that name is not a namespace.
pub fn open(ns: &NsName) -> Result<OwnedFd, KernelError> {
    let failed = || KernelError::new(format!("open namespace {ns}"));
    if ns.is_host() {
        return guard::own().map_err(|error| failed().with_io(&error));
    }
    match look(ns)? {
        Named::Namespace(fd) => Ok(fd),
        Named::Nothing if !path(ns).exists() => Err(failed().with_errno(Errno::ENOENT)),
        Named::OfOthers(why) => Err(failed().with_errno(Errno::EINVAL).said(why)),
        Named::Leftover(_) | Named::Nothing => Err(failed()
            .with_errno(Errno::EINVAL)
            .said(format!("{} is a leftover file without a namespace behind it", path(ns).display()))),
    }
}

/// The names in `/run/netns`, in alphabetical order. Some may be leftover files with no namespace behind them, as
/// with `ip netns`; names that nslab cannot say (see [`NsName`]) are left out.
pub fn list() -> Result<Vec<NsName>, KernelError> {
    let failed = |error: std::io::Error| KernelError::new(format!("list {DIRECTORY}")).with_io(&error);
    let entries = match fs::read_dir(DIRECTORY) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.to_str().and_then(|name| name.parse().ok()).filter(|name: &NsName| !name.is_host()));
    }
    names.sort();
    Ok(names)
}

/// Looks at everything in `/run/netns`. What other programs left there is no error, and is passed over.
pub(super) fn find() -> Result<Found, KernelError> {
    let mut found = Found::default();
    for ns in list()? {
        match look(&ns)? {
            Named::Namespace(fd) => found.namespaces.push((ns, fd)),
            Named::Leftover(lab) => found.leftovers.push((ns, lab)),
            Named::Nothing | Named::OfOthers(_) => found.others.push(ns),
        }
    }
    Ok(found)
}

fn look(ns: &NsName) -> Result<Named, KernelError> {
    let failed = |errno| KernelError::new(format!("open namespace {ns}")).with_errno(errno);
    // Not waiting for a writer, should there be a FIFO.
    let opened = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path(ns));
    let mut file = match opened {
        Ok(file) => file,
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => return Err(failed(errno)),
            _ => return Ok(Named::Nothing),
        },
    };
    if fstatfs(&file).map_err(failed)?.filesystem_type() == NSFS_MAGIC {
        return Ok(match kind::of(file.as_fd()).map_err(failed)? {
            Kind::Network => Named::Namespace(file.into()),
            Kind::OfOthers => Named::OfOthers("it belongs to a user namespace that is not ours"),
            Kind::Other => Named::OfOthers("it is not a network namespace"),
        });
    }
    let mut content = [0; 64];
    let length = file.read(&mut content).unwrap_or(0);
    let mark = content.get(..length).and_then(|content| std::str::from_utf8(content).ok());
    Ok(mark.and_then(|mark| LabName::from_mark(mark.trim_end())).map_or(Named::Nothing, Named::Leftover))
}

/// Removes a namespace's name, and with it the namespace, once nothing else holds it; a leftover file likewise. The
/// kernel frees it later (see [`wait_freed`]).
///
/// # Errors
/// `ENOENT` where there is none of that name.
pub(super) fn delete(ns: &NsName) -> Result<(), KernelError> {
    let path = path(ns);
    let failed = |errno| KernelError::new(format!("remove namespace {ns}")).with_errno(errno);
    loop {
        let unmounted = failpoint::pass("unmount a namespace")
            .and_then(|()| umount2(&path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW));
        match unmounted {
            // EINVAL: no mount there.
            Ok(()) | Err(Errno::EINVAL) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let removed = failpoint::pass("remove a namespace's file").and_then(|()| nix::unistd::unlink(&path));
        match removed {
            // More than one mount can lie on the other (`ip netns attach`).
            Err(Errno::EBUSY) if unmounted.is_ok() => {}
            removed => return removed.map_err(failed),
        }
    }
}

/// Waits until the kernel has freed the namespaces that were removed; false if it has not within `timeout`.
///
/// Removing is asynchronous, and other work on links is slow meanwhile. The kernel shows it as a worker with
/// `+netns` in its name; in a container with a process list of its own that is not to be seen, and the answer is true.
pub fn wait_freed(timeout: Duration) -> bool {
    const PAUSE: Duration = Duration::from_millis(5);
    let start = Instant::now();
    while is_freeing() {
        if start.elapsed() >= timeout {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}

fn is_freeing() -> bool {
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes
        .flatten()
        .filter(|process| process.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit))
        .filter_map(|process| fs::read_to_string(process.path().join("comm")).ok())
        .any(|name| name.contains("+netns"))
}

fn path(ns: &NsName) -> PathBuf {
    Path::new(DIRECTORY).join(ns.as_str())
}
