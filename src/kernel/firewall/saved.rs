//! The rules of a namespace, as `iptables-save` lists them.

use super::program::Program;
use super::running::Running;
use crate::iptables;
use crate::kernel::KernelError;
use crate::lab::{Family, NsName, ObservedFirewall};

/// Lists the rules of this thread's namespace.
pub(super) fn saved(program: &Program, family: Family, ns: &NsName) -> Result<ObservedFirewall, KernelError> {
    listed(Running::start(&mut program.save(), "")?, family, ns)
}

/// What an `iptables-save` that is running says.
pub(super) fn listed(listing: Running, family: Family, ns: &NsName) -> Result<ObservedFirewall, KernelError> {
    let output = listing.output()?;
    if output.status.success() {
        return Ok(iptables::read_saved(family, &String::from_utf8_lossy(&output.stdout)));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(KernelError::new(format!("list the {} rules of {ns}", family.program())).said(said.trim()))
}
