//! Locks: one file `lock` in each folder, locked with flock(2). The kernel gives it back when its holder dies.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, fstat};

use super::folder::{FOLDER, Folder, LOCK, PRIVATE_FILE, refused};
use crate::failpoint;
use crate::kernel::{KernelError, wait};

/// Held while a folder is read and changed; released when dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    // The file is given back first: who waits for the folder finds it free.
    _file: Option<Flock<OwnedFd>>,
    _folder: Flock<OwnedFd>,
    /// Whether there may be folders in the folder.
    pub(super) has_folders: bool,
}

impl Folder {
    /// A folder in `/run/nslab`, made if it is not there, and its lock, for which it waits.
    ///
    /// # Errors
    /// The folder or its lock cannot be made.
    pub(super) fn locked_folder(name: &str) -> Result<(Self, Lock), KernelError> {
        loop {
            let folder = Self::open().and_then(|state| state.make(name));
            let locked = folder.and_then(|folder| Ok((folder.locked(Waits::Yes)?, folder)));
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
        let folder = Self::find_sound()?.map(|state| state.get(name)).transpose()?.flatten();
        let Some(folder) = folder else { return Ok(None) };
        match folder.locked(Waits::Yes) {
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
        self.locked(Waits::No)
    }

    /// The same of the folder alone, without the file in it.
    ///
    /// # Errors
    /// It cannot be locked.
    pub(super) fn try_lock_itself(&self) -> Result<Option<Lock>, KernelError> {
        let folder = self.flock(Waits::No)?;
        Ok(folder.map(|(folder, has_folders)| Lock { _file: None, _folder: folder, has_folders }))
    }

    /// The same; waits for it.
    ///
    /// # Errors
    /// It cannot be locked.
    pub(super) fn lock_itself(&self) -> Result<Option<Lock>, KernelError> {
        let folder = self.flock(Waits::Yes)?;
        Ok(folder.map(|(folder, has_folders)| Lock { _file: None, _folder: folder, has_folders }))
    }

    fn flock(&self, waits: Waits) -> Result<Option<(Flock<OwnedFd>, bool)>, KernelError> {
        let again = openat(&self.fd, ".", FOLDER, Mode::empty());
        self.flock_of(again.map_err(|errno| refused("lock", &self.path).with_errno(errno))?, waits)
    }

    /// The folder itself is locked, which needs nothing to be written, and then the file in it, where there can be one.
    fn locked(&self, waits: Waits) -> Result<Option<Lock>, KernelError> {
        let refused = |errno| refused("lock", &self.path).with_errno(errno);
        let Some((folder, has_folders)) = self.flock(waits)? else { return Ok(None) };
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let opened = failpoint::pass("make a lock file").and_then(|()| openat(&self.fd, LOCK, flags, PRIVATE_FILE));
        let fd = match opened {
            Ok(fd) => fd,
            // No room, no leave to write, or something else in its place (a folder, a link, a socket).
            Err(Errno::ENOSPC | Errno::EDQUOT | Errno::EROFS | Errno::EISDIR | Errno::ELOOP | Errno::ENXIO) => {
                return Ok(Some(Lock { _folder: folder, _file: None, has_folders }));
            }
            Err(errno) => return Err(refused(errno)),
        };
        let file = self.flock_of(fd, waits)?;
        Ok(file.map(|(file, _)| Lock { _folder: folder, _file: Some(file), has_folders }))
    }

    /// Locks a file; none where another process holds it and this one does not wait, or where it was removed meanwhile:
    /// that locks nothing. And, of a folder, whether there may be others in it: most file systems count those.
    fn flock_of(&self, fd: OwnedFd, waits: Waits) -> Result<Option<(Flock<OwnedFd>, bool)>, KernelError> {
        let refused = |errno| refused("lock", &self.path).with_errno(errno);
        let file = match waits {
            Waits::Yes => wait::lock(fd, &format!("lock {}", self.path))?,
            Waits::No => match Flock::lock(fd, FlockArg::LockExclusiveNonblock) {
                Ok(file) => file,
                Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
                Err((_, errno)) => return Err(refused(errno)),
            },
        };
        let links = fstat(&*file).map_err(refused)?.st_nlink;
        Ok((links > 0).then_some((file, links != 2)))
    }
}

/// Whether one waits for who has a lock.
#[derive(Debug, Clone, Copy)]
enum Waits {
    Yes,
    No,
}
