//! The way of the first packet of a connection through the lab: at each namespace, what address translation makes of
//! it, where it is routed, and what the packet filter does with it. So it says where a published port leads, from
//! anywhere.

use super::path::MAX_HOPS;
use super::{Decision, Flow, Layer2, Outcome, Packet, Translated, Verdict, filter, lookup, translate};
use crate::lab::{ConnectionState, Hook, IfName, InterfaceRef, Lab, Namespace, NsName};

/// One namespace on the way of the first packet of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedHop {
    /// The namespace.
    pub ns: NsName,
    /// The packet behind the translation of its destination: at prerouting, and of what the namespace sends itself, at
    /// output.
    pub destination: Translated,
    /// Where it is routed then.
    pub decision: Decision,
    /// What the packet filter does with it; none: it is not asked, as there is no way on.
    pub verdict: Option<Verdict>,
    /// The packet behind the translation of its source; none: it does not leave the namespace.
    pub source: Option<Translated>,
    /// The interface that answers for the next hop, if there is one: where the packet arrives, unless the filter keeps
    /// it.
    pub next: Option<InterfaceRef>,
}

/// The way of the first packet of a connection that a namespace opens, as far as the lab knows: every namespace up to
/// the last one that it reaches. Nothing of whether a router forwards.
pub fn trace(lab: &Lab, layer2: &Layer2<'_>, from: &NsName, flow: &Flow) -> Vec<TracedHop> {
    let mut hops = Vec::new();
    let mut ns = from.clone();
    let mut flow = Flow { input: None, out: None, ..flow.clone() };
    while hops.len() < MAX_HOPS {
        let Some(namespace) = lab.namespaces.get(&ns) else { break };
        let hop = hop(namespace, layer2, ns, &flow);
        let onward = hop.next.clone().zip(hop.source.as_ref().map(|left| left.flow.clone()));
        hops.push(hop);
        let Some((next, left)) = onward else { break };
        // Each namespace has connections of its own.
        flow = Flow { input: Some(next.name), out: None, states: [ConnectionState::New].into(), ..left };
        ns = next.ns;
    }
    hops
}

fn hop(namespace: &Namespace, layer2: &Layer2<'_>, ns: NsName, flow: &Flow) -> TracedHop {
    let destination = match flow.input {
        Some(_) => translate(namespace, Hook::Prerouting, flow),
        None => sent(namespace, flow),
    };
    let decision = lookup(namespace, &packet(&destination.flow));
    let mut hop = TracedHop { ns, destination, decision, verdict: None, source: None, next: None };
    match &hop.decision.outcome {
        Outcome::Local { .. } => hop.verdict = Some(stays(namespace, &hop.destination.flow)),
        Outcome::Leaves { dev, next_hop, .. } => {
            let leaving = Flow { out: Some(dev.clone()), ..hop.destination.flow.clone() };
            let hook = if leaving.input.is_some() { Hook::Forward } else { Hook::Output };
            let verdict = filter(namespace, hook, &leaving);
            hop.next = layer2.owner(&InterfaceRef { ns: hop.ns.clone(), name: dev.clone() }, *next_hop);
            if is_accepted(&verdict) {
                hop.source = Some(translate(namespace, Hook::Postrouting, &leaving));
            }
            hop.verdict = Some(verdict);
        }
        Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => {}
    }
    hop
}

/// What the namespace sends itself. It is routed before its destination is translated, and gets its source address
/// there.
fn sent(namespace: &Namespace, flow: &Flow) -> Translated {
    let mut flow = flow.clone();
    match lookup(namespace, &packet(&flow)).outcome {
        Outcome::Leaves { dev, source, .. } => {
            flow.source = flow.source.or(source);
            flow.out = Some(dev);
        }
        Outcome::Local { .. } => {
            flow.source = flow.source.or(Some(flow.destination));
            flow.out = Some(IfName::lo());
        }
        Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => return Translated { flow, by: None },
    }
    translate(namespace, Hook::Output, &flow)
}

/// What the filter does with a packet for the namespace itself; what it sent itself goes over loopback.
fn stays(namespace: &Namespace, flow: &Flow) -> Verdict {
    if flow.input.is_some() {
        return filter(namespace, Hook::Input, flow);
    }
    let sent = filter(namespace, Hook::Output, &Flow { out: Some(IfName::lo()), ..flow.clone() });
    if !is_accepted(&sent) {
        return sent;
    }
    filter(namespace, Hook::Input, &Flow { input: Some(IfName::lo()), out: None, ..flow.clone() })
}

fn is_accepted(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Accepted(_) => true,
        Verdict::Dropped(_) | Verdict::Rejected(..) => false,
    }
}

fn packet(flow: &Flow) -> Packet {
    Packet { source: flow.source, iif: flow.input.clone(), ..Packet::to(flow.destination) }
}
