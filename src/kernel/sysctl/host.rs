//! Host settings: shared by all labs, and put back by the last one that needs them.
//!
//! A setting has a folder `/run/nslab/host/KEY` with a file `was`, its value before the first lab, and a folder `labs` with a
//! file for each lab that needs it, in which is the value that the lab needs. The shell commands that `plan` describes read
//! and write the same files, so a lab made by the printed script can be removed by nslab, and the other way round. A file
//! `along`, which the shell commands neither write nor read, has what the kernel changes along with the setting, as it was
//! before the first change.
//!
//! Whoever dies in the middle leaves it right: claim and `was` are there before the first change, and they go after
//! the last one. A claim without a `was` means that nothing was changed yet.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use super::{forwarding, read_here, write_here};
use crate::kernel::netns::run_in;
use crate::kernel::state::StateDir;
use crate::kernel::{KernelError, Marked};
use crate::lab::{Claims, LabName, NsName, SysctlKey, SysctlValue, setting_folder, setting_of_folder};

const FOLDER: &str = "host";
const WAS: &str = "was";
const LABS: &str = "labs";
const ALONG: &str = "along";

/// Sets a host setting for a lab: counts the lab among those that need it, remembers what was there before
/// the first of them, then sets it.
pub fn set_host(host: BorrowedFd<'_>, key: &SysctlKey, value: &SysctlValue, lab: &LabName) -> Result<(), KernelError> {
    let (settings, _lock) = StateDir::locked_folder(FOLDER)?;
    let setting = remember(&settings, host, key, value, lab)?;
    // Where somebody has changed it since, so is what goes along with it.
    let is_first = !setting.holds(ALONG)? && setting.read(WAS)? == run_in(host, || read_here(key))??;
    if is_first && let Some(along) = run_in(host, || forwarding::along_with(key))?? {
        setting.write(ALONG, &along)?;
    }
    super::write(host, &NsName::host(), key, value)
}

/// Counts a lab among those that need a value of a host setting, and remembers what was there before the first of
/// them, before anything is changed. Whether the lab was not among them yet.
///
/// # Errors
/// Where another lab needs another value.
pub fn claim_host(
    host: BorrowedFd<'_>,
    key: &SysctlKey,
    value: &SysctlValue,
    lab: &LabName,
) -> Result<bool, KernelError> {
    let (settings, _lock) = StateDir::locked_folder(FOLDER)?;
    let labs = labs_of(&settings, key)?;
    let contrary =
        labs.iter().find(|(other, needs)| *other != lab && needs.as_ref().is_some_and(|needs| needs != value));
    if let Some((other, Some(needs))) = contrary {
        let tried = format!("let lab {lab} need {key}={value} in {}", NsName::host());
        return Err(KernelError::new(tried).said(format!("lab {other} needs {key}={needs}")));
    }
    remember(&settings, host, key, value, lab)?;
    Ok(!labs.contains_key(lab))
}

/// Says that a lab no longer needs a host setting, and puts it back to what it was if no other lab does. A lab that
/// never claimed it changes nothing.
pub fn restore_host(host: BorrowedFd<'_>, key: &SysctlKey, lab: &LabName) -> Result<(), KernelError> {
    let Some((settings, _lock)) = StateDir::locked_folder_if_any(FOLDER)? else { return Ok(()) };
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
    if let Some(along) = setting.read(ALONG)? {
        run_in(host, || forwarding::put_back(&along))??;
    }
    setting.remove_file(ALONG)?;
    setting.remove_file(WAS)?;
    labs.remove_file(lab.as_str())?;
    remove_setting(&settings, &folder, &setting)
}

fn remove_setting(settings: &StateDir, folder: &str, setting: &StateDir) -> Result<(), KernelError> {
    setting.remove_file(ALONG)?;
    setting.remove_file(WAS)?;
    setting.remove_folder(LABS)?;
    settings.remove_folder(folder)
}

/// The host settings that a lab needs: those to restore when it goes.
pub fn host_claims(lab: &LabName) -> Result<Vec<SysctlKey>, KernelError> {
    Ok(claims()?.into_iter().filter(|(_, labs)| labs.contains_key(lab)).map(|(key, _)| key).collect())
}

