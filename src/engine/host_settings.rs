//! Host settings, shared by all labs: each is claimed by the labs that need it, and restored by the last one.
//!
//! The files are right even if nslab is killed in the middle: a claim and the former value are there before the first
//! change, and they go after the last one. A claim without a former value means that nothing was changed yet.

use std::collections::BTreeMap;

use super::{EngineCode, Told};
use crate::kernel::{Kernel, KernelCode, KernelError};
use crate::lab::{LabName, NsName, Remembered, SysctlKey, SysctlValue};
use crate::state::{self, HostSettings, Identity, IdleLabs, Setting};

/// What the kernel and the files together know of host settings, while a command works on a lab.
#[derive(Default)]
pub(super) struct Memory {
    /// What the marks of labs say besides whose they are: of this lab, and of others where the files do not have it.
    pub(super) remembered: BTreeMap<LabName, Remembered>,
    /// What is to be told.
    pub(super) told: Vec<Told>,
}

/// Sets a host setting for a lab: counts the lab among those that need it, keeps the value from before the first of
/// them, then sets it.
///
/// # Errors
/// The kernel does not take the value, or the files cannot be written.
pub fn set(kernel: &mut Kernel, key: &SysctlKey, value: &SysctlValue, lab: &LabName) -> Result<(), KernelError> {
    let settings = HostSettings::lock()?;
    let setting = claim_in(&settings, kernel, key, value, lab)?;
    // Where the value was changed since, so was what goes along with it.
    setting.keep_set(value)?;
    let is_first = setting.along()?.is_none() && setting.former()? == kernel.host_setting(key)?;
    if is_first && let Some(along) = kernel.along_with_host_setting(key)? {
        setting.keep_along(&along)?;
    }
    kernel.set_host_setting(key, value)?;
    // The kernel may keep it as another one.
    match kernel.host_setting(key)?.and_then(|is| SysctlValue::normalised(&is).ok()) {
        Some(is) if !is.agrees_with(key, value) => setting.keep_set(&is),
        _ => Ok(()),
    }
}

/// Counts a lab among those that need a value of a host setting, and keeps the value from before the first of them,
/// before anything is changed. Whether the lab was not among them yet.
///
/// # Errors
/// Another lab needs another value, or the files cannot be written.
pub fn claim(kernel: &mut Kernel, key: &SysctlKey, value: &SysctlValue, lab: &LabName) -> Result<bool, KernelError> {
    let settings = HostSettings::lock()?;
    let labs = settings.claims_to(key)?;
    let disagrees = |needs: &SysctlValue| !needs.agrees_with(key, value);
    let contrary = labs.iter().find(|(other, needs)| *other != lab && needs.as_ref().is_some_and(disagrees));
    if let Some((other, Some(needs))) = contrary {
        let tried = format!("let lab {lab} need {key}={value} in {}", NsName::host());
        let error = KernelError::new(tried).said(format!("lab {other} needs {key}={needs}"));
        return Err(error.with_code(KernelCode::SettingContested));
    }
    claim_in(&settings, kernel, key, value, lab)?;
    Ok(!labs.contains_key(lab))
}

/// A lab no longer needs a host setting: it is restored if no other lab needs it and it still is what nslab has set. A
/// lab that never claimed it changes nothing.
///
/// # Errors
/// The kernel does not take the former value, or the files cannot be read or written; the setting is restored all the
/// same where a mark says what it was.
pub(super) fn restore(
    kernel: &mut Kernel,
    memory: &mut Memory,
    key: &SysctlKey,
    lab: &LabName,
) -> Result<(), KernelError> {
    let marked = memory.remembered.get(lab).and_then(|of_lab| of_lab.settings.get(key)).cloned();
    let mut by_marks =
        memory.remembered.iter().filter(|(other, of_other)| *other != lab && of_other.settings.contains_key(key));
    let is_needed_by_marks = by_marks.next().is_some();
    let (settings, unlocked) = match HostSettings::lock_if_any() {
        Ok(settings) => (settings, Ok(())),
        Err(error) => (None, Err(error)),
    };
    let setting = settings.as_ref().map_or(Ok(None), |settings| settings.get(key))?;
    let labs = setting.as_ref().map_or(Ok(Vec::new()), Setting::labs)?;
    if marked.is_none() && !labs.contains(lab) {
        return unlocked;
    }
    if is_needed_by_marks || labs.iter().any(|other| other != lab) {
        return setting.map_or(unlocked, |setting| setting.release(lab));
    }
    put_back(kernel, &mut memory.told, key, lab, marked, setting.as_ref())?;
    setting.map_or(unlocked, |setting| setting.release_last(lab))
}

