//! Address translation: the rules in which iptables says it. Arguments stand in the order of `iptables-save`.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::chains::Chains;
use super::net::{Net, Space};
use crate::lab::{ChainId, Family, FwRule, Hook, IfName, LabName, Table};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{Dnat, Masquerade, Nat, Ports, Prefix, Publish, PublishTo, Snat, Spanned, Transport};

/// The chains into which the rules go.
struct NatChains<'a> {
    lab: &'a LabName,
    chains: &'a mut Chains,
}

impl NatChains<'_> {
    fn add(&mut self, family: Family, hook: Hook, rule: FwRule) {
        let chain = ChainId::own(family, Table::Nat, self.lab, hook);
        self.chains.append(chain, rule);
    }
}

pub fn rules(space: &Space<'_>, lab: &LabName, chains: &mut Chains, found: &mut Collector<'_>) {
    let mut chains = NatChains { lab, chains };
    for entry in &space.written.nat {
        match entry {
            Nat::Masquerade(entry) => masquerade(space, entry, &mut chains, found),
            Nat::Snat(entry) => snat(space, entry, &mut chains, found),
            Nat::Dnat(entry) => dnat(space, entry, &mut chains, found),
            Nat::Publish(entry) => publish(space, entry, &mut chains, found),
        }
    }
}

/// Traffic within the subnet is spared: where bridged packets pass iptables (`net.bridge.bridge-nf-call-iptables`), a
/// rule without `! -d` would translate them, too, and break the bridge.
fn masquerade(space: &Space<'_>, entry: &Masquerade, chains: &mut NatChains<'_>, found: &mut Collector<'_>) {
    let Some(source) = subnet(&entry.source, found) else { return };
    let family = Family::of(source.addr());
    let out = entry.out.as_ref().and_then(|out| space.find(out, true, found));
    for except in &entry.except {
        let Prefix(net) = except.value;
        if same_family(source.addr(), net.addr(), except.span, found) {
            let rule = through(within(FwRule::new().with("-s", source), "-d", net), out.as_ref());
            chains.add(family, Hook::Postrouting, rule.with("-j", "RETURN"));
        }
    }
    let rule = through(FwRule::new().with("-s", source).without("-d", source), out.as_ref());
    chains.add(family, Hook::Postrouting, rule.with("-j", "MASQUERADE"));
}

fn snat(space: &Space<'_>, entry: &Snat, chains: &mut NatChains<'_>, found: &mut Collector<'_>) {
    let Some(source) = subnet(&entry.source, found) else { return };
    let out = entry.out.as_ref().and_then(|out| space.find(out, true, found));
    if same_family(source.addr(), entry.to.value, entry.to.span, found) {
        let rule = through(FwRule::new().with("-s", source).without("-d", source), out.as_ref());
        let rule = rule.with("-j", "SNAT").with("--to-source", entry.to.value);
        chains.add(Family::of(source.addr()), Hook::Postrouting, rule);
    }
}

/// A subnet that has something outside: packets within it are spared, which would be all of them.
fn subnet(source: &Spanned<Prefix>, found: &mut Collector<'_>) -> Option<IpNet> {
    let Prefix(net) = source.value;
    if net.prefix_len() == 0 {
        let message = format!("everything is within {net}, and packets within `source` are not translated");
        let help = "name the subnet behind this namespace; an entry for each if there are several".to_owned();
        found.add(Diagnostic::new(Code::NothingTranslated, source.span, message).help(help));
        return None;
    }
    Some(net)
}

/// A condition on an address. To be of the subnet of everything is none: iptables drops it.
pub(super) fn within(rule: FwRule, option: &str, net: IpNet) -> FwRule {
    if net.prefix_len() == 0 { rule } else { rule.with(option, net) }
}

fn through(rule: FwRule, out: Option<&IfName>) -> FwRule {
    match out {
        Some(out) => rule.with("-o", out),
        None => rule,
    }
}

fn dnat(space: &Space<'_>, entry: &Dnat, chains: &mut NatChains<'_>, found: &mut Collector<'_>) {
    let to = entry.to.value;
    let family = Family::of(to.address);
    let input = entry.input.as_ref().and_then(|input| space.find(input, true, found));
    let destination = entry.destination.as_ref().map(|destination| destination.value.0);
    if let Some(written) = &entry.destination
        && !same_family(to.address, written.value.0.addr(), written.span, found)
    {
        return;
    }
    if ranges_fit(&entry.port, &entry.to, found) {
        let rule = arriving(family, destination, input.as_ref(), transport(entry.protocol.as_ref()), entry.port.value);
        chains.add(family, Hook::Prerouting, sent_on(rule, entry.port.value, to));
    }
}

