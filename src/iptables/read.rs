//! A line of `iptables-save` as a rule.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::args::{self, Arg};
use super::{names, write};
use crate::lab::{
    ChainName, Condition, ConnectionState, DnatPort, DnatTarget, Family, FirewallRule, FirewallTarget,
    ForeignFirewallRule, MarkBits, Matches, ObservedRule, PortRange, Probability, Recent, RejectWith,
};

/// The rule that follows the chain's name in a line of `iptables-save` or `ip6tables-save`.
pub fn read(family: Family, text: &str) -> ObservedRule {
    let args = args::parse(text);
    match meaning(family, &args) {
        Some(rule) if write::modules(&rule) == write::args_modules(&args) => ObservedRule::Known(rule),
        means => {
            let text = args::restore(&args);
            ObservedRule::Foreign(ForeignFirewallRule { text, means, leads_to: leads_to(family, &args) })
        }
    }
}

/// The chain that a rule leads to: a target of iptables is none, and a chain has no arguments.
fn leads_to(family: Family, args: &[Arg]) -> Option<ChainName> {
    let last = args.last()?;
    match last.option.as_str() {
        "-g" => last.value()?.parse().ok(),
        "-j" => target(family, last.value()?, &[])?.leads_to().cloned(),
        _ => None,
    }
}

/// What the arguments say, if the model has words for all of it.
fn meaning(family: Family, args: &[Arg]) -> Option<FirewallRule> {
    let (matches, list) = (Matches::default(), List::default());
    let mut read = Reading { family, matches, list, comment: None, target: None, of_target: Vec::new() };
    for (at, arg) in args.iter().enumerate() {
        let same = |other: &Arg| other.option == arg.option && (arg.option != "-m" || other.values == arg.values);
        if args.iter().take(at).any(same) {
            return None;
        }
        read.argument(arg)?;
    }
    read.finish()
}

/// A rule, as far as it has been read.
struct Reading<'a> {
    family: Family,
    matches: Matches,
    list: List,
    comment: Option<String>,
    target: Option<&'a str>,
    /// The arguments of the target: options and values.
    of_target: Vec<(&'a str, &'a str)>,
}

/// The mask of a list of sources that has whole addresses, in each family.
const WHOLE_ADDRESS: [&str; 2] = ["255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"];

/// What is said of a list of sources.
#[derive(Default)]
struct List {
    name: Option<ChainName>,
    sets: bool,
    checks: bool,
    reaps: bool,
    seconds: Option<u32>,
}

impl List {
    /// Reads an argument about it; none if the model has no words for it.
    fn argument(&mut self, option: &str, values: &[String]) -> Option<()> {
        match (option, values) {
            ("--set", []) => self.sets = true,
            ("--rcheck", []) => self.checks = true,
            ("--reap", []) => self.reaps = true,
            ("--rsource", []) => {}
            ("--mask", [mask]) => WHOLE_ADDRESS.contains(&mask.as_str()).then_some(())?,
            ("--seconds", [seconds]) => self.seconds = Some(seconds.parse().ok()?),
            ("--name", [name]) => self.name = Some(name.parse().ok()?),
            _ => return None,
        }
        Some(())
    }

    /// All of it; the outer none: the model has no words for it.
    #[allow(clippy::option_option)]
    fn finish(self) -> Option<Option<Recent>> {
        match self {
            Self { name: None, sets: false, checks: false, reaps: false, seconds: None } => Some(None),
            Self { name: Some(list), sets: true, checks: false, reaps: false, seconds: None } => {
                Some(Some(Recent::Set(list)))
            }
            Self { name: Some(list), sets: false, checks: true, reaps: true, seconds: Some(seconds) } => {
                Some(Some(Recent::Within { list, seconds }))
            }
            _ => None,
        }
    }
}

impl<'a> Reading<'a> {
    /// Reads an argument; none if the model has no words for it.
    fn argument(&mut self, arg: &'a Arg) -> Option<()> {
        if names::module(arg, None) == Some("recent") && arg.option != "-m" {
            return if arg.negated { None } else { self.list.argument(&arg.option, &arg.values) };
        }
        if arg.option == "--random-fully" && arg.values.is_empty() && !arg.negated {
            self.of_target.push(("--random-fully", ""));
            return Some(());
        }
        let value = arg.value()?;
        let matches = &mut self.matches;
        match arg.option.as_str() {
            "-s" => matches.source = subnet(self.family, arg, value)?,
            "-d" => matches.destination = subnet(self.family, arg, value)?,
            "-i" => matches.input = Some(condition(arg, value.parse().ok()?)),
            "-o" => matches.out = Some(condition(arg, value.parse().ok()?)),
            "-p" => matches.protocol = Some(condition(arg, names::protocol(value)?)),
            "--sport" => matches.source_port = Some(condition(arg, ports(value, ':')?)),
            "--dport" => matches.destination_port = Some(condition(arg, ports(value, ':')?)),
            "--mark" => matches.mark = Some(condition(arg, bits(value)?)),
            "--src-type" if value == "LOCAL" => matches.source_is_local = Some(!arg.negated),
            "--dst-type" if value == "LOCAL" => matches.destination_is_local = Some(!arg.negated),
            "--ctstate" => matches.states = Some(condition(arg, states(value)?)),
            _ if arg.negated => return None,
            "-m" => MODULES.contains(&value).then_some(())?,
            "--mode" => (value == "random").then_some(())?,
            "--probability" => matches.probability = Some(Probability::of(value.parse().ok()?)?),
            "--comment" => self.comment = Some(value.to_owned()),
            "-j" => self.target = Some(value),
            option @ ("--set-xmark" | "--reject-with" | "--to-source" | "--to-destination" | "--to-ports") => {
                self.of_target.push((option, value));
            }
            _ => return None,
        }
        Some(())
    }

