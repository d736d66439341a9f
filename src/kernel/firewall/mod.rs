//! The packet filter of a namespace: what is in it, and steps that change it, by way of iptables.
//!
//! Looking is free where there is nothing: the kernel is asked for its tables first, and `iptables-save` runs only
//! where there are any. Changing is one `iptables-restore --noflush` for all steps of a namespace and family.

pub(super) mod facts;
pub(super) mod foreign_tables;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod installed;
mod look;
pub(super) mod nft_trial;
mod nftables;
mod program;
mod restore;
mod running;
mod saved;
mod table_removal;

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;

pub(super) use installed::Installed;
use look::listers;
pub(super) use look::{Look, look};
pub(super) use nftables::Nftables;
pub use program::{Program, Variant, program};

use super::KernelError;
use super::netns::run_in;
use crate::lab::{ChainId, CountedFirewall, Family, ForeignObject, Hook, LabName, Namespace, NsName, ObservedFirewall};
use crate::steps::{FirewallStep, NftStep, Step};
use running::Running;

/// The rules of a namespace, in the tables `nat` and `filter` of both families. `ns_name` is for the error
/// alone. Where `iptables` is not installed, that is an error only if rules are `wanted` or a lab's chains are there.
///
/// What other programs keep in tables of their own (`nft`, firewalld) is not in it; see [`foreign_tables`].
pub fn observe(
    ns: BorrowedFd<'_>,
    ns_name: &NsName,
    wanted: Option<&Namespace>,
) -> Result<ObservedFirewall, KernelError> {
    let seen = run_in(ns, || look(ns_name, None, wanted, &Installed::find()))??.finish()?;
    seen.unread.map_or(Ok(seen.firewall), Err)
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
            firewall.extend(saved::counted(&program?, family, ns_name)?);
        }
        Ok(firewall)
    })?
}

/// The labs that have chains in this namespace, which is `host`.
///
/// # Errors
/// The kernel refuses to list them.
pub(super) fn labs(host: BorrowedFd<'_>) -> Result<BTreeSet<LabName>, KernelError> {
    let seen = run_in(host, || look(&NsName::host(), None, None, &Installed::find()))??.finish()?;
    let unshown = seen.others.iter().filter_map(ForeignObject::lab_chain);
    Ok(seen.firewall.chains.keys().cloned().chain(unshown).filter_map(|chain| Some(chain.owner()?.0)).collect())
}

/// What there still is of a lab's chains in nf_tables, whatever iptables says.
///
/// # Errors
/// The kernel refuses to list them.
pub fn chains_left(host: BorrowedFd<'_>, lab: &LabName) -> Result<Vec<ChainId>, KernelError> {
    let chains = run_in(host, || Nftables::open()?.map_or(Ok(BTreeSet::new()), |mut nft| nft.chains_of_labs()))??;
    Ok(chains.into_iter().filter(|chain| chain.owner().is_some_and(|(owner, _)| owner == *lab)).collect())
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
    run_and_hold(ns, steps).map(drop)
}

/// What steps have led to.
#[derive(Default)]
pub(super) struct Done {
    /// A conversation with the kernel that has removed something and is still open. To close it waits until the kernel
    /// has freed that, some twenty milliseconds in which other things can be done.
    pub held: Option<Nftables>,
    /// How many transactions it took, in a namespace that is not `host`.
    pub transactions: u32,
}

/// The same; what has been removed may be held.
pub(super) fn run_and_hold(ns: BorrowedFd<'_>, steps: &[Step]) -> Result<Done, KernelError> {
    let Some((name, family)) = steps.iter().find_map(|step| Some((step.namespace(), restore::family(step)?))) else {
        return Ok(Done::default());
    };
    let program = program(family)?;
    let done = |transactions| Done { held: None, transactions };
    run_in(ns, || match program.variant {
        Variant::Nft if name.is_host() => {
            run_in_host(&program, family, steps).map(|held| Done { held, transactions: 0 })
        }
        // A namespace takes its tables along when it goes, and legacy tables cannot be removed.
        Variant::Nft if are_new(family, steps)? => restored(&program, &name, steps, &["--wait"]).map(done),
        _ => restored(&program, &name, steps, BESIDE).map(done),
    })?
}

/// The number of the present rules in nf_tables of a namespace: each transaction gives them the next one. None where
/// this kernel has no netfilter over netlink, or no nf_tables.
///
/// # Errors
/// The kernel does not say it.
pub(super) fn generation(ns: BorrowedFd<'_>) -> Result<Option<u32>, KernelError> {
    run_in(ns, || Nftables::open()?.map_or(Ok(None), |mut nft| nft.generation_if_any()))?
}

/// Whether the kernel has just these chains of iptables, each with as many rules, in nf_tables of a namespace.
///
/// # Errors
/// The kernel refuses to list chains.
pub(super) fn is_so(ns: BorrowedFd<'_>, firewall: &ObservedFirewall) -> Result<bool, KernelError> {
    let is_so = |mut nft: Nftables| {
        let account = nft.account()?;
        let is_right = |family| account.contradiction(firewall, family, &BTreeSet::new()).is_none();
        Ok(is_right(Family::Ipv4) && is_right(Family::Ipv6))
    };
    run_in(ns, || Nftables::open()?.map_or(Ok(firewall.chains.is_empty()), is_so))?
}

