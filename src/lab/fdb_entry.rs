//! Permanent forwarding entries of VXLAN interfaces.

use super::{IfName, Mac};
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// An entry of a VXLAN interface's forwarding database: where frames for a MAC address are sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FdbEntry {
    /// The VXLAN end.
    pub dev: IfName,
    /// The MAC address; [`Mac::ANY`] for all that are not known, and for what is for everybody.
    pub mac: Mac,
    /// The address of the other VXLAN interface.
    pub to: IpAddr,
}

/// The entry as it comes after `bridge fdb append`.
impl fmt::Display for FdbEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {} dst {}", self.mac, self.dev, self.to)
    }
}
