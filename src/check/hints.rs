//! Why a promise may not be kept, where the file and one setting of the kernel show it: a router on the way that does
//! not forward. Asked only when something has failed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::AsFd;

use super::report::{CheckResult, Outcome, PairResult};
use crate::forwarding::{Flow, Layer2, trace};
use crate::kernel::losses::Losses;
use crate::kernel::{netns, sysctl};
use crate::lab::Owners;
use crate::lab::{Family, Lab, NsName, Probe, SysctlKey};

/// How many failures are enough to find the routers that do not forward.
pub(super) const MAX_TRACED: usize = 1000;

/// A line for every router on the way of a probe that got lost, if it does not forward.
pub fn idle_routers(lab: &Lab, checks: &[CheckResult]) -> Vec<String> {
    let lost =
        |pair: &PairResult| matches!(pair.saw, Outcome::Silence | Outcome::Stalled | Outcome::Unreachable { .. });
    let layer2 = Layer2::new(&lab.namespaces);
    let mut routers: BTreeMap<(&NsName, Family), IpAddr> = BTreeMap::new();
    for (flow, pair) in failures(lab, checks).filter(|(_, pair)| lost(pair)).take(MAX_TRACED) {
        for router in routers_between(lab, &layer2, &pair.from, &flow) {
            routers.entry((router, Family::of(flow.destination))).or_insert(flow.destination);
        }
    }
    let owners = Owners::of(lab);
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
            Some(value) if value.is_on() => "the file has another value, which `nslab apply` sets again",
            _ => "write `forwarding: true` there",
        };
        (value.as_str() == "0").then(|| {
            format!("{router} is on the way to {} and does not forward ({key} is 0): {what_to_do}", owners.shown(to))
        })
    };
    routers.into_iter().filter_map(hint).collect()
}

/// Every probe that did not do as promised, with the packets that it sent.
pub(super) fn failures<'a>(
    lab: &'a Lab,
    checks: &'a [CheckResult],
) -> impl Iterator<Item = (Flow, &'a PairResult)> + 'a {
    let probed = checks.iter().filter(|check| !check.is_of_command());
    let all = lab.checks.iter().zip(probed).flat_map(|(check, result)| {
        let flow = |(probe, pair): (&Probe, &'a PairResult)| {
            // A name has an address where it was resolved.
            Some((Flow { source: probe.source, ..Flow::probing(check.protocol, pair.address?) }, pair))
        };
        check.probes.iter().zip(&result.pairs).filter_map(flow)
    });
    all.filter(|(_, pair)| !pair.passed)
}

/// That packets were lost because the kernel had no room for them.
pub fn losses(losses: &[Losses]) -> Vec<String> {
    let mut hints = Vec::new();
    if losses.iter().any(|losses| losses.neighbours > 0) {
        hints.push(
            "the kernel's table of neighbours, one for the whole machine, was full while the checks ran, and packets \
             were lost: outside of all namespaces, `sysctl -w net.ipv4.neigh.default.gc_thresh3=8192 \
             net.ipv6.neigh.default.gc_thresh3=8192` makes it larger"
                .to_owned(),
        );
    }
    if losses.iter().any(|losses| losses.queue > 0) {
        hints.push(
            "the machine's queues of received packets were full while the checks ran, and packets were lost: it is \
             busy, or its bridges have many ports; outside of all namespaces, `sysctl -w \
             net.core.netdev_max_backlog=10000` makes them longer"
                .to_owned(),
        );
    }
    if losses.iter().any(|losses| losses.sockets > 0) {
        hints.push(
            "more packets arrived than nslab could look at, and what was lost of them it has not seen: something else \
             sends a lot there, or the machine is busy"
                .to_owned(),
        );
    }
    hints
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
fn routers_between<'l>(lab: &'l Lab, layer2: &Layer2<'l>, from: &NsName, flow: &Flow) -> Vec<&'l NsName> {
    let routers = trace(layer2, from, flow).into_iter().skip(1).filter(|hop| !hop.is_end());
    routers.filter_map(|hop| lab.namespaces.get_key_value(&hop.ns)).map(|(ns, _)| ns).collect()
}
