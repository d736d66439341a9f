//! The way of a probe through a lab, there and back, packet by packet: whether it arrives, where, as whom, and what its
//! sender hears of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use nslab::lab::{Check, Family, Hook, IfName, InterfaceRef, IpProtocol, Lab, Namespace, NsName, Probe, Protocol};
use nslab::lab::{RejectWith, RouteKind};

use super::firewall::{Connection, Firewall, Through, Tracked, Verdict};
use super::links::{Links, Neighbours};
use super::packet::{Error, Kind, Packet, Tuple};
use super::routing::{Incoming, Query, incoming, is_own, look_up, select_ipv6};

/// The ports at which somebody listens.
pub type Listening = BTreeSet<(NsName, IpProtocol, Family, u16)>;

/// What the model alone says of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// What the sender hears.
    pub saw: Saw,
    /// Where it arrives, from which address, and at which port.
    pub arrival: Option<(NsName, IpAddr, u16)>,
    /// The address that it leaves with.
    pub left_as: Option<IpAddr>,
    /// The namespaces that lead it elsewhere.
    pub led_by: BTreeSet<NsName>,
    /// The router that refuses it for want of a route, and the address that it does not tell more than a few times.
    pub limited: Option<(NsName, IpAddr)>,
}

impl Prediction {
    /// That it does not arrive anywhere.
    pub fn nothing() -> Self {
        let (arrival, left_as, led_by, limited) = (None, None, BTreeSet::new(), None);
        Self { saw: Saw::Silence, arrival, left_as, led_by, limited }
    }
}

/// What a sender hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saw {
    Answered,
    Refused,
    Unreachable,
    NotSent,
    /// A connection came about, and nothing came through it.
    Stalled,
    Silence,
}

/// What cannot be known beforehand, one way or the other.
#[derive(Debug, Clone)]
pub struct Chance {
    /// What is known of neighbours before the probe.
    pub neighbours: Neighbours,
    /// Which of several answers comes first: the nearest's, or the last one's.
    pub last: bool,
}

/// One probe under way.
pub struct Walk<'w> {
    pub(super) lab: &'w Lab,
    pub(super) links: Links<'w>,
    pub(super) listening: &'w Listening,
    pub(super) last: bool,
    pub(super) neighbours: Neighbours,
    /// How many tunnels this is in.
    pub(super) depth: usize,
    pub(super) connections: BTreeMap<NsName, Vec<Connection>>,
    pub(super) from: NsName,
    /// Where nslab listens for this probe.
    pub(super) ours: BTreeSet<NsName>,
    pub(super) sent: Packet,
    /// The way that the sender's connection takes once it has been found.
    pub(super) way: Option<(IfName, Option<IpAddr>)>,
    pub(super) heard: Option<Saw>,
    pub(super) prediction: Prediction,
}

/// The packet was not let out.
struct Kept;

const PORT: u16 = 40_000;

/// Where others have their destination port, an echo request has its type, which an answer has not.
const ECHO: u16 = 8;

/// Follows one probe; what is known of neighbours afterwards.
pub fn follow(
    lab: &Lab,
    check: &Check,
    probe: &Probe,
    listening: &Listening,
    chance: &Chance,
) -> (Prediction, Neighbours) {
    let (protocol, port) = match check.protocol {
        Protocol::Icmp if probe.to.address.is_ipv6() => (IpProtocol::Icmpv6, ECHO),
        Protocol::Icmp => (IpProtocol::Icmp, ECHO),
        Protocol::Tcp(port) => (IpProtocol::Tcp, port),
        Protocol::Udp(port) => (IpProtocol::Udp, port),
    };
    let (source, destination) = (probe.source.unwrap_or(probe.to.address), probe.to.address);
    let tuple = Tuple { source, source_port: PORT, destination, destination_port: port };
    let mut walk = Walk {
        lab,
        links: Links::new(lab),
        listening,
        last: chance.last,
        neighbours: chance.neighbours.clone(),
        depth: 0,
        connections: BTreeMap::new(),
        from: probe.from.clone(),
        ours: probe.listen.iter().map(|(ns, _)| ns.clone()).collect(),
        sent: Packet { protocol, kind: Kind::Request, tuple, ttl: Packet::TTL },
        way: None,
        heard: None,
        prediction: Prediction::nothing(),
    };
    let kept = walk.begin(probe.source).is_err();
    // A connection is opened again and again, whatever the own firewall does.
    let unsent = if kept { Some(Saw::NotSent) } else { None };
    walk.prediction.saw = unsent.or(walk.heard).unwrap_or(Saw::Silence);
    (walk.prediction, walk.neighbours)
}

