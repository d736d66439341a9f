//! The system as it is, for [`crate::preflight`]: what was asked for, and nothing else. Nothing here judges, and
//! nothing is changed: what has to be tried is tried in a namespace without a name.

mod feature_test;
pub(super) mod host;
pub(super) mod neighbour_limits;

use std::fs::read_to_string;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access, geteuid};

use super::{KernelError, firewall, netns};
use crate::lab::PROGRAM_PATH;
use crate::preflight::{Facts, Questions};

/// Finds out what is asked, of the calling thread's network namespace and the machine. Without the privileges that it
/// takes, features and firewall tables are left out.
///
/// # Errors
/// Where the host's addresses, routes or firewall tables, or the names of namespaces, cannot be listed.
pub fn gather(questions: &Questions) -> Result<Facts, KernelError> {
    let mut facts = Facts {
        ipv6: Path::new("/proc/thread-self/net/if_inet6").exists(),
        sysctls_writable: is_writable_mount("/proc/sys/net"),
        no_netns_directory: no_directory(),
        neighbours: neighbour_limits::known(),
        open_files: getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(_, most)| most),
        existing: netns::list()?.iter().filter(|ns| questions.namespaces.contains(ns)).count(),
        memory: available_memory(),
        missing_commands: questions.commands.iter().copied().filter(|command| !is_installed(command)).collect(),
        ..own_rights()
    };
    if questions.host_network {
        facts.taken = host::taken()?;
    }
    let privileged = facts.has_privileges();
    for &family in &questions.iptables {
        facts.iptables.insert(family, firewall::facts::program_state(family, privileged)?);
    }
    if privileged {
        facts.lacking = feature_test::lacking(&questions.features, &facts.iptables)?;
        if questions.forwarding {
            facts.bridges_filter = bridges_filter();
            facts.forward_drops = firewall::facts::forward_drops()?;
        }
    }
    Ok(facts)
}

/// Whether the privileges that every lab needs are there: what [`gather`] finds of them, at next to no cost.
pub fn has_privileges() -> bool {
    own_rights().has_privileges()
}

/// What this process may do.
fn own_rights() -> Facts {
    Facts {
        capabilities: capabilities(),
        is_root: geteuid().is_root(),
        network_of_others: !netns::is_ours(),
        ..Facts::default()
    }
}

/// The effective capabilities of the calling thread, a bit each; none where proc(5) is not there to tell.
pub fn capabilities() -> u64 {
    let status = read_to_string("/proc/thread-self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Whether programs find a command.
fn is_installed(command: &str) -> bool {
    let mut folders = PROGRAM_PATH.split(':').map(Path::new);
    folders.any(|folder| access(&folder.join(command), AccessFlags::X_OK).is_ok())
}

/// Whether what is mounted there may be written.
pub(super) fn is_writable_mount(path: &str) -> bool {
    // Where it cannot be looked at, the write itself will say why.
    statvfs(path).map_or(true, |mount| !mount.flags().contains(FsFlags::ST_RDONLY))
}

/// Without the module br_netfilter there is no such setting.
fn bridges_filter() -> bool {
    read_to_string("/proc/sys/net/bridge/bridge-nf-call-iptables").is_ok_and(|value| value.trim() == "1")
}

/// Why no namespace can get a name. That an ordinary user may not write there is reported as a lack of privileges.
fn no_directory() -> Option<String> {
    let (place, errno) = ["/run/netns", "/run"].iter().find_map(|place| match access(*place, AccessFlags::W_OK) {
        Err(Errno::ENOENT) => None,
        outcome => Some((*place, outcome.err())),
    })?;
    match errno {
        Some(errno @ (Errno::EROFS | Errno::ENOTDIR)) => Some(format!("{place}: {} ({errno:?})", errno.desc())),
        _ => None,
    }
}

fn available_memory() -> Option<u64> {
    let text = read_to_string("/proc/meminfo").ok()?;
    let available = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = available.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1024)
}
