//! The rules of a namespace, as `iptables-save` lists them.

use std::collections::BTreeSet;

use super::program::Program;
use super::running::Running;
use crate::iptables;
use crate::kernel::KernelError;
use crate::lab::{CountedFirewall, Family, NsName, ObservedFirewall, Table};

/// Lists the rules of this thread's namespace, as [`listed`] does.
pub(super) fn saved(
    program: &Program,
    family: Family,
    ns: &NsName,
) -> Result<(ObservedFirewall, BTreeSet<Table>), KernelError> {
    listed(Running::start(&mut program.save(), "")?, family, ns, &[])
}

/// Lists the rules of this thread's namespace, with their counters.
pub(super) fn counted(program: &Program, family: Family, ns: &NsName) -> Result<CountedFirewall, KernelError> {
    let output = Running::start(program.save().arg("-c"), "")?.output()?;
    if output.status.success() {
        return Ok(iptables::read_counted(family, &String::from_utf8_lossy(&output.stdout)));
    }
    if is_of_others(ns, &output.stderr) {
        return Ok(CountedFirewall::default());
    }
    Err(cannot_list(family, ns, &output.stderr))
}

/// What an `iptables-save` that is running says; and the tables of nf_tables that it cannot show, which are other
/// programs' in a lab's namespace. The legacy one must show the `tables` that the kernel has.
pub(super) fn listed(
    listing: Running,
    family: Family,
    ns: &NsName,
    tables: &[String],
) -> Result<(ObservedFirewall, BTreeSet<Table>), KernelError> {
    let output = listing.output()?;
    if output.status.success() {
        let saved = String::from_utf8_lossy(&output.stdout);
        if let Some(table) =
            tables.iter().find(|table| !saved.lines().any(|line| line.strip_prefix('*') == Some(table)))
        {
            let missing = format!("table {table} is missing in what it says");
            return Err(cannot_list(family, ns, missing.as_bytes()));
        }
        return Ok((iptables::read_saved(family, &saved), iptables::unshown_tables(&saved)));
    }
    if is_of_others(ns, &output.stderr) {
        return Ok((ObservedFirewall::default(), [Table::Nat, Table::Filter].into()));
    }
    Err(cannot_list(family, ns, &output.stderr))
}

/// Whether it gives up because of what another program has put into a lab's own namespace.
fn is_of_others(ns: &NsName, said: &[u8]) -> bool {
    String::from_utf8_lossy(said).contains("Parsing nftables rule failed") && !ns.is_host()
}

fn cannot_list(family: Family, ns: &NsName, said: &[u8]) -> KernelError {
    let said = String::from_utf8_lossy(said);
    KernelError::new(format!("list the {} rules of {ns}", family.program())).said(said.trim())
}