/// Puts a setting back that no lab needs any more, unless somebody else has changed it since; that is told. What a
/// lab's mark says that it was counts for more than the file, which more than one lab writes.
fn put_back(
    kernel: &mut Kernel,
    told: &mut Vec<Told>,
    key: &SysctlKey,
    lab: &LabName,
    marked: Option<String>,
    setting: Option<&Setting<'_>>,
) -> Result<(), KernelError> {
    let Some(is) = kernel.host_setting(key)?.map(|is| one_line(&is)) else { return Ok(()) };
    let mut ours = setting.map_or(Ok(Vec::new()), Setting::set_values)?;
    let was_set = !ours.is_empty();
    ours.extend(setting.map_or(Ok(None), |setting| setting.claim_of(lab))?);
    let Some(was) = marked.or(setting.map_or(Ok(None), Setting::former)?) else {
        // A claim alone means that nothing was changed.
        if was_set {
            let text = format!("what {key} of the host was before the labs is not known any more: it stays {is}");
            told.push(Told::new(text, EngineCode::HostSettingUnknown));
        }
        return Ok(());
    };
    let is_ours = |is: SysctlValue| ours.is_empty() || ours.iter().any(|value| value.agrees_with(key, &is));
    if one_line(&was) != is {
        if !is.parse().is_ok_and(is_ours) {
            let set = ours.iter().map(SysctlValue::as_str).collect::<Vec<_>>().join(" or ");
            let text = format!(
                "somebody has changed {key} of the host to {is} since lab {lab} set it to {set}: it stays so, and is \
                 not put back to {}",
                one_line(&was)
            );
            told.push(Told::new(text, EngineCode::HostSettingChanged));
            return Ok(());
        }
        kernel.restore_host_setting(key, was.trim_end())?;
    }
    match setting.map_or(Ok(None), Setting::along)? {
        Some(along) => kernel.restore_along(&along),
        None => Ok(()),
    }
}

/// Puts back, and forgets, the settings that no lab claims and no mark knows of: their claims were lost before a mark
/// was made, or with the marks.
///
/// # Errors
/// As with [`restore`].
pub(super) fn forget_unclaimed(kernel: &mut Kernel, memory: &mut Memory, lab: &LabName) -> Result<(), KernelError> {
    let Some(settings) = HostSettings::lock_if_any()? else { return Ok(()) };
    let unclaimed = settings.unclaimed()?;
    if unclaimed.is_empty() {
        return Ok(());
    }
    let remembered = kernel.remembered()?;
    for setting in unclaimed {
        let key = setting.key();
        if remembered.values().any(|of_lab| of_lab.settings.contains_key(key)) {
            continue;
        }
        if !setting.set_values()?.is_empty() {
            put_back(kernel, &mut memory.told, key, lab, None, Some(&setting))?;
        }
        setting.release_last(lab)?;
    }
    Ok(())
}

