//! The packet filter: its rules.

use std::collections::BTreeSet;

use super::chains::Chains;
use super::net::ResolvedNamespace;
use crate::lab::{
    ChainId, Condition, ConnectionState, Family, FirewallRule, FirewallTarget, Hook, IfName, IpProtocol, LabName,
    Matches, RejectWith, Table,
};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{Action, Chain, Filter, FilterProtocol, Ports, Spanned, State};

/// Adds the rules, each for the families that it can match: one without an address is for IPv4, and for IPv6 where the
/// namespace has that.
pub fn rules(
    namespace: &ResolvedNamespace<'_>,
    lab: &LabName,
    ipv6: bool,
    chains: &mut Chains,
    found: &mut Collector<'_>,
) {
    for written in &namespace.written.filter {
        let input = interface(namespace, written.input.as_ref(), (written.chain.value, Chain::Output, "in"), found);
        let out = interface(namespace, written.out.as_ref(), (written.chain.value, Chain::Input, "out"), found);
        ports_need_a_protocol(written, found);
        let hook = match written.chain.value {
            Chain::Input => Hook::Input,
            Chain::Forward => Hook::Forward,
            Chain::Output => Hook::Output,
        };
        for family in families(written, ipv6, found) {
            let rule = rule(written, family, input.as_ref(), out.as_ref());
            chains.append(ChainId::own(family, Table::Filter, lab, hook), rule);
        }
    }
}

/// An interface of a condition, which has no meaning in one of the chains.
fn interface(
    namespace: &ResolvedNamespace<'_>,
    name: Option<&Spanned<IfName>>,
    (chain, without, key): (Chain, Chain, &str),
    found: &mut Collector<'_>,
) -> Option<IfName> {
    let name = name?;
    if chain == without {
        let message =
            format!("`{key}` means nothing here: such packets have not passed an interface in that direction");
        found.add(Diagnostic::new(Code::KeyNotAllowed, name.span, message));
    }
    namespace.find(name, true, found)
}

fn ports_need_a_protocol(written: &Filter, found: &mut Collector<'_>) {
    let transport = matches!(written.protocol.as_ref().map(|at| at.value), Some(FilterProtocol::Transport(_)));
    if let Some(port) = written.port.as_ref().or(written.source_port.as_ref()).filter(|_| !transport) {
        let help = "add `protocol: tcp` or `protocol: udp`".to_owned();
        found.add(Diagnostic::new(Code::PortNotAllowed, port.span, "only tcp and udp have ports").help(help));
    }
}

/// The families that a rule can match.
fn families(written: &Filter, ipv6: bool, found: &mut Collector<'_>) -> Vec<Family> {
    let prefixes = [&written.source, &written.destination].into_iter().flatten();
    let mut given: Vec<_> = prefixes.map(|prefix| (Family::of(prefix.value.0.addr()), prefix.span)).collect();
    if let Some(protocol) = &written.protocol {
        match protocol.value {
            FilterProtocol::Icmp => given.push((Family::Ipv4, protocol.span)),
            FilterProtocol::Icmpv6 => given.push((Family::Ipv6, protocol.span)),
            FilterProtocol::Transport(_) => {}
        }
    }
    let Some((family, first)) = given.first().copied() else {
        return if ipv6 { vec![Family::Ipv4, Family::Ipv6] } else { vec![Family::Ipv4] };
    };
    if let Some((_, span)) = given.iter().find(|(other, _)| *other != family) {
        let fault =
            Diagnostic::new(Code::FamilyMismatch, *span, "this rule matches nothing: it asks for IPv4 and for IPv6");
        found.add(fault.also(first, "the other family"));
    }
    vec![family]
}

fn rule(written: &Filter, family: Family, input: Option<&IfName>, out: Option<&IfName>) -> FirewallRule {
    let mut matches = Matches::default();
    if let Some(source) = &written.source {
        matches = matches.from(source.value.0);
    }
    if let Some(destination) = &written.destination {
        matches = matches.to(destination.value.0);
    }
    let ports = |written: Option<&Spanned<Ports>>| written.map(|ports| Condition::Is(ports.value.range()));
    let matches = Matches {
        input: input.cloned().map(Condition::Is),
        out: out.cloned().map(Condition::Is),
        protocol: written.protocol.as_ref().map(|protocol| Condition::Is(ip_protocol(protocol.value))),
        source_port: ports(written.source_port.as_ref()),
        destination_port: ports(written.port.as_ref()),
        states: (!written.state.is_empty()).then(|| Condition::Is(states(&written.state))),
        ..matches
    };
    matches.then(match written.action.value {
        Action::Accept => FirewallTarget::Accept,
        Action::Drop => FirewallTarget::Drop,
        Action::Reject => FirewallTarget::Reject(RejectWith::port_unreachable(family)),
    })
}

fn ip_protocol(written: FilterProtocol) -> IpProtocol {
    match written {
        FilterProtocol::Transport(transport) => transport.protocol(),
        FilterProtocol::Icmp => IpProtocol::Icmp,
        FilterProtocol::Icmpv6 => IpProtocol::Icmpv6,
    }
}

fn states(written: &[Spanned<State>]) -> BTreeSet<ConnectionState> {
    let state = |state: &Spanned<State>| match state.value {
        State::Invalid => ConnectionState::Invalid,
        State::New => ConnectionState::New,
        State::Related => ConnectionState::Related,
        State::Established => ConnectionState::Established,
    };
    written.iter().map(state).collect()
}
