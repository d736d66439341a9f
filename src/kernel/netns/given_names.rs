//! Which names in `/run/netns` nslab has given, and for which lab: the file beneath the mount says it.
//!
//! A namespace's mark is written inside of it, by whoever has rights there. The file that its name is mounted on was
//! written by whoever gave it the name, which takes root here. It is seen in a copy of the mount that holds nothing of
//! what is mounted on it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::DIRECTORY;
use crate::lab::{LabName, NsName};

/// The files in `/run/netns`, without what is mounted on them.
pub(in crate::kernel) struct GivenNames {
    /// None where the kernel has no such copies (before Linux 5.2), or we may not make one.
    directory: Option<OwnedFd>,
}

impl GivenNames {
    /// Looks beneath the mounts.
    pub fn look() -> Self {
        Self { directory: copy_of_mount().ok() }
    }

    /// Whether a lab of nslab's has given a namespace its name; false where that cannot be known.
    pub fn is_given_by(&self, ns: &NsName, lab: &LabName) -> bool {
        let Some(directory) = &self.directory else { return false };
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let Ok(fd) = openat(directory, ns.as_str(), flags, Mode::empty()) else { return false };
        let mut text = String::new();
        let read = File::from(fd).take(256).read_to_string(&mut text);
        read.is_ok() && LabName::from_mark(text.trim_end()).as_ref() == Some(lab)
    }
}

/// A private copy of the mount that `/run/netns` is in, with that directory as its root (open_tree(2)).
fn copy_of_mount() -> Result<OwnedFd, Errno> {
    let path = std::ffi::CString::new(DIRECTORY).map_err(|_| Errno::EINVAL)?;
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path ends in a zero and outlives the call, which keeps nothing of it.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })?;
    let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
