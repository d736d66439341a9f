//! Host settings: shared by all labs, and put back by the last one that needs them.
//!
//! A setting has a folder `/run/nslab/host/KEY` with a file `was`, its value before the first lab, and a folder `labs` with an empty
//! file for each lab that needs it. The shell commands that `plan` describes read and write the same files, so a lab made by
//! the printed script can be removed by nslab, and the other way round.
//!
//! Whoever dies in the middle leaves it right: claim and `was` are there before the first change, and they go after
//! the last one. A claim without a `was` means that nothing was changed yet.

use std::os::fd::BorrowedFd;

use super::{read_here, write_here};
use crate::kernel::netns::run_in;
use crate::kernel::state::StateDir;
use crate::kernel::{KernelError, Marked};
use crate::lab::{LabName, NsName, SysctlKey, SysctlValue, setting_folder, setting_of_folder};

const FOLDER: &str = "host";
const WAS: &str = "was";
const LABS: &str = "labs";

/// Sets a host setting for a lab: counts the lab among those that need it, remembers what was there before
/// the first of them, then sets it.
pub fn set_host(host: BorrowedFd<'_>, key: &SysctlKey, value: &SysctlValue, lab: &LabName) -> Result<(), KernelError> {
    let settings = settings()?;
    let _lock = settings.lock()?;
    remember(&settings, host, key, lab)?;
    super::write(host, &NsName::host(), key, value)
}

/// A lab's claim to a host setting.
pub struct Claim {
    /// Whether the lab had none before.
    pub is_new: bool,
    /// What the setting was before the first lab; none where there is no such setting.
    pub was: Option<String>,
}

/// Counts a lab among those that need a host setting, and remembers what was there before the first of them, before
/// anything is changed.
pub fn claim_host(host: BorrowedFd<'_>, key: &SysctlKey, lab: &LabName) -> Result<Claim, KernelError> {
    let settings = settings()?;
    let _lock = settings.lock()?;
    let labs = settings.get(&setting_folder(key))?.map(|setting| setting.get(LABS)).transpose()?.flatten();
    let is_counted = labs.map_or(Ok(false), |labs| labs.holds(lab.as_str()))?;
    remember(&settings, host, key, lab)?;
    let was = settings.get(&setting_folder(key))?.map(|setting| setting.read(WAS)).transpose()?.flatten();
    let one_line = |was: String| was.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Claim { is_new: !is_counted, was: was.map(one_line) })
}

/// Says that a lab no longer needs a host setting, and puts it back to what it was if no other lab does. A lab that
/// never claimed it changes nothing.
pub fn restore_host(host: BorrowedFd<'_>, key: &SysctlKey, lab: &LabName) -> Result<(), KernelError> {
    let Some(settings) = settings_if_any()? else { return Ok(()) };
    let _lock = settings.lock()?;
    let folder = setting_folder(key);
    let Some(setting) = settings.get(&folder)? else { return Ok(()) };
    let Some(labs) = setting.get(LABS)? else { return Ok(()) };
    if !labs.holds(lab.as_str())? {
        return Ok(());
    }
    if labs.names()?.iter().any(|name| name != lab.as_str()) {
        return labs.remove_file(lab.as_str());
    }
    if let Some(was) = setting.read(WAS)? {
        put_back(host, key, was.trim_end())?;
    }
    setting.remove_file(WAS)?;
    labs.remove_file(lab.as_str())?;
    remove_setting(&settings, &folder, &setting)
}

fn remove_setting(settings: &StateDir, folder: &str, setting: &StateDir) -> Result<(), KernelError> {
    setting.remove_file(WAS)?;
    setting.remove_folder(LABS)?;
    settings.remove_folder(folder)
}

/// The host settings that a lab needs: those to restore when it goes.
pub fn host_claims(lab: &LabName) -> Result<Vec<SysctlKey>, KernelError> {
    let Some(settings) = settings_if_any()? else { return Ok(Vec::new()) };
    let mut keys = Vec::new();
    for name in settings.names()? {
        let Some(key) = setting_of_folder(&name) else { continue };
        let labs = settings.get(&name)?.map(|setting| setting.get(LABS)).transpose()?.flatten();
        if let Some(labs) = labs
            && labs.holds(lab.as_str())?
        {
            keys.push(key);
        }
    }
    keys.sort();
    Ok(keys)
}

/// Writes down again what is lost, from the marks in the kernel. `lost` gets the names of what has a folder, and answers with the
/// labs that have none.
///
/// A lab that is just being made or removed has a folder, and one that has none cannot claim anything meanwhile: the
/// lock is held from before the folders are listed until the claims are written.
pub fn recall_host(
    lost: impl FnOnce(&[String]) -> Result<Vec<(LabName, Marked)>, KernelError>,
) -> Result<(), KernelError> {
    let settings = settings()?;
    let _lock = settings.lock()?;
    for (lab, marked) in lost(&StateDir::open()?.names()?)? {
        for (key, was) in &marked.settings {
            let setting = settings.make(&setting_folder(key))?;
            setting.make(LABS)?.touch(lab.as_str())?;
            if !setting.holds(WAS)? {
                setting.write(WAS, was)?;
            }
        }
    }
    Ok(())
}

/// Removes the folders of settings that no lab needs, which a kill may leave, and the folder of all if there are none.
pub fn forget_unclaimed() -> Result<(), KernelError> {
    let (Some(state), Some(settings)) = (StateDir::find()?, settings_if_any()?) else { return Ok(()) };
    let _lock = settings.lock()?;
    for folder in settings.names()?.iter().filter(|name| setting_of_folder(name).is_some()) {
        let Some(setting) = settings.get(folder)? else { continue };
        if !setting.holds(WAS)? && setting.get(LABS)?.map_or(Ok(true), |labs| Ok(labs.names()?.is_empty()))? {
            remove_setting(&settings, folder, &setting)?;
        }
    }
    state.remove_if_idle(FOLDER)
}

fn settings() -> Result<StateDir, KernelError> {
    StateDir::open()?.make(FOLDER)
}

fn settings_if_any() -> Result<Option<StateDir>, KernelError> {
    Ok(StateDir::find()?.map(|state| state.get(FOLDER)).transpose()?.flatten())
}

fn remember(settings: &StateDir, host: BorrowedFd<'_>, key: &SysctlKey, lab: &LabName) -> Result<(), KernelError> {
    let setting = settings.make(&setting_folder(key))?;
    setting.make(LABS)?.touch(lab.as_str())?;
    if setting.holds(WAS)? {
        return Ok(());
    }
    match run_in(host, || read_here(key))?? {
        Some(was) => setting.write(WAS, &was),
        // There is no such setting: the write that follows says so.
        None => Ok(()),
    }
}

/// Writes a former value, unless it is there: for the kernel, writing a value can be an event of its own.
fn put_back(host: BorrowedFd<'_>, key: &SysctlKey, was: &str) -> Result<(), KernelError> {
    run_in(host, || match read_here(key)? {
        Some(is) if is.trim_end() == was => Ok(()),
        // The interface that it belonged to is gone, and the setting with it.
        None => Ok(()),
        Some(_) => write_here(&NsName::host(), key, was),
    })?
}
