//! Whether the live lab does what its network policies say: the same question for every pair of pods, asked with
//! packets.

use std::net::IpAddr;
use std::time::Duration;

use super::EngineError;
use crate::check::{self, Report};
use crate::forwarding::source_towards;
use crate::lab::{Check, Expect, Lab, NetworkPolicies, NsName, PortProtocol, Probe, Protocol, Target};
use crate::policies::{self, PortsOf};

/// How long a probe is waited for that should come through, or should not.
const TIMEOUTS: [Duration; 2] = [Duration::from_secs(1), Duration::from_millis(500)];
/// How often one that should come through is tried again: over IPv6, a node may not ask for its neighbours at once.
const RETRIES: u32 = 5;

/// Probes every pair of pods at the first of all ports that policies do not tell apart, over TCP and UDP. A pair that
/// does otherwise than the policies say has not passed; if the lab is no longer as `file` says, a hint then says so.
///
/// # Errors
/// Nothing could be probed: the lab is not there, or the kernel refuses sockets.
pub fn prove(lab: &Lab, file: &str) -> Result<Report, EngineError> {
    let of = &lab.network_policies;
    let mut checks = Vec::new();
    for layer in policies::matrix(of).layers {
        for ports in layer.ports {
            let protocol = match ports.protocol {
                PortProtocol::Tcp => Protocol::Tcp(ports.first),
                PortProtocol::Udp => Protocol::Udp(ports.first),
                PortProtocol::Sctp => continue,
            };
            for expect in [Expect::Reachable, Expect::Unreachable] {
                checks.push(check(of, (ports, protocol), expect, &layer.allowed));
            }
        }
    }
    checks.retain(|check| !check.probes.is_empty());
    let mut report = check::run(&Lab { checks, ..lab.clone() })?;
    if !report.passed() {
        report.hints.extend(super::check::drift(lab).and_then(|steps| check::drift_hint(steps, file)));
    }
    Ok(report)
}

/// The source address that a namespace of a lab gives what it sends to an address: a node has several, and takes the
/// one that its route says. None: it sends nothing there.
pub fn source(lab: &Lab, from: &NsName, destination: IpAddr) -> Option<IpAddr> {
    source_towards(lab.namespaces.get(from)?, destination)
}

/// The check of all pairs of which the policies say the same.
fn check(
    of: &NetworkPolicies,
    (ports, protocol): (PortsOf, Protocol),
    expect: Expect,
    allowed: &[Vec<Option<bool>>],
) -> Check {
    let number = ports.first;
    let mut probes = Vec::new();
    for (from, row) in of.pods.keys().zip(allowed) {
        for ((to, pod), allowed) in of.pods.iter().zip(row) {
            let is_this = *allowed == Some(expect == Expect::Reachable);
            let Some(address) = policies::address(pod, ports.family).filter(|_| is_this && from != to) else {
                continue;
            };
            probes.push(probe(from, to, address, number));
        }
    }
    let [long, short] = TIMEOUTS;
    let (name, retries, timeout) = match expect {
        Expect::Reachable => ("allowed", RETRIES, long),
        Expect::Refused | Expect::Unanswered | Expect::Unreachable => ("forbidden", 0, short),
    };
    Check {
        name: format!("{name} at {}/{number}", ports.protocol),
        line: 0,
        protocol,
        size: None,
        expect,
        seen_as: None,
        answered_by: None,
        spread: None,
        retries,
        timeout,
        probes,
    }
}

fn probe(from: &NsName, to: &NsName, address: IpAddr, port: u16) -> Probe {
    Probe {
        from: from.clone(),
        source: None,
        to: Target { label: to.to_string(), address, scope: None, ns: Some(to.clone()) },
        arrives_at: Some(to.clone()),
        endpoints: Vec::new(),
        listen: vec![(to.clone(), port)],
    }
}
