//! The rules of a namespace, as `iptables-save` lists them.

use std::collections::BTreeSet;

use super::program::Program;
use super::running::Running;
use crate::iptables;
use crate::kernel::KernelError;
use crate::lab::{Family, NsName, ObservedFirewall, Table};

/// Lists the rules of this thread's namespace.
pub(super) fn saved(program: &Program, family: Family, ns: &NsName) -> Result<ObservedFirewall, KernelError> {
    Ok(listed(Running::start(&mut program.save(), "")?, family, ns)?.0)
}

/// What an `iptables-save` that is running says; and the tables of nf_tables that it cannot show, which are other
/// programs' in a lab's namespace.
pub(super) fn listed(
    listing: Running,
    family: Family,
    ns: &NsName,
) -> Result<(ObservedFirewall, BTreeSet<Table>), KernelError> {
    let output = listing.output()?;
    if output.status.success() {
        let saved = String::from_utf8_lossy(&output.stdout);
        return Ok((iptables::read_saved(family, &saved), iptables::unshown_tables(&saved)));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Parsing nftables rule failed") && !ns.is_host() {
        return Ok((ObservedFirewall::default(), [Table::Nat, Table::Filter].into()));
    }
    Err(KernelError::new(format!("list the {} rules of {ns}", family.program())).said(said.trim()))
}
