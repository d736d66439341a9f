//! Addresses: that each can be an interface's, that none is used twice where both could be meant, and that subnets
//! neither overlap within a namespace nor differ between the two interfaces of a link.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::net::{Net, ResolvedInterface, ResolvedNamespace};
use super::veth::VethPairs;
use crate::lab::{Address, Family, IfName, NsName, is_global};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::Spanned;

pub fn check(net: &Net<'_>, veths: &VethPairs<'_>, found: &mut Collector<'_>) {
    for namespace in &net.namespaces {
        for (interface, address) in namespace.addresses() {
            let own = address.value;
            // With a peer, the subnet is the peer's, and the address is alone.
            let subnet = if own.peer().is_some() { IpNet::from(own.ip()) } else { own.subnet() };
            possible(interface, own.ip(), subnet, address.span, found);
            if let Some(peer) = own.peer() {
                possible(interface, peer.addr(), peer.addr().into(), address.span, found);
            }
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

/// Whether an interface can have this address in a subnet at all.
fn possible(interface: &ResolvedInterface, ip: IpAddr, subnet: IpNet, span: Span, found: &mut Collector<'_>) {
    let (alone, broadcast) = match ip {
        IpAddr::V4(ip) => (subnet.prefix_len() >= 31, ip.is_broadcast()),
        IpAddr::V6(_) => (subnet.prefix_len() >= 127, false),
    };
    let wrong = if ip.is_unspecified() {
        "the unspecified address".to_owned()
    } else if ip.is_multicast() {
        "a multicast address".to_owned()
    } else if broadcast {
        "the broadcast address".to_owned()
    } else if ip.is_loopback() && !interface.name.is_lo() {
        "a loopback address".to_owned()
    } else if !alone && ip == subnet.network() {
        format!("the address of the subnet {subnet} itself")
    } else if !alone && ip.is_ipv4() && ip == subnet.broadcast() {
        format!("the broadcast address of {subnet}")
    } else {
        return;
    };
    let help =
        subnet.hosts().find(|host| *host != subnet.network()).filter(|_| !alone).map(|first| {
            format!("the first address that an interface can have there is {first}/{}", subnet.prefix_len())
        });
    let help = help.filter(|_| !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback()));
    found.add(
        Diagnostic::new(Code::ReservedAddress, span, format!("{ip} is {wrong}; no interface can have it")).help(help),
    );
}

/// Where an address is used.
#[derive(Clone, Copy)]
struct Use<'n> {
    ns: &'n NsName,
    interface: &'n IfName,
    has_peer: bool,
    span: Span,
}

impl Use<'_> {
    /// Whether the two are one address of a namespace, at several point-to-point links.
    fn is_shared_with(&self, other: &Self) -> bool {
        self.ns == other.ns && self.interface != other.interface && (self.has_peer || other.has_peer)
    }
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
            let ip = address.value.ip();
            let has_peer = address.value.peer().is_some();
            let this = Use { ns: &namespace.name, interface: &interface.name, has_peer, span: address.span };
            // A link-local address is its link's alone (RFC 4007): an interface of another link may have it, too.
            let here = in_space.insert((namespace.table_of(interface), ip), this).filter(|_| is_global(ip));
            // Anycast addresses are on several loopbacks; each loopback is a broadcast domain of its own.
            let first = here.or_else(|| in_segment.get(&(interface.broadcast_domain, ip)).copied());
            in_segment.insert((interface.broadcast_domain, ip), this);
            if let Some(first) = first.filter(|first| !this.is_shared_with(first)) {
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
        .filter(|(interface, own)| !interface.name.is_lo() && is_global(own.value.ip()))
        .flat_map(|(interface, own)| {
            let place = move |subnet| (namespace.table_of(interface), subnet, &interface.name, own.span);
            own.value.connected().map(place)
        })
        .collect();
    // Larger subnets first, so that those around one are the ones still open.
    subnets.sort_by_key(|(table, net, _, span)| (*table, net.network(), net.prefix_len(), span.start));
    let mut open: Vec<(u32, IpNet, &IfName, Span)> = Vec::new();
    for (table, net, name, span) in subnets {
        open.retain(|(of, around, ..)| *of == table && around.contains(&net));
        // A peer may be in the subnet of another interface: it is one address, and so the closer match.
        let collides = |around: IpNet| around == net || net.prefix_len() < net.max_prefix_len();
        let collision = open.iter().find(|(_, around, other, _)| *other != name && collides(*around));
        if let Some((_, around, other, first)) = collision {
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
        let of = |end: &ResolvedInterface| -> Vec<Spanned<Address>> {
            let counts = |own: &&Spanned<Address>| own.value.family() == family && is_global(own.value.ip());
            end.addresses.iter().filter(counts).cloned().collect()
        };
        let (own, other) = (of(a), of(b));
        // Addresses without a subnet are routed to by hand, as Calico does.
        let alone = own.iter().chain(&other).any(|own| own.value.connected().next().is_none());
        let shared =
            own.iter().any(|a| other.iter().any(|b| a.value.reaches(b.value.ip()) && b.value.reaches(a.value.ip())));
        if let (Some(a), Some(b)) = (own.first(), other.first())
            && !alone
            && !shared
        {
            let message = format!("the interfaces of this link are in different subnets: {} and {}", a.value, b.value);
            found.add(Diagnostic::new(Code::DifferentSubnets, b.span, message).also(a.span, "the other interface"));
        }
    }
}
