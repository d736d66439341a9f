//! Host settings, shared by all labs: each is claimed by the labs that need it, and restored by the last one.
//!
//! The files are right even if nslab is killed in the middle: a claim and the former value are there before the first
//! change, and they go after the last one. A claim without a former value means that nothing was changed yet.

use std::collections::BTreeMap;

use crate::kernel::{Kernel, KernelCode, KernelError, Marked};
use crate::lab::{LabName, NsName, SysctlKey, SysctlValue};
use crate::state::{self, HostSettings, Setting};

/// Sets a host setting for a lab: counts the lab among those that need it, keeps the value from before the first of
/// them, then sets it.
///
/// # Errors
/// The kernel does not take the value, or the files cannot be written.
pub fn set(kernel: &mut Kernel, key: &SysctlKey, value: &SysctlValue, lab: &LabName) -> Result<(), KernelError> {
    let settings = HostSettings::lock()?;
    let setting = claim_in(&settings, kernel, key, value, lab)?;
    // Where the value was changed since, so was what goes along with it.
    let is_first = setting.along()?.is_none() && setting.former()? == kernel.host_setting(key)?;
    if is_first && let Some(along) = kernel.along_with_host_setting(key)? {
        setting.keep_along(&along)?;
    }
    kernel.set_host_setting(key, value)
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

/// A lab no longer needs a host setting: it is restored if no other lab needs it. A lab that never claimed it changes
/// nothing.
///
/// # Errors
/// The kernel does not take the former value, or the files cannot be written.
pub fn restore(kernel: &mut Kernel, key: &SysctlKey, lab: &LabName) -> Result<(), KernelError> {
    let Some(settings) = HostSettings::lock_if_any()? else { return Ok(()) };
    let Some(setting) = settings.get(key)? else { return Ok(()) };
    let labs = setting.labs()?;
    if !labs.iter().any(|name| name == lab.as_str()) {
        return Ok(());
    }
    if labs.len() > 1 {
        return setting.release(lab);
    }
    if let Some(was) = setting.former()? {
        kernel.restore_host_setting(key, was.trim_end())?;
    }
    if let Some(along) = setting.along()? {
        kernel.restore_along(&along)?;
    }
    setting.release_last(lab)
}

/// The host settings that a lab needs: those to restore when it goes.
///
/// # Errors
/// A claim cannot be read.
pub fn claimed_by(lab: &LabName) -> Result<Vec<SysctlKey>, KernelError> {
    Ok(state::claims()?.into_iter().filter(|(_, labs)| labs.contains_key(lab)).map(|(key, _)| key).collect())
}

/// Reads what the host settings that a lab needs were, for the marks of what is made from now on.
///
/// # Errors
/// A former value is kept and cannot be read.
pub(super) fn learn(kernel: &mut Kernel, lab: &LabName) -> Result<(), KernelError> {
    kernel.set_former_settings(state::former_values(lab)?);
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

/// Writes the claims of labs whose folders are lost, this one among them, again from the marks in the kernel.
///
/// A lab that is just being made or removed has a folder, and one that has none cannot claim anything meanwhile: the
/// lock is held from before the folders are listed until the claims are written.
///
/// # Errors
/// The kernel refuses to list something, or the files cannot be written.
pub(super) fn recall(kernel: &mut Kernel, lab: &LabName) -> Result<(), KernelError> {
    let lost = |marks: BTreeMap<LabName, Marked>, known: &[String]| -> Vec<(LabName, Marked)> {
        let is_lost = |(owner, marked): &(LabName, Marked)| {
            !marked.settings.is_empty() && (owner == lab || !known.iter().any(|name| name == owner.as_str()))
        };
        marks.into_iter().filter(is_lost).collect()
    };
    if lost(kernel.marks()?, &[]).is_empty() {
        return Ok(());
    }
    let settings = HostSettings::lock()?;
    let known = settings.names_of_labs()?;
    for (owner, marked) in lost(kernel.marks()?, &known) {
        for (key, was) in &marked.settings {
            // Which value the lab needs is no longer known.
            let setting = settings.claim(key, None, &owner)?;
            if !setting.has_former()? {
                setting.keep_former(was)?;
            }
        }
    }
    Ok(())
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
