//! Locks: one file `lock` in each folder, locked with flock(2). The kernel gives it back when its holder dies.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::fstat;

use super::folder::{Folder, LOCK, PRIVATE_FILE, refused};
use crate::failpoint;
use crate::kernel::{KernelError, wait};

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
            let locked = folder.and_then(|folder| Ok((folder.wait_for_lock()?, folder)));
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
        match folder.wait_for_lock() {
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
        match Flock::lock(self.lock_file()?, FlockArg::LockExclusiveNonblock) {
            Ok(file) => self.still_there(file),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(refused("lock", &self.path).with_errno(errno)),
        }
    }

    /// Waits for this folder's lock; none where its last holder has removed it.
    fn wait_for_lock(&self) -> Result<Option<Lock>, KernelError> {
        let file = wait::lock(self.lock_file()?, &format!("lock {}", self.path))?;
        self.still_there(file)
    }

    fn lock_file(&self) -> Result<OwnedFd, KernelError> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        failpoint::pass("make a lock file")
            .and_then(|()| openat(&self.fd, LOCK, flags, PRIVATE_FILE))
            .map_err(|errno| refused("lock", &self.path).with_errno(errno))
    }

    /// A lock on a file that was removed meanwhile locks nothing.
    fn still_there(&self, file: Flock<OwnedFd>) -> Result<Option<Lock>, KernelError> {
        let stat = fstat(&*file).map_err(|errno| refused("lock", &self.path).with_errno(errno))?;
        Ok((stat.st_nlink > 0).then_some(Lock { _file: file }))
    }
}
