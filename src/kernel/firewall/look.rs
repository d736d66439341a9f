//! A look at the firewall of a namespace: what iptables says of it, believed as far as the kernel's own account of its
//! tables and chains agrees; and what iptables does not show.

use std::collections::BTreeSet;

use super::foreign_tables::{Search, legacy_program};
use super::installed::Installed;
use super::nftables::{Message, Nftables};
use super::program::{Program, Variant};
use super::running::Running;
use super::saved::listed;
use crate::iptables::chains_of_labs;
use crate::kernel::KernelError;
use crate::lab::{
    ChainId, Family, Firewall, ForeignKind, ForeignObject, LabName, Namespace, NftTables, NsName, ObservedFirewall,
    Table,
};

/// A look that has begun: the programs that list the firewall are running.
pub(in crate::kernel) struct Look {
    ns: NsName,
    /// In `host`: the lab whose chains are looked for; all labs' where there is none.
    lab: Option<LabName>,
    /// Whether the tables that nobody shows matter; in `host`, only those do of which the lab wants something.
    wanted: Option<BTreeSet<(Family, Table)>>,
    listings: Vec<Listing>,
    /// In `host`: what the installed iptables does not show, since it is of the other variant.
    legacy: Vec<(Family, Result<Running, KernelError>)>,
    nft: Option<(Nftables, u32)>,
    /// Those of the wanted tables of nf_tables that the model can express.
    tables: NftTables,
    foreign: Search,
    /// Why it has not begun.
    failed: Option<KernelError>,
}

/// An iptables-save.
struct Listing {
    variant: Variant,
    family: Family,
    /// Of the legacy variant: the tables that the kernel has.
    tables: Vec<String>,
    running: Result<Running, KernelError>,
}

impl Listing {
    fn start((family, program): Lister, installed: &Installed) -> Self {
        let variant = program.as_ref().map_or(Variant::Nft, |program| program.variant);
        let tables = if variant == Variant::Legacy { installed.legacy.tables(family) } else { Vec::new() };
        let running = program.and_then(|program| Running::start(&mut program.save(), ""));
        Self { variant, family, tables, running }
    }
}

/// The iptables of a family, or why there is none.
pub(super) type Lister = (Family, Result<Program, KernelError>);

/// What a look has shown.
#[derive(Default)]
pub(in crate::kernel) struct Seen {
    /// What iptables shows.
    pub(in crate::kernel) firewall: ObservedFirewall,
    /// The tables of nf_tables that are wanted, as far as the model can express them.
    pub(in crate::kernel) tables: NftTables,
    /// Whatever else there is.
    pub(in crate::kernel) others: Vec<ForeignObject>,
    /// The generation of all of it, where nothing has changed during the look.
    pub(in crate::kernel) generation: Option<u32>,
    /// Why some of it is not in here, although it may matter.
    pub(in crate::kernel) unread: Option<KernelError>,
}

/// Begins to look at the firewall of this thread's namespace; see [`super::observe`]. In `host`, a `lab` has no use for
/// the rules of others: where it has no chains and wants none, no program is started.
pub(in crate::kernel) fn look(
    ns: &NsName,
    lab: Option<&LabName>,
    wanted: Option<&Namespace>,
    installed: &Installed,
) -> Result<Look, KernelError> {
    let mut nft = Nftables::open()?;
    let mut tables = nft.as_mut().map_or(Ok(Vec::new()), Nftables::all_tables)?;
    // Before anything is listed: what changes meanwhile is no contradiction.
    let is_asked = |table: &Message| !ns.is_host() || table.as_table().is_some();
    let own = if tables.iter().any(is_asked) { Nftables::open()? } else { None };
    let own = own.map(|mut own| own.generation().map(|generation| (own, generation))).transpose()?;
    let of_lab = wanted.map(|wanted| wanted.nft.keys().cloned().collect()).unwrap_or_default();
    let of_lab = nft.as_mut().map_or(Ok(NftTables::new()), |nft| nft.take_wanted(&of_lab, &mut tables))?;
    let wanted = wanted.map(|wanted| &wanted.firewall);
    let mut listers = listers(nft.as_mut(), &tables, wanted, installed)?;
    if ns.is_host() {
        let chains = nft.as_mut().map_or(Ok(BTreeSet::new()), Nftables::chains_of_labs)?;
        listers.retain(|(family, program)| {
            let is_legacy = program.as_ref().is_ok_and(|program| program.variant == Variant::Legacy);
            let has_chains = || chains.iter().any(|chain| chain.family == *family && is_of(lab, chain));
            is_legacy || wants(wanted, *family) || has_chains()
        });
    }
    let listings = listers.into_iter().map(|lister| Listing::start(lister, installed)).collect();
    let (mut legacy, mut foreign) = (Vec::new(), Search::default());
    if ns.is_host() {
        legacy = legacy_listings(installed);
    } else {
        foreign = Search::begin(nft, tables, installed)?;
    }
    let wanted = wanted.map(|wanted| wanted.chains.keys().map(|id| (id.family, id.table)).collect());
    Ok(Look {
        ns: ns.clone(),
        lab: lab.cloned(),
        wanted,
        listings,
        legacy,
        nft: own,
        tables: of_lab,
        foreign,
        failed: None,
    })
}