/// From outside (PREROUTING), from here (OUTPUT), and from the target's own subnet: there the answer would go past
/// us, so the question must seem to come from us (POSTROUTING).
fn publish(space: &Space<'_>, entry: &Publish, chains: &mut NatChains<'_>, found: &mut Collector<'_>) {
    let (ports, to) = (entry.port.value, entry.to.value);
    let family = Family::of(to.address);
    let transport = transport(entry.protocol.as_ref());
    if let Some(address) = &entry.address {
        if !same_family(to.address, address.value, address.span, found) {
            return;
        }
        if !space.name.is_host() && !space.holds(address.value) && space.written.whole {
            let message = format!("no interface of {} has the address {}", space.name, address.value);
            found.add(Diagnostic::new(Code::NoSuchAddress, address.span, message));
        }
    }
    if !ranges_fit(&entry.port, &entry.to, found) {
        return;
    }
    let address = entry.address.as_ref().map(|address| IpNet::from(address.value));
    for hook in [Hook::Prerouting, Hook::Output] {
        let rule = arriving(family, address, None, transport, ports);
        chains.add(family, hook, sent_on(rule, ports, to));
    }
    if let Some((_, subnet)) = space.connected(to.address) {
        let rule = FwRule::new().with("-s", subnet).with("-d", IpNet::from(to.address)).with("-p", transport.name());
        let rule = rule.module(transport.name()).with("--dport", range(to.ports.unwrap_or(ports)));
        let rule = rule.module("conntrack").with("--ctstate", "DNAT").with("-j", "MASQUERADE");
        chains.add(family, Hook::Postrouting, rule);
    }
}

fn transport(written: Option<&Spanned<Transport>>) -> Transport {
    written.map_or(Transport::Tcp, |protocol| protocol.value)
}

/// The conditions of packets to a port of this namespace. Loopback addresses are left out: the kernel does not route
/// packets from them to elsewhere.
fn arriving(
    family: Family,
    destination: Option<IpNet>,
    input: Option<&IfName>,
    transport: Transport,
    ports: Ports,
) -> FwRule {
    let rule = match (destination, family) {
        (Some(destination), _) => within(FwRule::new(), "-d", destination),
        (None, Family::Ipv4) => FwRule::new().without("-d", "127.0.0.0/8"),
        (None, Family::Ipv6) => FwRule::new().without("-d", "::1/128"),
    };
    let rule = match input {
        Some(input) => rule.with("-i", input),
        None => rule,
    };
    let rule = rule.with("-p", transport.name());
    let rule = match destination {
        Some(_) => rule,
        None => rule.module("addrtype").with("--dst-type", "LOCAL"),
    };
    rule.module(transport.name()).with("--dport", range(ports))
}

/// The target of translated packets. A range keeps its ports; one that moves to another range names the port at which
/// its own begins, which says by how much.
fn sent_on(rule: FwRule, ports: Ports, to: PublishTo) -> FwRule {
    let own = to.ports.unwrap_or(ports);
    let port = match (own.count(), own == ports) {
        (1, _) => format!(":{}", own.first),
        (_, true) => String::new(),
        (_, false) => format!(":{}-{}/{}", own.first, own.last, ports.first),
    };
    let address = match to.address {
        IpAddr::V6(address) if !port.is_empty() => format!("[{address}]"),
        address => address.to_string(),
    };
    rule.with("-j", "DNAT").with("--to-destination", address + &port)
}

/// Ports as iptables spells them.
pub(super) fn range(ports: Ports) -> String {
    if ports.count() == 1 { ports.first.to_string() } else { format!("{}:{}", ports.first, ports.last) }
}

fn same_family(a: IpAddr, b: IpAddr, span: Span, found: &mut Collector<'_>) -> bool {
    let same = Family::of(a) == Family::of(b);
    if !same {
        let name = |address: IpAddr| if address.is_ipv6() { "IPv6" } else { "IPv4" };
        found.add(Diagnostic::new(Code::FamilyMismatch, span, format!("this is {}, and {a} is {}", name(b), name(a))));
    }
    same
}

fn ranges_fit(ports: &Spanned<Ports>, to: &Spanned<PublishTo>, found: &mut Collector<'_>) -> bool {
    let count = to.value.ports.map_or(ports.value.count(), Ports::count);
    let fit = count == ports.value.count();
    if !fit {
        let message = format!("{} ports lead to {count}; there must be as many on both sides", ports.value.count());
        found.add(Diagnostic::new(Code::PortCount, to.span, message).also(ports.span, "the ports"));
    }
    fit
}

/// A port that leads elsewhere, for checks to know who answers there.
pub struct Forwarding {
    transport: Transport,
    /// The addresses for which it holds; none: all of the namespace's.
    destination: Option<IpNet>,
    ports: Ports,
    to: PublishTo,
    /// Whether it holds for packets that the namespace itself sends.
    from_here: bool,
}

