//! What programs in a lab's namespaces find in `/etc`: written, and told where `ip netns exec` cannot find it.

use super::{EngineCode, Told};
use crate::kernel::KernelError;
use crate::lab::{EtcFiles, Lab};
use crate::state;
use crate::steps::{EtcFilesStep, Step};

/// Carries a step out, if it is one on these files.
///
/// # Errors
/// A file or link cannot be written.
pub(super) fn run(step: &Step) -> Result<(), KernelError> {
    let Step::EtcFiles(own) = step else { return Ok(()) };
    match own {
        EtcFilesStep::Hosts { lab, change } => state::set_lab_hosts(lab, change.to.as_deref()),
        EtcFilesStep::Files { lab, ns, change } => state::set_etc_files(lab, ns, &change.to),
    }
}

/// That `ip netns exec` will not find the files of a lab which has some that are not the same as in any other.
pub(super) fn unlinked(lab: &Lab) -> Option<Told> {
    let has_own = lab.etc.namespaces.iter().any(|(ns, files)| *files != EtcFiles::of(ns));
    let why = has_own.then(state::why_no_links).flatten()?;
    let text = format!("`nslab exec` finds the hosts and name servers of the lab, and `ip netns exec` does not: {why}");
    Some(Told::new(text, EngineCode::NotLinked))
}
