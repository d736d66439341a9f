//! Which labs there are: by the marks in the kernel, and by the claims to host settings.

use std::collections::BTreeMap;

use crate::kernel::{Kernel, KernelError, Marked};
use crate::lab::LabName;
use crate::state;

/// What carries a mark, by lab; nothing for a lab that has only claims.
///
/// # Errors
/// The kernel refuses to list something, or a claim cannot be read.
pub(super) fn of_all(kernel: &mut Kernel) -> Result<BTreeMap<LabName, Marked>, KernelError> {
    let mut marks = kernel.marks()?;
    for lab in state::claims()?.into_values().flat_map(BTreeMap::into_keys) {
        marks.entry(lab).or_default();
    }
    Ok(marks)
}
