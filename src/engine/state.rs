//! What nslab keeps about a lab while it lives, in `/run/nslab/LAB`: its lock, its journal, its topology.
//!
//! All of it is gone after a reboot, as the namespaces are. None of it is needed to remove a lab: the marks in the
//! kernel say what is whose.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;

use super::{EngineError, Event, Interrupts, Listener, UndoError};
use crate::lab::LabName;

/// Where the state of all labs is kept.
pub const STATE_DIR: &str = "/run/nslab";

/// What is written and synced before the first change.
#[derive(Debug, Serialize)]
pub struct Journal<'a> {
    /// The lab.
    pub lab: &'a LabName,
    /// What is being done: `applying`, `applied` or `destroying`.
    pub doing: &'static str,
    /// The boot in which it is true (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// The process that does it.
    pub pid: u32,
    /// The steps, in words.
    pub steps: Vec<String>,
}

/// A lab's folder, locked for us.
#[derive(Debug)]
pub struct LabState {
    dir: PathBuf,
    // Held until the state is dropped.
    _lock: Lock,
}

/// The lock of a lab.
pub type Lock = Flock<File>;

fn failed(path: &Path) -> impl FnOnce(io::Error) -> EngineError {
    let path = path.to_owned();
    |source| EngineError::State { path, source }
}

/// Makes a folder that only root can look into, or makes sure that the one there is such a folder.
fn private_folder(path: &Path) -> Result<(), EngineError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(path)(error)),
    }
    let is = fs::symlink_metadata(path).map_err(failed(path))?;
    let private = is.is_dir() && is.uid() == nix::unistd::geteuid().as_raw() && is.mode() & 0o022 == 0;
    if private { Ok(()) } else { Err(failed(path)(io::Error::other("it is not a folder that only root can change"))) }
}

impl LabState {
    /// Takes a lab's lock, making its folder if need be. Where somebody else has it: waits, or with `wait` off says so.
    pub fn lock(lab: &LabName, wait: bool, stop: &mut Interrupts, tell: Listener<'_>) -> Result<Self, EngineError> {
        let root = Path::new(STATE_DIR);
        let dir = root.join(lab.as_str());
        let mut told = false;
        loop {
            private_folder(root)?;
            private_folder(&dir)?;
            let path = dir.join("lock");
            let file = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
                .open(&path);
            let file = match file {
                // The folder has just been removed with the lab: begin again.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(failed(&path))?,
            };
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                // A lock on a file that was removed meanwhile locks nothing.
                Ok(lock) if lock.metadata().map_err(failed(&path))?.nlink() > 0 => {
                    return Ok(Self { dir, _lock: lock });
                }
                Ok(_) => {}
                Err(_) if !wait => return Err(EngineError::Busy(lab.clone())),
                Err(_) => {
                    if !std::mem::replace(&mut told, true) {
                        tell(Event::Waiting);
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            if let Some(signal) = stop.pending() {
                return Err(EngineError::Interrupted { signal, undo: UndoError::default() });
            }
        }
    }

    /// Writes the journal; it is on the disk when this returns.
    pub fn write_journal(&self, journal: &Journal<'_>) -> Result<(), EngineError> {
        let text = serde_json::to_string_pretty(journal).unwrap_or_default();
        self.write("journal.json", &text)
    }

    /// Keeps the topology as applied.
    pub fn write_topology(&self, text: &str) -> Result<(), EngineError> {
        self.write("topology.yaml", text)
    }

    /// Writes a file as a whole: a reader sees the old one or the new one.
    fn write(&self, name: &str, text: &str) -> Result<(), EngineError> {
        let (path, new) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        let write = || -> io::Result<()> {
            let mut options = OpenOptions::new();
            options.create(true).write(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
            let mut file = options.open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(failed(&path))
    }

    /// Removes the lab's folder; the last thing of a lab that goes.
    pub fn remove(self) -> Result<(), EngineError> {
        fs::remove_dir_all(&self.dir).map_err(failed(&self.dir))?;
        // Only if it is empty now: other labs and host settings live here too.
        let _ = fs::remove_dir(STATE_DIR);
        Ok(())
    }

    /// Removes the lab's folder if nothing of the lab was ever applied.
    pub fn remove_if_unused(self) {
        if !self.dir.join("topology.yaml").exists() {
            let _ = self.remove();
        }
    }
}

impl Journal<'_> {
    /// A journal of what is about to be done to a lab.
    pub fn new<'a>(lab: &'a LabName, doing: &'static str, steps: Vec<String>) -> Journal<'a> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        Journal { lab, doing, boot_id, pid: std::process::id(), steps }
    }
}

/// The labs that have state.
pub fn saved_labs() -> Vec<LabName> {
    let entries = fs::read_dir(STATE_DIR).into_iter().flatten().flatten();
    let mut labs: Vec<LabName> = entries
        .filter(|entry| entry.path().join("lock").exists())
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    labs.sort();
    labs
}

/// The topology of a lab as it was applied, if it is kept.
pub fn saved_topology(lab: &LabName) -> Option<String> {
    fs::read_to_string(Path::new(STATE_DIR).join(lab.as_str()).join("topology.yaml")).ok()
}
