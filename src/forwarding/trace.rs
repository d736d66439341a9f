//! The way of the first packet of a connection through the lab: at each namespace, what address translation makes of
//! it, where it is routed, and what the packet filter does with it. So it says where a published port leads, from
//! anywhere, and which routers are on the way.

use std::net::IpAddr;

use super::{Decision, Flow, Layer2, Outcome, Packet, Router, Translated, Verdict, filter, translate};
use crate::lab::{ConnectionState, Hook, IfName, InterfaceRef, IpProtocol, Namespace, NsName};

/// More hops than this on one way are a loop: packets start with a TTL of 64.
const MAX_HOPS: usize = 64;

/// One namespace on the way of the first packet of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
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

impl Hop {
    /// Whether its destination is translated here.
    pub fn is_led(&self) -> bool {
        self.destination.flow.states.contains(&ConnectionState::Dnat)
    }

    /// Whether it is for this namespace itself.
    pub fn is_end(&self) -> bool {
        matches!(self.decision.outcome, Outcome::Local { .. })
    }
}

/// The way of the first packet of a connection that a namespace opens, as far as the lab knows: every namespace up to
/// the last one that routes lead to. It goes on past a filter that keeps the packet, as it would without the rule; and
/// nothing is known of whether a router forwards.
pub fn trace(layer2: &Layer2<'_>, from: &NsName, flow: &Flow) -> Vec<Hop> {
    let mut hops = Vec::new();
    let mut ns = from.clone();
    let mut flow = Flow { input: None, ..flow.clone() };
    while hops.len() < MAX_HOPS {
        let Some(router) = layer2.router(&ns) else { break };
        let hop = hop(router, layer2, ns, &flow);
        let onward = hop.next.clone().zip(hop.source.as_ref().map(|left| left.flow.clone()));
        hops.push(hop);
        let Some((next, left)) = onward else { break };
        // Each namespace has connections and marks of its own.
        flow = Flow { input: Some(next.name), out: None, mark: 0, states: [ConnectionState::New].into(), ..left };
        ns = next.ns;
    }
    hops
}

fn hop(router: &Router<'_>, layer2: &Layer2<'_>, ns: NsName, flow: &Flow) -> Hop {
    let namespace = router.namespace();
    let (destination, decision) = match flow.input {
        Some(_) => came_in(router, flow),
        None => sent(router, flow),
    };
    let mut hop = Hop { ns, destination, decision, verdict: None, source: None, next: None };
    match &hop.decision.outcome {
        Outcome::Local { .. } => hop.verdict = Some(stays(namespace, &hop.destination.flow)),
        Outcome::Leaves { dev, next_hop, source, .. } => {
            let (hook, leaving) = leaving(&hop.destination, dev, *source);
            hop.verdict = Some(filter(namespace, hook, &leaving));
            hop.source = Some(translate(namespace, Hook::Postrouting, &leaving));
            let from = InterfaceRef { ns: hop.ns.clone(), name: dev.clone() };
            hop.next = layer2.receiver(&from, *next_hop, hop.destination.flow.destination);
        }
        Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => {}
    }
    hop
}

/// What becomes of a packet in a namespace until it is routed: of one that came in, or of one that it sends itself.
pub fn came_in_or_sent(router: &Router<'_>, flow: &Flow) -> (Translated, Decision) {
    if flow.input.is_some() { came_in(router, flow) } else { sent(router, flow) }
}

/// A packet as it leaves through an interface, and the hook of the filter that is asked about it. The route's source is
/// for what the namespace sends itself: who passes a packet on gives it none.
pub fn leaving(destination: &Translated, dev: &IfName, source: Option<IpAddr>) -> (Hook, Flow) {
    let own = destination.flow.clone();
    let (hook, chosen) = if own.input.is_some() { (Hook::Forward, None) } else { (Hook::Output, source) };
    (hook, Flow { out: Some(dev.clone()), source: own.source.or(chosen), ..own })
}

pub(super) fn came_in(router: &Router<'_>, flow: &Flow) -> (Translated, Decision) {
    let translated = translate(router.namespace(), Hook::Prerouting, flow);
    let decision = router.lookup(&packet(&translated.flow));
    (translated, decision)
}

/// What the namespace sends itself. It is routed before its destination is translated, and gets its source address
/// there; where the destination changes, it is routed again.
pub(super) fn sent(router: &Router<'_>, flow: &Flow) -> (Translated, Decision) {
    let mut decision = router.lookup(&packet(flow));
    let (source, out) = match &decision.outcome {
        Outcome::Leaves { dev, source, .. } => (*source, dev.clone()),
        Outcome::Local { .. } => (Some(flow.destination), IfName::lo()),
        Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => {
            return (Translated { flow: flow.clone(), by: None }, decision);
        }
    };
    let leaving = Flow { source: flow.source.or(source), out: Some(out), ..flow.clone() };
    let translated = translate(router.namespace(), Hook::Output, &leaving);
    let translated = Translated { flow: Flow { out: flow.out.clone(), ..translated.flow }, ..translated };
    // `connect` looks the route of IPv4 up once more, for the source that it has found (`ip_route_connect`).
    let connects = flow.destination.is_ipv4() && matches!(flow.protocol, IpProtocol::Tcp | IpProtocol::Udp);
    if connects || translated.flow.destination != flow.destination {
        decision = router.lookup(&packet(&translated.flow));
    }
    (translated, decision)
}

/// What the filter does with a packet for the namespace itself; what it sent itself goes over loopback.
pub(super) fn stays(namespace: &Namespace, flow: &Flow) -> Verdict {
    if flow.input.is_some() {
        return filter(namespace, Hook::Input, flow);
    }
    let sent = filter(namespace, Hook::Output, &Flow { out: Some(IfName::lo()), ..flow.clone() });
    if !sent.is_accepted() {
        return sent;
    }
    filter(namespace, Hook::Input, &Flow { input: Some(IfName::lo()), out: None, ..flow.clone() })
}

pub(super) fn packet(flow: &Flow) -> Packet {
    Packet {
        source: flow.source,
        mark: flow.mark,
        iif: flow.input.clone(),
        oif: flow.out.clone(),
        ..Packet::to(flow.destination)
    }
}
