//! A packet of a probe, as it is on some link.

use std::net::IpAddr;

use nslab::lab::{Family, IpProtocol};

/// One packet.
#[derive(Debug, Clone)]
pub struct Packet {
    pub protocol: IpProtocol,
    pub kind: Kind,
    pub tuple: Tuple,
    pub ttl: u8,
}

/// What a packet is in the exchange that a probe begins.
#[derive(Debug, Clone)]
pub enum Kind {
    /// An echo request, a SYN, a datagram.
    Request,
    /// An echo reply, a SYN with ACK, a datagram back.
    Reply,
    /// What is sent over a connection that is there, and the rest of its handshake.
    Data,
    /// What is sent back.
    DataBack,
    /// A TCP reset.
    Reset,
    /// An ICMP error about a packet.
    Error(Error, Box<Packet>),
}

/// What an ICMP error says, as far as a sender tells it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    PortUnreachable,
    /// Any other.
    Other,
}

/// Addresses and ports, or of an echo request and its reply the identifier and the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuple {
    pub source: IpAddr,
    pub source_port: u16,
    pub destination: IpAddr,
    pub destination_port: u16,
}

impl Tuple {
    /// That of the answer.
    pub fn back(self) -> Self {
        Self {
            source: self.destination,
            source_port: self.destination_port,
            destination: self.source,
            destination_port: self.source_port,
        }
    }
}

impl Packet {
    /// The TTL that packets start with.
    pub const TTL: u8 = 64;

    pub fn is_ipv6(&self) -> bool {
        self.tuple.destination.is_ipv6()
    }

    pub fn family(&self) -> Family {
        Family::of(self.tuple.destination)
    }

    pub fn is_error(&self) -> bool {
        matches!(self.kind, Kind::Error(..))
    }

    /// What a filter takes it for: errors are ICMP, whatever they are about.
    pub fn wire_protocol(&self) -> IpProtocol {
        match (&self.kind, self.is_ipv6()) {
            (Kind::Error(..), false) => IpProtocol::Icmp,
            (Kind::Error(..), true) => IpProtocol::Icmpv6,
            (Kind::Request | Kind::Reply | Kind::Data | Kind::DataBack | Kind::Reset, _) => self.protocol,
        }
    }

    /// Source and destination port, where it has ports.
    pub fn ports(&self) -> Option<(u16, u16)> {
        self.wire_protocol().has_ports().then_some((self.tuple.source_port, self.tuple.destination_port))
    }

    /// The answer of the one that it has come to.
    pub fn answer(&self, kind: Kind) -> Self {
        Self { protocol: self.protocol, kind, tuple: self.tuple.back(), ttl: Self::TTL }
    }
}
