//! Settings on the way of a probe that failed, which the file does not name, and which are not as in a new namespace:
//! what somebody has set by hand no plan shows. Asked only when something has failed.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::AsFd;

use super::hints::{MAX_TRACED, failures};
use super::report::CheckResult;
use crate::forwarding::{Layer2, trace};
use crate::kernel::{KernelError, netns, sysctl};
use crate::lab::{Lab, Namespace, NsName, SysctlKey};

/// So many namespaces are compared, those with the most failures first: each takes some ten milliseconds.
const COMPARED: usize = 16;

/// So many settings of a namespace are named.
const NAMED: usize = 5;

/// What is another in every namespace, or with every interface, or counts: no one has set it.
const VARYING: [&str; 9] = [
    "fib_multipath_hash_seed",
    "mtu",
    "nf_conntrack_buckets",
    "nf_conntrack_count",
    "stable_secret",
    "tcp_child_ehash_entries",
    "tcp_ehash_entries",
    "tcp_fastopen_key",
    "udp_hash_entries",
];

/// What an interface without ARP, or a tunnel, has as -1 (`addrconf_add_dev`, `ipv6_add_dev`).
const WITHOUT_ARP: [&str; 2] = ["accept_dad", "use_tempaddr"];

/// What the kernel sets for every interface where it is set for `all` (`addrconf.c` and `devinet.c`).
const FOR_ALL: [&str; 6] =
    ["addr_gen_mode", "disable_ipv6", "disable_policy", "forwarding", "ignore_routes_with_linkdown", "proxy_ndp"];

/// A line for every namespace on the way of a failed probe that has unusual settings.
pub fn unusual_settings(lab: &Lab, checks: &[CheckResult]) -> Vec<String> {
    compare(lab, checks).unwrap_or_else(|error| vec![format!("the settings on the way are not known: {error}")])
}

fn compare(lab: &Lab, checks: &[CheckResult]) -> Result<Vec<String>, KernelError> {
    let involved = involved(lab, checks);
    if involved.is_empty() {
        return Ok(Vec::new());
    }
    let new = sysctl::read_all_of_new()?;
    let mut hints = Vec::new();
    for ns in involved.iter().take(COMPARED) {
        hints.extend(unusual(lab, ns, &new)?.map(|unusual| unusual.hint));
    }
    if !hints.is_empty() && involved.len() > COMPARED {
        hints.push(format!("of {} namespaces on the way, the settings of {COMPARED} were compared", involved.len()));
    }
    Ok(hints)
}

/// The lab's own namespaces on the way of what failed: those with the most failures first, then in the file's order.
fn involved<'l>(lab: &'l Lab, checks: &[CheckResult]) -> Vec<&'l NsName> {
    let layer2 = Layer2::new(&lab.namespaces);
    let mut failed: HashMap<NsName, usize> = HashMap::new();
    for (flow, pair) in failures(lab, checks).take(MAX_TRACED) {
        let mut way: Vec<NsName> = trace(&layer2, &pair.from, &flow).into_iter().map(|hop| hop.ns).collect();
        way.extend(pair.to_namespace.clone());
        way.sort();
        way.dedup();
        way.into_iter().for_each(|ns| *failed.entry(ns).or_default() += 1);
    }
    let mut involved: Vec<&NsName> = lab.own_namespaces().filter(|ns| failed.contains_key(*ns)).collect();
    involved.sort_by_key(|ns| std::cmp::Reverse(failed.get(*ns)));
    involved
}

/// Settings that are not as in a new namespace: what each is, and what it is there.
fn differences<'v>(
    wanted: &Namespace,
    live: &'v BTreeMap<SysctlKey, String>,
    new: &'v BTreeMap<SysctlKey, String>,
) -> Vec<(&'v SysctlKey, &'v str, &'v str)> {
    let differs = |(key, is): (&'v SysctlKey, &'v String)| {
        let usual = usual(key, new)?;
        let differs = is != usual && !varies(key, is) && !is_asked_for(wanted, key);
        differs.then_some((key, is.as_str(), usual))
    };
    live.iter().filter_map(differs).collect()
}

