//! What is in `/run/nslab` and is not what nslab keeps there: told by the commands that read it. Whoever reads passes
//! over it (see `folder.rs`).

use nix::sys::stat::SFlag;

use super::folder::{Folder, LOCK, odd};
use super::{deviceless_routes, host_settings, lab_folder, machine};
use crate::kernel::{KernelCode, KernelError};
use crate::lab::{LabName, setting_of_folder};

/// What is odd, in words; where `/run/nslab` itself is, that alone.
pub(crate) fn oddities() -> Vec<KernelError> {
    let mut found = Vec::new();
    match of_all(&mut found) {
        // What else may not be read, the command itself tells.
        Err(error) if matches!(error.code(), KernelCode::OddState | KernelCode::UntrustedState) => found.push(error),
        _ => {}
    }
    found
}

fn of_all(found: &mut Vec<KernelError>) -> Result<(), KernelError> {
    let Some(root) = Folder::find()? else { return Ok(()) };
    for name in root.names()? {
        let is_of_host = name == host_settings::FOLDER;
        if !is_of_host && name.parse::<LabName>().is_err() {
            continue;
        }
        match folder(&root, &name, found)? {
            Some(settings) if is_of_host => of_host(&settings, found)?,
            Some(folder) => of_lab(&folder, found)?,
            None => {}
        }
    }
    Ok(())
}

fn of_lab(folder: &Folder, found: &mut Vec<KernelError>) -> Result<(), KernelError> {
    file(folder, LOCK, found, |_| None)?;
    file(folder, lab_folder::JOURNAL, found, |text| {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).err().map(|_| "it is no journal")
    })?;
    file(folder, lab_folder::TOPOLOGY, found, |text| text.trim().is_empty().then_some("it is empty"))?;
    file(folder, machine::FILE, found, |text| (!text.contains(' ')).then_some("it names no machine"))?;
    file(folder, deviceless_routes::FILE, found, |text| {
        let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        (!text.lines().all(is_json)).then_some("it is no list of routes and policy rules")
    })
}

fn of_host(settings: &Folder, found: &mut Vec<KernelError>) -> Result<(), KernelError> {
    for name in settings.names()? {
        if name == LOCK {
            file(settings, LOCK, found, |_| None)?;
        } else if setting_of_folder(&name).is_some()
            && let Some(setting) = folder(settings, &name, found)?
        {
            for kept in [host_settings::WAS, host_settings::ALONG, host_settings::SET] {
                file(&setting, kept, found, |_| None)?;
            }
            if let Some(claims) = folder(&setting, host_settings::LABS, found)? {
                for lab in claims.names()?.iter().filter(|name| name.parse::<LabName>().is_ok()) {
                    file(&claims, lab, found, |_| None)?;
                }
            }
        }
    }
    Ok(())
}

/// A folder in another; told where something else is in its place.
fn folder(of: &Folder, name: &str, found: &mut Vec<KernelError>) -> Result<Option<Folder>, KernelError> {
    let folder = of.get(name)?;
    if folder.is_none() && of.kind(name)?.is_some_and(|kind| kind != SFlag::S_IFDIR) {
        found.push(of.because("open", name, SFlag::S_IFDIR, nix::errno::Errno::ENOTDIR));
    }
    Ok(folder)
}

/// Tells of what is wrong with a file, if it is there.
fn file(
    of: &Folder,
    name: &str,
    found: &mut Vec<KernelError>,
    wrong: impl Fn(&str) -> Option<&'static str>,
) -> Result<(), KernelError> {
    match of.look(name)? {
        Some(Ok(text)) => found.extend(wrong(&text).map(|why| odd("use", &of.below(name), why))),
        Some(Err(error)) => found.push(error),
        None => {}
    }
    Ok(())
}
