//! WireGuard interfaces: who their peers are, and what a file leaves open about them.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::net::{Net, ResolvedInterface, ResolvedNamespace};
use crate::lab::{IfName, InterfaceRef, VirtualInterface, WIREGUARD_PORT, Wireguard, WireguardPeer, is_global};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{self, Endpoint, PeerName, Spanned};

/// So many prefixes a peer may have: all are in one netlink attribute, of 64 KiB, and each takes 40 bytes or less.
const MOST_PREFIXES: usize = 1_500;

/// The options as they are written.
pub fn options(written: &schema::Wireguard) -> Wireguard {
    let listen_port = written.listen_port.as_ref().map_or(WIREGUARD_PORT, |port| port.value);
    Wireguard { listen_port, fwmark: 0 }
}

/// The peers of a namespace's interfaces.
pub fn peers(
    own: &ResolvedNamespace<'_>,
    net: &Net<'_>,
    found: &mut Collector<'_>,
) -> BTreeMap<IfName, Vec<WireguardPeer>> {
    let mut all = BTreeMap::new();
    let mut ports: HashMap<u16, Span> = HashMap::new();
    for (name, written) in &own.written.wireguards.entries {
        let port = options(written).listen_port;
        if let Some(first) = ports.insert(port, name.span) {
            let message = format!("`{}` listens on the port {port} like another one", name.value);
            let help = "give each a `listen_port` of its own".to_owned();
            found.add(Diagnostic::new(Code::IdentityTwice, name.span, message).help(help).also(first, "the other"));
        }
        let tunnel = Tunnel { own, name: &name.value, net };
        all.insert(name.value.clone(), tunnel.peers(written, found));
    }
    all
}

/// An interface whose peers are looked for.
struct Tunnel<'a, 'f> {
    own: &'a ResolvedNamespace<'f>,
    name: &'a IfName,
    net: &'a Net<'f>,
}

/// The interface that a peer is.
struct Peer<'a, 'f> {
    of: &'a ResolvedNamespace<'f>,
    interface: &'a ResolvedInterface,
    written: &'a schema::Wireguard,
}

impl Peer<'_, '_> {
    fn named(&self) -> InterfaceRef {
        InterfaceRef { ns: self.of.name.clone(), name: self.interface.name.clone() }
    }
}

impl<'a, 'f> Tunnel<'a, 'f> {
    fn peers(&self, written: &schema::Wireguard, found: &mut Collector<'_>) -> Vec<WireguardPeer> {
        let mut peers: Vec<WireguardPeer> = Vec::new();
        let mut seen: HashMap<InterfaceRef, Span> = HashMap::new();
        let mut allowed: HashMap<IpNet, (Span, InterfaceRef)> = HashMap::new();
        for (name, own) in &written.peers.entries {
            let Some(peer) = self.find(name, found) else { continue };
            let named = peer.named();
            if let Some(first) = seen.insert(named.clone(), name.span) {
                let message = format!("{named} is a peer already");
                found.add(Diagnostic::new(Code::EntryTwice, name.span, message).also(first, "here"));
                continue;
            }
            if !self.is_mutual(&peer) && peer.of.written.whole {
                let message = format!("{named} does not have {}/{} among its peers", self.own.name, self.name);
                let help = "a peer that does not know the other gets nothing from it: write both".to_owned();
                found.add(Diagnostic::warning(Code::PeerOneSided, name.span, message).help(help));
            }
            let prefixes = allowed_ips(&peer, name.span, own, found);
            if let Some((_, at)) = prefixes.get(MOST_PREFIXES) {
                let message = format!("{named} has more than {MOST_PREFIXES} `allowed_ips`");
                let help = "write shorter prefixes that have these in them".to_owned();
                found.add(Diagnostic::new(Code::TooMany, *at, message).help(help));
            }
            for (prefix, span) in &prefixes {
                if let Some((first, other)) = allowed.insert(*prefix, (*span, named.clone())) {
                    let message = format!("{prefix} is among the `allowed_ips` of {other} already");
                    found.add(Diagnostic::new(Code::EntryTwice, *span, message).also(first, "here"));
                }
            }
            peers.push(WireguardPeer {
                endpoint: self.endpoint(&peer, name.span, own.endpoint.as_ref(), found),
                interface: Some(named),
                allowed_ips: prefixes.into_iter().map(|(prefix, _)| prefix).collect(),
                keepalive: own.keepalive.as_ref().map_or(0, |keepalive| keepalive.value.0),
            });
        }
        peers
    }

