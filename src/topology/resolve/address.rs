//! Addresses: that each can be an interface's, that none is used twice where both could be meant, and that subnets
//! neither overlap within a namespace nor differ between the two interfaces of a link.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::net::{Net, ResolvedInterface, ResolvedNamespace, is_global};
use super::veth::VethPairs;
use crate::lab::{Family, IfName, NsName};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{Address, Spanned};

pub fn check(net: &Net<'_>, veths: &VethPairs<'_>, found: &mut Collector<'_>) {
    for namespace in &net.namespaces {
        for (interface, address) in namespace.addresses() {
            possible(interface, address, found);
        }
        overlaps(namespace, found);
    }
    twice(net, found);
    for pair in &veths.list {
        let ends = pair.interfaces.each_ref().map(|end| {
            let namespace = net.namespaces.get(end.namespace)?;
            // A bridge's port has no addresses of its own.
            namespace.interface(&end.name).filter(|own| namespace.written.whole && namespace.bridge_of(own).is_none())
        });
        if let [Some(a), Some(b)] = ends {
            same_subnet(a, b, found);
        }
    }
}

/// Whether an interface can have this address at all.
fn possible(interface: &ResolvedInterface, address: &Spanned<IpNet>, found: &mut Collector<'_>) {
    let net = address.value;
    let (alone, broadcast) = match net {
        IpNet::V4(net) => (net.prefix_len() >= 31, net.addr().is_broadcast()),
        IpNet::V6(net) => (net.prefix_len() >= 127, false),
    };
    let ip = net.addr();
    let wrong = if ip.is_unspecified() {
        "the unspecified address".to_owned()
    } else if ip.is_multicast() {
        "a multicast address".to_owned()
    } else if broadcast {
        "the broadcast address".to_owned()
    } else if ip.is_loopback() && !interface.name.is_lo() {
        "a loopback address".to_owned()
    } else if !alone && ip == net.network() {
        format!("the address of the subnet {} itself", net.trunc())
    } else if !alone && ip.is_ipv4() && ip == net.broadcast() {
        format!("the broadcast address of {}", net.trunc())
    } else {
        return;
    };
    let help = net
        .trunc()
        .hosts()
        .find(|host| *host != net.network())
        .filter(|_| !alone)
        .map(|first| format!("the first address that an interface can have there is {first}/{}", net.prefix_len()));
    let help = help.filter(|_| !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback()));
    found.add(
        Diagnostic::new(Code::ReservedAddress, address.span, format!("{ip} is {wrong}; no interface can have it"))
            .help(help),
    );
}

/// Where an address is used.
#[derive(Clone, Copy)]
struct Use<'n> {
    ns: &'n NsName,
    interface: &'n IfName,
    span: Span,
}

impl fmt::Display for Use<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ns, self.interface)
    }
}

/// An address may be used again in a part of the network that is not connected to this one, and not otherwise.
fn twice(net: &Net<'_>, found: &mut Collector<'_>) {
    let mut in_segment: HashMap<(usize, IpAddr), Use<'_>> = HashMap::new();
    for namespace in &net.namespaces {
        // Each VRF has addresses for itself.
        let mut in_space: HashMap<(u32, IpAddr), Use<'_>> = HashMap::new();
        for (interface, address) in namespace.addresses() {
            let ip = address.value.addr();
            let this = Use { ns: &namespace.name, interface: &interface.name, span: address.span };
            // A link-local address is its link's alone (RFC 4007): an interface of another link may have it, too.
            let here = in_space.insert((namespace.table_of(interface), ip), this).filter(|_| is_global(ip));
            // Anycast addresses are on several loopbacks; each loopback is a broadcast domain of its own.
            let first = here.or_else(|| in_segment.get(&(interface.broadcast_domain, ip)).copied());
            in_segment.insert((interface.broadcast_domain, ip), this);
            if let Some(first) = first {
                let message = match (first.ns, first.interface) == (this.ns, this.interface) {
                    true => format!("the address {ip} is used twice by {this}"),
                    false => format!("the address {ip} is used twice, by {first} and {this}"),
                };
                found.add(Diagnostic::new(Code::AddressTwice, this.span, message).also(first.span, "first here"));
            }
        }
    }
}

/// Two interfaces of a namespace, or of a VRF, must not lead into the same subnet: the kernel would use one of them for
/// both.
fn overlaps(namespace: &ResolvedNamespace<'_>, found: &mut Collector<'_>) {
    let mut subnets: Vec<(u32, IpNet, &IfName, Span)> = namespace
        .addresses()
        .filter(|(interface, own)| {
            !interface.name.is_lo()
                && own.value.prefix_len() < own.value.max_prefix_len()
                && is_global(own.value.addr())
        })
        .map(|(interface, own)| (namespace.table_of(interface), own.value.trunc(), &interface.name, own.span))
        .collect();
    // Larger subnets first, so that those around one are the ones still open.
    subnets.sort_by_key(|(table, net, _, span)| (*table, net.network(), net.prefix_len(), span.start));
    let mut open: Vec<(u32, IpNet, &IfName, Span)> = Vec::new();
    for (table, net, name, span) in subnets {
        open.retain(|(of, around, ..)| *of == table && around.contains(&net));
        if let Some((_, around, other, first)) = open.iter().find(|(_, _, other, _)| *other != name) {
            let message = match *around == net {
                true => format!("`{name}` is in the subnet {net}, and `{other}` of the same namespace as well"),
                false => format!("`{name}` is in {net}, which overlaps {around} of `{other}` in the same namespace"),
            };
            let help = "give each interface a subnet of its own, or attach them to a bridge that has the address";
            found.add(
                Diagnostic::new(Code::SubnetsOverlap, span, message)
                    .help(help.to_owned())
                    .also(*first, format!("`{other}`")),
            );
        } else if !open.iter().any(|(_, around, ..)| *around == net) {
            open.push((table, net, name, span));
        }
    }
}

/// The two interfaces of a link must share a subnet in each family that both have.
fn same_subnet(a: &ResolvedInterface, b: &ResolvedInterface, found: &mut Collector<'_>) {
    for family in [Family::Ipv4, Family::Ipv6] {
        let of = |end: &ResolvedInterface| -> Vec<Spanned<IpNet>> {
            let counts = |own: &&Spanned<IpNet>| Family::of(own.value.addr()) == family && is_global(own.value.addr());
            end.addresses.iter().filter(counts).cloned().collect()
        };
        let (own, other) = (of(a), of(b));
        // Addresses without a subnet are routed to by hand, as Calico does.
        let alone = own.iter().chain(&other).any(|own| own.value.prefix_len() == own.value.max_prefix_len());
        let shared = own
            .iter()
            .any(|a| other.iter().any(|b| a.value.contains(&b.value.addr()) && b.value.contains(&a.value.addr())));
        if let (Some(a), Some(b)) = (own.first(), other.first())
            && !alone
            && !shared
        {
            let message = format!("the interfaces of this link are in different subnets: {} and {}", a.value, b.value);
            found.add(Diagnostic::new(Code::DifferentSubnets, b.span, message).also(a.span, "the other interface"));
        }
    }
}

pub fn nets(addresses: &[Spanned<Address>]) -> Vec<Spanned<IpNet>> {
    addresses.iter().map(Spanned::<Address>::net).collect()
}
