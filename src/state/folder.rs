//! Folders at or below `/run/nslab`, opened so that no link can lead root elsewhere.
//!
//! Every folder is held by its descriptor and entered without following links; `/run/nslab` itself belongs to the
//! user that nslab runs as (root) with mode 0700. This file knows nothing of what is kept there.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, geteuid, unlinkat};

use crate::failpoint;
use crate::kernel::{KernelCode, KernelError};

/// A folder at or below `/run/nslab`.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) fd: OwnedFd,
    pub(super) path: String,
}

const NAME: &str = "nslab";
/// The name of the lock in each folder.
pub(super) const LOCK: &str = "lock";
const FOLDER: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const PRIVATE_FOLDER: Mode = Mode::S_IRWXU;
pub(super) const PRIVATE_FILE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);

impl Folder {
    /// `/run/nslab`, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made or opened, or belongs to another user.
    pub(super) fn open() -> Result<Self, KernelError> {
        let state = Self::run()?.make(NAME)?;
        state.keep_private()?;
        Ok(state)
    }

    /// `/run/nslab`; none where it is not there.
    ///
    /// # Errors
    /// It cannot be opened, or belongs to another user.
    pub(super) fn find() -> Result<Option<Self>, KernelError> {
        let state = Self::run()?.get(NAME)?;
        state.as_ref().map_or(Ok(()), Self::keep_private)?;
        Ok(state)
    }