    /// The interfaces that a name may mean, other than this one, and their namespace.
    fn meant(&self, name: &PeerName) -> Option<(&'a ResolvedNamespace<'f>, Vec<Peer<'a, 'f>>)> {
        let of = self.net.namespaces.get(self.net.names.get(name.ns.as_str())?)?;
        let fits = |own: &IfName| {
            let is_this = of.name == self.own.name && own == self.name;
            !is_this && name.name.as_ref().is_none_or(|wanted| wanted == own)
        };
        let fitting = of.written.wireguards.entries.iter().filter(|(own, _)| fits(&own.value));
        let peer = |(own, written): &'f (Spanned<IfName>, schema::Wireguard)| {
            Some(Peer { of, interface: of.interface(&own.value)?, written })
        };
        Some((of, fitting.filter_map(peer).collect()))
    }

    /// The interface of a name.
    fn find(&self, name: &Spanned<PeerName>, found: &mut Collector<'_>) -> Option<Peer<'a, 'f>> {
        let Spanned { value, span } = name;
        self.net.names.find(&value.ns, *span, found)?;
        let (of, mut meant) = self.meant(value)?;
        let ns = &of.name;
        let (code, message, help) = match meant.as_slice() {
            [_] => return meant.pop(),
            [] if !of.written.whole => return None,
            [] => {
                let which = value.name.as_ref().map_or_else(String::new, |name| format!(" `{name}`"));
                let message = format!("{ns} has no wireguard interface{which} that could be the peer");
                (Code::UnknownInterface, message, format!("name another one under `wireguards:` of {ns}"))
            }
            several => {
                let names: Vec<String> = several.iter().map(|peer| peer.named().to_string()).collect();
                let message = format!("{ns} has several wireguard interfaces");
                (Code::AmbiguousPeer, message, format!("write one of {}", names.join(", ")))
            }
        };
        found.add(Diagnostic::new(code, *span, message).help(help));
        None
    }

    /// Whether the peer has this interface among its own peers.
    fn is_mutual(&self, peer: &Peer<'a, 'f>) -> bool {
        let other = Tunnel { own: peer.of, name: &peer.interface.name, net: self.net };
        let is_this = |name: &PeerName| {
            let meant = other.meant(name).map(|(_, meant)| meant).unwrap_or_default();
            meant.iter().any(|back| back.of.name == self.own.name && back.interface.name == *self.name)
        };
        peer.written.peers.entries.iter().any(|(name, _)| is_this(&name.value))
    }

    /// Where packets for a peer are sent.
    fn endpoint(
        &self,
        peer: &Peer<'_, '_>,
        span: Span,
        written: Option<&Spanned<Endpoint>>,
        found: &mut Collector<'_>,
    ) -> Option<SocketAddr> {
        let own_port = options(peer.written).listen_port;
        match written.map(|endpoint| endpoint.value) {
            Some(Endpoint::None) => return None,
            Some(Endpoint::At(address, port)) => return Some(SocketAddr::new(address, port.unwrap_or(own_port))),
            None => {}
        }
        let all: Vec<IpAddr> = underlay(peer.of).collect();
        let near = all.iter().filter(|address| self.own.connected(**address).is_some_and(|(by, _)| !is_tunnel(by)));
        let near: Vec<IpAddr> = near.copied().collect();
        if let Some(address) = the_one(&near).or_else(|| the_one(&all).filter(|_| near.is_empty())) {
            return Some(SocketAddr::new(address, own_port));
        }
        let ns = &peer.of.name;
        if all.is_empty() && !peer.of.written.whole {
            return None;
        }
        let (code, message) = match all.is_empty() {
            true => (Code::NoAddress, format!("{ns} has no address that packets for this peer could be sent to")),
            false => {
                let several = if near.is_empty() { &all } else { &near };
                let several: Vec<String> = several.iter().map(IpAddr::to_string).collect();
                let message =
                    format!("packets for this peer could be sent to several addresses: {}", several.join(", "));
                (Code::AmbiguousAddress, message)
            }
        };
        let help = "write its `endpoint`, or `endpoint: none` for one that speaks first".to_owned();
        found.add(Diagnostic::new(code, span, message).help(help));
        None
    }
}

/// The only address, or the only one of IPv4.
fn the_one(addresses: &[IpAddr]) -> Option<IpAddr> {
    let ipv4: Vec<&IpAddr> = addresses.iter().filter(|address| address.is_ipv4()).collect();
    match (addresses, ipv4.as_slice()) {
        ([one], _) => Some(*one),
        (_, [one]) => Some(**one),
        _ => None,
    }
}

/// The addresses of a namespace outside of tunnels.
fn underlay(of: &ResolvedNamespace<'_>) -> impl Iterator<Item = IpAddr> {
    let addresses = of.addresses().filter(|(interface, _)| !interface.name.is_lo() && !is_tunnel(interface));
    addresses.map(|(_, own)| own.value.ip()).filter(|address| is_global(*address))
}

fn is_tunnel(interface: &ResolvedInterface) -> bool {
    let kind = interface.model.virtual_interface().map(VirtualInterface::kind);
    kind.is_some_and(|kind| !kind.is_ethernet())
}

/// Which addresses a peer has, with the places where they are written.
fn allowed_ips(
    peer: &Peer<'_, '_>,
    span: Span,
    written: &schema::WireguardPeer,
    found: &mut Collector<'_>,
) -> Vec<(IpNet, Span)> {
    if let Some(prefixes) = &written.allowed_ips {
        return prefixes.0.iter().map(|prefix| (prefix.value.0, prefix.span)).collect();
    }
    let own = peer.interface.addresses.iter().map(|own| own.value.ip());
    let own: Vec<(IpNet, Span)> = own.map(|address| (IpNet::from(address), span)).collect();
    if own.is_empty() && peer.of.written.whole {
        let message = format!("{} has no address in the tunnel", peer.named());
        let help = "write `allowed_ips`: which packets go to it, and may come from it".to_owned();
        found.add(Diagnostic::new(Code::NoAddress, span, message).help(help));
    }
    own
}