fn one_line(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The host settings that a lab needs: those to restore when it goes.
///
/// # Errors
/// A claim cannot be read.
pub fn claimed_by(lab: &LabName) -> Result<Vec<SysctlKey>, KernelError> {
    Ok(state::claims()?.into_iter().filter(|(_, labs)| labs.contains_key(lab)).map(|(key, _)| key).collect())
}

/// Reads what the host settings that a lab needs were, and the list of its routes in `host`, for the marks of what is
/// made from now on.
///
/// # Errors
/// A former value is kept and cannot be read.
pub(super) fn learn(kernel: &mut Kernel, lab: &LabName) -> Result<(), KernelError> {
    kernel.set_former_settings(state::former_values(lab)?);
    kernel.set_listed_routes(state::listed_by(lab)?.iter().flatten().map(Identity::hash).collect());
    Ok(())
}

/// Writes what host settings were into the marks of what there is of a lab already.
///
/// # Errors
/// As with [`learn`]; or the kernel refuses to list or mark something.
pub(super) fn note(kernel: &mut Kernel, lab: &LabName) -> Result<(), KernelError> {
    learn(kernel, lab)?;
    kernel.renew_marks(lab)
}

/// Whether the lab's marks say of a host setting what it was, and the files do not, or do not know that the lab needs
/// it.
///
/// # Errors
/// The kernel refuses to list something, or the files cannot be read.
pub(super) fn lacks(kernel: &mut Kernel, lab: &LabName) -> Result<bool, KernelError> {
    let kept = state::former_values(lab)?;
    let remembered = kernel.remembered()?;
    Ok(remembered.get(lab).is_some_and(|of_lab| of_lab.settings.keys().any(|key| !kept.contains_key(key))))
}

/// Writes the claims, and the values from before the first of them, that marks in the kernel know and no file has any
/// more: of this lab, and of all labs on which nobody is working. What they say is kept for the removal of the lab.
/// Whether there are such marks at all.
///
/// A lab that is just being made or removed is passed over: its marks may know what is no longer so. Nobody begins to
/// work on another one meanwhile, and one that has no folder cannot claim anything, since the lock of the settings is
/// held.
///
/// # Errors
/// The kernel refuses to list something, or the files cannot be written.
pub(super) fn recall(kernel: &mut Kernel, memory: &mut Memory, lab: &LabName) -> Result<bool, KernelError> {
    let says_nothing =
        |remembered: &BTreeMap<LabName, Remembered>| remembered.values().all(|of_lab| of_lab.settings.is_empty());
    // Nothing is made for marks that say nothing; where there are files, the marks are read but once.
    let settings = match HostSettings::lock_if_any() {
        Ok(Some(settings)) => settings,
        _ => {
            memory.remembered = kernel.remembered()?;
            if says_nothing(&memory.remembered) {
                return Ok(false);
            }
            HostSettings::lock()?
        }
    };
    let idle = IdleLabs::lock_except(lab);
    // What they say is needed whatever became of the locks.
    memory.remembered = kernel.remembered()?;
    if says_nothing(&memory.remembered) {
        return Ok(false);
    }
    let idle = idle?;
    memory.remembered.retain(|owner, _| !idle.busy.contains(owner));
    for (owner, of_lab) in &memory.remembered {
        for (key, was) in &of_lab.settings {
            if !settings.claims_to(key)?.contains_key(owner) {
                // Which value the lab needs is no longer known.
                settings.claim(key, None, owner)?;
            }
            if let Some(setting) = settings.get(key)?
                && setting.former()?.is_none()
            {
                setting.keep_former(was)?;
            }
        }
    }
    // The files know of the others from now on.
    memory.remembered.retain(|owner, _| owner == lab);
    Ok(true)
}

fn claim_in<'a>(
    settings: &'a HostSettings,
    kernel: &mut Kernel,
    key: &SysctlKey,
    value: &SysctlValue,
    lab: &LabName,
) -> Result<Setting<'a>, KernelError> {
    let setting = settings.claim(key, Some(value), lab)?;
    // Without a former value there is no such setting: the write that follows says so.
    if !setting.has_former()?
        && let Some(was) = kernel.host_setting(key)?
    {
        setting.keep_former(&was)?;
    }
    Ok(setting)
}