    /// `/run`.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn run() -> Result<Self, KernelError> {
        let path = "/run".to_owned();
        let fd = open("/run", FOLDER, Mode::empty()).map_err(|errno| refused("open", &path).with_errno(errno))?;
        Ok(Self { fd, path })
    }

    fn keep_private(&self) -> Result<(), KernelError> {
        let stat = fstat(&self.fd).map_err(|errno| refused("look at", &self.path).with_errno(errno))?;
        if stat.st_uid != geteuid().as_raw() {
            return Err(refused("trust", &self.path)
                .said(format!("it belongs to user {}", stat.st_uid))
                .with_code(KernelCode::UntrustedState)
                .hint("nslab keeps its state there and must be its owner; remove it"));
        }
        if stat.st_mode & 0o077 != 0 {
            fchmod(&self.fd, PRIVATE_FOLDER).map_err(|errno| refused("make private", &self.path).with_errno(errno))?;
        }
        Ok(())
    }

    /// A folder in this one, made if it is not there.
    ///
    /// # Errors
    /// It cannot be made or opened.
    pub(super) fn make(&self, name: &str) -> Result<Self, KernelError> {
        let pass = || failpoint::pass("make a folder of the state");
        match pass().and_then(|()| mkdirat(&self.fd, name, PRIVATE_FOLDER)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(refused("make", &self.below(name)).with_errno(errno)),
        }
        self.get(name)?.ok_or_else(|| refused("open", &self.below(name)).with_errno(Errno::ENOENT))
    }

    /// A folder in this one; none where it is not there.
    ///
    /// # Errors
    /// It is there and cannot be opened.
    pub(super) fn get(&self, name: &str) -> Result<Option<Self>, KernelError> {
        match openat(&self.fd, name, FOLDER, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.below(name) })),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(refused("open", &self.below(name)).with_errno(errno)),
        }
    }

    /// Whether this folder holds something of that name.
    ///
    /// # Errors
    /// The folder cannot be looked into.
    pub(super) fn holds(&self, name: &str) -> Result<bool, KernelError> {
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(refused("look at", &self.below(name)).with_errno(errno)),
        }
    }

    /// The names of what is in this folder.
    ///
    /// # Errors
    /// The folder cannot be listed.
    pub(super) fn names(&self) -> Result<Vec<String>, KernelError> {
        let listing = |errno| refused("list", &self.path).with_errno(errno);
        let mut names = Vec::new();
        let mut dir = match Dir::openat(&self.fd, ".", FOLDER, Mode::empty()) {
            // Removed since it was opened.
            Err(Errno::ENOENT) => return Ok(names),
            opened => opened.map_err(listing)?,
        };
        for entry in dir.iter() {
            let entry = match entry {
                Err(Errno::ENOENT) => break,
                read => read.map_err(listing)?,
            };
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The text of a file in this folder; none where it is not there.
    ///
    /// # Errors
    /// The file is there and cannot be read, or is not UTF-8.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, KernelError> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(refused("read", &self.below(name)).with_errno(errno)),
        };
        let mut text = String::new();
        match File::from(fd).read_to_string(&mut text) {
            Ok(_) => Ok(Some(text)),
            Err(error) => Err(refused("read", &self.below(name)).said(error.to_string())),
        }
    }

    /// Writes a file as a whole: a reader sees all of it or nothing, even after a crash.
    ///
    /// # Errors
    /// The file cannot be written; it then is what it was.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), KernelError> {
        let refused = || refused("write", &self.below(name));
        let temporary = temporary(name);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = failpoint::pass("write a file of the state")
            .and_then(|()| openat(&self.fd, temporary.as_str(), flags, PRIVATE_FILE))
            .map_err(|errno| refused().with_errno(errno))?;
        let mut file = File::from(fd);
        file.write_all(text.as_bytes()).map_err(|error| refused().said(error.to_string()))?;
        fsync(&file).map_err(|errno| refused().with_errno(errno))?;
        failpoint::pass("put a file of the state in its place")
            .and_then(|()| renameat(&self.fd, temporary.as_str(), &self.fd, name))
            .map_err(|errno| refused().with_errno(errno))?;
        fsync(&self.fd).map_err(|errno| refused().with_errno(errno))
    }

    /// Writes a line to a file without a temporary one, where nothing else may be in the folder. What counts is that
    /// the file exists: a crash may leave it empty.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write_line(&self, name: &str, line: &str) -> Result<(), KernelError> {
        let refused = || refused("write", &self.below(name));
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened =
            failpoint::pass("make a file of the state").and_then(|()| openat(&self.fd, name, flags, PRIVATE_FILE));
        let fd = opened.map_err(|errno| refused().with_errno(errno))?;
        let written = File::from(fd).write_all(format!("{line}\n").as_bytes());
        written.map_err(|error| refused().said(error.to_string()))
    }

    /// Removes a file, and what a crash may have left of writing it; one that is not there is no error.
    ///
    /// # Errors
    /// The file is there and cannot be removed.
    pub(super) fn remove_file(&self, name: &str) -> Result<(), KernelError> {
        self.remove(&temporary(name), UnlinkatFlags::NoRemoveDir)?;
        self.remove(name, UnlinkatFlags::NoRemoveDir)
    }

    /// Removes an empty folder; one that is not there is no error.
    ///
    /// # Errors
    /// The folder is there and cannot be removed: `ENOTEMPTY` where something is in it.
    pub(super) fn remove_folder(&self, name: &str) -> Result<(), KernelError> {
        self.remove(name, UnlinkatFlags::RemoveDir)
    }

    fn remove(&self, name: &str, flag: UnlinkatFlags) -> Result<(), KernelError> {
        match failpoint::pass("remove from the state").and_then(|()| unlinkat(&self.fd, name, flag)) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(refused("remove", &self.below(name)).with_errno(errno)),
        }
    }

    /// Removes a folder in this one with the files in it. Its lock, which the caller holds, goes last: another nslab
    /// that takes the lock as soon as it is free keeps the folder.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub(super) fn remove_with_files(&self, name: &str) -> Result<(), KernelError> {
        let Some(folder) = self.get(name)? else { return Ok(()) };
        for file in folder.names()?.iter().filter(|file| *file != LOCK) {
            folder.remove(file, UnlinkatFlags::NoRemoveDir)?;
        }
        folder.remove_file(LOCK)?;
        match self.remove_folder(name) {
            Err(error) if error.errno() == Some(Errno::ENOTEMPTY) => Ok(()),
            other => other,
        }
    }

    /// Removes a folder in this one if nothing but its lock, which the caller holds, is in it.
    ///
    /// # Errors
    /// The folder cannot be listed, or something in it not be removed.
    pub(super) fn remove_if_idle(&self, name: &str) -> Result<(), KernelError> {
        match self.get(name)? {
            Some(folder) if folder.names()?.iter().all(|file| file == LOCK) => self.remove_with_files(name),
            _ => Ok(()),
        }
    }

    /// Removes `/run/nslab` if it is empty, unless it is a mount point (`EBUSY`).
    ///
    /// # Errors
    /// It cannot be removed for another reason than that.
    pub(super) fn remove_root_if_empty() -> Result<(), KernelError> {
        match Self::run()?.remove_folder(NAME) {
            Err(error) if matches!(error.errno(), Some(Errno::ENOTEMPTY | Errno::EBUSY)) => Ok(()),
            other => other,
        }
    }

    fn below(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

fn temporary(name: &str) -> String {
    format!(".{name}.new")
}

pub(super) fn refused(verb: &str, path: &str) -> KernelError {
    KernelError::new(format!("{verb} {path}"))
}
