//! Follows a packet through namespaces, by the model alone, and the answer to it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::asked::{Asked, Chosen};
use super::link_local;
use super::lookup::Outcome;
use super::obstacle::{Cause, Obstacle};
use super::reverse_path::reverse_path;
use super::segment::{Crossing, Segment, Sent, Tunnel, segment};
use super::trace::{came_in, leaving, packet, sent, stays};
use super::way::{Leg, RoundTrip, Way, WayEnd};
use super::{Decision, Flow, Layer2, Router, Translated, filter, translate, translations, wireguard};
use crate::lab::{
    ConnectionState, ETHERNET_MTU, Family, Hook, IfName, Interface, InterfaceRef, IpProtocol, Namespace, NsName,
    SysctlKey,
};

/// More namespaces than this on one way are a loop: packets start with a TTL of 64.
const MAX_LEGS: usize = 64;

/// The source port of a packet whose own is not known: one of those that Linux chooses from.
pub const EPHEMERAL_PORT: u16 = 40_000;

/// How deep tunnels are followed into each other.
const MAX_TUNNELS: usize = 4;

/// Follows a packet and the answer to it.
pub fn round_trip(layer2: &Layer2<'_>, asked: &Asked) -> RoundTrip {
    let chosen = &asked.chosen;
    let mut walk = Walk { layer2, size: asked.size, chosen, tracked: Vec::new(), is_back: false, depth: 0 };
    // A rule about some port is not to decide because none is known.
    let port = asked.flow.source_port.or(asked.flow.destination_port.map(|_| EPHEMERAL_PORT));
    let flow = Flow { input: None, source_port: port, ..asked.flow.clone() };
    let there = walk.follow(asked.from.clone(), flow.clone());
    let arrived = match (&there.end, there.legs.last()) {
        (WayEnd::Arrived(ns), Some(last)) => (ns.clone(), last.destination.flow.clone()),
        (WayEnd::Arrived(_) | WayEnd::Stopped(_), _) => return RoundTrip { there, back: None },
    };
    let (ns, got) = arrived;
    let source = got.source.or_else(|| there.legs.first().and_then(|leg| leg.source.as_ref()?.flow.source));
    let Some(source) = source else { return RoundTrip { there, back: None } };
    // The answer to what came in through a VRF goes out through it.
    let namespace = layer2.router(&ns).map(Router::namespace);
    let came = got.input.as_ref().and_then(|input| namespace?.interfaces.get(input));
    let vrf = came.filter(|came| namespace.is_some_and(|own| own.vrf_of(came).is_some()));
    let answer = Flow {
        source: Some(got.destination),
        destination: source,
        source_port: got.destination_port,
        destination_port: got.source_port,
        input: None,
        out: match link_local::is_link_local(source) {
            true => got.input.clone(),
            false => vrf.and_then(|came| came.master.clone()),
        },
        mark: 0,
        states: [ConnectionState::Established].into(),
        protocol: got.protocol,
    };
    walk.is_back = true;
    let mut back = walk.follow(ns, answer);
    let wrote_to = asked.flow.destination;
    if let (WayEnd::Arrived(at), Some(last)) = (&back.end, back.legs.last()) {
        let seen = last.source.as_ref().map_or(last.came.source, |source| source.flow.source);
        let from = walk.original(at, &last.came).map_or(seen, |before| Some(before.destination));
        let cause = match from {
            Some(source) if source != wrote_to && *at == asked.from => {
                Some(Cause::OtherSource { source, bridge: walk.bridge_beside(&back.legs) })
            }
            _ if *at != asked.from => Some(Cause::AnswerElsewhere(source)),
            _ => None,
        };
        if let Some(cause) = cause {
            let interface = last.came.input.clone();
            back.end = WayEnd::Stopped(Box::new(Obstacle { ns: at.clone(), interface, cause }));
        }
    }
    RoundTrip { there, back: Some(back) }
}

/// What connection tracking keeps of a packet that a namespace has translated.
#[derive(Debug, Clone)]
struct Tracked {
    ns: NsName,
    before: Flow,
    after: Flow,
}

/// A packet that is being followed.
struct Walk<'a, 'l> {
    layer2: &'a Layer2<'l>,
    size: Option<u16>,
    chosen: &'a Chosen,
    tracked: Vec<Tracked>,
    is_back: bool,
    depth: usize,
}

