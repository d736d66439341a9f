//! Whether the live lab does what its network policies say: the same question for every pair of pods, asked with
//! packets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::EngineError;
use crate::check::{self, Report};
use crate::forwarding::source_towards;
use crate::lab::{Check, Expect, Family, Lab, NetworkPolicies, NsName, Pod, PortProtocol, Probe, Protocol, Target};
use crate::policies::{self, Connection, Judge, PortsOf};

/// How long a probe is waited for that should come through, or should not.
const TIMEOUTS: [Duration; 2] = [Duration::from_secs(1), Duration::from_millis(500)];
/// How often one that should come through is tried again: over IPv6, a node may not ask for its neighbours at once.
const RETRIES: u32 = 5;

/// So many probes are made in one go, so that it can be told how far it is.
const AT_ONCE: usize = 4096;

/// Probes every pair of pods, between all of their addresses, at the first of all ports that policies do not tell
/// apart, over TCP and UDP. A pair that does otherwise than the policies say has not passed; if the lab is no longer as
/// `file` says, a hint then says so. `progress` is told how many probes there are and how many of them are made.
///
/// # Errors
/// Nothing could be probed: the lab is not there, or the kernel refuses sockets.
pub fn prove(lab: &Lab, file: &str, progress: &mut dyn FnMut(usize, usize)) -> Result<Report, EngineError> {
    let of = &lab.network_policies;
    let judge = Judge::new(of);
    let layers = policies::matrix(of).layers;
    let checks: Vec<Check> =
        layers.iter().flat_map(|layer| &layer.ports).flat_map(|ports| checks(of, &judge, *ports)).collect();
    let all = checks.iter().map(|check| check.probes.len()).sum();
    let mut report: Option<Report> = None;
    let mut made = 0;
    for part in parts(checks) {
        progress(made, all);
        made += part.iter().map(|check| check.probes.len()).sum::<usize>();
        let own = check::run(&Lab { checks: part, ..lab.clone() }, &BTreeMap::new(), None)?;
        match &mut report {
            None => report = Some(own),
            Some(report) => {
                report.checks.extend(own.checks);
                report.hints.extend(own.hints);
                report.elapsed += own.elapsed;
            }
        }
    }
    let mut report = match report {
        Some(report) => report,
        None => check::run(&Lab { checks: Vec::new(), ..lab.clone() }, &BTreeMap::new(), None)?,
    };
    if !report.passed() {
        report.hints.extend(super::check::drift(lab).and_then(|steps| check::drift_hint(steps, file)));
    }
    Ok(report)
}

/// Checks in portions.
fn parts(checks: Vec<Check>) -> Vec<Vec<Check>> {
    let mut parts: Vec<Vec<Check>> = Vec::new();
    let mut room = 0;
    for check in checks {
        let mut rest = check.probes.as_slice();
        while !rest.is_empty() {
            if room == 0 {
                parts.push(Vec::new());
                room = AT_ONCE;
            }
            let (now, later) = rest.split_at(room.min(rest.len()));
            room -= now.len();
            rest = later;
            if let Some(part) = parts.last_mut() {
                part.push(Check { probes: now.to_vec(), ..check.clone() });
            }
        }
    }
    parts
}

/// The source address that a namespace of a lab gives what it sends to an address: a node has several, and takes the
/// one that its route says. None: it sends nothing there.
pub fn source(lab: &Lab, from: &NsName, destination: IpAddr) -> Option<IpAddr> {
    source_towards(lab.namespaces.get(from)?, destination)
}

/// The checks of all pairs at some ports: of those that the policies allow, and of the others.
fn checks(of: &NetworkPolicies, judge: &Judge<'_>, ports: PortsOf) -> Vec<Check> {
    let number = ports.first;
    let protocol = match ports.protocol {
        PortProtocol::Tcp => Protocol::Tcp(number),
        PortProtocol::Udp => Protocol::Udp(number),
        PortProtocol::Sctp => return Vec::new(),
    };
    let (mut allowed, mut forbidden) = (Vec::new(), Vec::new());
    let addresses = |pod: &'_ Pod| {
        let own = pod.addresses.iter().copied().filter(|own| Family::of(*own) == ports.family);
        own.collect::<Vec<IpAddr>>()
    };
    for ((from, sender), (to, receiver)) in of.pods.iter().flat_map(|from| of.pods.iter().map(move |to| (from, to))) {
        if from == to {
            continue;
        }
        for (nth, source) in addresses(sender).into_iter().enumerate() {
            for destination in addresses(receiver) {
                let connection = Connection { source, destination, port: Some((ports.protocol, number)) };
                // The first is the one that the kernel chooses by itself.
                let source = (nth > 0).then_some(source);
                let probe = Probe { source, ..probe(from, to, destination, number) };
                if judge.verdict(&connection).allows() { allowed.push(probe) } else { forbidden.push(probe) }
            }
        }
    }
    let [long, short] = TIMEOUTS;
    let all = [
        ("allowed", Expect::Reachable, RETRIES, long, allowed),
        ("forbidden", Expect::Unreachable, 0, short, forbidden),
    ];
    let check = |(name, expect, retries, timeout, probes)| Check {
        name: format!("{name} at {}/{number}", ports.protocol),
        line: 0,
        protocol,
        asks: None,
        size: None,
        expect,
        seen_as: None,
        answered_by: None,
        spread: None,
        retries,
        timeout,
        probes,
    };
    all.into_iter().map(check).collect()
}

fn probe(from: &NsName, to: &NsName, address: IpAddr, port: u16) -> Probe {
    Probe {
        from: from.clone(),
        source: None,
        to: Target { label: to.to_string(), address, scope: None, ns: Some(to.clone()), name: None },
        arrives_at: Some(to.clone()),
        endpoints: Vec::new(),
        listen: vec![(to.clone(), port)],
    }
}
