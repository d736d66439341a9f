//! Addresses of interfaces.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::Family;

/// An address of an interface, with the length of its subnet's prefix, or with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The address alone (`IFA_LOCAL`).
    ip: IpAddr,
    /// The same address, or that of the peer (`IFA_ADDRESS`), with the length of the prefix.
    remote: IpNet,
}

/// What somebody has made of an address that a file cannot ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlteredAddress {
    /// How it differs from what nslab makes, in the words of `ip addr`.
    pub words: Vec<String>,
    /// Whether the kernel can change it back; else it has to go, and to be made again.
    pub in_place: bool,
}

/// Whether an address is neither of one link nor of one machine alone.
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_link_local() && !address.is_loopback(),
        IpAddr::V6(address) => !address.is_unicast_link_local() && !address.is_loopback(),
    }
}

impl Address {
    /// An address with a peer, at the other side of a point-to-point link; none where they are of different families.
    pub fn with_peer(ip: IpAddr, peer: IpNet) -> Option<Self> {
        (ip.is_ipv6() == peer.addr().is_ipv6()).then_some(Self { ip, remote: peer })
    }

    /// The address alone.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The peer's address with the length of its prefix.
    pub fn peer(&self) -> Option<IpNet> {
        (self.remote.addr() != self.ip).then_some(self.remote)
    }

    /// The length of its subnet's prefix, or of its peer's.
    pub fn prefix_len(&self) -> u8 {
        self.remote.prefix_len()
    }

    /// Its family.
    pub fn family(&self) -> Family {
        Family::of(self.ip())
    }

    /// Whether it is an IPv6 address.
    pub fn is_ipv6(&self) -> bool {
        self.ip().is_ipv6()
    }

    /// Its subnet: of an IPv4 address with a peer, that of the peer; with IPv6, the prefix length is that of the
    /// address. Of several IPv4 addresses in one subnet, the first is the one that packets leave with.
    pub fn subnet(&self) -> IpNet {
        let own = IpNet::new(self.ip, self.prefix_len()).ok().filter(|_| self.is_ipv6());
        own.unwrap_or(self.remote).trunc()
    }

    /// The subnets that an interface is in with it. An IPv6 peer is one more, by itself (__ipv6_ifa_notify).
    pub fn subnets(&self) -> impl Iterator<Item = IpNet> + use<> {
        let peer = self.peer().filter(|_| self.is_ipv6()).map(|peer| IpNet::from(peer.addr()));
        [self.subnet()].into_iter().chain(peer)
    }

    /// The subnets to which the kernel adds a route with it: a subnet of one address has no neighbours.
    pub fn connected(&self) -> impl Iterator<Item = IpNet> + use<> {
        let own = IpNet::from(self.ip());
        self.subnets().filter(move |subnet| *subnet != own)
    }

    /// Whether another address is in one of its subnets.
    pub fn reaches(&self, other: IpAddr) -> bool {
        self.subnets().any(|subnet| subnet.contains(&other))
    }
}

impl From<IpNet> for Address {
    fn from(net: IpNet) -> Self {
        Self { ip: net.addr(), remote: net }
    }
}

/// The address as `ip addr` spells it, which is also what comes after `ip addr add`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer() {
            Some(peer) => write!(f, "{} peer {peer}", self.ip),
            None => self.remote.fmt(f),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
