//! A rule as arguments, in the order in which `iptables-save` prints the rules that nslab makes.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::IpAddr;

use super::args::{self, Arg};
use super::names::{module, protocol_name, reject_name, state_name};
use crate::lab::{
    Condition, DnatPort, DnatTarget, FirewallRule, FirewallTarget, ForeignFirewallRule, MarkBits, Matches,
    ObservedRule, PortRange, Recent,
};

/// The arguments of a rule for a shell's command line.
pub fn shell_line(rule: &ObservedRule) -> String {
    args::shell(&arguments_of(rule))
}

/// The arguments of a rule for `iptables-restore`.
pub fn restore_line(rule: &ObservedRule) -> String {
    args::restore(&arguments_of(rule))
}

fn arguments_of(rule: &ObservedRule) -> Vec<Arg> {
    match rule {
        ObservedRule::Known(rule) => arguments(rule),
        ObservedRule::Foreign(ForeignFirewallRule { text, .. }) => args::parse(text),
    }
}

fn arguments(rule: &FirewallRule) -> Vec<Arg> {
    let mut args = of_packets(&rule.matches);
    let states = of_states(&rule.matches);
    // kube-proxy's jumps from built-in chains have their states first.
    let (before, behind) =
        if matches!(rule.target, FirewallTarget::Jump(_)) { (states, Vec::new()) } else { (Vec::new(), states) };
    args.extend(before);
    if let Some(comment) = &rule.comment {
        args.extend([Arg::new("-m", "comment"), Arg::new("--comment", comment)]);
    }
    args.extend(of_modules(rule));
    args.extend(behind);
    args.extend(of_target(&rule.target));
    args
}

/// The conditions that need no module.
fn of_packets(matches: &Matches) -> Vec<Arg> {
    let conditions = [
        matches.source.as_ref().map(|net| condition("-s", net, ToString::to_string)),
        matches.destination.as_ref().map(|net| condition("-d", net, ToString::to_string)),
        matches.input.as_ref().map(|name| condition("-i", name, ToString::to_string)),
        matches.out.as_ref().map(|name| condition("-o", name, ToString::to_string)),
        matches.protocol.as_ref().map(|protocol| condition("-p", protocol, |it| protocol_name(*it).to_owned())),
    ];
    conditions.into_iter().flatten().collect()
}

fn of_modules(rule: &FirewallRule) -> Vec<Arg> {
    let matches = &rule.matches;
    let mut args = matches.recent.as_ref().map(recent).unwrap_or_default();
    if let Some(part) = matches.probability {
        args.extend([Arg::new("-m", "statistic"), Arg::new("--mode", "random"), Arg::new("--probability", part)]);
    }
    if let Some(mark) = &matches.mark {
        args.extend([Arg::new("-m", "mark"), condition("--mark", mark, bits)]);
    }
    let local = [("--src-type", matches.source_is_local), ("--dst-type", matches.destination_is_local)];
    if local.iter().any(|(_, local)| local.is_some()) {
        args.push(Arg::new("-m", "addrtype"));
    }
    for (option, local) in local {
        args.extend(local.map(|local| Arg { negated: !local, ..Arg::new(option, "LOCAL") }));
    }
    let ports = [("--sport", &matches.source_port), ("--dport", &matches.destination_port)];
    // kube-proxy names the module where it translates destinations, too.
    let translates = matches!(rule.target, FirewallTarget::Dnat(_))
        && matches!(matches.protocol, Some(Condition::Is(protocol)) if protocol.has_ports());
    if translates || ports.iter().any(|(_, ports)| ports.is_some()) {
        args.extend(matches.protocol.as_ref().map(|protocol| Arg::new("-m", protocol_name(*protocol.value()))));
    }
    for (option, ports) in ports {
        args.extend(ports.as_ref().map(|ports| condition(option, ports, PortRange::to_string)));
    }
    args
}

