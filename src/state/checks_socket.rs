//! The socket of the process that holds a lab's checks open on this machine, in the lab's folder.

use std::os::fd::AsRawFd;
use std::path::PathBuf;

use super::folder::Folder;
use crate::kernel::KernelError;
use crate::lab::LabName;

/// Its name.
const SOCKET: &str = "checks";

/// The folder of a lab, for that socket.
#[derive(Debug)]
pub(crate) struct ChecksSocket {
    folder: Folder,
}

impl ChecksSocket {
    /// That of a lab; none where the lab has no folder.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub(crate) fn of(lab: &LabName) -> Result<Option<Self>, KernelError> {
        Ok(Folder::of_lab(lab)?.map(|folder| Self { folder }))
    }

    /// A path of the socket, while this is held.
    pub(crate) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}/{SOCKET}", self.folder.fd.as_raw_fd()).into()
    }

    /// Removes the socket, if it is there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self) -> Result<(), KernelError> {
        self.folder.remove_file(SOCKET)
    }
}