/// The programs that show the tables of this thread's namespace, by family; none where there are no tables. Where the
/// program is missing, that is an error only if rules are `wanted` or a lab's chains are there.
pub(super) fn listers(
    mut nft: Option<&mut Nftables>,
    tables: &[Message],
    wanted: Option<&Firewall>,
    installed: &Installed,
) -> Result<Vec<Lister>, KernelError> {
    let nft_families: BTreeSet<Family> =
        tables.iter().filter_map(Message::as_table).map(|found| found.family).collect();
    let mut programs = Vec::new();
    for family in [Family::Ipv4, Family::Ipv6] {
        let in_nft = nft_families.contains(&family);
        if !in_nft && !installed.legacy.exists(family) {
            continue;
        }
        match installed.program(family) {
            Ok(program) if program.variant == Variant::Nft && in_nft => programs.push((family, Ok(program))),
            Ok(program) if program.variant == Variant::Legacy && installed.legacy.has_tables(family) => {
                programs.push((family, Ok(program)));
            }
            // Tables that the installed program does not show.
            Ok(_) => {}
            Err(_) if !in_nft || (!has_ours(nft.as_deref_mut(), family)? && !wants(wanted, family)) => {}
            Err(error) => programs.push((family, Err(error))),
        }
    }
    Ok(programs)
}

/// The programs that list the legacy tables of this thread's namespace where the installed iptables does not.
fn legacy_listings(installed: &Installed) -> Vec<(Family, Result<Running, KernelError>)> {
    let is_unseen = |family: &Family| {
        let is_legacy = installed.program(*family).is_ok_and(|program| program.variant == Variant::Legacy);
        !is_legacy && installed.legacy.has_tables(*family)
    };
    let families = [Family::Ipv4, Family::Ipv6].into_iter().filter(is_unseen);
    let programs = families.filter_map(|family| Some((family, legacy_program(family, "save")?)));
    programs.map(|(family, mut save)| (family, Running::start(&mut save, ""))).collect()
}

/// Whether a chain is a lab's, or any lab's.
fn is_of(lab: Option<&LabName>, chain: &ChainId) -> bool {
    lab.map_or_else(|| chain.owner().is_some(), |lab| chain.is_of(lab))
}

fn wants(wanted: Option<&Firewall>, family: Family) -> bool {
    wanted.is_some_and(|wanted| wanted.chains.keys().any(|chain| chain.family == family))
}

fn has_ours(nft: Option<&mut Nftables>, family: Family) -> Result<bool, KernelError> {
    nft.map_or(Ok(false), |nft| Ok(nft.chains_of_labs()?.iter().any(|chain| chain.family == family)))
}

impl Look {
    /// A look that could not begin.
    pub(in crate::kernel) fn failed(ns: &NsName, error: KernelError) -> Self {
        Self { failed: Some(error), ..Self::none(ns) }
    }

    /// No look at all: what it would show is known.
    pub(in crate::kernel) fn none(ns: &NsName) -> Self {
        let (listings, legacy, foreign) = (Vec::new(), Vec::new(), Search::default());
        let (lab, wanted, nft, tables, failed) = (None, None, None, NftTables::new(), None);
        Self { ns: ns.clone(), lab, wanted, listings, legacy, nft, tables, foreign, failed }
    }

    /// Whether there is anything to finish.
    pub(in crate::kernel) fn has_begun(&self) -> bool {
        let is_listing = !self.listings.is_empty() || !self.legacy.is_empty() || self.nft.is_some();
        is_listing || !self.tables.is_empty() || self.foreign.has_begun() || self.failed.is_some()
    }

