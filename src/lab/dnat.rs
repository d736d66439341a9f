//! Ports, and where a translated destination leads.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

/// A port or a range of ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// Where the destination of a packet is translated to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct DnatTarget {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: DnatPort,
}

/// What a translated destination port becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DnatPort {
    /// It stays.
    Same,
    /// This one.
    One(u16),
    /// It stays if it is one of several, else it becomes one of them.
    AnyOf(PortRange),
    /// The ports from `from` on become those of a range, in order.
    Shifted {
        /// The first port that is translated.
        from: u16,
        /// The ports that they become.
        to: PortRange,
    },
}

impl PortRange {
    /// One port.
    pub fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        (u32::from(self.last) + 1).saturating_sub(u32::from(self.first))
    }

    /// Whether a port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// A single port, or the first and the last: `80`, `8000:8010`.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first}:{last}") }
    }
}

impl DnatTarget {
    /// Ports that become others of an address, as many of them; none: they stay.
    pub fn new(address: IpAddr, from: PortRange, to: Option<PortRange>) -> Self {
        let to = to.unwrap_or(from);
        let port = match (to.count(), to == from) {
            (1, _) => DnatPort::One(to.first),
            (_, true) => DnatPort::Same,
            (_, false) => DnatPort::Shifted { from: from.first, to },
        };
        Self { address, port }
    }
}

impl DnatPort {
    /// What a port becomes; where the kernel may choose one of several, the first.
    pub fn translated(self, port: u16) -> u16 {
        match self {
            Self::Same => port,
            Self::One(to) => to,
            Self::AnyOf(range) if range.contains(port) => port,
            Self::AnyOf(range) => range.first,
            Self::Shifted { from, to } => {
                // The kernel counts on in a circle (nf_nat_l4proto_unique_tuple).
                let offset = u32::from(port.wrapping_sub(from)) % to.count().max(1);
                to.first.wrapping_add(u16::try_from(offset).unwrap_or_default())
            }
        }
    }
}