    fn finish(self) -> Option<FirewallRule> {
        let Self { family, comment, .. } = self;
        let matches = Matches { recent: self.list.finish()?, ..self.matches };
        let has_ports = matches.source_port.is_some() || matches.destination_port.is_some();
        if has_ports && !matches!(matches.protocol, Some(Condition::Is(protocol)) if protocol.has_ports()) {
            return None;
        }
        let target = match self.target {
            Some(name) => target(family, name, &self.of_target)?,
            // A rule without a target is one that counts, and has something to say.
            None => comment.as_ref().map(|_| FirewallTarget::Continue).filter(|_| self.of_target.is_empty())?,
        };
        Some(FirewallRule { matches, target, comment })
    }
}

/// The modules that the model's rules use.
const MODULES: [&str; 9] = ["comment", "addrtype", "tcp", "udp", "sctp", "conntrack", "recent", "statistic", "mark"];

/// Bits of a mark, and which: `0x4000/0x4000`.
fn bits(text: &str) -> Option<MarkBits> {
    let (value, mask) = text.split_once('/')?;
    let number = |text: &str| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok();
    Some(MarkBits { value: number(value)?, mask: number(mask)? })
}

fn condition<T>(arg: &Arg, value: T) -> Condition<T> {
    if arg.negated { Condition::IsNot(value) } else { Condition::Is(value) }
}

/// A condition on an address, if there is one in this family; to be within everything is none.
#[allow(clippy::option_option)] // The outer one: whether it could be read.
fn subnet(family: Family, arg: &Arg, text: &str) -> Option<Option<Condition<IpNet>>> {
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?.trunc();
    if Family::of(net.addr()) != family {
        return None;
    }
    Some((net.prefix_len() > 0 || arg.negated).then(|| condition(arg, net)))
}

fn ports(text: &str, between: char) -> Option<PortRange> {
    let (first, last) = text.split_once(between).unwrap_or((text, text));
    let range = PortRange { first: first.parse().ok()?, last: last.parse().ok()? };
    (range.first <= range.last).then_some(range)
}

fn states(text: &str) -> Option<BTreeSet<ConnectionState>> {
    text.split(',').map(names::state).collect()
}

fn target(family: Family, name: &str, options: &[(&str, &str)]) -> Option<FirewallTarget> {
    let target = match (name, options) {
        ("ACCEPT", []) => FirewallTarget::Accept,
        ("DROP", []) => FirewallTarget::Drop,
        ("RETURN", []) => FirewallTarget::Return,
        ("MASQUERADE", []) => FirewallTarget::Masquerade,
        ("MASQUERADE", [("--random-fully", "")]) => FirewallTarget::MasqueradeRandomly,
        ("MARK", [("--set-xmark", to)]) => FirewallTarget::Mark(bits(to)?),
        ("REJECT", []) => FirewallTarget::Reject(RejectWith::port_unreachable(family)),
        ("REJECT", [("--reject-with", with)]) => FirewallTarget::Reject(names::reject(with)?),
        ("SNAT", [("--to-source", address)]) => FirewallTarget::Snat(address.parse().ok()?),
        ("DNAT", [("--to-destination", to)]) => FirewallTarget::Dnat(destination(to)?),
        ("REDIRECT", []) => FirewallTarget::Redirect(None),
        ("REDIRECT", [("--to-ports", range)]) => FirewallTarget::Redirect(Some(ports(range, '-')?)),
        ("SNAT" | "DNAT" | "MARK", _) => return None,
        (chain, []) => FirewallTarget::Jump(chain.parse().ok()?),
        _ => return None,
    };
    Some(target)
}

/// An address and a port as the target DNAT has them: `10.0.0.1:8000-8009/80`.
fn destination(text: &str) -> Option<DnatTarget> {
    if let Ok(address) = text.parse() {
        return Some(DnatTarget { address, port: DnatPort::Same });
    }
    let (address, port) = text.rsplit_once(':')?;
    let address = match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => IpAddr::V6(address.parse().ok()?),
        None => IpAddr::V4(address.parse().ok()?),
    };
    let (range, from) = match port.split_once('/') {
        Some((range, from)) => (ports(range, '-')?, Some(from.parse().ok()?)),
        None => (ports(port, '-')?, None),
    };
    let port = match from {
        None if range.count() == 1 => DnatPort::One(range.first),
        None => DnatPort::AnyOf(range),
        Some(from) if range.count() > 1 => DnatPort::Shifted { from, to: range },
        Some(_) => return None,
    };
    Some(DnatTarget { address, port })
}
