//! The packet filter: what a rejected packet is answered with.

use serde::Serialize;

use super::chain::Family;

/// The answer to a rejected packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectWith {
    /// ICMP "network unreachable".
    NetUnreachable,
    /// ICMP "host unreachable".
    HostUnreachable,
    /// ICMP "port unreachable".
    PortUnreachable,
    /// ICMP "protocol unreachable".
    ProtocolUnreachable,
    /// ICMP "network administratively prohibited".
    NetProhibited,
    /// ICMP "host administratively prohibited".
    HostProhibited,
    /// ICMP "communication administratively prohibited".
    AdminProhibited,
    /// `ICMPv6` "no route".
    NoRoute6,
    /// `ICMPv6` "communication administratively prohibited".
    AdminProhibited6,
    /// `ICMPv6` "address unreachable".
    AddressUnreachable6,
    /// `ICMPv6` "port unreachable".
    PortUnreachable6,
    /// A TCP reset, of either family.
    TcpReset,
}

impl RejectWith {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::NetUnreachable,
        Self::HostUnreachable,
        Self::PortUnreachable,
        Self::ProtocolUnreachable,
        Self::NetProhibited,
        Self::HostProhibited,
        Self::AdminProhibited,
        Self::NoRoute6,
        Self::AdminProhibited6,
        Self::AddressUnreachable6,
        Self::PortUnreachable6,
        Self::TcpReset,
    ];

    /// "Port unreachable" of a family: the answer where none is chosen.
    pub fn port_unreachable(family: Family) -> Self {
        match family {
            Family::Ipv4 => Self::PortUnreachable,
            Family::Ipv6 => Self::PortUnreachable6,
        }
    }
}
