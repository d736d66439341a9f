//! Address translation: from the entries of `nat` to typed rules.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::chains::Chains;
use super::net::{Net, ResolvedNamespace};
use crate::lab::{ChainId, DnatTarget, Family, FirewallRule, Hook, LabName, PortForward, Table, nat};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{Dnat, Masquerade, Nat, Ports, Prefix, Publish, PublishTo, Snat, Spanned, Transport};

/// The chains into which the rules go.
struct NatChains<'a> {
    lab: &'a LabName,
    chains: &'a mut Chains,
}

impl NatChains<'_> {
    fn add(&mut self, family: Family, hook: Hook, rule: FirewallRule) {
        let chain = ChainId::own(family, Table::Nat, self.lab, hook);
        self.chains.append(chain, rule);
    }
}

pub fn rules(namespace: &ResolvedNamespace<'_>, lab: &LabName, chains: &mut Chains, found: &mut Collector<'_>) {
    let mut chains = NatChains { lab, chains };
    for entry in &namespace.written.nat {
        match entry {
            Nat::Masquerade(entry) => masquerade(namespace, entry, &mut chains, found),
            Nat::Snat(entry) => snat(namespace, entry, &mut chains, found),
            Nat::Dnat(entry) => dnat(namespace, entry, &mut chains, found),
            Nat::Publish(entry) => publish(namespace, entry, &mut chains, found),
        }
    }
}

fn masquerade(
    namespace: &ResolvedNamespace<'_>,
    entry: &Masquerade,
    chains: &mut NatChains<'_>,
    found: &mut Collector<'_>,
) {
    let Some(source) = subnet(&entry.source, found) else { return };
    let family = Family::of(source.addr());
    let out = entry.out.as_ref().and_then(|out| namespace.find(out, true, found));
    for except in &entry.except {
        let Prefix(net) = except.value;
        if same_family(source.addr(), net.addr(), except.span, found) {
            chains.add(family, Hook::Postrouting, nat::not_translated(source, net, out.clone()));
        }
    }
    chains.add(family, Hook::Postrouting, nat::masquerade(source, out));
}

