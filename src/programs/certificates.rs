//! Certificates of programs: who signs them, and when they are made anew.

use std::collections::{BTreeMap, BTreeSet};

use super::child;
use crate::certificates;
use crate::kernel::{KernelCode, KernelError};
use crate::lab::{LabName, Program, ProgramRef, certificate_files, fnv1a};
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

/// Writes the certificates of a program that are not there, or are for other hosts or of another authority.
///
/// # Errors
/// Why they cannot be made or written.
pub(super) fn write(state: &ProgramFiles, lab: &LabName, name: &ProgramRef, program: &Program) -> Result<(), String> {
    let missing = missing(state, name, program).map_err(|error| error.to_string())?;
    if missing.is_empty() {
        return Ok(());
    }
    let owner = child::owner(program)?;
    let authority = state.authority().map_err(|error| error.to_string())?;
    let [signer, signers_key] =
        authority.ok_or_else(|| format!("its certificates cannot be signed: the authority of {lab} is gone"))?;
    for (own, hosts) in program.certificates.iter().filter(|(own, _)| missing.contains(own)) {
        let names: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let made = certificates::signed(lab, &signers_key, &names)?;
        let [certificate, key] = certificate_files(own);
        let text = heading(hosts, &signer) + &made.certificate;
        // The key comes first: a certificate that is there has its key.
        for file in [(key, made.key), (certificate, text)] {
            state.write(name, &BTreeMap::from([file]), owner).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

/// The certificates of a program that are not there as they are to be.
///
/// # Errors
/// The files cannot be read.
pub(super) fn missing<'p>(
    state: &ProgramFiles,
    name: &ProgramRef,
    program: &'p Program,
) -> Result<Vec<&'p String>, KernelError> {
    if program.certificates.is_empty() {
        return Ok(Vec::new());
    }
    let Some([signer, _]) = state.authority()? else { return Ok(program.certificates.keys().collect()) };
    let mut missing = Vec::new();
    for (own, hosts) in &program.certificates {
        let [certificate, key] = certificate_files(own);
        let has_key = state.text(name, &key)?.is_some_and(|text| text.starts_with("-----BEGIN"));
        let heading = heading(hosts, &signer);
        if !has_key || !state.text(name, &certificate)?.is_some_and(|text| text.starts_with(&heading)) {
            missing.push(own);
        }
    }
    Ok(missing)
}

/// What stands before a certificate in its file, where nobody looks for one: whom it is for, and whose it is.
fn heading(hosts: &BTreeSet<String>, signer: &str) -> String {
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    format!("{}\nauthority {:08x}\n", hosts.join(" "), fnv1a(signer))
}
