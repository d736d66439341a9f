//! VXLAN interfaces.

use super::IfName;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// The options of a VXLAN interface (`ip link … type vxlan`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vxlan {
    /// The number of the network (VNI), of 24 bits.
    pub id: u32,
    /// The address that its packets come from. Live: none, if it is left to the routing table.
    pub local: Option<IpAddr>,
    /// The UDP port that packets are sent to, and come in at.
    pub port: u16,
    /// The interface of the same namespace that its packets are bound to; none: the routing table decides.
    pub dev: Option<IfName>,
    /// Whether it learns from what comes in which MAC address is behind which other VTEP.
    pub learning: bool,
}

/// What no two VXLAN interfaces of one namespace share: packets for both would come in at the same port with the same
/// number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VxlanSlot {
    /// The number of the network (VNI).
    pub id: u32,
    /// The UDP port.
    pub port: u16,
    /// Whether it is over IPv6.
    pub ipv6: bool,
}

/// The port of VXLAN (RFC 7348). Linux itself takes 8472 by default, which is older.
pub const VXLAN_PORT: u16 = 4789;

impl Vxlan {
    /// What it keeps others in its namespace from having.
    pub fn slot(&self) -> VxlanSlot {
        let ipv6 = self.local.is_some_and(|local| local.is_ipv6());
        VxlanSlot { id: self.id, port: self.port, ipv6 }
    }
}

/// Its options, as they come after `type vxlan`.
impl fmt::Display for Vxlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " id {}", self.id)?;
        if let Some(local) = self.local {
            write!(f, " local {local}")?;
        }
        if let Some(dev) = &self.dev {
            write!(f, " dev {dev}")?;
        }
        write!(f, " dstport {}", self.port)?;
        f.write_str(if self.learning { "" } else { " nolearning" })
    }
}