fn of_states(matches: &Matches) -> Vec<Arg> {
    let Some(states) = &matches.states else { return Vec::new() };
    let list = |states: &BTreeSet<_>| states.iter().map(|state| state_name(*state)).collect::<Vec<_>>().join(",");
    vec![Arg::new("-m", "conntrack"), condition("--ctstate", states, list)]
}

/// Of the whole address, which is the default and has another mask in each family, of the source.
fn recent(recent: &Recent) -> Vec<Arg> {
    let (what, list) = match recent {
        Recent::Set(list) => (vec![Arg::flag("--set")], list),
        Recent::Within { list, seconds } => {
            (vec![Arg::flag("--rcheck"), Arg::new("--seconds", seconds), Arg::flag("--reap")], list)
        }
    };
    let name = [Arg::new("--name", list), Arg::flag("--rsource")];
    [Arg::new("-m", "recent")].into_iter().chain(what).chain(name).collect()
}

/// Bits of a mark, and which, as `iptables-save` prints them.
fn bits(bits: &MarkBits) -> String {
    format!("{:#x}/{:#x}", bits.value, bits.mask)
}

fn condition<T>(option: &str, condition: &Condition<T>, word: impl FnOnce(&T) -> String) -> Arg {
    let negated = match condition {
        Condition::Is(_) => false,
        Condition::IsNot(_) => true,
    };
    Arg { negated, ..Arg::new(option, word(condition.value())) }
}

fn of_target(target: &FirewallTarget) -> Vec<Arg> {
    let target_and =
        |name: &str, option: &str, value: &dyn Display| vec![Arg::new("-j", name), Arg::new(option, value)];
    match target {
        FirewallTarget::Accept => vec![Arg::new("-j", "ACCEPT")],
        FirewallTarget::Drop => vec![Arg::new("-j", "DROP")],
        FirewallTarget::Return => vec![Arg::new("-j", "RETURN")],
        FirewallTarget::Jump(chain) => vec![Arg::new("-j", chain)],
        FirewallTarget::Continue => Vec::new(),
        FirewallTarget::Mark(to) => target_and("MARK", "--set-xmark", &bits(to)),
        FirewallTarget::Masquerade => vec![Arg::new("-j", "MASQUERADE")],
        FirewallTarget::MasqueradeRandomly => vec![Arg::new("-j", "MASQUERADE"), Arg::flag("--random-fully")],
        FirewallTarget::Reject(with) => target_and("REJECT", "--reject-with", &reject_name(*with)),
        FirewallTarget::Snat(address) => target_and("SNAT", "--to-source", address),
        FirewallTarget::Dnat(to) => target_and("DNAT", "--to-destination", &destination(to)),
        FirewallTarget::Redirect(None) => vec![Arg::new("-j", "REDIRECT")],
        FirewallTarget::Redirect(Some(ports)) => target_and("REDIRECT", "--to-ports", &dashed(*ports)),
    }
}

/// An address and a port as the target DNAT has them: `10.0.0.1:8000-8009/80`.
fn destination(to: &DnatTarget) -> String {
    let port = match to.port {
        DnatPort::Same => return to.address.to_string(),
        DnatPort::One(port) => port.to_string(),
        DnatPort::AnyOf(ports) => dashed(ports),
        DnatPort::Shifted { from, to } => format!("{}/{from}", dashed(to)),
    };
    match to.address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}

fn dashed(PortRange { first, last }: PortRange) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// The modules of a rule, in the order of its arguments. iptables finds a rule to remove only if they are in its order.
pub(super) fn modules(rule: &FirewallRule) -> Vec<String> {
    args_modules(&arguments(rule))
}

/// The modules that arguments name or imply, each where it first appears.
pub(super) fn args_modules(args: &[Arg]) -> Vec<String> {
    let protocol = args.iter().find(|arg| arg.option == "-p").and_then(Arg::value);
    let mut found: Vec<String> = Vec::new();
    for name in args.iter().filter_map(|arg| module(arg, protocol)) {
        if !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    }
    found
}
