//! What nslab keeps about a lab while it lives, in `/run/nslab/LAB`: its lock, its journal, its topology.
//!
//! All of it is gone after a reboot, as the namespaces are. None of it is needed to remove a lab: the marks in the
//! kernel say what is whose.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use super::{EngineError, Event, Interrupts, Listener, UndoError};
use crate::kernel::KernelError;
use crate::kernel::state::{Lock, StateDir};
use crate::lab::LabName;

const JOURNAL: &str = "journal.json";
const TOPOLOGY: &str = "topology.yaml";
const UNATTACHED: &str = "unattached";

/// How often a lock that somebody else holds is asked for again.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// What is written and synced before the first change.
#[derive(Debug, Serialize)]
pub(super) struct Journal<'a> {
    /// The lab.
    lab: &'a LabName,
    /// What is being done: `applying`, `applied` or `destroying`.
    doing: &'static str,
    /// The boot in which it is true (`/proc/sys/kernel/random/boot_id`).
    boot_id: String,
    /// The process that does it.
    pid: u32,
    /// The steps, in words.
    steps: Vec<String>,
}

impl Journal<'_> {
    /// A journal of what is about to be done to a lab.
    pub(super) fn new<'a>(lab: &'a LabName, doing: &'static str, steps: Vec<String>) -> Journal<'a> {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Journal { lab, doing, boot_id: boot_id.trim().to_owned(), pid: std::process::id(), steps }
    }
}

/// A lab's folder, locked for us.
#[derive(Debug)]
pub(super) struct LabState {
    root: StateDir,
    dir: StateDir,
    name: LabName,
    // Held until the state is dropped.
    _lock: Lock,
}

impl LabState {
    /// Takes a lab's lock, making its folder if need be. Where somebody else has it: waits, or with `wait` off says so.
    pub(super) fn lock(
        lab: &LabName,
        wait: bool,
        stop: &mut Interrupts,
        tell: Listener<'_>,
    ) -> Result<Self, EngineError> {
        let mut told = false;
        loop {
            if let Some((root, dir, lock)) = attempt(lab)? {
                return Ok(Self { root, dir, name: lab.clone(), _lock: lock });
            }
            if !wait {
                return Err(EngineError::Busy(lab.clone()));
            }
            if !std::mem::replace(&mut told, true) {
                tell(Event::Waiting);
            }
            if let Some(signal) = stop.pending() {
                return Err(EngineError::Interrupted { signal, undo: UndoError::default() });
            }
            std::thread::sleep(LOCK_INTERVAL);
        }
    }

    /// Writes the journal; it is on the disk when this returns.
    pub(super) fn write_journal(&self, journal: &Journal<'_>) -> Result<(), EngineError> {
        let text = serde_json::to_string_pretty(journal).map_err(std::io::Error::from)?;
        Ok(self.dir.write(JOURNAL, &text)?)
    }

    /// Keeps the topology as applied.
    pub(super) fn write_topology(&self, text: &str) -> Result<(), EngineError> {
        Ok(self.dir.write(TOPOLOGY, text)?)
    }

    /// Lists what the lab has in `host` that no interface belongs to.
    pub(super) fn write_unattached(&self, texts: &BTreeSet<String>) -> Result<(), EngineError> {
        let text: String = texts.iter().map(|text| format!("{text}\n")).collect();
        Ok(self.dir.write(UNATTACHED, &text)?)
    }

    /// Removes the lab's folder; the last thing of a lab that goes.
    pub(super) fn remove(&self) -> Result<(), EngineError> {
        self.root.remove_with_files(self.name.as_str())?;
        Ok(StateDir::remove_root_if_empty()?)
    }

    /// Whether nothing is known here of the lab: there is none, or its state is lost.
    pub(super) fn is_new(&self) -> Result<bool, EngineError> {
        Ok(!self.dir.holds(JOURNAL)?)
    }

    /// Whether the lab has been applied before.
    pub(super) fn is_applied(&self) -> Result<bool, EngineError> {
        Ok(self.dir.holds(TOPOLOGY)?)
    }

    /// Removes the lab's folder if the lab was never applied.
    pub(super) fn remove_if_unused(&self) -> Result<(), EngineError> {
        if self.is_applied()? { Ok(()) } else { self.remove() }
    }
}

/// One try at a lab's lock; none where somebody else holds it, or removes the lab's folder at this moment.
fn attempt(lab: &LabName) -> Result<Option<(StateDir, StateDir, Lock)>, KernelError> {
    let gone = |error: &KernelError| error.errno() == Some(nix::errno::Errno::ENOENT);
    let make = || {
        let root = StateDir::open()?;
        let dir = root.make(lab.as_str())?;
        let lock = dir.try_lock()?;
        Ok(lock.map(|lock| (root, dir, lock)))
    };
    match make() {
        Err(error) if gone(&error) => Ok(None),
        Err(error) => {
            // What was made for nothing goes; the error that is told is the first one.
            let _ = StateDir::find().and_then(|root| root.map_or(Ok(()), |root| root.remove_folder(lab.as_str())));
            let _ = StateDir::remove_root_if_empty();
            Err(error)
        }
        locked => locked,
    }
}

/// What a lab lists as its own in `host` (see [`LabState::write_unattached`]); none where it has no list.
pub(super) fn own_unattached(lab: &LabName) -> Result<Option<BTreeSet<String>>, KernelError> {
    let Some(root) = StateDir::find()? else { return Ok(None) };
    let text = root.get(lab.as_str())?.map_or(Ok(None), |dir| dir.read(UNATTACHED))?;
    Ok(text.map(|text| text.lines().map(str::to_owned).collect()))
}

/// The lists of all other labs that have one.
pub(super) fn others_unattached(lab: &LabName) -> Result<BTreeMap<LabName, BTreeSet<String>>, KernelError> {
    let mut lists = BTreeMap::new();
    for other in saved_labs()?.into_iter().filter(|other| other != lab) {
        if let Some(list) = own_unattached(&other)? {
            lists.insert(other, list);
        }
    }
    Ok(lists)
}

/// The labs that have state.
pub fn saved_labs() -> Result<Vec<LabName>, KernelError> {
    let Some(root) = StateDir::find()? else { return Ok(Vec::new()) };
    let mut labs: Vec<LabName> = root.names()?.iter().filter_map(|name| name.parse().ok()).collect();
    labs.sort();
    Ok(labs)
}

/// The topology of a lab as it was applied, if it is kept.
pub fn saved_topology(lab: &LabName) -> Result<Option<String>, KernelError> {
    let Some(root) = StateDir::find()? else { return Ok(None) };
    root.get(lab.as_str())?.map_or(Ok(None), |dir| dir.read(TOPOLOGY))
}
