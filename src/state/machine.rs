//! Which of a lab's machines this one is, where several make the lab together: `node1 eth1`, the namespace and the
//! machine's interface on the network between them.

use super::folder::Folder;
use crate::kernel::KernelError;
use crate::lab::{IfName, LabName, NsName};

pub(super) const FILE: &str = "machine";

/// Writes it into a lab's folder.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(folder: &Folder, (node, dev): (&NsName, &IfName)) -> Result<(), KernelError> {
    folder.write(FILE, &format!("{node} {dev}\n"))
}

/// Which machine of a lab this is; none where the lab is on this one alone, or what is kept says nothing.
///
/// # Errors
/// It is there and cannot be read.
pub(crate) fn machine_of(lab: &LabName) -> Result<Option<(NsName, IfName)>, KernelError> {
    let text = Folder::of_lab(lab)?.map_or(Ok(None), |folder| folder.read(FILE))?;
    let machine = text.as_deref().and_then(|text| text.trim_end().split_once(' '));
    Ok(machine.and_then(|(node, dev)| Some((node.parse().ok()?, dev.parse().ok()?))))
}
