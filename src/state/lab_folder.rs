//! The folder of a lab, `/run/nslab/LAB`: its lock, its journal, and its topology as applied.

use std::collections::BTreeSet;

use nix::errno::Errno;
use nix::sys::stat::fstat;

use super::deviceless_routes::{self, Identity};
use super::folder::{Folder, refused};
use super::journal::Journal;
use super::lock::Lock;
use super::machine;
use crate::kernel::KernelError;
use crate::lab::{IfName, LabName, NsName};

pub(super) const JOURNAL: &str = "journal.json";
pub(super) const TOPOLOGY: &str = "topology.yaml";

/// A lab's folder, locked by this process.
#[derive(Debug)]
pub(crate) struct LabFolder {
    root: Folder,
    folder: Folder,
    lab: LabName,
    // Held until the folder is dropped.
    lock: Lock,
}

impl LabFolder {
    /// The folder itself.
    pub(super) fn files(&self) -> &Folder {
        &self.folder
    }

    /// Whether programs may have been started for the lab: one that has none has no folder for their output.
    pub(crate) fn may_have_programs(&self) -> bool {
        self.lock.has_folders
    }

    /// Makes a lab's folder if need be, and takes its lock; none where another process holds it, or removes the folder
    /// at this moment.
    ///
    /// # Errors
    /// The folder or its lock cannot be made.
    pub(crate) fn try_lock(lab: &LabName) -> Result<Option<Self>, KernelError> {
        let make = || {
            let root = Folder::open()?;
            let folder = root.make(lab.as_str())?;
            let lock = folder.try_lock()?;
            Ok(lock.map(|lock| Self { root, folder, lab: lab.clone(), lock }))
        };
        match make() {
            Err(error) if KernelError::errno(&error) == Some(Errno::ENOENT) => Ok(None),
            Err(error) => {
                // What was made for nothing is removed; the error to report is the first one.
                let _ = Folder::find().and_then(|root| root.map_or(Ok(()), |root| root.remove_folder(lab.as_str())));
                let _ = Folder::remove_root_if_empty();
                Err(error)
            }
            locked => locked,
        }
    }

    /// The same for who removes the lab, which needs no folder that can be made or entered: without one, `/run/nslab`
    /// or `/run` is locked. None where another process holds the lock.
    ///
    /// # Errors
    /// Not even `/run` can be locked.
    pub(crate) fn try_lock_for_removal(lab: &LabName) -> Result<Option<ToRemove>, KernelError> {
        let why = match Self::try_lock(lab) {
            Ok(locked) => return Ok(locked.map(ToRemove::Folder)),
            Err(why) => why,
        };
        let root = Folder::find_sound()?;
        let lock = match &root {
            Some(root) => root.try_lock_itself()?,
            None => Folder::run()?.try_lock_itself()?,
        };
        Ok(lock.map(|lock| ToRemove::Nothing(NoFolder { root, lab: lab.clone(), why, _lock: lock })))
    }

    /// Writes the journal; it is on the disk when this returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write_journal(&self, journal: &Journal<'_>) -> Result<(), KernelError> {
        let text = serde_json::to_string_pretty(journal);
        let text = text.map_err(|error| refused("write", "the journal").said(error.to_string()))?;
        self.folder.write(JOURNAL, &text)
    }

    /// Keeps the topology as applied, and as which of its machines, where it has several.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write_topology(&self, text: &str, machine: Option<(&NsName, &IfName)>) -> Result<(), KernelError> {
        machine.map_or(Ok(()), |own| machine::write(&self.folder, own))?;
        self.folder.write(TOPOLOGY, text)
    }

    /// Lists the routes and policy rules of the lab in `host` that no interface belongs to.
    ///
    /// # Errors
    /// The list cannot be written.
    pub(crate) fn list_deviceless_routes(&self, identities: &BTreeSet<Identity>) -> Result<(), KernelError> {
        deviceless_routes::write(&self.folder, identities)
    }

    /// Removes the lab's folder, as the last trace of the lab.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self) -> Result<(), KernelError> {
        self.root.remove_with_files(self.lab.as_str())?;
        Folder::remove_root_if_empty()
    }

    /// Whether the lab has been applied before.
    ///
    /// # Errors
    /// The folder cannot be looked into.
    pub(crate) fn is_applied(&self) -> Result<bool, KernelError> {
        self.folder.holds(TOPOLOGY)
    }

    /// Removes the lab's folder if the lab was never applied.
    ///
    /// # Errors
    /// It cannot be looked into or removed.
    pub(crate) fn remove_if_unused(&self) -> Result<(), KernelError> {
        if self.is_applied()? { Ok(()) } else { self.remove() }
    }
}

/// What there is of a lab's state while the lab is removed.
#[derive(Debug)]
pub(crate) enum ToRemove {
    /// Its folder.
    Folder(LabFolder),
    /// No folder that can be made or entered.
    Nothing(NoFolder),
}

/// What there is instead of a lab's folder.
#[derive(Debug)]
pub(crate) struct NoFolder {
    /// `/run/nslab`, if that is there.
    root: Option<Folder>,
    lab: LabName,
    why: KernelError,
    // Held until this is dropped.
    _lock: Lock,
}

impl ToRemove {
    /// Writes the journal, if there is a folder for it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn write_journal(&self, journal: &Journal<'_>) -> Result<(), KernelError> {
        match self {
            Self::Folder(folder) => folder.write_journal(journal),
            Self::Nothing(_) => Ok(()),
        }
    }

    /// Whether programs may have been started for the lab, as far as its folder says.
    pub(crate) fn may_have_programs(&self) -> bool {
        match self {
            Self::Folder(folder) => folder.may_have_programs(),
            Self::Nothing(_) => false,
        }
    }

    /// Why there is no folder.
    pub(crate) fn why_not(&self) -> Option<&KernelError> {
        match self {
            Self::Folder(_) => None,
            Self::Nothing(nothing) => Some(&nothing.why),
        }
    }

    /// Removes the lab's folder, or what is in its place, as the last trace of the lab.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn remove(&self) -> Result<(), KernelError> {
        match self {
            Self::Folder(folder) => folder.remove(),
            Self::Nothing(NoFolder { root: Some(root), lab, .. }) => {
                root.remove_with_files(lab.as_str())?;
                Folder::remove_root_if_empty()
            }
            Self::Nothing(NoFolder { root: None, .. }) => Ok(()),
        }
    }
}

/// What tells the folder of a lab from any other, also from one of the same name that comes later.
///
/// # Errors
/// There is no such folder, or it cannot be opened.
pub(crate) fn identity(lab: &LabName) -> Result<(u64, u64), KernelError> {
    let refused = |errno| refused("open", lab.as_str()).with_errno(errno);
    let stat = fstat(&Folder::of_lab(lab)?.ok_or_else(|| refused(Errno::ENOENT))?.fd).map_err(refused)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// The path of the topology of a lab as it was applied.
pub(crate) fn topology_file(lab: &LabName) -> String {
    format!("/run/nslab/{lab}/{TOPOLOGY}")
}

/// The topology of a lab as it was applied, if it is kept.
///
/// # Errors
/// It is there and cannot be read.
pub(crate) fn topology(lab: &LabName) -> Result<Option<String>, KernelError> {
    Folder::of_lab(lab)?.map_or(Ok(None), |folder| folder.read(TOPOLOGY))
}
