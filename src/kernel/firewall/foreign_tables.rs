//! Tables of other programs in a lab's own namespace: those of nf_tables that iptables does not show, and those of
//! legacy iptables that nslab does not use.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::process::Command;

use super::installed::Installed;
use super::nftables::{Message, Nftables};
use super::program::Variant;
use super::running::Running;
use crate::iptables::{chain_removal, emptied_table, tables_in_use};
use crate::kernel::KernelError;
use crate::kernel::netns::run_in;
use crate::lab::{Family, ForeignKind, ForeignObject, Table};
use crate::steps::Presence;

/// A search that has begun: the programs that list legacy tables are running.
#[derive(Default)]
pub(super) struct Search {
    nft: Option<Nftables>,
    tables: Vec<Message>,
    legacy: Vec<(Family, Running)>,
}

impl Search {
    /// Begins in this thread's namespace; `tables` are those of nf_tables.
    pub(super) fn begin(
        nft: Option<Nftables>,
        tables: Vec<Message>,
        installed: &Installed,
    ) -> Result<Self, KernelError> {
        let mut legacy = Vec::new();
        for family in [Family::Ipv4, Family::Ipv6] {
            let is_ours = |table: &str| {
                let program = installed.program(family);
                Table::from_name(table).is_some() && program.is_ok_and(|program| program.variant == Variant::Legacy)
            };
            if installed.legacy.tables(family).iter().any(|table| !is_ours(table))
                && let Some(mut save) = legacy_program(family, "save")
            {
                legacy.push((family, Running::start(&mut save, "")?));
            }
        }
        Ok(Self { nft, tables, legacy })
    }

    /// Whether there is anything to wait for, or to look into.
    pub(super) fn has_begun(&self) -> bool {
        !self.tables.is_empty() || !self.legacy.is_empty()
    }

    /// The tables with rules of which `iptables-save` shows but a part, as if they were others.
    pub(super) fn misread_tables(&mut self) -> Result<BTreeSet<(Family, Table)>, KernelError> {
        match &mut self.nft {
            Some(nft) if self.tables.iter().any(|table| table.as_table().is_some()) => nft.tables_with_sets(),
            _ => Ok(BTreeSet::new()),
        }
    }

    /// What was found; `shown` are the tables that nslab's iptables shows.
    pub(super) fn finish(self, shown: &BTreeSet<(Variant, Family, Table)>) -> Result<Vec<ForeignObject>, KernelError> {
        let mut found = Vec::new();
        for (family, running) in self.legacy {
            let saved = running.output()?.stdout;
            for (name, section) in tables_in_use(&String::from_utf8_lossy(&saved)) {
                let table = Table::from_name(&name);
                if table.is_none_or(|table| !shown.contains(&(Variant::Legacy, family, table))) {
                    let kind = ForeignKind::LegacyTable { family };
                    found.push(ForeignObject { kind, text: name, message: section.into_bytes() });
                }
            }
        }
        let is_foreign = |message: &Message| {
            let table = message.as_table();
            table.is_none_or(|found| !shown.contains(&(Variant::Nft, found.family, found.table)))
        };
        let tables: Vec<Message> = self.tables.into_iter().filter(is_foreign).collect();
        if let Some(mut nft) = self.nft {
            found.extend(nft.whole(&tables)?);
        }
        // The kernel lists them in any order; a plan is always the same.
        found.sort_by(|a, b| a.text.cmp(&b.text));
        Ok(found)
    }
}

/// Removes a table of a namespace that a search has found, or puts it back.
pub(in crate::kernel) fn run(ns: BorrowedFd<'_>, change: &Presence<ForeignObject>) -> Result<(), KernelError> {
    let object = change.object();
    let adds = matches!(change, Presence::Add(_));
    match object.kind {
        ForeignKind::LegacyTable { family } => run_in(ns, || load_legacy(family, object, adds))?,
        ForeignKind::NftTable { handle } => run_in(ns, || {
            let Some(mut nft) = Nftables::open()? else { return Ok(()) };
            if adds { nft.make_whole(object) } else { nft.remove_by_handle(object, handle) }
        })?,
        ForeignKind::LabChain { .. } => run_in(ns, || change_lab_chain(object, adds))?,
        _ => Err(KernelError::new(format!("change {object}")).said("it is no table")),
    }
}

/// Removes a chain of a lab with the rules that lead to it, or puts it back.
fn change_lab_chain(object: &ForeignObject, adds: bool) -> Result<(), KernelError> {
    let (ForeignKind::LabChain { family, is_legacy, .. }, Some(id)) = (object.kind, object.lab_chain()) else {
        return Err(KernelError::new(format!("change {object}")).said("it is no chain"));
    };
    if is_legacy {
        let put_back = String::from_utf8_lossy(&object.message);
        let content = if adds { put_back.into_owned() } else { chain_removal(&put_back) };
        return run_legacy(family, &content, &["--noflush"], if adds { "put back" } else { "remove" }, object);
    }
    let Some(mut nft) = Nftables::open()? else { return Ok(()) };
    if adds {
        return nft.make_lab_chain(&id, object);
    }
    nft.remove_lab_chain(&id)?;
    nft.remove_ours()
}

/// Loads a legacy table whole: with what was in it, or with nothing.
fn load_legacy(family: Family, object: &ForeignObject, adds: bool) -> Result<(), KernelError> {
    let saved = String::from_utf8_lossy(&object.message);
    let content = if adds { saved.into_owned() } else { emptied_table(&saved) };
    let verb = if adds { "fill" } else { "empty" };
    run_legacy(family, &content, &[], verb, object)
}

/// Runs the `iptables-restore` of legacy iptables.
fn run_legacy(
    family: Family,
    content: &str,
    args: &[&str],
    verb: &str,
    object: &ForeignObject,
) -> Result<(), KernelError> {
    let failed = || KernelError::new(format!("{verb} {object}"));
    let Some(mut restore) = legacy_program(family, "restore") else {
        return Err(failed().said("the legacy iptables is not installed"));
    };
    let output = Running::start(restore.args(args).arg("--wait"), content)?.output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed().said(String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// One of the programs of legacy iptables, if it is installed.
pub(super) fn legacy_program(family: Family, what: &str) -> Option<Command> {
    super::program::find(&format!("{}-legacy-{what}", family.program())).map(Command::new)
}
