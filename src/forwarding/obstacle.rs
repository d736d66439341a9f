//! What keeps a packet from going on, and where.

use std::net::IpAddr;

use super::Verdict;
use crate::lab::{Family, IfName, InterfaceRef, Mac, MacvlanMode, NsName, PolicyRule, PortForwarding, Route};

/// A place at which a packet goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The namespace.
    pub ns: NsName,
    /// The interface, where it is one.
    pub interface: Option<IfName>,
    /// What it is.
    pub cause: Cause,
}

/// Why a packet goes no further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The lab has no such namespace.
    NoNamespace,
    /// No route leads to the address.
    NoRoute {
        /// The address.
        to: IpAddr,
    },
    /// A route drops it.
    RouteDrops(Route),
    /// A policy rule drops it.
    RuleDrops(Option<PolicyRule>),
    /// It would have to be passed on, and the namespace does not forward.
    NotForwarding(Family),
    /// The packet filter does not accept it.
    Filtered(Verdict),
    /// The way to its source does not lead out through the interface on which it came in (`rp_filter`).
    ReversePath {
        /// The source.
        source: IpAddr,
        /// Where the way to it leads out; none: nowhere.
        out: Option<IfName>,
    },
    /// It is larger than what the interface takes.
    TooBig {
        /// Its size in bytes, with the IP header.
        bytes: u16,
        /// What the interface takes.
        mtu: u32,
        /// Whether a router or the sender finds out, who is told; or the frame is dropped without a word.
        is_told: bool,
    },
    /// The interface is down.
    Down,
    /// The bridge does not pass frames on through the port.
    PortClosed(PortForwarding),
    /// Both ports of the bridge are isolated.
    Isolated {
        /// The port from which it comes.
        from: IfName,
    },
    /// The port of the bridge is not in the VLAN of the frame; none: it has none for frames without a tag.
    OtherVlan(Option<u16>),
    /// The interface takes frames of one VLAN, and the frame is of another; none: it has no tag.
    OtherVlanInterface {
        /// The VLAN of the interface.
        id: u16,
        /// That of the frame.
        tag: Option<u16>,
    },
    /// The interface is a macvlan that speaks to no other one on its parent.
    MacvlanMode {
        /// Its mode.
        mode: MacvlanMode,
        /// The other one.
        other: InterfaceRef,
    },
    /// The interface neither asks nor answers who has an address.
    NoArp,
    /// A permanent neighbour entry says that the next hop is at a MAC address that nobody on the link has.
    NeighbourEntry {
        /// The next hop.
        address: IpAddr,
        /// The MAC address.
        mac: Mac,
    },
    /// The other end of the tunnel is in another network.
    OtherVxlan {
        /// The number of the network here.
        own: u32,
        /// The other end.
        other: InterfaceRef,
        /// The number of the network there.
        others: u32,
    },
    /// No forwarding entry leads to the other end of the tunnel.
    NoFdbEntry {
        /// The MAC address of the frame, where the lab knows it.
        mac: Option<Mac>,
        /// The other end.
        to: InterfaceRef,
    },
    /// Nobody on the link has the address of the next hop.
    NobodyHas {
        /// The next hop.
        address: IpAddr,
        /// Who has it elsewhere in the lab.
        elsewhere: Vec<InterfaceRef>,
        /// An interface on the way to the holder that is in no bridge, and the bridge beside it.
        unplugged: Option<(InterfaceRef, IfName)>,
        /// An interface on the link whose namespace has a way to the address, and could answer in the place of its
        /// holder (`proxy_arp`); where the route says that the holder itself is on the link.
        proxy: Option<InterfaceRef>,
    },
    /// It leaves the host by an interface of the machine's own: what is behind that, the lab does not know.
    BeyondLab {
        /// The next hop.
        address: IpAddr,
    },
    /// It goes round in circles until its TTL is over.
    Loop,
    /// No interface of the namespace at the other end of the tunnel has the address that its packets are sent to.
    NoTunnelEnd {
        /// The address.
        remote: IpAddr,
        /// The other end.
        end: InterfaceRef,
    },
    /// WireGuard does not send it, or does not take it.
    Peer(PeerCause),
    /// The namespace of the tunnel does not have the address that its packets are sent from.
    NoTunnelSource {
        /// The address.
        local: IpAddr,
    },
    /// The namespace takes the answer for its own, as it has the address of the sender as well.
    AnswerElsewhere(IpAddr),
    /// The answer comes back under a source address that the sender has not written to.
    OtherSource {
        /// The address.
        source: IpAddr,
        /// The bridge that passes it on past the iptables of a namespace that translated the question.
        bridge: Option<InterfaceRef>,
    },
}

/// Why WireGuard does not send a packet, or does not take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerCause {
    /// None of the interface's peers has the destination among its `allowed_ips`.
    NoneFor {
        /// The destination.
        address: IpAddr,
    },
    /// The peer that has the destination among its `allowed_ips` has a key that nothing in the lab has.
    IsNobody {
        /// The destination.
        address: IpAddr,
    },
    /// The interface does not have the sender among its peers.
    NotKnown {
        /// The sender.
        from: InterfaceRef,
    },
    /// Neither of two peers knows where the other is.
    NoEndpoint {
        /// The peer.
        peer: InterfaceRef,
    },
    /// The source is not among the `allowed_ips` of the peer that it comes from.
    SourceNotAllowed {
        /// The source.
        source: IpAddr,
        /// The peer.
        from: InterfaceRef,
    },
}

impl PeerCause {
    fn kind(&self) -> &'static str {
        match self {
            Self::NoneFor { .. } => "no-peer-for-it",
            Self::IsNobody { .. } => "peer-is-nobody",
            Self::NotKnown { .. } => "not-its-peer",
            Self::NoEndpoint { .. } => "no-endpoint",
            Self::SourceNotAllowed { .. } => "source-not-allowed",
        }
    }
}

impl Cause {
    /// Its kind, in a word: two of one kind at one place are one.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoNamespace => "no-namespace",
            Self::NoRoute { .. } => "no-route",
            Self::RouteDrops(_) => "route-drops",
            Self::RuleDrops(_) => "rule-drops",
            Self::NotForwarding(Family::Ipv4) => "no-forwarding",
            Self::NotForwarding(Family::Ipv6) => "no-ipv6-forwarding",
            Self::Filtered(_) => "filtered",
            Self::ReversePath { .. } => "reverse-path",
            Self::TooBig { .. } => "too-big",
            Self::Down => "down",
            Self::PortClosed(_) => "port-closed",
            Self::Isolated { .. } => "isolated",
            Self::OtherVlan(_) => "other-vlan",
            Self::OtherVlanInterface { .. } => "other-vlan-interface",
            Self::MacvlanMode { .. } => "macvlan-mode",
            Self::NoArp => "no-arp",
            Self::NeighbourEntry { .. } => "neighbour-entry",
            Self::OtherVxlan { .. } => "other-vxlan",
            Self::NoFdbEntry { .. } => "no-fdb-entry",
            Self::NobodyHas { .. } => "nobody-has-it",
            Self::BeyondLab { .. } => "beyond-lab",
            Self::Loop => "loop",
            Self::NoTunnelEnd { .. } => "no-tunnel-end",
            Self::Peer(cause) => cause.kind(),
            Self::NoTunnelSource { .. } => "no-tunnel-source",
            Self::AnswerElsewhere(_) => "answer-elsewhere",
            Self::OtherSource { .. } => "other-source",
        }
    }
}
