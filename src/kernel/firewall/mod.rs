//! The packet filter of a namespace: what is in it, and steps that change it, by way of iptables.
//!
//! Looking is free where there is nothing: the kernel is asked for its tables first, and `iptables-save` runs only
//! where there are any. Changing is one `iptables-restore --noflush` for all steps of a namespace and family.

pub(super) mod facts;
pub(super) mod foreign_tables;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod installed;
mod nftables;
mod program;
mod restore;
mod running;
mod saved;
mod table_removal;

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

use foreign_tables::Search;
pub(super) use installed::Installed;
use nftables::{Message, Nftables};
pub use program::{Program, Variant, program};

use running::Running;
use saved::listed;

use super::KernelError;
use super::netns::run_in;
use crate::lab::{ChainId, CountedFirewall, Family, Firewall, ForeignObject, NsName, ObservedFirewall, Table};
use crate::steps::{FirewallStep, Step};

/// The rules of a namespace, in the tables `nat` and `filter` of both families. `ns_name` is for the error
/// alone. Where `iptables` is not installed, that is an error only if rules are `wanted` or a lab's chains are there.
///
/// What other programs keep in tables of their own (`nft`, firewalld) is not in it; see [`foreign_tables`].
pub fn observe(
    ns: BorrowedFd<'_>,
    ns_name: &NsName,
    wanted: Option<&Firewall>,
) -> Result<ObservedFirewall, KernelError> {
    Ok(run_in(ns, || look(ns_name, wanted, &Installed::find()))??.finish()?.0)
}

/// A look at the firewall that has begun: the programs that list it are running.
pub(super) struct Look {
    ns: NsName,
    listings: Vec<(Variant, Family, Running)>,
    foreign: Search,
}

/// Begins to look at the firewall of this thread's namespace; see [`observe`].
pub(super) fn look(ns: &NsName, wanted: Option<&Firewall>, installed: &Installed) -> Result<Look, KernelError> {
    let mut nft = Nftables::open()?;
    let tables = nft.as_mut().map_or(Ok(Vec::new()), Nftables::all_tables)?;
    let mut listings = Vec::new();
    for (family, program) in listers(nft.as_mut(), &tables, wanted, installed)? {
        listings.push((program.variant, family, Running::start(&mut program.save(), "")?));
    }
    // Those of `host` are no concern of any lab's.
    let foreign = if ns.is_host() { Search::default() } else { Search::begin(nft, tables, installed)? };
    Ok(Look { ns: ns.clone(), listings, foreign })
}

