//! Which labs have a folder.

use super::folder::Folder;
use crate::kernel::KernelError;
use crate::lab::LabName;

/// The labs that have a folder.
///
/// # Errors
/// `/run/nslab` cannot be listed.
pub(crate) fn labs() -> Result<Vec<LabName>, KernelError> {
    let Some(root) = Folder::find()? else { return Ok(Vec::new()) };
    let mut labs: Vec<LabName> = root.names()?.iter().filter_map(|name| name.parse().ok()).collect();
    labs.sort();
    Ok(labs)
}
