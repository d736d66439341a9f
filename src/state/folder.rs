//! Folders at or below `/run/nslab`, opened so that no link can lead root elsewhere.
//!
//! Every folder is held by its descriptor and entered without following links; `/run/nslab` itself belongs to the
//! user that nslab runs as (root) with mode 0700. This file knows nothing of what is kept there.
//!
//! What somebody has put where a file or a folder of nslab's belongs (a link, a FIFO, a folder) is as good as nothing
//! for who reads, and never opened for longer than it takes to see that; `oddities.rs` tells of it. Who writes is
//! refused, in words.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, geteuid, unlinkat};

use super::tree;
pub(super) use super::tree::FOLDER;
use crate::failpoint;
use crate::kernel::{KernelCode, KernelError};
use crate::lab::LabName;

/// A folder at or below `/run/nslab`.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) fd: OwnedFd,
    pub(super) path: String,
}

const NAME: &str = "nslab";
/// The folder in that of a lab in which what its programs find in `/etc` is.
pub(super) const ETC: &str = "etc";
/// The folder of a lab in which the output of its programs is.
pub(super) const LOGS: &str = "logs";
/// The folder of a lab in which the files of its programs are.
pub(super) const FILES: &str = "files";
/// The folder of a lab in which the private keys of its WireGuard interfaces are.
pub(super) const WIREGUARD: &str = "wireguard";
/// The name of the lock in each folder.
pub(super) const LOCK: &str = "lock";
/// No file of nslab's is longer, in bytes.
const LONGEST: u64 = 64 << 20;
const PRIVATE_FOLDER: Mode = Mode::S_IRWXU;
const PUBLIC_FILE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR).union(Mode::S_IRGRP).union(Mode::S_IROTH);
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
        let run = Self::run()?;
        let state = run.get(NAME)?;
        match &state {
            Some(state) => state.keep_private()?,
            None if run.holds(NAME)? => return Err(run.because("open", NAME, SFlag::S_IFDIR, Errno::ENOTDIR)),
            None => {}
        }
        Ok(state)
    }

    /// The same for who reads; none also where something else is in its place, or it belongs to another user.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn find_sound() -> Result<Option<Self>, KernelError> {
        match Self::find() {
            Err(error) if matches!(error.code(), KernelCode::OddState | KernelCode::UntrustedState) => Ok(None),
            found => found,
        }
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
            Err(errno) => return Err(cannot_make(&self.below(name), errno)),
        }
        self.get(name)?.ok_or_else(|| self.because("open", name, SFlag::S_IFDIR, Errno::ENOENT))
    }

    /// A folder in this one; none where it is not there, or something else is in its place.
    ///
    /// # Errors
    /// It is there and cannot be opened.
    pub(super) fn get(&self, name: &str) -> Result<Option<Self>, KernelError> {
        match openat(&self.fd, name, FOLDER, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.below(name) })),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(None),
            Err(errno) => Err(refused("open", &self.below(name)).with_errno(errno)),
        }
    }

    /// What there is in this folder under a name; none where there is nothing.
    ///
    /// # Errors
    /// The folder cannot be looked into.
    pub(super) fn kind(&self, name: &str) -> Result<Option<SFlag>, KernelError> {
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(refused("look at", &self.below(name)).with_errno(errno)),
        }
    }

    /// Why something could not be done with what has a name here: what is in its place, or else the error number.
    pub(super) fn because(&self, verb: &str, name: &str, belongs: SFlag, errno: Errno) -> KernelError {
        match self.kind(name) {
            Ok(Some(kind)) if kind != belongs => in_the_way(verb, &self.below(name), kind),
            _ => refused(verb, &self.below(name)).with_errno(errno),
        }
    }

    /// Whether this folder holds something of that name.
    ///
    /// # Errors
    /// The folder cannot be looked into.
    pub(super) fn holds(&self, name: &str) -> Result<bool, KernelError> {
        Ok(self.kind(name)?.is_some())
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

    /// The text of a file in this folder; none where it is not there, or is no text, or something else is in its
    /// place.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub(super) fn read(&self, name: &str) -> Result<Option<String>, KernelError> {
        Ok(self.look(name)?.and_then(Result::ok))
    }

    /// The text of a file in this folder, or why there is none although something has that name.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub(super) fn look(&self, name: &str) -> Result<Option<Result<String, KernelError>>, KernelError> {
        let path = self.below(name);
        // Not waiting for a writer, should there be a FIFO.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno @ (Errno::ELOOP | Errno::ENXIO | Errno::ENODEV)) => {
                return Ok(Some(Err(self.because("read", name, SFlag::S_IFREG, errno))));
            }
            Err(errno) => return Err(refused("read", &path).with_errno(errno)),
        };
        let stat = fstat(&fd).map_err(|errno| refused("look at", &path).with_errno(errno))?;
        let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        if kind != SFlag::S_IFREG {
            return Ok(Some(Err(in_the_way("read", &path, kind))));
        }
        let mut bytes = Vec::new();
        let read = File::from(fd).take(LONGEST + 1).read_to_end(&mut bytes);
        read.map_err(|error| refused("read", &path).with_io(&error))?;
        if bytes.len() as u64 > LONGEST {
            return Ok(Some(Err(odd("read", &path, "it is larger than anything that nslab writes"))));
        }
        Ok(Some(String::from_utf8(bytes).map_err(|_| odd("read", &path, "it is not text"))))
    }

    /// Writes a file as a whole: a reader sees all of it or nothing, even after a crash.
    ///
    /// # Errors
    /// The file cannot be written; it then is what it was.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), KernelError> {
        let refused = |errno| refused("write", &self.below(name)).with_errno(errno);
        let file = self.write_temporary(name, text)?;
        fsync(&file).map_err(refused)?;
        self.put_in_place(name)?;
        fsync(&self.fd).map_err(refused)
    }

    /// The same for a file that need not outlive a crash, and may belong to another user.
    ///
    /// # Errors
    /// As with [`Self::write`].
    pub(super) fn put(&self, name: &str, text: &str, owner: Option<(Uid, Gid)>) -> Result<(), KernelError> {
        let file = self.write_temporary(name, text)?;
        if let Some((user, group)) = owner {
            let given = fchown(&file, Some(user), Some(group));
            given.map_err(|errno| refused("give away", &self.below(name)).with_errno(errno))?;
        }
        self.put_in_place(name)
    }

    fn write_temporary(&self, name: &str, text: &str) -> Result<File, KernelError> {
        let refused = || refused("write", &self.below(name));
        let temporary = temporary(name);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let open = || match openat(&self.fd, temporary.as_str(), flags, PRIVATE_FILE) {
            // What a kill has left, or somebody has put there.
            Err(Errno::EEXIST) => unlinkat(&self.fd, temporary.as_str(), UnlinkatFlags::NoRemoveDir)
                .and_then(|()| openat(&self.fd, temporary.as_str(), flags, PRIVATE_FILE)),
            opened => opened,
        };
        let fd = failpoint::pass("write a file of the state")
            .and_then(|()| open())
            .map_err(|errno| refused().with_errno(errno))?;
        let mut file = File::from(fd);
        file.write_all(text.as_bytes()).map_err(|error| refused().with_io(&error))?;
        Ok(file)
    }

    fn put_in_place(&self, name: &str) -> Result<(), KernelError> {
        failpoint::pass("put a file of the state in its place")
            .and_then(|()| renameat(&self.fd, temporary(name).as_str(), &self.fd, name))
            .map_err(|errno| self.because("write", name, SFlag::S_IFREG, errno))
    }

    /// Writes a line to a file without a temporary one, where nothing else may be in the folder. What counts is that
    /// the file exists: a crash may leave it empty.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write_line(&self, name: &str, line: &str) -> Result<(), KernelError> {
        let wanted = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NONBLOCK;
        let flags = wanted | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened =
            failpoint::pass("make a file of the state").and_then(|()| openat(&self.fd, name, flags, PRIVATE_FILE));
        let fd = opened.map_err(|errno| self.because("write", name, SFlag::S_IFREG, errno))?;
        let written = File::from(fd).write_all(format!("{line}\n").as_bytes());
        written.map_err(|error| refused("write", &self.below(name)).with_io(&error))
    }

    /// Writes a file that everybody may read, in place: who has it open, or mounted, sees the new text.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn rewrite(&self, name: &str, text: &str) -> Result<(), KernelError> {
        let wanted = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_NONBLOCK;
        let flags = wanted | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = failpoint::pass("write a file of /etc")
            .and_then(|()| openat(&self.fd, name, flags, PUBLIC_FILE))
            .and_then(|fd| fchmod(&fd, PUBLIC_FILE).map(|()| fd));
        let fd = opened.map_err(|errno| self.because("write", name, SFlag::S_IFREG, errno))?;
        let written = File::from(fd).write_all(text.as_bytes());
        written.map_err(|error| refused("write", &self.below(name)).with_io(&error))
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

    /// The same, and one in which something is stays.
    ///
    /// # Errors
    /// As with [`Self::remove_folder`].
    pub(super) fn remove_folder_if_empty(&self, name: &str) -> Result<(), KernelError> {
        match self.remove_folder(name) {
            Err(error) if error.errno() == Some(Errno::ENOTEMPTY) => Ok(()),
            other => other,
        }
    }

    fn remove(&self, name: &str, flag: UnlinkatFlags) -> Result<(), KernelError> {
        let unlink = || match (unlinkat(&self.fd, name, flag), flag) {
            // A folder where a file belongs goes if it is empty, and what is no folder where one belongs: the folders
            // of nslab are private to root.
            (Err(Errno::EISDIR), UnlinkatFlags::NoRemoveDir) => unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir),
            (Err(Errno::ENOTDIR), UnlinkatFlags::RemoveDir) => unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir),
            (unlinked, _) => unlinked,
        };
        match failpoint::pass("remove from the state").and_then(|()| unlink()) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            // A read-only file system says so of what is not there, too.
            Err(Errno::EROFS) if !self.holds(name)? => Ok(()),
            Err(errno) => Err(refused("remove", &self.below(name)).with_errno(errno)),
        }
    }

    /// Removes a folder in this one with the files in it. Its lock, which the caller holds, goes last: another nslab
    /// that takes the lock as soon as it is free keeps the folder.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub(super) fn remove_with_files(&self, name: &str) -> Result<(), KernelError> {
        let Some(folder) = self.get(name)? else { return self.remove_folder(name) };
        let mut removed = Ok(());
        for file in folder.names()?.iter().filter(|file| *file != LOCK) {
            removed = removed.and(match [ETC, FILES, LOGS, WIREGUARD].contains(&file.as_str()) {
                true => folder.remove_tree(file),
                false => folder.remove(file, UnlinkatFlags::NoRemoveDir),
            });
        }
        removed?;
        folder.remove_file(LOCK)?;
        match self.remove_folder(name) {
            Err(error) if error.errno() == Some(Errno::ENOTEMPTY) => Ok(()),
            other => other,
        }
    }

    /// Removes a folder in this one with all that is in it.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub(super) fn remove_tree(&self, name: &str) -> Result<(), KernelError> {
        let Some(folder) = self.get(name)? else { return self.remove(name, UnlinkatFlags::NoRemoveDir) };
        tree::clear(&folder.fd).map_err(|errno| refused("remove", &folder.path).with_errno(errno))?;
        self.remove_folder(name)
    }

    /// Removes a folder in this one if nothing but its lock, which the caller holds, is in it.
    ///
    /// # Errors
    /// The folder cannot be listed, or something in it not be removed.
    pub(super) fn remove_if_idle(&self, name: &str) -> Result<(), KernelError> {
        match self.get(name)? {
            Some(folder) if folder.names()?.iter().all(|file| file == LOCK) => self.remove_with_files(name),
            Some(_) => Ok(()),
            None => self.remove_folder(name),
        }
    }

    /// Removes `/run/nslab` if it is empty, unless it is a mount point (`EBUSY`).
    ///
    /// # Errors
    /// It cannot be removed for another reason than that.
    pub(super) fn remove_root_if_empty() -> Result<(), KernelError> {
        let run = Self::run()?;
        // Whatever else is in its place is somebody's own.
        if run.kind(NAME)? != Some(SFlag::S_IFDIR) {
            return Ok(());
        }
        match run.remove_folder(NAME) {
            Err(error) if matches!(error.errno(), Some(Errno::ENOTEMPTY | Errno::EBUSY)) => Ok(()),
            // A read-only /run, or a mount point in one; what is in it has been removed.
            Err(error) if error.errno() == Some(Errno::EROFS) => Ok(()),
            other => other,
        }
    }

    /// The folder of a lab; none where it has none.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn of_lab(lab: &LabName) -> Result<Option<Self>, KernelError> {
        Self::find_sound()?.map_or(Ok(None), |root| root.get(lab.as_str()))
    }

    /// The path of something in this folder.
    pub(super) fn below(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

fn temporary(name: &str) -> String {
    format!(".{name}.new")
}

/// What a thing in the place of another is, in words.
fn in_the_way(verb: &str, path: &str, kind: SFlag) -> KernelError {
    let what = match kind {
        SFlag::S_IFDIR => "it is a folder",
        SFlag::S_IFLNK => "it is a symbolic link",
        SFlag::S_IFIFO => "it is a FIFO",
        SFlag::S_IFSOCK => "it is a socket",
        SFlag::S_IFREG => "it is a file",
        _ => "it is a device",
    };
    odd(verb, path, what)
}

/// Something that is not what nslab keeps there.
pub(super) fn odd(verb: &str, path: &str, why: &str) -> KernelError {
    refused(verb, path).said(why).with_code(KernelCode::OddState)
}

/// That a folder cannot be made, and what helps where what it is to be in cannot be written.
fn cannot_make(path: &str, errno: Errno) -> KernelError {
    let error = refused("make", path).with_errno(errno);
    match errno {
        Errno::EROFS => error
            .hint("mount a writable /run (in a container: --tmpfs /run), or use `nslab test`, which brings its own"),
        _ => error,
    }
}

pub(super) fn refused(verb: &str, path: &str) -> KernelError {
    KernelError::new(format!("{verb} {path}"))
}
