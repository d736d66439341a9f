//! Tunnels of Generic Routing Encapsulation (RFC 2784), with keys (RFC 2890).

use std::fmt;
use std::net::Ipv4Addr;

use serde::Serialize;

/// The options of a GRE interface (`ip link … type gre`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gre {
    /// The address that its packets come from. Live: none, if it is left to the routing table.
    pub local: Option<Ipv4Addr>,
    /// The address of the other end. Live: none, where others than the route choose it.
    pub remote: Option<Ipv4Addr>,
    /// The number in every packet by which tunnels between the same addresses are told apart.
    pub key: Option<u32>,
    /// The TTL of the packets that carry others; none: that of the packet inside.
    pub ttl: Option<u8>,
}

impl Gre {
    /// Whether what the one sends is for the other: it comes from where that expects it, with its key.
    pub fn sends_to(&self, other: &Self) -> bool {
        let (from, to) = (self.local, self.remote);
        to.is_some() && other.local == to && (other.remote.is_none() || other.remote == from) && other.key == self.key
    }
}

/// Its options, as they come after `type gre`.
impl fmt::Display for Gre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(local) = self.local {
            write!(f, " local {local}")?;
        }
        if let Some(remote) = self.remote {
            write!(f, " remote {remote}")?;
        }
        if let Some(key) = self.key {
            write!(f, " key {key}")?;
        }
        self.ttl.map_or(Ok(()), |ttl| write!(f, " ttl {ttl}"))
    }
}
