//! Certificates of programs: who signs them, and when they are made anew.

use std::collections::{BTreeMap, BTreeSet};

use super::child;
use crate::certificates;
use crate::kernel::{KernelCode, KernelError};
use crate::lab::certificate_files;
use crate::lab::{LabName, Program, ProgramRef};
use crate::state::ProgramFiles;

/// Sees to it that a lab has an authority, if one of these programs has certificates. Whoever writes them only reads
/// it, so that all have the same.
///
/// # Errors
/// It cannot be made or written.
pub(super) fn prepare(lab: &LabName, programs: &[(ProgramRef, Program)]) -> Result<(), KernelError> {
    let has_some = programs.iter().any(|(_, program)| !program.certificates.is_empty());
    let Some(state) = has_some.then(|| ProgramFiles::open(lab)).transpose()?.flatten() else { return Ok(()) };
    if state.authority()?.is_some() {
        return Ok(());
    }
    let made = certificates::authority(lab);
    let refused = |why: String| KernelError::new("make an authority").said(why).with_code(KernelCode::ProgramFailed);
    let made = made.map_err(refused)?;
    state.set_authority(&made.certificate, &made.key)
}

/// Writes the certificates of a program that are not there, or have had other hosts.
///
/// # Errors
/// Why they cannot be made or written.
pub(super) fn write(state: &ProgramFiles, lab: &LabName, name: &ProgramRef, program: &Program) -> Result<(), String> {
    let owner = child::owner(program)?;
    for (own, hosts) in &program.certificates {
        if is_there(state, name, own, hosts).map_err(|error| error.to_string())? {
            continue;
        }
        let heading = heading(hosts);
        let [certificate, key] = certificate_files(own);
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let authority = state.authority().map_err(|error| error.to_string())?;
        let authority =
            authority.ok_or_else(|| format!("its certificates cannot be signed: the authority of {lab} is gone"))?;
        let made = certificates::signed(lab, &authority, &hosts)?;
        let files = BTreeMap::from([(certificate, heading + &made.certificate), (key, made.key)]);
        state.write(name, &files, owner).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Whether a certificate of a program is there, for these hosts.
///
/// # Errors
/// Its files cannot be read.
pub(super) fn is_there(
    state: &ProgramFiles,
    name: &ProgramRef,
    own: &str,
    hosts: &BTreeSet<String>,
) -> Result<bool, KernelError> {
    let [certificate, key] = certificate_files(own);
    let has_key = state.text(name, &key)?.is_some_and(|text| text.starts_with("-----BEGIN"));
    Ok(has_key && state.text(name, &certificate)?.is_some_and(|text| text.starts_with(&heading(hosts))))
}

/// What stands before a certificate in its file, where nobody looks for one.
fn heading(hosts: &BTreeSet<String>) -> String {
    format!("{}\n", hosts.iter().map(String::as_str).collect::<Vec<_>>().join(" "))
}