impl<'w> Walk<'w> {
    fn namespace(&self, ns: &NsName) -> &'w Namespace {
        &self.lab.namespaces[ns]
    }

    fn firewall(&mut self, ns: &NsName) -> Firewall<'_> {
        let namespace = &self.lab.namespaces[ns];
        let connections = self.connections.entry(ns.clone()).or_default();
        Firewall { lab: &self.lab.name, namespace, connections }
    }

    /// The probe leaves. Where no source is asked for, the look-up chooses one. A connected socket of IPv4 then looks
    /// up again, with it (ip_route_connect); IPv6 does so where it has found nothing (ip6_dst_lookup_tail).
    fn begin(&mut self, asked: Option<IpAddr>) -> Result<(), Kept> {
        let (ns, mut packet) = (self.from.clone(), self.sent.clone());
        let namespace = self.namespace(&ns);
        let query = Query { source: asked, destination: packet.tuple.destination, input: None, out: None };
        let to = packet.tuple.destination;
        let mut found = look_up(namespace, query);
        let source = match &found {
            _ if asked.is_some() => asked,
            Ok(found) => found.source(namespace, to),
            Err(_) if packet.is_ipv6() => select_ipv6(namespace, None, to),
            Err(_) => None,
        };
        let source = source.ok_or(Kept)?;
        packet.tuple.source = source;
        if found.is_err() || matches!(packet.protocol, IpProtocol::Tcp | IpProtocol::Udp) && !packet.is_ipv6() {
            found = look_up(namespace, Query { source: Some(source), ..query });
        }
        let found = found.map_err(|_| Kept)?;
        // An echo request cannot tell as whom it leaves; a connected socket may, if it gets through.
        let again = look_up(namespace, Query { source: Some(source), ..query });
        self.prediction.left_as = (packet.is_ipv6() || again.is_ok()).then_some(source);
        self.sent = packet.clone();
        let (dev, via) = leaving(&found);
        self.way = Some((dev.clone(), via));
        let is_tcp = packet.protocol == IpProtocol::Tcp;
        let kept = self.output(&ns, packet, dev, via);
        if is_tcp { Ok(()) } else { kept }
    }

    /// What the namespace itself sends, once it has a source.
    pub(super) fn answer(&mut self, ns: &NsName, packet: Packet) {
        let query =
            Query { source: Some(packet.tuple.source), destination: packet.tuple.destination, input: None, out: None };
        if let Ok(found) = look_up(self.namespace(ns), query) {
            let (dev, via) = leaving(&found);
            let _ = self.output(ns, packet, dev, via);
        }
    }

    fn output(&mut self, ns: &NsName, mut packet: Packet, dev: IfName, via: Option<IpAddr>) -> Result<(), Kept> {
        let to = packet.tuple.destination;
        let through = Through { out: Some(&dev), ..Through::default() };
        let mut firewall = self.firewall(ns);
        let tracked = firewall.track(&packet);
        let led = firewall.translate(Hook::Output, &mut packet, tracked, through).ok_or(Kept)?;
        self.notes(ns, led);
        let (mut new_dev, mut new_via) = (dev.clone(), via);
        if packet.tuple.destination != to {
            let source = Some(packet.tuple.source);
            let query = Query { source, destination: packet.tuple.destination, input: None, out: None };
            (new_dev, new_via) = leaving(&look_up(self.namespace(ns), query).map_err(|_| Kept)?);
        }
        match self.firewall(ns).filter(Hook::Output, &packet, tracked, through) {
            Verdict::Accepted => {}
            Verdict::Dropped => return Err(Kept),
            Verdict::Rejected(with) => {
                self.reject(ns, &packet, with, false);
                return Err(Kept);
            }
        }
        self.leave(ns, packet, tracked, None, (new_dev, new_via));
        Ok(())
    }

    fn notes(&mut self, ns: &NsName, led: bool) {
        if led {
            self.prediction.led_by.insert(ns.clone());
        }
    }

    /// Behind the last look-up: the source is translated, and the packet goes to the next hop.
    fn leave(
        &mut self,
        ns: &NsName,
        mut packet: Packet,
        tracked: Tracked,
        input: Option<&IfName>,
        (dev, via): (IfName, Option<IpAddr>),
    ) {
        let next_hop = via.unwrap_or(packet.tuple.destination);
        let through = Through { input, out: Some(&dev), next_hop: Some(next_hop) };
        if self.firewall(ns).translate(Hook::Postrouting, &mut packet, tracked, through).is_none() {
            return;
        }
        if dev.is_lo() {
            return self.input(ns, packet, tracked, &dev);
        }
        let from = InterfaceRef { ns: ns.clone(), name: dev };
        let owners = self.owners(&from, next_hop, &packet);
        let owner = if self.last { owners.last() } else { owners.first() };
        if let Some(owner) = owner.filter(|owner| self.reaches(&from, owner)) {
            self.receive(owner, packet);
        }
    }

    fn receive(&mut self, at: &InterfaceRef, mut packet: Packet) {
        let InterfaceRef { ns, name: dev } = at;
        let mut firewall = self.firewall(ns);
        let tracked = firewall.track(&packet);
        let through = Through { input: Some(dev), ..Through::default() };
        let Some(led) = firewall.translate(Hook::Prerouting, &mut packet, tracked, through) else { return };
        self.notes(ns, led);
        let Tuple { source, destination, .. } = packet.tuple;
        match incoming(self.namespace(ns), source, destination, dev) {
            Incoming::Local => self.input(ns, packet, tracked, dev),
            Incoming::Forward(found) => self.forward(ns, packet, tracked, dev, leaving(&found)),
            Incoming::Dropped => {}
            Incoming::Refused => {
                self.prediction.limited = Some((ns.clone(), source)).filter(|_| !packet.is_ipv6());
                self.tell(ns, &packet, Error::Other, false);
            }
        }
    }

    fn forward(
        &mut self,
        ns: &NsName,
        mut packet: Packet,
        tracked: Tracked,
        dev: &IfName,
        (out, via): (IfName, Option<IpAddr>),
    ) {
        if packet.ttl <= 1 {
            return self.tell(ns, &packet, Error::Other, false);
        }
        packet.ttl -= 1;
        let through = Through { input: Some(dev), out: Some(&out), next_hop: None };
        match self.firewall(ns).filter(Hook::Forward, &packet, tracked, through) {
            Verdict::Accepted => self.leave(ns, packet, tracked, Some(dev), (out, via)),
            Verdict::Dropped => {}
            Verdict::Rejected(with) => self.reject(ns, &packet, with, false),
        }
    }

    fn input(&mut self, ns: &NsName, mut packet: Packet, tracked: Tracked, dev: &IfName) {
        let through = Through { input: Some(dev), ..Through::default() };
        match self.firewall(ns).filter(Hook::Input, &packet, tracked, through) {
            Verdict::Accepted => {}
            Verdict::Dropped => return,
            Verdict::Rejected(with) => return self.reject(ns, &packet, with, true),
        }
        if self.firewall(ns).translate(Hook::Input, &mut packet, tracked, through).is_some() {
            self.deliver(ns, &packet);
        }
    }

    fn reject(&mut self, ns: &NsName, packet: &Packet, with: RejectWith, is_local: bool) {
        match with {
            RejectWith::TcpReset => self.answer(ns, packet.answer(Kind::Reset)),
            RejectWith::PortUnreachable | RejectWith::PortUnreachable6 => {
                self.tell(ns, packet, Error::PortUnreachable, is_local);
            }
            other => panic!("the file cannot say {other:?}"),
        }
    }

    /// Sends an ICMP error about a packet to its sender (icmp_send, icmp6_send): from the address that it was sent to
    /// if it is for this namespace, else from the one that the way back begins with.
    fn tell(&mut self, ns: &NsName, about: &Packet, error: Error, is_local: bool) {
        if about.is_error() {
            return;
        }
        let namespace = self.namespace(ns);
        let to = about.tuple.source;
        let is_local = is_local || (about.is_ipv6() && is_own(namespace, about.tuple.destination));
        let own = is_local.then_some(about.tuple.destination);
        let query = Query { source: own, destination: to, input: None, out: None };
        let Ok(found) = look_up(namespace, query) else { return };
        let Some(source) = own.or_else(|| found.source(namespace, to)) else { return };
        let tuple = Tuple { source, source_port: 0, destination: to, destination_port: 0 };
        let kind = Kind::Error(error, Box::new(about.clone()));
        let packet = Packet { protocol: about.protocol, kind, tuple, ttl: Packet::TTL };
        if packet.is_ipv6() {
            return self.answer(ns, packet);
        }
        let (dev, via) = leaving(&found);
        let _ = self.output(ns, packet, dev, via);
    }

    fn deliver(&mut self, ns: &NsName, packet: &Packet) {
        let is_tcp_or_udp = packet.protocol.has_ports();
        let is_back = *ns == self.from && (!is_tcp_or_udp || packet.tuple == self.sent.tuple.back());
        match &packet.kind {
            Kind::Request => self.arrive(ns, packet),
            Kind::Reply if is_back && packet.protocol == IpProtocol::Tcp => self.connected(),
            Kind::Reply | Kind::DataBack if is_back => self.hears(Saw::Answered),
            Kind::Data => self.answer(ns, packet.answer(Kind::DataBack)),
            Kind::Reset if is_back => self.hears(Saw::Refused),
            Kind::Error(error, about) if *ns == self.from => {
                // Neither an error about an answer, nor one about the packets of another socket.
                let is_own = matches!(about.kind, Kind::Request | Kind::Data);
                if is_own && (!is_tcp_or_udp || about.tuple == self.sent.tuple) {
                    self.hears(if *error == Error::PortUnreachable { Saw::Refused } else { Saw::Unreachable });
                }
            }
            // An answer that nobody here waits for.
            Kind::Reply | Kind::DataBack if packet.protocol == IpProtocol::Tcp => {
                self.answer(ns, packet.answer(Kind::Reset));
            }
            Kind::Reply if packet.protocol == IpProtocol::Udp => self.tell(ns, packet, Error::PortUnreachable, true),
            Kind::Reply | Kind::DataBack | Kind::Reset | Kind::Error(..) => {}
        }
    }

    /// A connection has come about: what is said over it has to come through where nslab is at the other end.
    fn connected(&mut self) {
        let (ns, packet) = (self.from.clone(), Packet { kind: Kind::Data, ..self.sent.clone() });
        if let Some((dev, via)) = self.way.clone() {
            let _ = self.output(&ns, packet, dev, via);
        }
        let ours = self.prediction.arrival.as_ref().is_some_and(|(ns, ..)| self.ours.contains(ns));
        self.hears(if ours { Saw::Stalled } else { Saw::Answered });
    }

    fn hears(&mut self, saw: Saw) {
        self.heard.get_or_insert(saw);
    }

    fn arrive(&mut self, ns: &NsName, packet: &Packet) {
        let Tuple { source, destination_port, .. } = packet.tuple;
        self.prediction.arrival.get_or_insert_with(|| (ns.clone(), source, destination_port));
        if self.depth > 0 {
            return;
        }
        let key = (ns.clone(), packet.protocol, packet.family(), destination_port);
        match packet.protocol {
            IpProtocol::Icmp | IpProtocol::Icmpv6 => self.answer(ns, packet.answer(Kind::Reply)),
            _ if self.listening.contains(&key) => self.answer(ns, packet.answer(Kind::Reply)),
            IpProtocol::Tcp => self.answer(ns, packet.answer(Kind::Reset)),
            IpProtocol::Udp => self.tell(ns, packet, Error::PortUnreachable, true),
            IpProtocol::Sctp => unreachable!("no check sends SCTP"),
        }
    }
}

/// Where a route leads: what is for the namespace itself goes over loopback.
fn leaving(found: &super::routing::Found) -> (IfName, Option<IpAddr>) {
    match found.kind {
        RouteKind::Local => ("lo".parse().expect("a name"), None),
        _ => (found.dev.clone(), found.via),
    }
}
