//! What sysctls of a lab's namespaces were before the lab set them, as noted in the namespaces themselves.
//!
//! A step that sets one notes it. What remains are the settings that were right from the start, so that they are
//! restored even if they drift meanwhile; and notes of what the file no longer sets, which is restored already.

use crate::kernel::{Kernel, KernelError};
use crate::lab::{Lab, Observed, Part, SysctlKey};

/// Makes the notes in the lab's namespaces complete, once everything in them is as it should be. Of what cannot be
/// read, nothing is noted.
///
/// # Errors
/// The kernel refuses a note.
pub(super) fn settle(kernel: &mut Kernel, lab: &Lab, live: &Observed) -> Result<(), KernelError> {
    for (ns, wanted) in lab.namespaces.iter().filter(|(ns, _)| !ns.is_host()) {
        let Some(is) = live.namespaces.get(ns) else { continue };
        let is_read = |part| !live.lacks(ns, &part);
        if !is_read(Part::Everything) {
            continue;
        }
        let is_new = |key: &SysctlKey| !is.original_sysctls.contains_key(key) && is_read(Part::Sysctl(key.clone()));
        for (key, value) in wanted.sysctls.iter().filter(|(key, _)| is_new(key)) {
            kernel.note_former(ns, key, is.is.sysctls.get(key).unwrap_or(value))?;
        }
        for (key, was) in is.original_sysctls.iter().filter(|(key, _)| !wanted.sysctls.contains_key(*key)) {
            kernel.forget_former(ns, key, was)?;
        }
    }
    Ok(())
}
