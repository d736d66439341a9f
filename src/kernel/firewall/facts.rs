//! What there is of firewalls before the first change: programs, extensions, tables of the other variant, chains that
//! drop what is forwarded. For [`crate::kernel::facts`].

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::installed::Legacy;
use super::nftables::Nftables;
use super::running::Running;
use super::{Variant, program};
use crate::iptables::restore_line;
use crate::kernel::KernelError;
use crate::lab::{
    Condition, ConnectionState, DnatPort, DnatTarget, Family, FirewallRule, FirewallTarget, Hook, IpProtocol, MarkBits,
    Matches, PortRange, Probability, Recent, RejectWith, Table,
};
use crate::preflight::{DroppingChain, Extension, Feature, Iptables};

/// The iptables of a family, and whether there are tables in this thread's namespace that it does not see. The latter
/// takes privileges where iptables is the legacy one.
pub(in crate::kernel) fn program_state(family: Family, privileged: bool) -> Result<Iptables, KernelError> {
    let program = match program(family) {
        Ok(program) => program,
        Err(error) => return Ok(Iptables::Missing(error.cause().to_owned())),
    };
    let legacy = program.variant == Variant::Legacy;
    let unseen_tables = match legacy {
        false => Legacy::find().has_tables(family),
        true if privileged => match Nftables::open()? {
            Some(mut nft) => nft.tables()?.iter().any(|found| found.family == family),
            None => false,
        },
        true => false,
    };
    Ok(Iptables::Found { legacy, unseen_tables })
}

/// Those extensions of which nf_tables says that the kernel has them: iptables-nft reaches them that way. The others
/// are in doubt, as iptables says some of them in other words.
pub(in crate::kernel) fn known_extensions(features: &BTreeSet<Feature>) -> Result<BTreeSet<Feature>, KernelError> {
    if !features.iter().any(|feature| matches!(feature, Feature::Extension(..))) {
        return Ok(BTreeSet::new());
    }
    let Some(mut nft) = Nftables::open()? else { return Ok(BTreeSet::new()) };
    let is_known = |feature: &&Feature| match feature {
        Feature::Extension(family, extension) => nft.knows(*family, extension.name(), extension.is_target()),
        _ => false,
    };
    Ok(features.iter().filter(is_known).copied().collect())
}

/// Uses an extension in a rule in this thread's namespace; the complaint of `iptables-restore` where that fails.
pub(in crate::kernel) fn try_extension(family: Family, extension: Extension) -> Result<(), String> {
    let (table, hook, rule) = sample(family, extension);
    let (table, chain, rule) = (table.name(), hook.name(), restore_line(&rule.into()));
    let script = format!("*{table}\n-A {chain} {rule}\nCOMMIT\n");
    let program = program(family).map_err(|error| error.to_string())?;
    let mut restore = program.restore();
    let output = Running::start(restore.args(["--noflush", "--wait"]), &script).and_then(Running::output);
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(complaint.lines().next().unwrap_or("it was refused").to_owned())
}

/// Table, chain and rule in which an extension is used.
fn sample(family: Family, extension: Extension) -> (Table, Hook, FirewallRule) {
    let address = match family {
        Family::Ipv4 => IpAddr::from([192, 0, 2, 1]),
        Family::Ipv6 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
    };
    let all = Matches::default;
    let filter = |rule| (Table::Filter, Hook::Forward, rule);
    match extension {
        Extension::Addrtype => {
            filter(Matches { destination_is_local: Some(true), ..all() }.then(FirewallTarget::Accept))
        }
        Extension::Comment => {
            filter(FirewallRule { comment: Some("nslab".to_owned()), ..all().then(FirewallTarget::Accept) })
        }
        Extension::Conntrack => {
            let states = Some(Condition::Is([ConnectionState::Established].into()));
            filter(Matches { states, ..all() }.then(FirewallTarget::Accept))
        }
        Extension::Dnat => {
            let to = DnatTarget { address, port: DnatPort::Same };
            (Table::Nat, Hook::Prerouting, all().then(FirewallTarget::Dnat(to)))
        }
        Extension::Mark => filter(all().marked(MarkBits { value: 1, mask: 1 }).then(FirewallTarget::Accept)),
        Extension::Recent => {
            let recent = "nslab".parse().ok().map(Recent::Set);
            filter(Matches { recent, ..all() }.then(FirewallTarget::Accept))
        }
        Extension::Sctp => {
            let (protocol, port) = (Condition::Is(IpProtocol::Sctp), Condition::Is(PortRange::one(80)));
            let matches = Matches { protocol: Some(protocol), destination_port: Some(port), ..all() };
            filter(matches.then(FirewallTarget::Accept))
        }
        Extension::SetMark => filter(all().then(FirewallTarget::Mark(MarkBits { value: 1, mask: 1 }))),
        Extension::Statistic => {
            let probability = Probability::one_in(2);
            filter(Matches { probability, ..all() }.then(FirewallTarget::Accept))
        }
        Extension::Masquerade => (Table::Nat, Hook::Postrouting, all().then(FirewallTarget::Masquerade)),
        Extension::Reject => filter(all().then(FirewallTarget::Reject(RejectWith::port_unreachable(family)))),
        Extension::Snat => (Table::Nat, Hook::Postrouting, all().then(FirewallTarget::Snat(address))),
    }
}

/// The chains in this thread's namespace that drop forwarded packets unless a rule accepts them: those of nf_tables,
/// whoever made them, and those of legacy tables where iptables is the legacy one.
pub(in crate::kernel) fn forward_drops() -> Result<Vec<DroppingChain>, KernelError> {
    let mut chains = match Nftables::open()? {
        Some(mut nft) => nft.forward_drops()?,
        None => Vec::new(),
    };
    let legacy = Legacy::find();
    for family in [Family::Ipv4, Family::Ipv6].into_iter().filter(|&family| legacy.has_tables(family)) {
        let Ok(program) = program(family) else { continue };
        if program.variant == Variant::Legacy {
            let saved = Running::start(program.save().args(["-t", Table::Filter.name()]), "")?.output()?;
            let policy = format!(":{} DROP ", Hook::Forward.name());
            if String::from_utf8_lossy(&saved.stdout).lines().any(|line| line.starts_with(&policy)) {
                let name = format!("chain {} of {} (legacy)", Hook::Forward.name(), family.program());
                chains.push(DroppingChain { name, families: BTreeSet::from([family]) });
            }
        }
    }
    Ok(chains)
}
