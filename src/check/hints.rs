//! Why a promise may not be kept, where the file and one setting of the kernel show it: a router on the way that passes
//! nothing on. Asked only when something has failed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::os::fd::AsFd;

use super::report::{CheckResult, Outcome};
use crate::kernel::{netns, sysctl};
use crate::lab::{Family, Lab, MAIN_TABLE, Namespace, NsName, SysctlKey};

/// So many failures show which routers do not forward.
const MAX_TRACED: usize = 1000;

/// More routers than this on one way are a loop.
const LONGEST: usize = 32;

/// A line for every router on the way of a probe that got lost, if it does not forward.
pub(super) fn idle_routers(lab: &Lab, checks: &[CheckResult]) -> Vec<String> {
    let lost = |outcome: &Outcome| matches!(outcome, Outcome::Silence | Outcome::Unreachable { .. });
    let failed = checks.iter().flat_map(|check| &check.pairs).filter(|pair| !pair.passed && lost(&pair.saw));
    let ways: BTreeSet<(&NsName, IpAddr)> = failed.take(MAX_TRACED).map(|pair| (&pair.from, pair.address)).collect();
    let holders = holders(lab);
    let mut routers: BTreeMap<(&NsName, Family), IpAddr> = BTreeMap::new();
    for (from, to) in ways {
        for router in routers_between(lab, &holders, from, to) {
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
            .then(|| format!("{router} is on the way to {to} and passes nothing on ({key} is 0): {what_to_do}"))
    };
    routers.into_iter().filter_map(hint).collect()
}

/// The namespace that has each address; none where several have it.
fn holders(lab: &Lab) -> HashMap<IpAddr, Option<&NsName>> {
    let mut holders = HashMap::new();
    for (ns, namespace) in &lab.namespaces {
        for address in namespace.interfaces.values().flat_map(|link| &link.addresses) {
            holders.entry(address.addr()).and_modify(|one| *one = None).or_insert(Some(ns));
        }
    }
    holders
}

/// The namespaces that have to pass a packet on, as far as the file's routes lead.
fn routers_between<'l>(
    lab: &'l Lab,
    holders: &HashMap<IpAddr, Option<&'l NsName>>,
    from: &NsName,
    to: IpAddr,
) -> Vec<&'l NsName> {
    let next = |ns: &NsName| {
        let router = (*holders.get(&gateway(lab.namespaces.get(ns)?, to)?)?)?;
        (holders.get(&to) != Some(&Some(router))).then_some(router)
    };
    std::iter::successors(next(from), |router| next(router)).take(LONGEST).collect()
}

/// The gateway that a namespace sends packets for an address to; none where it is on a link, or policy rules decide.
fn gateway(namespace: &Namespace, to: IpAddr) -> Option<IpAddr> {
    if !namespace.rules.is_empty() {
        return None;
    }
    let links = namespace.interfaces.values().flat_map(|link| &link.addresses);
    let on_link = links.filter(|own| own.contains(&to)).map(|own| own.prefix_len()).max();
    let routes = namespace.routes.iter().filter(|route| route.table == MAIN_TABLE && route.to.contains(&to));
    let best = routes.min_by_key(|route| (std::cmp::Reverse(route.to.prefix_len()), route.metric))?;
    best.via.filter(|_| on_link.is_none_or(|length| length < best.to.prefix_len()))
}
