//! Which names in `/run/netns` nslab has given, and for which lab: the file beneath the mount says it.
//!
//! A namespace's mark is written inside of it, by whoever has rights there. The file that its name is mounted on was
//! written by whoever gave it the name, which takes root here: by nslab, by its script, or by `apply --adopt` for a
//! name that `ip netns` gave. It is seen in a copy of the mount that holds nothing of what is mounted on it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::DIRECTORY;
use crate::failpoint;
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

    /// Whether a lab of nslab's has given a namespace its name, or has taken it over; none where that cannot be known.
    pub fn is_given_by(&self, ns: &NsName, lab: &LabName) -> Option<bool> {
        Some(self.giver(ns)?.as_ref() == Some(lab))
    }

    /// The lab of nslab's that has given a namespace its name, if one has; none where that cannot be known.
    pub fn giver(&self, ns: &NsName) -> Option<Option<LabName>> {
        let mut text = [0; 256];
        let read = self.open(ns, OFlag::O_RDONLY)?.and_then(|mut file| file.read(&mut text));
        let text = text.get(..read.unwrap_or(0)).and_then(|text| std::str::from_utf8(text).ok());
        Some(text.and_then(|text| LabName::from_mark(text.trim_end())))
    }

    /// Writes beneath a namespace that its name is this lab's.
    ///
    /// # Errors
    /// `ELOOP` where the name is a link, which cannot be taken over.
    pub fn give(&self, ns: &NsName, lab: &LabName) -> io::Result<()> {
        self.write(ns, format!("{}\n", lab.mark()).as_bytes())
    }

    /// Makes a name nobody's again.
    ///
    /// # Errors
    /// What the system says.
    pub fn release(&self, ns: &NsName) -> io::Result<()> {
        self.write(ns, b"")
    }

    fn write(&self, ns: &NsName, text: &[u8]) -> io::Result<()> {
        failpoint::pass("write whose a namespace's name is")?;
        match self.open(ns, OFlag::O_WRONLY | OFlag::O_TRUNC) {
            Some(file) => file?.write_all(text),
            None => Ok(()),
        }
    }

    /// The file beneath a namespace; none where there is no looking beneath.
    fn open(&self, ns: &NsName, how: OFlag) -> Option<io::Result<File>> {
        let flags = how | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let opened = openat(self.directory.as_ref()?, ns.as_str(), flags, Mode::empty());
        Some(opened.map(File::from).map_err(io::Error::from))
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
