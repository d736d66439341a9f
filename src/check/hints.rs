//! Why a promise may not be kept, where the file and one setting of the kernel show it: a router on the way that does
//! not forward. Asked only when something has failed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::os::fd::AsFd;

use super::report::{CheckResult, Outcome};
use crate::forwarding::{self, Layer2, Packet};
use crate::kernel::{netns, sysctl};
use crate::lab::{Family, Lab, NsName, SysctlKey};

/// How many failures are enough to find the routers that do not forward.
const MAX_TRACED: usize = 1000;

/// A line for every router on the way of a probe that got lost, if it does not forward.
pub(super) fn idle_routers(lab: &Lab, checks: &[CheckResult]) -> Vec<String> {
    let lost = |outcome: &Outcome| matches!(outcome, Outcome::Silence | Outcome::Unreachable { .. });
    let failed = checks.iter().flat_map(|check| &check.pairs).filter(|pair| !pair.passed && lost(&pair.saw));
    let pairs: BTreeSet<(&NsName, IpAddr)> = failed.take(MAX_TRACED).map(|pair| (&pair.from, pair.address)).collect();
    let layer2 = Layer2::new(lab);
    let mut routers: BTreeMap<(&NsName, Family), IpAddr> = BTreeMap::new();
    for (from, to) in pairs {
        for router in routers_between(lab, &layer2, from, to) {
            routers.entry((router, Family::of(to))).or_insert(to);
        }
    }
    let hint = |((router, family), to): ((&NsName, Family), IpAddr)| {
        let key = match family {
            Family::Ipv4 => SysctlKey::ipv4_forwarding(),
            Family::Ipv6 => SysctlKey::ipv6_forwarding(),
        };
        let wanted = &lab.namespaces.get(router)?.sysctls;
        // A single interface may forward all the same.
        if wanted.keys().any(|set| set.as_str().ends_with(".forwarding") && *set != key) {
            return None;
        }
        let value = sysctl::read(netns::open(router).ok()?.as_fd(), &[key.clone()].into()).ok()?.remove(&key)?;
        let what_to_do = match wanted.get(&key) {
            Some(value) if value.as_str() != "0" => "the file has another value, which `nslab apply` sets again",
            _ => "write `forwarding: true` there",
        };
        (value.as_str() == "0")
            .then(|| format!("{router} is on the way to {to} and does not forward ({key} is 0): {what_to_do}"))
    };
    routers.into_iter().filter_map(hint).collect()
}

/// That a lab is no longer as its file says, where it is this many steps away from that: a check may have failed
/// because of it.
pub fn drift_hint(steps: usize, file: &str) -> Option<String> {
    let differences = if steps == 1 { "one step".to_owned() } else { format!("{steps} steps") };
    (steps > 0).then(|| {
        format!("the lab is {differences} away from what the file says: `nslab plan {file}` shows what has changed")
    })
}

/// The namespaces that have to pass a packet on, as far as the file's routes lead.
fn routers_between<'l>(lab: &'l Lab, layer2: &Layer2<'l>, from: &NsName, to: IpAddr) -> Vec<&'l NsName> {
    let hops = forwarding::path(lab, layer2, from, &Packet::to(to)).into_iter().skip(1);
    let routers = hops.filter(|hop| !matches!(hop.decision.outcome, forwarding::Outcome::Local { .. }));
    routers.filter_map(|hop| lab.namespaces.get_key_value(&hop.ns)).map(|(ns, _)| ns).collect()
}