impl Walk<'_, '_> {
    fn follow(&mut self, mut ns: NsName, mut flow: Flow) -> Way {
        let mut legs = Vec::new();
        let mut came_in = flow.input.clone();
        let stopped = |ns: &NsName, interface: Option<IfName>, cause| {
            WayEnd::Stopped(Box::new(Obstacle { ns: ns.clone(), interface, cause }))
        };
        while legs.len() < MAX_LEGS {
            let Some(router) = self.layer2.router(&ns) else {
                return Way { legs, end: stopped(&ns, None, Cause::NoNamespace) };
            };
            if legs.iter().any(|before: &Leg| before.ns == ns && before.came == flow) {
                return Way { end: stopped(&ns, came_in, Cause::Loop), legs };
            }
            let mut leg = self.leg(router, &ns, &flow);
            if let Some((interface, cause)) = self.within(router, &leg) {
                legs.push(leg);
                return Way { legs, end: stopped(&ns, interface, cause) };
            }
            let (Some(left), Outcome::Leaves { dev, next_hop, route, .. }) =
                (leg.source.clone(), &leg.decision.outcome)
            else {
                leg.crossings = over_loopback(router, &leg);
                self.track(&leg, &leg.destination.flow);
                legs.push(leg);
                return Way { legs, end: WayEnd::Arrived(ns) };
            };
            self.track(&leg, &left.flow);
            let from = InterfaceRef { ns: ns.clone(), name: dev.clone() };
            let by_gateway = route.hops().any(|(via, _)| via.is_some());
            let meant = &self.chosen.meant;
            let sent = Sent { from: &from, next_hop: *next_hop, by_gateway, flow: &left.flow, size: self.size, meant };
            let is_wireguard = self.layer2.is_wireguard(&from);
            let follow = if is_wireguard { wireguard::segment } else { segment };
            let Segment { crossings, tunnel, end } = follow(self.layer2, &sent);
            leg.crossings = crossings;
            let blocked = tunnel.and_then(|tunnel| self.through(&tunnel, &mut leg));
            legs.push(leg);
            let next = match (blocked, end) {
                (Some(obstacle), _) => return Way { legs, end: WayEnd::Stopped(obstacle) },
                (None, Err(obstacle)) => return Way { legs, end: WayEnd::Stopped(Box::new(obstacle)) },
                (None, Ok(next)) => next,
            };
            came_in = Some(next.name.clone());
            let left = self.through_bridges(&legs, left.flow);
            flow = Flow { input: Some(next.name), out: None, mark: 0, states: self.states(), ..left };
            ns = next.ns;
        }
        Way { end: stopped(&ns, came_in, Cause::Loop), legs }
    }

    /// The state that each namespace's own connection tracking gives a packet.
    fn states(&self) -> BTreeSet<ConnectionState> {
        [if self.is_back { ConnectionState::Established } else { ConnectionState::New }].into()
    }

    /// What a namespace makes of a packet.
    fn leg(&self, router: &Router<'_>, ns: &NsName, flow: &Flow) -> Leg {
        let namespace = router.namespace();
        let original = self.is_back.then(|| self.original(ns, flow)).flatten();
        let (destination, decision) = match (self.is_back, &flow.input) {
            (true, _) => self.answer_in(router, flow, original.as_ref()),
            (false, Some(_)) => came_in(router, flow),
            (false, None) => sent(router, flow),
        };
        let (destination, decision) = self.choose(router, ns, flow, (destination, decision));
        let mut leg = Leg {
            ns: ns.clone(),
            came: flow.clone(),
            destination,
            decision,
            verdict: None,
            source: None,
            crossings: Vec::new(),
            tunnel: None,
            is_sealed: false,
        };
        match &leg.decision.outcome {
            Outcome::Local { .. } => leg.verdict = Some(stays(namespace, &leg.destination.flow)),
            Outcome::Leaves { dev, source, .. } => {
                let (hook, leaving) = leaving(&leg.destination, dev, *source);
                leg.verdict = Some(filter(namespace, hook, &leaving));
                leg.source = Some(match self.is_back {
                    true => answer_out(leaving, original.as_ref()),
                    false => translate(namespace, Hook::Postrouting, &leaving),
                });
            }
            Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => {}
        }
        leg
    }

    /// Of several translations and next hops, those that were chosen.
    fn choose(
        &self,
        router: &Router<'_>,
        ns: &NsName,
        flow: &Flow,
        (mut destination, mut decision): (Translated, Decision),
    ) -> (Translated, Decision) {
        let end = |flow: &Flow| (flow.destination, flow.destination_port);
        if !self.is_back && !self.chosen.destinations.contains(&end(&destination.flow)) {
            let hook = if flow.input.is_some() { Hook::Prerouting } else { Hook::Output };
            let mut possible = translations(router.namespace(), hook, flow);
            if let Some(other) = possible.find(|other| self.chosen.destinations.contains(&end(&other.flow))) {
                decision = router.lookup(&packet(&other.flow));
                destination = other;
            }
        }
        if let Outcome::Leaves { dev, next_hop, route, .. } = &mut decision.outcome
            && !route.nexthops.is_empty()
        {
            let seen = |(via, dev): (Option<IpAddr>, &IfName)| {
                let from = InterfaceRef { ns: ns.clone(), name: dev.clone() };
                let to = destination.flow.destination;
                let to = self.layer2.receiver(&from, via.unwrap_or(to), to)?;
                self.chosen.namespaces.iter().position(|ns| *ns == to.ns)
            };
            let first = route.hops().filter_map(|hop| Some((seen(hop)?, hop))).min_by_key(|(rank, _)| *rank);
            if let Some((_, (via, other))) = first {
                (*dev, *next_hop) = (other.clone(), via.unwrap_or(destination.flow.destination));
            }
        }
        (destination, decision)
    }