fn snat(namespace: &ResolvedNamespace<'_>, entry: &Snat, chains: &mut NatChains<'_>, found: &mut Collector<'_>) {
    let Some(source) = subnet(&entry.source, found) else { return };
    let out = entry.out.as_ref().and_then(|out| namespace.find(out, true, found));
    if same_family(source.addr(), entry.to.value, entry.to.span, found) {
        chains.add(Family::of(source.addr()), Hook::Postrouting, nat::snat(source, out, entry.to.value));
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

fn dnat(namespace: &ResolvedNamespace<'_>, entry: &Dnat, chains: &mut NatChains<'_>, found: &mut Collector<'_>) {
    let to = entry.to.value;
    let family = Family::of(to.address);
    let input = entry.input.as_ref().and_then(|input| namespace.find(input, true, found));
    let destination = entry.destination.as_ref().map(|destination| destination.value.0);
    if let Some(written) = &entry.destination
        && !same_family(to.address, written.value.0.addr(), written.span, found)
    {
        return;
    }
    if ranges_fit(&entry.port, &entry.to, found) {
        let forward = PortForward { destination, input, ..forward(entry.protocol.as_ref(), entry.port.value, to) };
        chains.add(family, Hook::Prerouting, forward.rule());
    }
}

/// A published port: for packets from outside (PREROUTING), from this namespace (OUTPUT), and from the target's own
/// subnet. There the answer would bypass this namespace, so the source becomes this namespace's (POSTROUTING): a
/// hairpin.
fn publish(namespace: &ResolvedNamespace<'_>, entry: &Publish, chains: &mut NatChains<'_>, found: &mut Collector<'_>) {
    let (ports, to) = (entry.port.value, entry.to.value);
    let family = Family::of(to.address);
    let own = published_at(entry);
    if let Some(address) = own {
        if !same_family(to.address, address.value, address.span, found) {
            return;
        }
        if address.value.is_loopback() {
            let message =
                "a port cannot be published on a loopback address: what is sent from there to others is dropped";
            let help = "leave `address` out: the port then leads there from every other address".to_owned();
            found.add(Diagnostic::new(Code::LocalAddress, address.span, message).help(help));
            return;
        }
        if !namespace.name.is_host() && !namespace.holds(address.value) && namespace.written.whole {
            let message = format!("no interface of {} has the address {}", namespace.name, address.value);
            found.add(Diagnostic::new(Code::NoSuchAddress, address.span, message));
        }
    }
    if !ranges_fit(&entry.port, &entry.to, found) {
        return;
    }
    let destination = own.map(|address| IpNet::from(address.value));
    let forward = PortForward { destination, ..forward(entry.protocol.as_ref(), ports, to) };
    for hook in [Hook::Prerouting, Hook::Output] {
        chains.add(family, hook, forward.rule());
    }
    if let Some((_, subnet)) = namespace.connected(to.address) {
        chains.add(family, Hook::Postrouting, forward.hairpin(subnet));
    }
}

/// The one address that a port is published on; none: every one, as without an address or with 0.0.0.0.
fn published_at(entry: &Publish) -> Option<&Spanned<IpAddr>> {
    entry.address.as_ref().filter(|address| !address.value.is_unspecified())
}

/// Packets to ports of this namespace, whatever its addresses, that are sent on.
fn forward(protocol: Option<&Spanned<Transport>>, ports: Ports, to: PublishTo) -> PortForward {
    let to = DnatTarget::new(to.address, ports.range(), to.ports.map(Ports::range));
    let protocol = transport(protocol).protocol();
    PortForward { protocol, destination: None, input: None, ports: ports.range(), to }
}

fn transport(written: Option<&Spanned<Transport>>) -> Transport {
    written.map_or(Transport::Tcp, |protocol| protocol.value)
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

/// Ports that are published twice, and ones that lead to no namespace.
pub fn check(net: &Net<'_>, found: &mut Collector<'_>) {
    let all_known = net.namespaces.iter().all(|namespace| namespace.written.whole);
    for namespace in &net.namespaces {
        published_twice(namespace, found);
        for entry in namespace.written.nat.iter().filter(|_| all_known) {
            if let Nat::Publish(Publish { to, .. }) | Nat::Dnat(Dnat { to, .. }) = entry {
                leads_to_a_namespace(net, namespace, to, found);
            }
        }
    }
}

/// An address in a subnet of the lab that no namespace has is a mistake; elsewhere there may be anybody.
fn leads_to_a_namespace(
    net: &Net<'_>,
    namespace: &ResolvedNamespace<'_>,
    to: &Spanned<PublishTo>,
    found: &mut Collector<'_>,
) {
    let address = to.value.address;
    if namespace.connected(address).is_none() || net.has_address(address) {
        return;
    }
    let help = net.address_like(address, found);
    found.add(
        Diagnostic::new(Code::NoSuchAddress, to.span, format!("no namespace has the address {address}")).help(help),
    );
}

/// A port leads to one place only. Entries collide where protocol, address and ports do; one without an address
/// has them all.
fn published_twice(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) {
    type Listed = Vec<(Ports, Span)>;
    let mut by_address: HashMap<(Transport, Family, Option<IpAddr>), Listed> = HashMap::new();
    for entry in &namespace.written.nat {
        if let Nat::Publish(entry) = entry {
            let address = published_at(entry).map(|address| address.value);
            let key = (transport(entry.protocol.as_ref()), Family::of(entry.to.value.address), address);
            by_address.entry(key).or_default().push((entry.port.value, entry.port.span));
        }
    }
    for listed in by_address.values_mut() {
        listed.sort_by_key(|(ports, span)| (ports.first, span.start));
        let mut last: Option<(Ports, Span)> = None;
        for &(ports, span) in listed.iter() {
            match last {
                Some((before, first)) if ports.first <= before.last => twice(namespace, ports, span, first, found),
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
                twice(namespace, *ports, *span, *first, found);
            }
        }
    }
}

fn twice(namespace: &ResolvedNamespace<'_>, ports: Ports, span: Span, first: Span, found: &mut Collector<'_>) {
    let (span, first) = if span.start < first.start { (first, span) } else { (span, first) };
    let message = format!("port {} of {} is published twice", ports.range(), namespace.name);
    found.add(Diagnostic::new(Code::PublishedTwice, span, message).also(first, "first here"));
}