/// Carries out steps on tables of nf_tables in one namespace: all of them or none. The conversation with the kernel is
/// still open, as with [`run_and_hold`]; and from which generation to which the steps have led.
///
/// # Errors
/// What the kernel has refused.
pub(super) fn run_nft(ns: BorrowedFd<'_>, steps: &[Step]) -> Result<(Nftables, [u32; 2]), KernelError> {
    let steps: Vec<&NftStep> = steps.iter().filter_map(Step::nft).collect();
    run_in(ns, || match Nftables::open()? {
        Some(mut nft) => {
            let before = nft.generation()?;
            nft.run(&steps)?;
            let after = nft.generation()?;
            Ok((nft, [before, after]))
        }
        None => Err(KernelError::new("change tables of nf_tables").said("this kernel has no netfilter over netlink")),
    })?
}

/// Whether the host has tables that [`run`] made there.
///
/// # Errors
/// The kernel refuses to list tables.
pub fn has_our_tables(host: BorrowedFd<'_>) -> Result<bool, KernelError> {
    run_in(host, || match Nftables::open()? {
        Some(mut nft) => nft.has_ours(),
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
fn run_in_host(program: &Program, family: Family, steps: &[Step]) -> Result<Option<Nftables>, KernelError> {
    let Some(mut nft) = Nftables::open()? else {
        return restored(program, &NsName::host(), steps, BESIDE).map(|_| None);
    };
    if table_removal::remove(&mut nft, program, family, steps)? {
        return Ok(Some(nft));
    }
    let before = nft.tables()?;
    for table in restore::tables(steps) {
        match before.iter().find(|found| (found.family, found.table) == (family, table)) {
            None => nft.make_ours(family, table)?,
            Some(found) if found.of_nslab => {}
            Some(_) => {
                let hooks = steps.iter().filter_map(Step::firewall).filter(|step| step.chain.table == table);
                let hooks: BTreeSet<Hook> = hooks.filter_map(|step| step.chain.hook()).collect();
                hooks.into_iter().try_for_each(|hook| nft.make_our_chain(family, table, hook))?;
            }
        }
    }
    let done = restored(program, &NsName::host(), steps, BESIDE);
    let removes = |step: &Step| step.firewall().is_some_and(FirewallStep::removes);
    if done.is_err() || steps.iter().any(removes) {
        let tidied = nft.remove_ours();
        return done.and(tidied.map(|()| Some(nft)));
    }
    Ok(None)
}

/// Whether this thread's namespace has none of the tables that steps change.
fn are_new(family: Family, steps: &[Step]) -> Result<bool, KernelError> {
    let Some(mut nft) = Nftables::open()? else { return Ok(false) };
    let there = nft.tables()?;
    Ok(!restore::tables(steps).any(|table| there.iter().any(|found| (found.family, found.table) == (family, table))))
}

/// What `iptables-restore` is told where there is something in the tables. Without `--noflush`, what they had is gone;
/// but for thousands of chains it then takes a third of the time (1.8.9), as it does not look each of them up.
const BESIDE: &[&str] = &["--noflush", "--wait"];

/// Runs `iptables-restore` in this thread's namespace, all steps in one message to the kernel for each table. Where
/// that is too long, since this is not the machine's root and so has no more room than net.core.wmem_max, each half of
/// the steps goes by itself. How many transactions that took: it commits each table by itself.
fn restored(program: &Program, ns: &NsName, steps: &[Step], options: &[&str]) -> Result<u32, KernelError> {
    match restored_at_once(program, ns, steps, options) {
        Err(Refusal { is_too_long: true, .. }) if steps.len() > 1 => {
            let (first, second) = steps.split_at(steps.len() / 2);
            let transactions = restored(program, ns, first, options)?;
            match restored(program, ns, second, BESIDE) {
                Ok(more) => Ok(transactions.saturating_add(more)),
                Err(error) => {
                    let undo: Vec<Step> = first.iter().rev().filter_map(Step::inverse).collect();
                    Err(put_back(program, ns, &undo, error))
                }
            }
        }
        Err(refusal) => Err(refusal.error),
        Ok(()) => Ok(u32::try_from(restore::tables(steps).count()).unwrap_or(u32::MAX)),
    }
}

/// Why `iptables-restore` did nothing.
struct Refusal {
    error: KernelError,
    /// Whether what it had to tell the kernel was too long.
    is_too_long: bool,
}

impl From<KernelError> for Refusal {
    fn from(error: KernelError) -> Self {
        Self { error, is_too_long: false }
    }
}

/// Where a later table is refused, the earlier ones are put back.
fn restored_at_once(program: &Program, ns: &NsName, steps: &[Step], options: &[&str]) -> Result<(), Refusal> {
    let script = restore::script(steps);
    let mut command = program.restore();
    command.args(options);
    let output = Running::start(&mut command, &script.text)?.output()?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let undo = script.undo(&complaint);
    // Tables that were committed before it have to be put back before it can be tried in parts.
    let is_too_long = complaint.contains("Message too long") && undo.is_empty();
    Err(Refusal { error: put_back(program, ns, &undo, script.error(&complaint, ns)), is_too_long })
}

/// Puts back what was done before an error came, which then says if that cannot be done either.
fn put_back(program: &Program, ns: &NsName, undo: &[Step], error: KernelError) -> KernelError {
    if undo.is_empty() || restored(program, ns, undo, BESIDE).is_ok() {
        return error;
    }
    error.hint("the firewall's other table could not be put back either: look at it with iptables-save")
}