/// The programs that show the tables of this thread's namespace, by family; none where there are no tables.
fn listers(
    mut nft: Option<&mut Nftables>,
    tables: &[Message],
    wanted: Option<&Firewall>,
    installed: &Installed,
) -> Result<Vec<(Family, Program)>, KernelError> {
    let nft_families: BTreeSet<Family> =
        tables.iter().filter_map(Message::as_table).map(|found| found.family).collect();
    let mut programs = Vec::new();
    for family in [Family::Ipv4, Family::Ipv6] {
        let in_nft = nft_families.contains(&family);
        if !in_nft && !installed.legacy.exists(family) {
            continue;
        }
        match installed.program(family) {
            Ok(program) if program.variant == Variant::Nft && in_nft => programs.push((family, program)),
            Ok(program) if program.variant == Variant::Legacy && installed.legacy.has_tables(family) => {
                programs.push((family, program));
            }
            // Tables that the installed program does not show are not of nslab, which could not have made them.
            Ok(_) => {}
            Err(_) if !in_nft || (!has_ours(nft.as_deref_mut(), family)? && !wants(wanted, family)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(programs)
}

/// The rules of a namespace with their counters. `ns_name` is for the error alone.
///
/// # Errors
/// As with [`observe`].
pub(super) fn counted(ns: BorrowedFd<'_>, ns_name: &NsName) -> Result<CountedFirewall, KernelError> {
    run_in(ns, || {
        let mut nft = Nftables::open()?;
        let tables = nft.as_mut().map_or(Ok(Vec::new()), Nftables::all_tables)?;
        let mut firewall = CountedFirewall::new();
        for (family, program) in listers(nft.as_mut(), &tables, None, &Installed::find())? {
            firewall.extend(saved::counted(&program, family, ns_name)?);
        }
        Ok(firewall)
    })?
}

impl Look {
    /// Whether there is anything to finish.
    pub(super) fn has_begun(&self) -> bool {
        !self.listings.is_empty() || self.foreign.has_begun()
    }

    /// Waits for the programs, and takes over what they say; and the tables of other programs.
    pub(super) fn finish(mut self) -> Result<(ObservedFirewall, Vec<ForeignObject>), KernelError> {
        let (mut firewall, mut shown) = (ObservedFirewall::default(), BTreeSet::new());
        let misread = self.foreign.misread_tables()?;
        for (variant, family, listing) in self.listings {
            let (of_family, unshown) = listed(listing, family, &self.ns)?;
            let is_shown = |table: Table| {
                variant == Variant::Legacy || !(unshown.contains(&table) || misread.contains(&(family, table)))
            };
            let tables: Vec<Table> = [Table::Nat, Table::Filter].into_iter().filter(|table| is_shown(*table)).collect();
            // What is shown in part is removed as a whole, and made again.
            let is_read = |chain: &ChainId| self.ns.is_host() || tables.contains(&chain.table);
            firewall.chains.extend(of_family.chains.into_iter().filter(|(chain, _)| is_read(chain)));
            firewall.policies.extend(of_family.policies.into_iter().filter(|(chain, _)| is_read(chain)));
            shown.extend(tables.into_iter().map(|table| (variant, family, table)));
        }
        Ok((firewall, self.foreign.finish(&shown)?))
    }
}

fn wants(wanted: Option<&Firewall>, family: Family) -> bool {
    wanted.is_some_and(|wanted| wanted.chains.keys().any(|chain| chain.family == family))
}

fn has_ours(nft: Option<&mut Nftables>, family: Family) -> Result<bool, KernelError> {
    nft.map_or(Ok(false), |nft| Ok(nft.families_of_labs()?.contains(&family)))
}

/// Carries out firewall steps (chains and rules added and removed) of one namespace and one family, by one
/// `iptables-restore`: all of them or none.
///
/// In `host`, two nslabs at once could remove each other's table between making it and filling it: the caller makes
/// sure that there is only one.
///
/// # Errors
/// The step that was refused, as far as `iptables-restore` names it.
pub fn run(ns: BorrowedFd<'_>, steps: &[Step]) -> Result<(), KernelError> {
    let Some((name, family)) = steps.iter().find_map(|step| Some((step.namespace(), restore::family(step)?))) else {
        return Ok(());
    };
    let program = program(family)?;
    run_in(ns, || match program.variant {
        Variant::Nft if name.is_host() => run_in_host(&program, family, steps),
        // A namespace takes its tables along when it goes, and legacy tables cannot be removed.
        _ => restored(&program, &name, steps),
    })?
}

/// Whether the host has tables that [`run`] made there.
///
/// # Errors
/// The kernel refuses to list tables.
pub fn has_our_tables(host: BorrowedFd<'_>) -> Result<bool, KernelError> {
    run_in(host, || match Nftables::open()? {
        Some(mut nft) => Ok(nft.tables()?.iter().any(|found| found.of_nslab)),
        None => Ok(false),
    })?
}

/// Removes from the host the empty tables that [`run`] made there. It does so itself; this is for after a crash.
///
/// # Errors
/// The kernel refuses to list or remove tables.
pub fn tidy(host: BorrowedFd<'_>) -> Result<(), KernelError> {
    run_in(host, || match Nftables::open()? {
        Some(mut nft) => nft.remove_ours(),
        None => Ok(()),
    })?
}

/// Makes the tables that are needed ourselves, so that we know them again and the host can be left without them.
fn run_in_host(program: &Program, family: Family, steps: &[Step]) -> Result<(), KernelError> {
    let Some(mut nft) = Nftables::open()? else { return restored(program, &NsName::host(), steps) };
    if table_removal::remove(&mut nft, program, family, steps)? {
        return Ok(());
    }
    for table in restore::tables(steps) {
        nft.make_ours(family, table)?;
    }
    let done = restored(program, &NsName::host(), steps);
    let removes = |step: &Step| step.firewall().is_some_and(FirewallStep::removes);
    if done.is_err() || steps.iter().any(removes) {
        let tidied = nft.remove_ours();
        return done.and(tidied);
    }
    Ok(())
}

/// Runs `iptables-restore` in this thread's namespace. It commits one table after the other: where a later one is
/// refused, the earlier ones are put back.
fn restored(program: &Program, ns: &NsName, steps: &[Step]) -> Result<(), KernelError> {
    let script = restore::script(steps);
    let mut command = program.restore();
    command.args(["--noflush", "--wait"]);
    let output = Running::start(&mut command, &script.text)?.output()?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let undo = script.undo(&complaint);
    let error = script.error(&complaint, ns);
    if undo.is_empty() || restored(program, ns, &undo).is_ok() {
        return Err(error);
    }
    Err(error.hint("the firewall's other table could not be put back either: look at it with iptables-save"))
}
