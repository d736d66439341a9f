//! What a namespace's firewall makes of a packet: connection tracking, address translation, the packet filter
//! (nf_conntrack_core.c, nf_nat_core.c, x_tables.c).

use std::collections::BTreeSet;
use std::net::IpAddr;

use nslab::lab::{
    ChainId, Condition, ConnectionState, FirewallTarget, Hook, IfName, IpProtocol, LabName, Matches, Namespace,
    RejectWith, Table,
};

use super::packet::{Kind, Packet, Tuple};
use super::routing::{is_own, select_ipv4, select_ipv6};

/// A connection that a namespace knows.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Its first packet, as it came in.
    first: Tuple,
    /// The answer to it, as it comes in.
    answer: Tuple,
    /// Whether its beginning was seen.
    is_opened: bool,
    is_answered: bool,
    /// Whether NAT has decided about destination and source.
    decided: [bool; 2],
}

/// What connection tracking says of a packet.
#[derive(Debug, Clone, Copy)]
pub struct Tracked {
    state: ConnectionState,
    /// Which connection, and whether the packet goes the way of the first one.
    of: Option<(usize, bool)>,
}

/// The interfaces that a packet came in and goes out through.
#[derive(Debug, Clone, Copy, Default)]
pub struct Through<'t> {
    pub input: Option<&'t IfName>,
    pub out: Option<&'t IfName>,
    /// Who gets it there.
    pub next_hop: Option<IpAddr>,
}

/// What the filter does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    Dropped,
    Rejected(RejectWith),
}

/// The firewall of one namespace while one probe is under way.
pub struct Firewall<'f> {
    pub lab: &'f LabName,
    pub namespace: &'f Namespace,
    pub connections: &'f mut Vec<Connection>,
}