    /// A bridge on a way that passes an answer on past what its namespace has translated.
    fn bridge_beside(&self, legs: &[Leg]) -> Option<InterfaceRef> {
        let pairs = legs.iter().flat_map(|leg| leg.crossings.windows(2));
        let mut passed = pairs.filter_map(|pair| {
            let [from, to] = pair else { return None };
            (!from.leaves && to.leaves && from.at.ns == to.at.ns).then_some(&from.at)
        });
        let port = passed.find(|port| self.tracked.iter().any(|tracked| tracked.ns == port.ns))?;
        let interfaces = &self.layer2.router(&port.ns)?.namespace().interfaces;
        Some(InterfaceRef { ns: port.ns.clone(), name: interfaces.get(&port.name)?.master.clone()? })
    }

    /// An answer that a bridge passes on is translated there, too, where the bridge asks the namespace's iptables.
    fn through_bridges(&self, legs: &[Leg], flow: Flow) -> Flow {
        let crossings = legs.last().map_or(&[][..], |leg| leg.crossings.as_slice());
        let mut flow = flow;
        for pair in crossings.windows(2) {
            let [from, to] = pair else { continue };
            let passes = !from.leaves && to.leaves && from.at.ns == to.at.ns;
            if passes
                && self.is_back
                && self.layer2.asks_iptables(&from.at, flow.destination)
                && let Some(before) = self.original(&from.at.ns, &flow)
            {
                flow = Flow {
                    source: Some(before.destination),
                    source_port: before.destination_port,
                    destination: before.source.unwrap_or(flow.destination),
                    destination_port: before.source_port,
                    ..flow
                };
            }
        }
        flow
    }

    fn answer_in(&self, router: &Router<'_>, flow: &Flow, original: Option<&Flow>) -> (Translated, Decision) {
        let mut flow = flow.clone();
        if let Some((source, port)) = original.and_then(|before| Some((before.source?, before.source_port))) {
            flow.destination = source;
            flow.destination_port = port;
        }
        let decision = router.lookup(&packet(&flow));
        (Translated { flow, by: None }, decision)
    }

    /// The packet of a connection that a namespace has translated, to which this is an answer.
    fn original(&self, ns: &NsName, answer: &Flow) -> Option<Flow> {
        let is_answer = |tracked: &&Tracked| {
            tracked.ns == *ns
                && tracked.after.source == Some(answer.destination)
                && Some(tracked.after.destination) == answer.source
        };
        self.tracked.iter().find(is_answer).map(|tracked| tracked.before.clone())
    }

    fn track(&mut self, leg: &Leg, left: &Flow) {
        if self.is_back {
            return;
        }
        let source = leg.came.source.or(leg.source_before());
        let before = Flow { source, ..leg.came.clone() };
        if before.source != left.source || before.destination != left.destination {
            self.tracked.push(Tracked { ns: leg.ns.clone(), before, after: left.clone() });
        }
    }

