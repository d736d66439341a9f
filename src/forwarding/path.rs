//! The way of a packet through the lab: from namespace to namespace, one route look-up each.

use std::net::IpAddr;

use super::{Decision, Layer2, Outcome, Packet, lookup};
use crate::lab::{InterfaceRef, Lab, NsName};

/// More hops than this on one way are a loop: packets start with a TTL of 64.
pub(super) const MAX_HOPS: usize = 64;

/// One namespace on the way of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The namespace.
    pub ns: NsName,
    /// What becomes of the packet there.
    pub decision: Decision,
    /// The interface that it reaches next; none: it does not leave, or the lab has nothing that answers for the next
    /// hop.
    pub next: Option<InterfaceRef>,
}

/// The way of a packet that a namespace sends, as far as the lab knows: every namespace up to the last one that it
/// reaches. Nothing of packet filters, NAT, or whether a router forwards.
pub fn path(lab: &Lab, layer2: &Layer2<'_>, from: &NsName, packet: &Packet) -> Vec<Hop> {
    let mut hops = Vec::new();
    let (mut ns, mut packet) = (from.clone(), packet.clone());
    while hops.len() < MAX_HOPS {
        let Some(namespace) = lab.namespaces.get(&ns) else { break };
        let decision = lookup(namespace, &packet);
        let (next, source) = match &decision.outcome {
            Outcome::Leaves { dev, next_hop, source, .. } => {
                let own = InterfaceRef { ns: ns.clone(), name: dev.clone() };
                (layer2.owner(&own, *next_hop), *source)
            }
            Outcome::Local { .. } | Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => (None, None),
        };
        hops.push(Hop { ns, decision, next: next.clone() });
        let Some(next) = next else { break };
        packet = arrived(&packet, &next, source);
        ns = next.ns;
    }
    hops
}

/// A packet as the next namespace sees it: a mark does not leave the namespace that set it.
fn arrived(packet: &Packet, at: &InterfaceRef, source: Option<IpAddr>) -> Packet {
    let source = packet.source.or(source);
    Packet { source, destination: packet.destination, mark: 0, iif: Some(at.name.clone()), oif: None }
}
