//! What goes into a WireGuard interface: the destination of a packet chooses the peer that gets it, and who gets it
//! believes its source only of the peer that may have it (cryptokey routing).

use std::net::IpAddr;

use super::Layer2;
use super::obstacle::{Cause, Obstacle, PeerCause};
use super::segment::{Crossing, Segment, Sent, Tunnel};
use crate::lab::{InterfaceRef, VirtualInterface, WireguardPeer};

impl Layer2<'_> {
    /// Whether it is a WireGuard interface.
    pub(super) fn is_wireguard(&self, interface: &InterfaceRef) -> bool {
        let own = self.links.place(interface).and_then(|at| self.links.interface(at)?.virtual_interface());
        matches!(own, Some(VirtualInterface::Wireguard(_)))
    }

    /// The peers of an interface.
    pub(super) fn peers(&self, interface: &InterfaceRef) -> &[WireguardPeer] {
        let namespace = self.router(&interface.ns).map(super::Router::namespace);
        let peers = namespace.and_then(|namespace| namespace.wireguard.get(&interface.name));
        peers.map_or(&[][..], Vec::as_slice)
    }

    /// The peer that gets what is for an address: the one with the longest prefix.
    fn peer_for(&self, interface: &InterfaceRef, destination: IpAddr) -> Option<&WireguardPeer> {
        let allowed = self.peers(interface).iter().filter_map(|peer| Some((peer.allows(destination)?, peer)));
        allowed.max_by_key(|(length, _)| *length).map(|(_, peer)| peer)
    }

    /// What an interface has of another one among its peers.
    fn peer_of(&self, interface: &InterfaceRef, other: &InterfaceRef) -> Option<&WireguardPeer> {
        self.peers(interface).iter().find(|peer| peer.interface.as_ref() == Some(other))
    }

    /// The interface through which what is sent to an address comes out, if both ends know each other.
    pub(super) fn wireguard_end(&self, interface: &InterfaceRef, destination: IpAddr) -> Option<InterfaceRef> {
        let to = self.peer_for(interface, destination)?.interface.clone()?;
        self.peer_of(&to, interface).is_some().then_some(to)
    }
}

/// Follows a packet to the peer that gets it.
pub(super) fn segment(layer2: &Layer2<'_>, sent: &Sent<'_>) -> Segment {
    let crossing = |at: &InterfaceRef, leaves| Crossing { at: at.clone(), leaves };
    let stopped = |at: &InterfaceRef, cause| Segment {
        crossings: vec![crossing(sent.from, true)],
        tunnel: None,
        end: Err(Obstacle { ns: at.ns.clone(), interface: Some(at.name.clone()), cause }),
    };
    let destination = sent.flow.destination;
    let Some(peer) = layer2.peer_for(sent.from, destination) else {
        return stopped(sent.from, Cause::Peer(PeerCause::NoneFor { address: destination }));
    };
    let Some(to) = &peer.interface else {
        return stopped(sent.from, Cause::Peer(PeerCause::IsNobody { address: destination }));
    };
    let Some(back) = layer2.peer_of(to, sent.from) else {
        return stopped(to, Cause::Peer(PeerCause::NotKnown { from: sent.from.clone() }));
    };
    if peer.endpoint.is_none() && back.endpoint.is_none() {
        return stopped(sent.from, Cause::Peer(PeerCause::NoEndpoint { peer: to.clone() }));
    }
    let is_up = layer2.links.place(to).and_then(|at| layer2.links.interface(at)).is_some_and(|own| own.up);
    if !is_up {
        return stopped(to, Cause::Down);
    }
    // Who is sent to first is answered where the packets came from, which the lab does not say.
    let tunnel = peer.endpoint.map(|endpoint| Tunnel {
        from: sent.from.clone(),
        to: to.clone(),
        remote: endpoint.ip(),
        port: Some(endpoint.port()),
        is_sealed: true,
    });
    let allows =
        |source: IpAddr| layer2.peer_for(to, source).is_some_and(|peer| peer.interface.as_ref() == Some(sent.from));
    let end = match sent.flow.source.filter(|source| !allows(*source)) {
        Some(source) => Err(Obstacle {
            ns: to.ns.clone(),
            interface: Some(to.name.clone()),
            cause: Cause::Peer(PeerCause::SourceNotAllowed { source, from: sent.from.clone() }),
        }),
        None => Ok(to.clone()),
    };
    let mut crossings = vec![crossing(sent.from, true)];
    crossings.extend(end.is_ok().then(|| crossing(to, false)));
    Segment { crossings, tunnel, end }
}