    /// What in a namespace itself keeps a packet from going on.
    fn within(&self, router: &Router<'_>, leg: &Leg) -> Option<(Option<IfName>, Cause)> {
        let namespace = router.namespace();
        let input = leg.came.input.clone();
        if let Some((out, source)) = reverse_path(router, &leg.came) {
            return Some((input, Cause::ReversePath { source, out }));
        }
        let flow = &leg.destination.flow;
        match &leg.decision.outcome {
            Outcome::NoRoute => {
                // The routes to the subnets of an interface go with it when it is brought down.
                let is_gone = |interface: &Interface| {
                    !interface.up && interface.addresses.iter().any(|own| own.reaches(flow.destination))
                };
                return match namespace.interfaces.iter().find(|(_, interface)| is_gone(interface)) {
                    Some((name, _)) => Some((Some(name.clone()), Cause::Down)),
                    None => Some((None, Cause::NoRoute { to: flow.destination })),
                };
            }
            Outcome::Dropped(route) => return Some((None, Cause::RouteDrops(route.clone()))),
            Outcome::DroppedByRule => return Some((None, Cause::RuleDrops(leg.decision.rule.clone()))),
            Outcome::Local { .. } => {
                let lo = namespace.interfaces.iter().find(|(name, _)| name.is_lo());
                if let Some((name, lo)) = lo.filter(|_| input.is_none())
                    && !lo.up
                {
                    return Some((Some(name.clone()), Cause::Down));
                }
            }
            Outcome::Leaves { dev, route, .. } => {
                if let Some(input) = input
                    && !forwards(namespace, Family::of(flow.destination), &input, leg.ns.is_host())
                {
                    return Some((None, Cause::NotForwarding(Family::of(flow.destination))));
                }
                let interface = namespace.interfaces.get(dev);
                if interface.is_some_and(|interface| !interface.up) {
                    return Some((Some(dev.clone()), Cause::Down));
                }
                let own = interface.and_then(|interface| interface.mtu).unwrap_or(ETHERNET_MTU);
                let mtu = route.mtu.map_or(own, |of_route| of_route.min(own));
                // An answer may be cut into fragments; over IPv6, by who sends it alone.
                let may_be_cut = self.is_back && (flow.destination.is_ipv4() || flow.input.is_none());
                if let Some(bytes) = self.size.filter(|bytes| u32::from(*bytes) > mtu && !may_be_cut) {
                    return Some((Some(dev.clone()), Cause::TooBig { bytes, mtu, is_told: true }));
                }
            }
        }
        let verdict = leg.verdict.clone().filter(|verdict| !verdict.is_accepted())?;
        Some((None, Cause::Filtered(verdict)))
    }

    /// What stops the packets that carry this one through a tunnel.
    fn through(&mut self, tunnel: &Tunnel, leg: &mut Leg) -> Option<Box<Obstacle>> {
        if self.depth >= MAX_TUNNELS {
            return None;
        }
        let protocol = IpProtocol::Udp;
        let flow = Flow::to(protocol, tunnel.remote, tunnel.port);
        let mut walk = Walk { tracked: Vec::new(), size: None, is_back: false, depth: self.depth + 1, ..*self };
        let way = walk.follow(tunnel.from.ns.clone(), flow);
        // Of packets of IP in IP, the model does not know what rules say.
        let is_known = |obstacle: &Obstacle| tunnel.port.is_some() || !matches!(obstacle.cause, Cause::Filtered(_));
        let obstacle = match &way.end {
            WayEnd::Stopped(obstacle) => Some(obstacle.clone()).filter(|obstacle| is_known(obstacle)),
            WayEnd::Arrived(ns) if tunnel.is_sealed && *ns != tunnel.to.ns => {
                let cause = Cause::NoTunnelEnd { remote: tunnel.remote, end: tunnel.to.clone() };
                let InterfaceRef { ns, name } = tunnel.from.clone();
                Some(Box::new(Obstacle { ns, interface: Some(name), cause }))
            }
            WayEnd::Arrived(_) => None,
        };
        (leg.tunnel, leg.is_sealed) = (Some(Box::new(way)), tunnel.is_sealed);
        obstacle
    }
}

/// What a namespace sends to itself goes over its loopback.
fn over_loopback(router: &Router<'_>, leg: &Leg) -> Vec<Crossing> {
    let lo = router.namespace().interfaces.keys().find(|name| name.is_lo());
    let at =
        lo.filter(|_| leg.came.input.is_none()).map(|name| InterfaceRef { ns: leg.ns.clone(), name: name.clone() });
    let both = |at: InterfaceRef| [Crossing { at: at.clone(), leaves: true }, Crossing { at, leaves: false }];
    at.map(both).into_iter().flatten().collect()
}

/// An answer leaves under the address that the question was sent to.
fn answer_out(leaving: Flow, original: Option<&Flow>) -> Translated {
    let flow = match original {
        Some(before) => Flow { source: Some(before.destination), source_port: before.destination_port, ..leaving },
        None => leaving,
    };
    Translated { flow, by: None }
}

/// Whether a namespace passes on what comes in through an interface. Nothing is known of the host, where no file says
/// it.
pub fn forwards(namespace: &Namespace, family: Family, input: &IfName, is_host: bool) -> bool {
    let value = |key: &SysctlKey| namespace.sysctls.get(key).map(crate::lab::SysctlValue::is_on);
    match family {
        Family::Ipv4 => {
            let own = value(&SysctlKey::ipv4_forwarding_of(input));
            own.or_else(|| value(&SysctlKey::ipv4_forwarding())).unwrap_or(is_host)
        }
        Family::Ipv6 => value(&SysctlKey::ipv6_forwarding()).unwrap_or(is_host),
    }
}
