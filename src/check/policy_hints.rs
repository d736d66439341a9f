//! Which network policy may be why a promise is not kept. Asked only when something has failed.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::report::{CheckResult, Outcome, PairResult};
use crate::forwarding::source_towards;
use crate::lab::{Direction, Expect, Family, Lab, PortProtocol, Probe, Protocol};
use crate::policies::{self, Connection, Judge, Side};

/// More lines say nothing new.
const MOST: usize = 10;

/// A line for every policy that explains a failure: one that isolates a pod which should be reached, or one that allows
/// what should not be possible.
pub(super) fn hints(lab: &Lab, checks: &[CheckResult]) -> Vec<String> {
    if lab.network_policies.is_empty() {
        return Vec::new();
    }
    let judge = Judge::new(&lab.network_policies);
    let mut lines = BTreeSet::new();
    let all = lab.checks.iter().zip(checks);
    let pairs = all.flat_map(|(check, result)| check.probes.iter().zip(&result.pairs).map(move |pair| (check, pair)));
    for (check, (probe, pair)) in pairs.filter(|(_, (_, pair))| !pair.passed) {
        let should_arrive = check.expect != Expect::Unreachable;
        if should_arrive != is_lost(pair) {
            continue;
        }
        for (to, connection) in connections(lab, check.protocol, probe) {
            let verdict = judge.verdict(&connection);
            if verdict.allows() == should_arrive {
                continue;
            }
            let from = probe.from.as_str();
            let sides = [(Direction::Egress, from, &verdict.egress), (Direction::Ingress, &to, &verdict.ingress)];
            // What the other side says explains nothing.
            let telling = sides.into_iter().filter(|(.., side)| matches!(side, Side::Isolated(_)) == should_arrive);
            lines.extend(telling.filter_map(|(direction, pod, side)| line(direction, pod, side, pair)));
        }
        if lines.len() >= MOST {
            break;
        }
    }
    lines.into_iter().collect()
}

fn is_lost(pair: &PairResult) -> bool {
    matches!(pair.saw, Outcome::Silence | Outcome::Stalled | Outcome::Unreachable { .. })
}

/// The connections that a probe may have become, with the names of those that it goes to: endpoints of a service, or
/// the namespace that has the address.
fn connections(lab: &Lab, protocol: Protocol, probe: &Probe) -> Vec<(String, Connection)> {
    let family = Family::of(probe.to.address);
    let (protocol, number) = match protocol {
        Protocol::Icmp => (None, 0),
        Protocol::Tcp(number) => (Some(PortProtocol::Tcp), number),
        Protocol::Udp(number) => (Some(PortProtocol::Udp), number),
    };
    let pods = &lab.network_policies.pods;
    let of_pod = |name| pods.get(name).and_then(|pod| policies::address(pod, family));
    let of_other = |destination| source_towards(lab.namespaces.get(&probe.from)?, destination);
    let to = |destination: IpAddr, number| {
        let source = probe.source.or_else(|| of_pod(&probe.from)).or_else(|| of_other(destination))?;
        Some(Connection { source, destination, port: protocol.map(|protocol| (protocol, number)) })
    };
    if probe.endpoints.is_empty() {
        return to(probe.to.address, number).map(|own| (probe.to.label.clone(), own)).into_iter().collect();
    }
    let led = probe.listen.iter().filter(|(name, _)| probe.endpoints.contains(name));
    led.filter_map(|(name, number)| Some((name.to_string(), to(of_pod(name)?, *number)?))).collect()
}

fn line(direction: Direction, pod: &str, side: &Side<'_>, pair: &PairResult) -> Option<String> {
    let what = format!("{} → {} ({})", pair.from, pair.to, pair.protocol);
    match side {
        Side::Free(_) => None,
        Side::Allowed { policy, rule } => {
            Some(format!("the policy {} allows {what}: rule {} of its `{direction}`", policy.with_line(), rule + 1))
        }
        Side::Isolated(policies) => {
            let names = policies.iter().map(|policy| policy.with_line());
            let names: Vec<String> = names.collect();
            let (policies, isolate) =
                if names.len() == 1 { ("the policy", "isolates") } else { ("the policies", "isolate") };
            Some(format!("{policies} {} {isolate} {pod} ({direction}), and no rule allows {what}", names.join(" and ")))
        }
    }
}
