//! The files of a lab's programs: the socket of their supervisor, those that the topology file has for them, and their
//! output, one file each.
//!
//! A line of output begins with the time at which it did, in seconds since 1970, and a blank. A file that has become
//! too long becomes the old one, of which there is one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{Gid, Uid, fchown, getegid, geteuid};

use super::folder::{FILES, Folder, LOGS, PRIVATE_FILE, refused};
use crate::kernel::KernelError;
use crate::lab::{LabName, Position, ProgramRef};

/// The socket of the supervisor.
const SOCKET: &str = "supervisor";

/// The certificate and the key of the lab's authority.
const AUTHORITY: [&str; 2] = ["ca.crt", "ca.key"];

/// A file of output has at most so many bytes.
const LONGEST: u64 = 1 << 20;

/// The files of a program: their names and texts.
pub(crate) type Files = BTreeMap<String, String>;

/// Whose files are; none: nslab's own user's.
pub(crate) type Owner = Option<(Uid, Gid)>;

/// The folder of a lab, for what has to do with programs.
#[derive(Debug)]
pub(crate) struct ProgramFiles {
    folder: Folder,
}

impl ProgramFiles {
    /// Those of a lab; none where the lab has no folder.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub(crate) fn open(lab: &LabName) -> Result<Option<Self>, KernelError> {
        Ok(Folder::of_lab(lab)?.map(|folder| Self { folder }))
    }

    /// A path of the supervisor's socket, while this is held.
    pub(crate) fn socket(&self) -> PathBuf {
        format!("/proc/self/fd/{}/{SOCKET}", self.folder.fd.as_raw_fd()).into()
    }

    /// Removes the supervisor's socket.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove_socket(&self) -> Result<(), KernelError> {
        self.folder.remove_file(SOCKET)
    }

    /// Writes the files of a program into a folder of its own; both belong to the user that it runs as.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn write(&self, program: &ProgramRef, files: &Files, owner: Owner) -> Result<(), KernelError> {
        let folder = self.folder.make(FILES)?.make(program.ns.as_str())?.make(program.name.as_str())?;
        let refused = |errno| refused("give away", &folder.path).with_errno(errno);
        let (user, group) = owner.unwrap_or((geteuid(), getegid()));
        fchown(&folder.fd, Some(user), Some(group)).map_err(refused)?;
        for (name, text) in files {
            folder.put(name, text, owner)?;
        }
        Ok(())
    }

    /// The text of a file of a program; none where it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn text(&self, program: &ProgramRef, name: &str) -> Result<Option<String>, KernelError> {
        let Some(files) = self.folder.get(FILES)? else { return Ok(None) };
        let Some(of_namespace) = files.get(program.ns.as_str())? else { return Ok(None) };
        of_namespace.get(program.name.as_str())?.map_or(Ok(None), |folder| folder.read(name))
    }

    /// The certificate and the key of the authority that signs the certificates of the lab's programs.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn authority(&self) -> Result<Option<[String; 2]>, KernelError> {
        let [certificate, key] = [self.folder.read(AUTHORITY[0])?, self.folder.read(AUTHORITY[1])?];
        Ok(certificate.zip(key).map(<[String; 2]>::from))
    }

    /// Keeps the certificate of that authority, for whoever asks programs, and its key.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn set_authority(&self, certificate: &str, key: &str) -> Result<(), KernelError> {
        self.folder.put(AUTHORITY[0], certificate, None)?;
        self.folder.put(AUTHORITY[1], key, None)
    }

    /// The folder that [`Self::write`] has made.
    pub(crate) fn folder_of(&self, program: &ProgramRef) -> Option<OwnedFd> {
        let files = self.folder.get(FILES).ok()??.get(program.ns.as_str()).ok()??;
        Some(files.get(program.name.as_str()).ok()??.fd)
    }

    /// Removes one file of a program, or, without a name, all, with whatever it has put there itself.
    ///
    /// # Errors
    /// They cannot be removed.
    pub(crate) fn remove(&self, program: &ProgramRef, name: Option<&str>) -> Result<(), KernelError> {
        let Some(files) = self.folder.get(FILES)? else { return Ok(()) };
        let Some(of_namespace) = files.get(program.ns.as_str())? else { return Ok(()) };
        if let Some(name) = name {
            let folder = of_namespace.get(program.name.as_str())?;
            return folder.map_or(Ok(()), |folder| folder.remove_tree(name));
        }
        of_namespace.remove_tree(program.name.as_str())?;
        files.remove_folder_if_empty(program.ns.as_str())?;
        self.folder.remove_folder_if_empty(FILES)
    }

    /// The file of a program's output, to write to its end.
    ///
    /// # Errors
    /// It cannot be made or opened.
    pub(crate) fn log(&self, program: &ProgramRef) -> Result<Log, KernelError> {
        let folder = self.folder.make(LOGS)?.make(program.ns.as_str())?;
        let name = program.name.as_str().to_owned();
        let (file, size) = open_log(&folder, &name)?;
        Ok(Log { folder, name, file, size, is_in_line: false })
    }

    /// The output of a program behind a position, which moves to the end: of the old file and the present one.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub(crate) fn output(&self, program: &ProgramRef, position: &mut Position) -> Result<Vec<u8>, KernelError> {
        let folder = self.folder.get(LOGS)?.map(|logs| logs.get(program.ns.as_str())).transpose()?.flatten();
        let Some(folder) = folder else { return Ok(Vec::new()) };
        let name = program.name.as_str();
        let present = open_to_read(&folder, name)?;
        let mut output = Vec::new();
        if present.as_ref().is_none_or(|(_, file)| *file != position.file)
            && let Some((old, file)) = open_to_read(&folder, &old(name))?
        {
            let offset = if file == position.file { position.offset } else { 0 };
            read(old, offset, &mut output).map_err(|error| refused("read", &folder.below(name)).with_io(&error))?;
        }
        if let Some((present, file)) = present {
            if file != position.file {
                *position = Position { file, offset: 0 };
            }
            let read = read(present, position.offset, &mut output);
            position.offset += read.map_err(|error| refused("read", &folder.below(name)).with_io(&error))?;
        }
        Ok(output)
    }
}

