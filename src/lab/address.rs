//! Addresses of interfaces.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::Family;

/// An address of an interface, with the length of its subnet's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(IpNet);

impl Address {
    /// The address alone.
    pub fn ip(&self) -> IpAddr {
        self.0.addr()
    }

    /// The length of its subnet's prefix.
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Its family.
    pub fn family(&self) -> Family {
        Family::of(self.ip())
    }

    /// Whether it is an IPv6 address.
    pub fn is_ipv6(&self) -> bool {
        self.ip().is_ipv6()
    }

    /// Its subnet. Of several IPv4 addresses in one subnet, the first is the one that packets leave with.
    pub fn subnet(&self) -> IpNet {
        self.0.trunc()
    }

    /// The subnets that an interface is in with it.
    pub fn subnets(&self) -> impl Iterator<Item = IpNet> + use<> {
        [self.subnet()].into_iter()
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
        Self(net)
    }
}

/// The address as `ip addr` spells it, which is also what comes after `ip addr add`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