    /// Waits for the programs, and takes over what they say as far as it can be believed; and the tables of other
    /// programs, and chains of labs that are not shown.
    pub(in crate::kernel) fn finish(mut self) -> Result<Seen, KernelError> {
        let (unread, tables) = (self.failed.take(), std::mem::take(&mut self.tables));
        let (mut seen, mut shown) = (Seen { unread, tables, ..Seen::default() }, BTreeSet::new());
        let misread = self.foreign.misread_tables()?;
        for listing in std::mem::take(&mut self.listings) {
            let (variant, family) = (listing.variant, listing.family);
            let (of_family, unshown) = match self.read(listing) {
                Ok(read) => read,
                Err(error) => {
                    if self.matters(family, Table::Nat) || self.matters(family, Table::Filter) {
                        seen.unread.get_or_insert(error);
                    }
                    continue;
                }
            };
            let is_misread = |table: &Table| !self.ns.is_host() && misread.contains(&(family, *table));
            let is_shown =
                |table: &Table| variant == Variant::Legacy || !(unshown.contains(table) || is_misread(table));
            let tables: Vec<Table> = [Table::Nat, Table::Filter].into_iter().filter(is_shown).collect();
            // What is shown in part is removed as a whole, and made again.
            let is_read = |chain: &ChainId| tables.contains(&chain.table);
            seen.firewall.chains.extend(of_family.chains.into_iter().filter(|(chain, _)| is_read(chain)));
            seen.firewall.policies.extend(of_family.policies.into_iter().filter(|(chain, _)| is_read(chain)));
            shown.extend(tables.into_iter().map(|table| (variant, family, table)));
            if let Some(table) = unshown.into_iter().find(|table| self.ns.is_host() && self.wants(family, *table)) {
                seen.unread.get_or_insert(incompatible(&self.ns, family, table));
            }
        }
        self.add_chains_of_labs(&mut seen, &shown)?;
        seen.others.extend(self.foreign.finish(&shown)?);
        if let Some((nft, generation)) = &mut self.nft
            && seen.unread.is_none()
            && seen.others.is_empty()
            && shown.iter().all(|(variant, ..)| *variant == Variant::Nft)
            && nft.generation()? == *generation
        {
            seen.generation = Some(*generation);
        }
        Ok(seen)
    }

    /// What a listing says, if the kernel agrees.
    fn read(&mut self, listing: Listing) -> Result<(ObservedFirewall, BTreeSet<Table>), KernelError> {
        let Listing { variant, family, tables, running } = listing;
        let (firewall, mut unshown) = listed(running?, family, &self.ns, &tables)?;
        if variant == Variant::Nft
            && let Some((nft, generation)) = &mut self.nft
        {
            let (account, told) = (nft.account()?, unshown.clone());
            if self.ns.is_host() {
                unshown.retain(|table| !account.agrees(&firewall, family, *table));
            }
            // What has changed meanwhile can be different; it is looked at again after every change.
            if let Some(chain) = account.contradiction(&firewall, family, &told)
                && nft.generation()? == *generation
            {
                let program = family.program();
                return Err(KernelError::new(format!("list the {program} rules of {}", self.ns))
                    .said(format!(
                        "{program}-save does not show chain {} of table {} as the kernel has it",
                        chain.chain,
                        chain.table.name()
                    ))
                    .hint("is it the program that your distribution's package `iptables` has?"));
            }
        }
        Ok((firewall, unshown))
    }

    fn wants(&self, family: Family, table: Table) -> bool {
        self.wanted.as_ref().is_some_and(|wanted| wanted.contains(&(family, table)))
    }

    /// Whether a table that cannot be read is missed: chains of labs in `host` are found without reading it.
    fn matters(&self, family: Family, table: Table) -> bool {
        !self.ns.is_host() || self.wants(family, table)
    }

    /// Adds those chains of labs in `host` that are in none of the tables that are shown.
    fn add_chains_of_labs(
        &mut self,
        seen: &mut Seen,
        shown: &BTreeSet<(Variant, Family, Table)>,
    ) -> Result<(), KernelError> {
        if !self.ns.is_host() {
            return Ok(());
        }
        if let Some((nft, _)) = &mut self.nft {
            for id in nft.chains_of_labs()? {
                if is_of(self.lab.as_ref(), &id) && !shown.contains(&(Variant::Nft, id.family, id.table)) {
                    seen.others.push(nft.lab_chain(&id)?);
                }
            }
        }
        for (family, running) in std::mem::take(&mut self.legacy) {
            let saved = running?.output()?;
            for (id, text) in chains_of_labs(family, &String::from_utf8_lossy(&saved.stdout)) {
                let kind = ForeignKind::LabChain { family, table: id.table, is_legacy: true };
                let words = format!("{} {}", id.table.name(), id.chain);
                seen.others.push(ForeignObject { kind, text: words, message: text.into_bytes() });
            }
        }
        Ok(())
    }
}

fn incompatible(ns: &NsName, family: Family, table: Table) -> KernelError {
    let (program, table) = (family.program(), table.name());
    let nft = if family == Family::Ipv4 { "ip" } else { "ip6" };
    KernelError::new(format!("list the {program} rules of {ns}"))
        .said(format!("table {table} is incompatible: something is in there that {program} has no words for"))
        .hint(format!("`nft list table {nft} {table}` shows it"))
}