/// The host settings that labs need.
pub fn claims() -> Result<Claims, KernelError> {
    let mut claims = Claims::new();
    let Some(state) = StateDir::find()? else { return Ok(claims) };
    let Some(settings) = state.get(FOLDER)? else { return Ok(claims) };
    for key in settings.names()?.iter().filter_map(|name| setting_of_folder(name)) {
        let labs = labs_of(&settings, &key)?;
        if !labs.is_empty() {
            claims.insert(key, labs);
        }
    }
    Ok(claims)
}

/// What the host settings that a lab needs were before the first lab, each in one line; without those that do not exist.
pub fn host_former(lab: &LabName) -> Result<BTreeMap<SysctlKey, String>, KernelError> {
    let mut former = BTreeMap::new();
    let Some(state) = StateDir::find()? else { return Ok(former) };
    let Some(settings) = state.get(FOLDER)? else { return Ok(former) };
    for key in host_claims(lab)? {
        let was = settings.get(&setting_folder(&key))?.map_or(Ok(None), |setting| setting.read(WAS))?;
        former.extend(was.map(|was| (key, was.split_whitespace().collect::<Vec<_>>().join(" "))));
    }
    Ok(former)
}

/// The labs that need a setting, and the value that each needs.
fn labs_of(settings: &StateDir, key: &SysctlKey) -> Result<BTreeMap<LabName, Option<SysctlValue>>, KernelError> {
    let mut needs = BTreeMap::new();
    let labs = settings.get(&setting_folder(key))?.map(|setting| setting.get(LABS)).transpose()?.flatten();
    let Some(labs) = labs else { return Ok(needs) };
    for lab in labs.names()?.iter().filter_map(|name| name.parse::<LabName>().ok()) {
        // Gone meanwhile, where nobody holds the lock.
        let Some(text) = labs.read(lab.as_str())? else { continue };
        needs.insert(lab, SysctlValue::normalised(&text).ok());
    }
    Ok(needs)
}

/// Writes down again what is lost, from the marks in the kernel. `lost` gets the names of what has a folder, and answers
/// with the labs that have none.
///
/// A lab that is just being made or removed has a folder, and one that has none cannot claim anything meanwhile: the
/// lock is held from before the folders are listed until the claims are written.
pub fn recall_host(
    lost: impl FnOnce(&[String]) -> Result<Vec<(LabName, Marked)>, KernelError>,
) -> Result<(), KernelError> {
    let (settings, _lock) = StateDir::locked_folder(FOLDER)?;
    for (lab, marked) in lost(&StateDir::open()?.names()?)? {
        for (key, was) in &marked.settings {
            let setting = settings.make(&setting_folder(key))?;
            // Which value the lab needs is not known any more.
            setting.make(LABS)?.write_line(lab.as_str(), "")?;
            if !setting.holds(WAS)? {
                setting.write(WAS, was)?;
            }
        }
    }
    Ok(())
}

/// Removes the folders of settings that no lab needs, which a kill may leave, and the folder of all if there are none.
pub fn forget_unclaimed() -> Result<(), KernelError> {
    let Some((settings, _lock)) = StateDir::locked_folder_if_any(FOLDER)? else { return Ok(()) };
    for folder in settings.names()?.iter().filter(|name| setting_of_folder(name).is_some()) {
        let Some(setting) = settings.get(folder)? else { continue };
        if !setting.holds(WAS)? && setting.get(LABS)?.map_or(Ok(true), |labs| Ok(labs.names()?.is_empty()))? {
            remove_setting(&settings, folder, &setting)?;
        }
    }
    StateDir::find()?.map_or(Ok(()), |state| state.remove_if_idle(FOLDER))
}

fn remember(
    settings: &StateDir,
    host: BorrowedFd<'_>,
    key: &SysctlKey,
    value: &SysctlValue,
    lab: &LabName,
) -> Result<StateDir, KernelError> {
    let setting = settings.make(&setting_folder(key))?;
    setting.make(LABS)?.write_line(lab.as_str(), value.as_str())?;
    // Without a former value there is no such setting: the write that follows says so.
    if !setting.holds(WAS)?
        && let Some(was) = run_in(host, || read_here(key))??
    {
        setting.write(WAS, &was)?;
    }
    Ok(setting)
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
