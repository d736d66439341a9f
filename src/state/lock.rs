//! Locks: one file `lock` in each folder, locked with flock(2). The kernel gives it back when its holder dies.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::fstat;

use super::folder::{Folder, LOCK, PRIVATE_FILE, refused};
use crate::failpoint;
use crate::kernel::KernelError;

/// Held while a folder is read and changed; released when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<OwnedFd>,
}

impl Folder {
    /// A folder in `/run/nslab`, made if it is not there, and its lock, for which it waits.
    ///
    /// # Errors
    /// The folder or its lock cannot be made.
    pub(super) fn locked_folder(name: &str) -> Result<(Self, Lock), KernelError> {
        loop {
            let folder = Self::open().and_then(|state| state.make(name));
            let locked = folder.and_then(|folder| Ok((folder.locked(FlockArg::LockExclusive)?, folder)));
            match locked {
                Ok((Some(lock), folder)) => return Ok((folder, lock)),
                Ok((None, _)) => {}
                // The last holder of the lock has removed the folder meanwhile. (Unlike a `/run` that is missing.)
                Err(error) if error.errno() == Some(Errno::ENOENT) => drop(Self::run()?),
                Err(error) => return Err(error),
            }
        }
    }

    /// A folder in `/run/nslab` and its lock, for which it waits; none where the folder is not there, or is removed by
    /// the last holder of the lock.
    ///
    /// # Errors
    /// The folder or its lock cannot be opened.
    pub(super) fn locked_folder_if_any(name: &str) -> Result<Option<(Self, Lock)>, KernelError> {
        let folder = Self::find()?.map(|state| state.get(name)).transpose()?.flatten();
        let Some(folder) = folder else { return Ok(None) };
        match folder.locked(FlockArg::LockExclusive) {
            Ok(lock) => Ok(lock.map(|lock| (folder, lock))),
            Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes this folder's lock; none where another process holds it.
    ///
    /// # Errors
    /// The lock cannot be made or opened.
    pub(super) fn try_lock(&self) -> Result<Option<Lock>, KernelError> {
        self.locked(FlockArg::LockExclusiveNonblock)
    }

    fn locked(&self, how: FlockArg) -> Result<Option<Lock>, KernelError> {
        let refused = |errno| refused("lock", &self.path).with_errno(errno);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = failpoint::pass("make a lock file")
            .and_then(|()| openat(&self.fd, LOCK, flags, PRIVATE_FILE))
            .map_err(refused)?;
        match Flock::lock(fd, how) {
            // A lock on a file that was removed meanwhile locks nothing.
            Ok(file) => Ok((fstat(&*file).map_err(refused)?.st_nlink > 0).then_some(Lock { _file: file })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(refused(errno)),
        }
    }
}
