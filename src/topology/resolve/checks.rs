//! Checks: what is sent, what must happen, and between whom.

use std::net::IpAddr;
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};

use super::net::{Net, ResolvedNamespace};
use super::probes::{self, Question};
use super::selectors::{Endpoint, LISTED, SelectorList, Selectors, as_written};
use super::services::Services;
use super::{asks, check_protocol, exec_checks};
use crate::lab::{
    Asks, Check, ExecCheck, Expect, Family, IfName, LOCAL_TABLE, Namespace, NsName, PacketSize, Probe, Protocol,
    RouteKind, SeenAs, is_global,
};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Destination, File, SeenBy, Selector, Spanned, WrittenCheck};

/// A file may ask for so many pairs; a full mesh of a thousand namespaces has slightly fewer.
const MAX_PROBES: usize = 1_000_000;

/// How often a probe that should be answered is tried again: the first one may wait for address resolution.
const RETRIES: u32 = 2;

/// A router cannot ask for IPv6 neighbours until its link-local address has proven to be unique, which takes up
/// to two seconds from when the interface comes up (RFC 4862, section 5.4); where it began to ask before, it gives up
/// for another one.
const IPV6_RETRIES: u32 = 5;

/// How long a try waits where the file does not say.
const TIMEOUT: Duration = Duration::from_secs(1);

pub fn resolve(
    file: &File,
    net: &Net<'_>,
    (namespaces, services): (&IndexMap<NsName, Namespace>, &Services),
    found: &mut Collector<'_>,
) -> (Vec<Check>, Vec<ExecCheck>) {
    let parties = Selectors::new(file, net, services, found);
    let maker = probes::Maker::new(net, namespaces, services);
    let (mut checks, mut exec_checks) = (Vec::with_capacity(file.checks.len()), Vec::new());
    let mut room = MAX_PROBES;
    for written in &file.checks {
        let before = found.count();
        let written = match written {
            WrittenCheck::Probe(written) => written,
            WrittenCheck::Exec(written) => {
                let from = parties.resolve(net, &written.from.0, found);
                exec_checks.push(exec_checks::resolve(written, net, &from, before, found));
                continue;
            }
        };
        let from = parties.resolve(net, &written.from.0, found);
        let to = parties.resolve(net, &written.to.0, found);
        // Sides cost time even if they make no pairs.
        let cost = from.len().saturating_mul(to.len()).max(from.len() + to.len());
        if cost > room {
            let message = format!("with this check, the file has more than {MAX_PROBES} pairs to probe");
            found.add(
                Diagnostic::new(Code::TooMany, written.span, message)
                    .help("check a few pairs instead of all of them".to_owned()),
            );
            break;
        }
        room -= cost;
        let protocol = check_protocol::resolve(written, &to, services, found);
        checks.extend(check((written, protocol), net, (&maker, &parties.names), (&from, &to), before, found));
    }
    (checks, exec_checks)
}

fn check(
    (written, protocol): (&schema::Check, Option<Protocol>),
    net: &Net<'_>,
    (maker, names): (&probes::Maker<'_>, &IndexSet<&str>),
    (from, to): (&[Endpoint], &[Endpoint]),
    before: usize,
    found: &mut Collector<'_>,
) -> Option<Check> {
    let expect = written.expect.as_ref().map_or(Expect::Reachable, |expect| expect.value.0);
    let answered_by = answered_by(written, protocol, net, expect, found);
    let asks = asks::resolve(written, expect, found);
    let family = family(written, found);
    let protocol = protocol?;
    let size = size(written, protocol, expect, found);
    let links = links(written, found);
    let source = written.source.as_ref().map(|source| source.value);
    let question = Question { protocol, expect, family, source, answered_by, links, names };
    source_is_theirs(written, net, from, found);
    let probes = maker.probes(&question, (from, to), found);
    if probes.is_empty() && found.count() == before && net.names.are_whole() {
        let message = "this check has no pair: a side is empty, or both are the same one namespace";
        found.add(Diagnostic::new(Code::EmptyCheck, written.span, message));
    }
    let retries = match expect {
        Expect::Unreachable => 0,
        _ if probes.iter().any(|probe| probe.to.address.is_ipv6()) => IPV6_RETRIES,
        _ => RETRIES,
    };
    Some(Check {
        name: name(written, protocol, (asks.as_ref(), size)),
        line: found.line(written.span) as u64,
        protocol,
        asks,
        size,
        expect,
        seen_as: seen_as(written, net, expect, &probes, found),
        answered_by: question.answered_by.and_then(|namespace| Some(net.namespaces.get(namespace)?.name.clone())),
        spread: check_protocol::spread(written, expect, &probes, found),
        retries: written.retries.as_ref().map_or(retries, |retries| retries.value),
        timeout: written.timeout.as_ref().map_or(TIMEOUT, |timeout| timeout.value),
        probes,
    })
}

/// The destinations that are meant on a link, each by its place in the file, with the sender's interface.
fn links<'f>(written: &'f schema::Check, found: &mut Collector<'_>) -> Vec<(Span, &'f IfName)> {
    let on_link = |party: &'f Spanned<Selector>| match &party.value {
        Selector::OnLink(_, dev) => Some((party.span, dev)),
        Selector::All
        | Selector::Name(_)
        | Selector::Label(..)
        | Selector::Address(_)
        | Selector::Service(_)
        | Selector::DnsName(_) => None,
    };
    for (span, _) in written.from.0.iter().filter_map(on_link) {
        found.add(Diagnostic::new(Code::BadValue, span, "a check starts in a namespace; `%` is for its destination"));
    }
    written.to.0.iter().filter_map(on_link).collect()
}

