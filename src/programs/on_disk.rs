//! The files of programs as they are, which need not be what was written.

use super::certificates;
use crate::lab::{LabName, ObservedProgram, Program, ProgramRef, ProgramState};
use crate::state::ProgramFiles;

/// The program as its files on the disk say: without those that are gone, and with the text of those that are altered.
pub(super) fn as_found(state: &ProgramFiles, name: &ProgramRef, program: &Program) -> Program {
    let mut found = program.clone();
    // What cannot be read is no better than gone: it is written anew.
    let text = |file: &str| state.text(name, file).ok().flatten();
    found.files.retain(|file, is| match text(file) {
        Some(other) => {
            *is = other;
            true
        }
        None => false,
    });
    let missing = certificates::missing(state, name, program).unwrap_or_default();
    found.certificates.retain(|own, _| !missing.contains(&own));
    found
}

/// The same of programs that run. The files of others are written when they start.
pub(super) fn look<'p>(lab: &LabName, programs: impl Iterator<Item = (&'p ProgramRef, &'p mut ObservedProgram)>) {
    let Ok(Some(state)) = ProgramFiles::open(lab) else { return };
    for (name, own) in programs {
        let has_files = !own.program.files.is_empty() || !own.program.certificates.is_empty();
        if has_files && own.state == ProgramState::Running {
            own.program = as_found(&state, name, &own.program);
        }
    }
}