/// The file of a program's output.
#[derive(Debug)]
pub(crate) struct Log {
    folder: Folder,
    name: String,
    file: File,
    size: u64,
    /// Whether what was written last does not end with a line.
    is_in_line: bool,
}

impl Log {
    /// Where it ends now.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(crate) fn end(&self) -> nix::Result<Position> {
        Ok(Position { file: fstat(&self.file)?.st_ino, offset: self.size })
    }

    /// Adds output. What cannot be written is lost: a program does not wait for its log.
    pub(crate) fn write(&mut self, output: &[u8]) {
        if self.size > 0 && self.size + output.len() as u64 > LONGEST {
            self.end_line();
            self.begin_anew();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let time = format!("{}.{:03} ", now.as_secs(), now.subsec_millis());
        let mut text = Vec::with_capacity(output.len() + time.len());
        for line in output.split_inclusive(|byte| *byte == b'\n') {
            if !self.is_in_line {
                text.extend_from_slice(time.as_bytes());
            }
            text.extend_from_slice(line);
            self.is_in_line = !line.ends_with(b"\n");
        }
        self.write_raw(&text);
    }

    /// Ends a line that has begun.
    pub(crate) fn end_line(&mut self) {
        if std::mem::take(&mut self.is_in_line) {
            self.write_raw(b"\n");
        }
    }

    fn write_raw(&mut self, text: &[u8]) {
        if self.file.write_all(text).is_ok() {
            self.size += text.len() as u64;
        }
    }

    /// The present file becomes the old one.
    fn begin_anew(&mut self) {
        let renamed = renameat(&self.folder.fd, self.name.as_str(), &self.folder.fd, old(&self.name).as_str());
        if (renamed.is_ok() || renamed == Err(Errno::ENOENT))
            && let Ok((file, size)) = open_log(&self.folder, &self.name)
        {
            (self.file, self.size) = (file, size);
        }
    }
}

/// The name of the old file. No program has a name with a dot.
fn old(name: &str) -> String {
    format!("{name}.old")
}

fn open_log(folder: &Folder, name: &str) -> Result<(File, u64), KernelError> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_APPEND | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let fd = openat(&folder.fd, name, flags | OFlag::O_NONBLOCK, PRIVATE_FILE)
        .map_err(|errno| folder.because("open", name, SFlag::S_IFREG, errno))?;
    let stat = fstat(&fd).map_err(|errno| refused("look at", &folder.below(name)).with_errno(errno))?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(folder.because("open", name, SFlag::S_IFREG, Errno::EINVAL));
    }
    Ok((File::from(fd), u64::try_from(stat.st_size).unwrap_or_default()))
}

/// A file of output, and its number; none where there is none.
fn open_to_read(folder: &Folder, name: &str) -> Result<Option<(File, u64)>, KernelError> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let fd = match openat(&folder.fd, name, flags, PRIVATE_FILE) {
        Ok(fd) => fd,
        Err(Errno::ENOENT | Errno::ELOOP | Errno::ENXIO) => return Ok(None),
        Err(errno) => return Err(refused("read", &folder.below(name)).with_errno(errno)),
    };
    let stat = fstat(&fd).map_err(|errno| refused("look at", &folder.below(name)).with_errno(errno))?;
    let is_file = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    Ok(is_file.then(|| (File::from(fd), stat.st_ino)))
}

/// Reads a file from an offset on; how much that was.
fn read(mut file: File, offset: u64, output: &mut Vec<u8>) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(offset))?;
    Ok(file.take(2 * LONGEST).read_to_end(output)? as u64)
}
