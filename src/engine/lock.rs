//! The wait for a lab's lock, in which a signal can end it.

use std::time::Duration;

use super::{EngineError, Event, Interrupts, Listener, UndoError};
use crate::kernel::{KernelError, wait as wait_for};
use crate::lab::LabName;
use crate::state::{LabFolder, ToRemove};

/// How often a lock that another process holds is asked for again.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// Takes a lab's lock, making its folder if need be. Where another nslab has it, waits, or without `wait` reports that.
///
/// # Errors
/// The lock cannot be made, another nslab has it and `wait` is off, or a signal came.
pub(super) fn lock(
    lab: &LabName,
    wait: bool,
    stop: &mut Interrupts,
    report: Listener<'_>,
) -> Result<LabFolder, EngineError> {
    lock_by(LabFolder::try_lock, lab, wait, stop, report)
}

/// The same for who removes the lab: where there can be no folder of it, something else is locked.
///
/// # Errors
/// As with [`lock`].
pub(super) fn lock_for_removal(
    lab: &LabName,
    wait: bool,
    stop: &mut Interrupts,
    report: Listener<'_>,
) -> Result<ToRemove, EngineError> {
    lock_by(LabFolder::try_lock_for_removal, lab, wait, stop, report)
}

fn lock_by<T>(
    try_lock: impl Fn(&LabName) -> Result<Option<T>, KernelError>,
    lab: &LabName,
    wait: bool,
    stop: &mut Interrupts,
    report: Listener<'_>,
) -> Result<T, EngineError> {
    if !wait {
        wait_for::be_short();
    }
    let mut is_reported = false;
    loop {
        if let Some(folder) = try_lock(lab)? {
            return Ok(folder);
        }
        if !wait {
            return Err(EngineError::Busy(lab.clone()));
        }
        if !std::mem::replace(&mut is_reported, true) {
            report(Event::Waiting);
        }
        if let Some(signal) = stop.pending() {
            return Err(EngineError::Interrupted { signal, undo: UndoError::default() });
        }
        std::thread::sleep(LOCK_INTERVAL);
    }
}