/// What a setting is in a new namespace; of an interface, what a new one gets: what is set for `default`, which the
/// kernel does not show of neighbour tables, but which the loopback has from there.
fn usual<'v>(key: &SysctlKey, new: &'v BTreeMap<SysctlKey, String>) -> Option<&'v str> {
    let of_new = match parts(key) {
        Some((folder, _, setting)) if key.interface().is_some_and(|name| !name.is_lo()) => {
            let like = if folder.ends_with("neigh") { "lo" } else { "default" };
            new.get(&format!("{folder}.{like}.{setting}").parse().ok()?)
        }
        _ => new.get(key),
    };
    of_new.map(String::as_str)
}

/// The folder of a setting of interfaces, the interface, or `all` or `default`, and the setting.
fn parts(key: &SysctlKey) -> Option<(&str, &str, &str)> {
    let (before, setting) = key.as_str().rsplit_once('.')?;
    let (folder, interface) = before.rsplit_once('.')?;
    (folder.ends_with(".conf") || folder.ends_with(".neigh")).then_some((folder, interface, setting))
}

fn varies(key: &SysctlKey, is: &str) -> bool {
    let setting = key.as_str().rsplit('.').next().unwrap_or_default();
    VARYING.contains(&setting) || (is == "-1" && WITHOUT_ARP.contains(&setting))
}

/// Whether the file sets it, or something that the kernel turns together with it.
fn is_asked_for(wanted: &Namespace, key: &SysctlKey) -> bool {
    let sets = |key: &str| wanted.sysctls.keys().any(|set| set.as_str() == key);
    if sets(key.as_str()) {
        return true;
    }
    let Some((folder, interface, setting)) = parts(key) else { return false };
    let along = match setting {
        "forwarding" if folder == "net.ipv4.conf" => sets(SysctlKey::ipv4_forwarding().as_str()),
        "accept_redirects" if interface == "all" => sets(SysctlKey::ipv4_forwarding().as_str()),
        // WireGuard sets both for itself (wg_open in the kernel).
        "send_redirects" if interface == "all" => !wanted.wireguard.is_empty(),
        "send_redirects" | "addr_gen_mode" if wanted.wireguard.keys().any(|own| own.as_str() == interface) => true,
        // A secret is of use only with addresses that are made of it.
        "addr_gen_mode" => sets(&format!("{folder}.{interface}.stable_secret")),
        _ => false,
    };
    let for_all = FOR_ALL.contains(&setting) && sets(&format!("{folder}.all.{setting}"));
    along || for_all || sets(&format!("{folder}.default.{setting}"))
}

/// The settings of the first of some namespaces that has unusual ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusual {
    /// That it has some, and which.
    pub hint: String,
    /// The commands that set them back.
    pub commands: Vec<String>,
}

/// The first of some namespaces that has settings that neither the file nor a new namespace has.
///
/// # Errors
/// Settings cannot be read.
pub fn first_unusual<'n>(
    lab: &Lab,
    namespaces: impl Iterator<Item = &'n NsName>,
) -> Result<Option<Unusual>, KernelError> {
    let new = sysctl::read_all_of_new()?;
    for ns in namespaces.filter(|ns| !ns.is_host()).take(COMPARED) {
        if let Some(unusual) = unusual(lab, ns, &new)? {
            return Ok(Some(unusual));
        }
    }
    Ok(None)
}

/// The unusual settings of a namespace; none where it is gone.
fn unusual(lab: &Lab, ns: &NsName, new: &BTreeMap<SysctlKey, String>) -> Result<Option<Unusual>, KernelError> {
    let (Some(wanted), Ok(fd)) = (lab.namespaces.get(ns), netns::open(ns)) else { return Ok(None) };
    let live = sysctl::read_all(fd.as_fd())?;
    let differences = differences(wanted, &live, new);
    let named = differences.iter().take(NAMED).filter(|(_, _, usual)| !usual.is_empty());
    let back = |(key, _, usual): &(&SysctlKey, &str, &str)| format!("ip netns exec {ns} sysctl -w '{key}={usual}'");
    Ok(hint(ns, &differences).map(|hint| Unusual { hint, commands: named.map(back).collect() }))
}

fn hint(ns: &NsName, differences: &[(&SysctlKey, &str, &str)]) -> Option<String> {
    let shown = |text: &str| if text.is_empty() { "empty".to_owned() } else { text.to_owned() };
    let named = differences.iter().take(NAMED);
    let named: Vec<String> =
        named.map(|(key, is, usual)| format!("{key} is {} (else {})", shown(is), shown(usual))).collect();
    let more = match differences.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = named.join(", ");
    (!named.is_empty())
        .then(|| format!("{ns} has settings that neither the file nor a new namespace has: {named}{more}"))
}