fn size(written: &schema::Check, protocol: Protocol, expect: Expect, found: &mut Collector<'_>) -> Option<PacketSize> {
    let dont_fragment = written.df.as_ref().is_none_or(|df| df.value);
    let Some(size) = &written.size else {
        if let Some(df) = &written.df {
            let fault = Diagnostic::new(Code::ContradictoryKeys, df.span, "`df` says how packets of a `size` are sent");
            found.add(fault.help("write the `size` of the packets, in bytes".to_owned()));
        }
        return None;
    };
    if matches!(protocol, Protocol::Tcp(_)) && expect != Expect::Reachable {
        let message = "over TCP, packets of a `size` are sent once the connection is there";
        let help = "leave `expect` out, or probe with ICMP or UDP".to_owned();
        found.add(Diagnostic::new(Code::ContradictoryKeys, size.span, message).help(help));
    }
    Some(PacketSize { bytes: size.value.0, dont_fragment })
}

/// The author's name, or the two sides as the author wrote them, with the port and the size if there are any.
fn name(written: &schema::Check, protocol: Protocol, (asks, size): (Option<&Asks>, Option<PacketSize>)) -> String {
    let is_asked_for = matches!(asks, Some(Asks::Dns(_)));
    if let Some(name) = written.name.as_ref().filter(|_| !is_asked_for) {
        return name.value.0.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    let port = match protocol {
        Protocol::Icmp => String::new(),
        Protocol::Tcp(_) | Protocol::Udp(_) => format!(" {}", protocol.named(asks)),
    };
    let size = size.map_or(String::new(), |size| format!(" {} bytes", size.bytes));
    let query = match asks {
        Some(Asks::Dns(query)) => format!(" {} {}", query.name, query.kind),
        Some(Asks::Http(_)) | None => String::new(),
    };
    format!("{} → {}{port}{query}{size}", as_written(&written.from.0), as_written(&written.to.0))
}

/// The address family that the author asks for, with `family` or by the address to send from.
fn family(written: &schema::Check, found: &mut Collector<'_>) -> Option<Family> {
    let asked = written.family.as_ref().map(|family| family.value);
    let source = written.source.as_ref().map(|source| (Family::of(source.value), source.span));
    if let (Some(asked), Some((family, span))) = (asked, source)
        && asked != family
    {
        found.add(Diagnostic::new(Code::FamilyMismatch, span, "this source does not have the `family` of the check"));
    }
    asked.or(source.map(|(family, _)| family))
}

fn answered_by(
    written: &schema::Check,
    protocol: Option<Protocol>,
    net: &Net<'_>,
    expect: Expect,
    found: &mut Collector<'_>,
) -> Option<usize> {
    let by = written.answered_by.as_ref()?;
    if protocol.map_or(written.port.is_none(), |protocol| protocol == Protocol::Icmp) {
        let help = "ICMP is answered by whoever has the address; `answered_by` is for published ports".to_owned();
        found.add(Diagnostic::new(Code::NoPort, by.span, "`answered_by` needs a `port`").help(help));
    }
    if expect != Expect::Reachable {
        found.add(Diagnostic::new(Code::ContradictoryKeys, by.span, "`answered_by` needs `expect: reachable`"));
    }
    net.names.find(&by.value, by.span, found)
}

/// The address to send from must be an address of each sender.
fn source_is_theirs(written: &schema::Check, net: &Net<'_>, from: &[Endpoint], found: &mut Collector<'_>) {
    let Some(source) = &written.source else { return };
    let namespaces = from.iter().filter_map(|member| match member.side {
        SelectorList::Namespace(namespace) => net.namespaces.get(namespace),
        SelectorList::Address(_) | SelectorList::Service(_) | SelectorList::DnsName(_) => None,
    });
    // The machine has addresses that the file does not know.
    let may_have_it = |namespace: &ResolvedNamespace<'_>| namespace.name.is_host() && is_anyones(source.value);
    let mut strangers = namespaces.filter(|namespace| {
        namespace.written.whole && !may_have_it(namespace) && !can_send_from(namespace, source.value)
    });
    if let Some(namespace) = strangers.next() {
        let message = format!("no interface of {} has the address {}", namespace.name, source.value);
        let own = namespace.addresses().map(|(_, own)| own.value.ip());
        let own: Vec<String> =
            own.filter(|own| own.is_ipv6() == source.value.is_ipv6()).take(LISTED).map(|own| own.to_string()).collect();
        let help = match own.is_empty() {
            false => Some(format!("{} has {}", namespace.name, own.join(", "))),
            true if namespace.name.is_host() => None,
            true => Some(format!("{} has no address of this family", namespace.name)),
        };
        found.add(Diagnostic::new(Code::NoSuchAddress, source.span, message).help(help));
    }
}

/// Whether any interface can have an address.
fn is_anyones(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !address.is_unspecified() && !address.is_multicast() && !is_broadcast
}

/// Whether a socket of a namespace can have this address: one of its own, or, of IPv4, one that a local route brings.
/// (Over IPv6, only an interface's will do; `inet6_bind`.)
fn can_send_from(namespace: &ResolvedNamespace<'_>, source: IpAddr) -> bool {
    let brings = |route: &schema::Route| {
        let is_local = route.kind.as_ref().is_some_and(|kind| kind.value.0 == RouteKind::Local);
        let is_looked_at = route.table.as_ref().is_none_or(|table| table.value.0 == LOCAL_TABLE);
        let covers = matches!(route.to.value, Destination::Subnet(to) if to.contains(&source));
        is_local && is_looked_at && covers
    };
    namespace.holds(source) || source.is_loopback() || (source.is_ipv4() && namespace.written.routes.iter().any(brings))
}

fn seen_as(
    written: &schema::Check,
    net: &Net<'_>,
    expect: Expect,
    probes: &[Probe],
    found: &mut Collector<'_>,
) -> Option<SeenAs> {
    let seen = written.seen_as.as_ref()?;
    if expect != Expect::Reachable {
        found.add(Diagnostic::new(Code::ContradictoryKeys, seen.span, "`seen_as` needs `expect: reachable`"));
    }
    match &seen.value {
        SeenBy::Itself => Some(SeenAs::Itself),
        SeenBy::Address(address) => Some(SeenAs::Address(*address)),
        SeenBy::Namespace(ns) => {
            let name = Spanned { value: ns.clone(), span: seen.span };
            translator(&name, net, probes, found).map(SeenAs::Address)
        }
    }
}

/// The one address that a namespace shows to all destinations: its own in the subnet of each.
fn translator(ns: &Spanned<NsName>, net: &Net<'_>, probes: &[Probe], found: &mut Collector<'_>) -> Option<IpAddr> {
    let namespace = net.namespaces.get(net.names.find(&ns.value, ns.span, found)?)?;
    let mut addresses: Vec<IpAddr> = probes
        .iter()
        .filter_map(|probe| namespace.connected_from(probe.to.address).filter(|own| is_global(*own)))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    match addresses.as_slice() {
        [address] => Some(*address),
        _ if probes.is_empty() || !namespace.written.whole => None,
        several => {
            let why = if several.is_empty() {
                "no subnet with the destination"
            } else {
                "a different address for each destination"
            };
            let fault = Diagnostic::new(Code::AmbiguousAddress, ns.span, format!("{} has {why}", ns.value));
            found.add(fault.help("write the address that the destination must see".to_owned()));
            None
        }
    }
}
