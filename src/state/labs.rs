//! Which labs have a folder, and which of them nobody is working on.

use std::collections::BTreeSet;

use super::folder::Folder;
use super::lock::Lock;
use crate::kernel::KernelError;
use crate::lab::LabName;

/// The labs that have a folder.
///
/// # Errors
/// `/run/nslab` cannot be listed.
pub(crate) fn labs() -> Result<Vec<LabName>, KernelError> {
    let Some(root) = Folder::find_sound()? else { return Ok(Vec::new()) };
    let mut labs: Vec<LabName> = root.names()?.iter().filter_map(|name| name.parse().ok()).collect();
    labs.sort();
    Ok(labs)
}

/// The labs on which another nslab is working, and the locks of all others that have a folder: nobody begins to work on
/// those before this is dropped.
#[derive(Debug)]
pub(crate) struct IdleLabs {
    /// The labs that are being made, changed or removed, except one.
    pub(crate) busy: BTreeSet<LabName>,
    _locks: Vec<Lock>,
}

impl IdleLabs {
    /// Locks all labs that can be locked at once, except one, whose lock the caller holds.
    ///
    /// # Errors
    /// `/run/nslab` or a folder in it cannot be read.
    pub(crate) fn lock_except(lab: &LabName) -> Result<Self, KernelError> {
        let mut idle = Self { busy: BTreeSet::new(), _locks: Vec::new() };
        let Some(root) = Folder::find_sound()? else { return Ok(idle) };
        for other in labs()?.into_iter().filter(|other| other != lab) {
            let Some(folder) = root.get(other.as_str())? else { continue };
            match folder.try_lock_itself()? {
                Some(lock) => idle._locks.push(lock),
                None => drop(idle.busy.insert(other)),
            }
        }
        Ok(idle)
    }
}