/// The ports of a namespace that lead elsewhere, in the order in which they are tried.
pub fn forwardings(space: &Space<'_>) -> Vec<Forwarding> {
    let forwarding = |entry: &Nat| match entry {
        Nat::Publish(entry) => Some(Forwarding {
            transport: transport(entry.protocol.as_ref()),
            destination: entry.address.as_ref().map(|address| IpNet::from(address.value)),
            ports: entry.port.value,
            to: entry.to.value,
            from_here: true,
        }),
        Nat::Dnat(entry) => Some(Forwarding {
            transport: transport(entry.protocol.as_ref()),
            destination: entry.destination.as_ref().map(|destination| destination.value.0),
            ports: entry.port.value,
            to: entry.to.value,
            from_here: false,
        }),
        Nat::Masquerade(_) | Nat::Snat(_) => None,
    };
    space.written.nat.iter().filter_map(forwarding).collect()
}

impl Forwarding {
    /// Where a packet to an address and a port goes instead.
    pub fn leads(&self, transport: Transport, address: IpAddr, port: u16, from_here: bool) -> Option<(IpAddr, u16)> {
        let own = Family::of(address) == Family::of(self.to.address)
            && self.destination.map_or(!address.is_loopback(), |destination| destination.contains(&address));
        let holds = own && transport == self.transport && (self.from_here || !from_here);
        if !holds || !(self.ports.first..=self.ports.last).contains(&port) {
            return None;
        }
        let first = self.to.ports.unwrap_or(self.ports).first;
        Some((self.to.address, first.checked_add(port - self.ports.first)?))
    }
}

/// Ports that are published twice, and ones that lead to nobody.
pub fn check(net: &Net<'_>, found: &mut Collector<'_>) {
    let all_known = net.spaces.iter().all(|space| space.written.whole);
    for space in &net.spaces {
        published_twice(space, found);
        for entry in space.written.nat.iter().filter(|_| all_known) {
            if let Nat::Publish(Publish { to, .. }) | Nat::Dnat(Dnat { to, .. }) = entry {
                leads_to_somebody(net, space, to, found);
            }
        }
    }
}

/// An address in a subnet of the lab that no namespace has is a mistake; elsewhere there may be anybody.
fn leads_to_somebody(net: &Net<'_>, space: &Space<'_>, to: &Spanned<PublishTo>, found: &mut Collector<'_>) {
    let address = to.value.address;
    if space.connected(address).is_none() || net.has_address(address) {
        return;
    }
    let help = net.address_like(address, found);
    found.add(
        Diagnostic::new(Code::NoSuchAddress, to.span, format!("no namespace has the address {address}")).help(help),
    );
}

/// A port leads to one place only. Entries collide where protocol, address and ports do; one without an address
/// has them all.
fn published_twice(space: &Space<'_>, found: &mut Collector<'_>) {
    type Listed = Vec<(Ports, Span)>;
    let mut by_address: HashMap<(Transport, Family, Option<IpAddr>), Listed> = HashMap::new();
    for entry in &space.written.nat {
        if let Nat::Publish(entry) = entry {
            let address = entry.address.as_ref().map(|address| address.value);
            let key = (transport(entry.protocol.as_ref()), Family::of(entry.to.value.address), address);
            by_address.entry(key).or_default().push((entry.port.value, entry.port.span));
        }
    }
    for listed in by_address.values_mut() {
        listed.sort_by_key(|(ports, span)| (ports.first, span.start));
        let mut last: Option<(Ports, Span)> = None;
        for &(ports, span) in listed.iter() {
            match last {
                Some((before, first)) if ports.first <= before.last => twice(space, ports, span, first, found),
                _ => last = Some((ports, span)),
            }
        }
    }
    for ((transport, family, address), listed) in &by_address {
        let Some(everywhere) = by_address.get(&(*transport, *family, None)).filter(|_| address.is_some()) else {
            continue;
        };
        for (ports, span) in listed {
            let before = everywhere.partition_point(|(other, _)| other.first <= ports.last);
            let other = everywhere.get(..before).and_then(<[_]>::last);
            if let Some((_, first)) = other.filter(|(other, _)| other.last >= ports.first) {
                twice(space, *ports, *span, *first, found);
            }
        }
    }
}

fn twice(space: &Space<'_>, ports: Ports, span: Span, first: Span, found: &mut Collector<'_>) {
    let (span, first) = if span.start < first.start { (first, span) } else { (span, first) };
    let message = format!("port {} of {} is published twice", range(ports), space.name);
    found.add(Diagnostic::new(Code::PublishedTwice, span, message).also(first, "first here"));
}
