//! The packet filter: the rules in which iptables says it. Arguments stand in the order of `iptables-save`.

use super::chains::Chains;
use super::nat::{range, within};
use super::net::Space;
use crate::lab::{ChainId, Family, FwRule, Hook, IfName, LabName, Table};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::schema::{Action, Chain, Filter, FilterProtocol, Spanned, State};

/// Adds the rules, each for the families that it can match: one without an address is for IPv4, and for IPv6 where the
/// namespace has that.
pub fn rules(space: &Space<'_>, lab: &LabName, ipv6: bool, chains: &mut Chains, found: &mut Collector<'_>) {
    for written in &space.written.filter {
        let input = interface(space, written.input.as_ref(), (written.chain.value, Chain::Output, "in"), found);
        let out = interface(space, written.out.as_ref(), (written.chain.value, Chain::Input, "out"), found);
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
    space: &Space<'_>,
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
    space.find(name, true, found)
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

fn rule(written: &Filter, family: Family, input: Option<&IfName>, out: Option<&IfName>) -> FwRule {
    let mut rule = FwRule::new();
    for (option, prefix) in [("-s", &written.source), ("-d", &written.destination)] {
        if let Some(prefix) = prefix {
            rule = within(rule, option, prefix.value.0);
        }
    }
    for (option, name) in [("-i", input), ("-o", out)] {
        if let Some(name) = name {
            rule = rule.with(option, name);
        }
    }
    match written.protocol.as_ref().map(|protocol| protocol.value) {
        Some(FilterProtocol::Transport(transport)) => {
            rule = rule.with("-p", transport.name());
            if written.port.is_some() || written.source_port.is_some() {
                rule = rule.module(transport.name());
            }
        }
        Some(FilterProtocol::Icmp) => rule = rule.with("-p", "icmp"),
        Some(FilterProtocol::Icmpv6) => rule = rule.with("-p", "ipv6-icmp"),
        None => {}
    }
    for (option, ports) in [("--sport", &written.source_port), ("--dport", &written.port)] {
        if let Some(ports) = ports {
            rule = rule.with(option, range(ports.value));
        }
    }
    if !written.state.is_empty() {
        rule = rule.module("conntrack").with("--ctstate", states(&written.state));
    }
    match (written.action.value, family) {
        (Action::Accept, _) => rule.with("-j", "ACCEPT"),
        (Action::Drop, _) => rule.with("-j", "DROP"),
        (Action::Reject, Family::Ipv4) => rule.with("-j", "REJECT").with("--reject-with", "icmp-port-unreachable"),
        (Action::Reject, Family::Ipv6) => rule.with("-j", "REJECT").with("--reject-with", "icmp6-port-unreachable"),
    }
}

fn states(written: &[Spanned<State>]) -> String {
    let mut states: Vec<State> = written.iter().map(|state| state.value).collect();
    states.sort_unstable();
    states.dedup();
    let names = states.into_iter().map(|state| match state {
        State::Invalid => "INVALID",
        State::New => "NEW",
        State::Related => "RELATED",
        State::Established => "ESTABLISHED",
    });
    names.collect::<Vec<_>>().join(",")
}
