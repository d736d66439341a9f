//! Values as they are in packets and in the keys of sets: to bytes, and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::lab::{Family, IpProtocol, NftType, NftValue, PortRange};

/// Protocols by their numbers (IANA).
const PROTOCOLS: [(IpProtocol, u8); 5] = [
    (IpProtocol::Tcp, 6),
    (IpProtocol::Udp, 17),
    (IpProtocol::Sctp, 132),
    (IpProtocol::Icmp, 1),
    (IpProtocol::Icmpv6, 58),
];

pub(super) fn protocol_number(protocol: IpProtocol) -> u8 {
    PROTOCOLS.iter().find(|(known, _)| *known == protocol).map_or(0, |(_, number)| *number)
}

pub(super) fn protocol(number: u8) -> Option<IpProtocol> {
    PROTOCOLS.iter().find(|(_, known)| *known == number).map(|(protocol, _)| *protocol)
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub(super) fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).into());
    }
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).into())
}

/// How many bytes an address of a family has.
pub(super) fn length(family: Family) -> u32 {
    match family {
        Family::Ipv4 => 4,
        Family::Ipv6 => 16,
    }
}

impl NftType {
    /// How many bytes it has.
    pub(super) fn length(self) -> u32 {
        match self {
            Self::Address(family) => length(family),
            Self::Protocol => 1,
            Self::Port => 2,
        }
    }

    /// Its number for `nft` (`enum datatypes` in nftables' datatype.h): it is shown by this.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Address(Family::Ipv4) => 7,
            Self::Address(Family::Ipv6) => 8,
            Self::Protocol => 12,
            Self::Port => 13,
        }
    }

    /// What the bytes of a value, or of the first and the last of some, say.
    pub(super) fn value(self, first: &[u8], last: &[u8]) -> Option<NftValue> {
        match self {
            Self::Address(_) => Some(NftValue::Addresses(network(address(first)?, address(last)?)?)),
            Self::Protocol if first == last => Some(NftValue::Protocol(protocol(*first.first()?)?)),
            Self::Protocol => None,
            Self::Port => {
                let port = |bytes: &[u8]| Some(u16::from_be_bytes(bytes.try_into().ok()?));
                Some(NftValue::Ports(PortRange { first: port(first)?, last: port(last)? }))
            }
        }
    }
}

/// The first and the last of a value.
pub(super) fn bounds(value: &NftValue) -> (Vec<u8>, Vec<u8>) {
    match value {
        NftValue::Addresses(net) => (octets(net.network()), octets(net.broadcast())),
        NftValue::Protocol(protocol) => (vec![protocol_number(*protocol)], vec![protocol_number(*protocol)]),
        NftValue::Ports(PortRange { first, last }) => (first.to_be_bytes().to_vec(), last.to_be_bytes().to_vec()),
    }
}

/// The network of which two addresses are the first and the last; none where there is none.
fn network(first: IpAddr, last: IpAddr) -> Option<IpNet> {
    let lengths = 0..=if first.is_ipv4() { 32 } else { 128 };
    let all = lengths.rev().filter_map(|length| IpNet::new(first, length).ok());
    all.into_iter().find(|net| net.network() == first && net.broadcast() == last)
}