impl Firewall<'_> {
    /// Finds the connection of a packet, or begins one.
    pub fn track(&mut self, packet: &Packet) -> Tracked {
        let untracked = Tracked { state: ConnectionState::Invalid, of: None };
        if let Kind::Error(_, about) = &packet.kind {
            let (tuple, back) = (about.tuple, about.tuple.back());
            let is_first = |own: &Connection| own.first == tuple || own.answer == back;
            let is_answer = |own: &Connection| own.answer == tuple || own.first == back;
            let found = self.connections.iter().position(is_first).map(|at| (at, false));
            let found = found.or_else(|| self.connections.iter().position(is_answer).map(|at| (at, true)));
            return found.map_or(untracked, |of| Tracked { state: ConnectionState::Related, of: Some(of) });
        }
        if let Some(at) = self.connections.iter().position(|own| own.first == packet.tuple) {
            let state = match (self.connections[at].is_answered, &packet.kind) {
                (true, _) => ConnectionState::Established,
                // A connection that nobody has accepted, as far as this namespace has seen.
                (false, Kind::Data) if self.connections[at].is_opened => return untracked,
                (false, _) => ConnectionState::New,
            };
            return Tracked { state, of: Some((at, true)) };
        }
        if let Some(at) = self.connections.iter().position(|own| own.answer == packet.tuple) {
            self.connections[at].is_answered = true;
            return Tracked { state: ConnectionState::Established, of: Some((at, false)) };
        }
        match (&packet.kind, packet.protocol) {
            // A connection of TCP may also be noticed in the middle (nf_conntrack_tcp_loose).
            (Kind::Request | Kind::Data | Kind::DataBack, _) | (Kind::Reply, IpProtocol::Udp) => {
                self.connections.push(Connection {
                    first: packet.tuple,
                    answer: packet.tuple.back(),
                    is_opened: matches!(packet.kind, Kind::Request),
                    is_answered: false,
                    decided: [false, false],
                });
                Tracked { state: ConnectionState::New, of: Some((self.connections.len() - 1, true)) }
            }
            (Kind::Reply | Kind::Reset | Kind::Error(..), _) => untracked,
        }
    }

    /// Translates a packet at a hook. Whether a rule changed where the connection goes; none: it has to be dropped.
    pub fn translate(
        &mut self,
        hook: Hook,
        packet: &mut Packet,
        tracked: Tracked,
        through: Through<'_>,
    ) -> Option<bool> {
        let Some((at, forth)) = tracked.of else { return Some(false) };
        let of_source = matches!(hook, Hook::Input | Hook::Postrouting);
        let mut led = false;
        let is_open = forth && tracked.state == ConnectionState::New && !packet.is_error();
        if is_open && !std::mem::replace(&mut self.connections[at].decided[usize::from(of_source)], true) {
            led = self.decide(hook, packet, tracked, through)?;
        }
        let Connection { first, answer, .. } = self.connections[at].clone();
        let (seen, first) = (answer.back(), first);
        let is_led = (first.destination, first.destination_port) != (seen.destination, seen.destination_port);
        let is_hidden = (first.source, first.source_port) != (seen.source, seen.source_port);
        let tuple = &mut packet.tuple;
        match (of_source, forth) {
            (false, true) if is_led => {
                (tuple.destination, tuple.destination_port) = (seen.destination, seen.destination_port);
            }
            (false, false) if is_hidden => {
                (tuple.destination, tuple.destination_port) = (first.source, first.source_port);
            }
            (true, true) if is_hidden => (tuple.source, tuple.source_port) = (seen.source, seen.source_port),
            (true, false) if is_led => {
                (tuple.source, tuple.source_port) = (first.destination, first.destination_port);
            }
            (false | true, _) => {}
        }
        if let (Kind::Error(_, about), false) = (&mut packet.kind, forth) {
            match of_source {
                false => (about.tuple.source, about.tuple.source_port) = (first.source, first.source_port),
                true => {
                    (about.tuple.destination, about.tuple.destination_port) =
                        (first.destination, first.destination_port);
                }
            }
        }
        Some(led)
    }

    fn decide(&mut self, hook: Hook, packet: &Packet, tracked: Tracked, through: Through<'_>) -> Option<bool> {
        let Some((at, _)) = tracked.of else { return Some(false) };
        let Some(target) = self.rule(Table::Nat, hook, packet, tracked, through).cloned() else { return Some(false) };
        let connection = &mut self.connections[at];
        match target {
            FirewallTarget::Dnat(to) => {
                connection.answer.source = to.address;
                if packet.ports().is_some() {
                    connection.answer.source_port = to.port.translated(packet.tuple.destination_port);
                }
                return Some(true);
            }
            FirewallTarget::Snat(to) => connection.answer.destination = to,
            FirewallTarget::Masquerade => {
                let (out, to) = (through.out?, packet.tuple.destination);
                let own = match to {
                    IpAddr::V4(_) => select_ipv4(self.namespace, out, through.next_hop),
                    IpAddr::V6(_) => select_ipv6(self.namespace, Some(out), to),
                };
                connection.answer.destination = own?;
            }
            FirewallTarget::Accept
            | FirewallTarget::Drop
            | FirewallTarget::Reject(_)
            | FirewallTarget::Return
            | FirewallTarget::Jump(_)
            | FirewallTarget::Redirect(_) => {}
            FirewallTarget::Continue | FirewallTarget::Mark(_) | FirewallTarget::MasqueradeRandomly => {
                unreachable!("only services have such rules")
            }
        }
        self.make_unique(at);
        Some(false)
    }

    /// Chooses another source port where some connection already has the answer (nf_nat_l4proto_unique_tuple).
    fn make_unique(&mut self, at: usize) {
        let others: Vec<Tuple> = self.connections.iter().map(|own| own.answer).collect();
        let is_taken = |answer: Tuple| others.iter().enumerate().any(|(other, own)| other != at && *own == answer);
        while is_taken(self.connections[at].answer) {
            self.connections[at].answer.destination_port += 1;
        }
    }

    /// What the packet filter does at a hook.
    pub fn filter(&self, hook: Hook, packet: &Packet, tracked: Tracked, through: Through<'_>) -> Verdict {
        match self.rule(Table::Filter, hook, packet, tracked, through) {
            Some(FirewallTarget::Drop) => Verdict::Dropped,
            Some(FirewallTarget::Reject(with)) => Verdict::Rejected(*with),
            _ => Verdict::Accepted,
        }
    }

    fn rule(
        &self,
        table: Table,
        hook: Hook,
        packet: &Packet,
        tracked: Tracked,
        through: Through<'_>,
    ) -> Option<&FirewallTarget> {
        let chain = ChainId::own(packet.family(), table, self.lab, hook);
        let mut states = BTreeSet::from([tracked.state]);
        if let Some((at, _)) = tracked.of {
            let Connection { first, answer, .. } = &self.connections[at];
            states.extend((answer.destination != first.source).then_some(ConnectionState::Snat));
            let led = answer.source != first.destination || answer.source_port != first.destination_port;
            states.extend(led.then_some(ConnectionState::Dnat));
        }
        let rules = self.namespace.firewall.chains.get(&chain)?;
        let rule = rules.iter().find(|rule| self.meets(&rule.matches, packet, &states, through))?;
        (rule.target != FirewallTarget::Return).then_some(&rule.target)
    }

    fn meets(
        &self,
        matches: &Matches,
        packet: &Packet,
        states: &BTreeSet<ConnectionState>,
        through: Through<'_>,
    ) -> bool {
        let Tuple { source, destination, .. } = packet.tuple;
        let ports = packet.ports();
        let named = |condition: &Option<Condition<IfName>>, name: Option<&IfName>| {
            condition.as_ref().is_none_or(|condition| condition.holds(|wanted| name == Some(wanted)))
        };
        matches.source.as_ref().is_none_or(|of| of.holds(|net| net.contains(&source)))
            && matches.destination.as_ref().is_none_or(|of| of.holds(|net| net.contains(&destination)))
            && named(&matches.input, through.input)
            && named(&matches.out, through.out)
            && matches.protocol.as_ref().is_none_or(|of| of.holds(|own| *own == packet.wire_protocol()))
            && matches.destination_is_local.is_none_or(|local| local == is_own(self.namespace, destination))
            && matches
                .source_port
                .as_ref()
                .is_none_or(|of| ports.is_some_and(|(port, _)| of.holds(|r| r.contains(port))))
            && matches
                .destination_port
                .as_ref()
                .is_none_or(|of| ports.is_some_and(|(_, port)| of.holds(|range| range.contains(port))))
            && matches.states.as_ref().is_none_or(|of| of.holds(|wanted| !wanted.is_disjoint(states)))
    }
}
