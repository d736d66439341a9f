//! Permanent neighbour entries.

use super::{IfName, Mac};
use serde::Serialize;
use std::net::IpAddr;

/// A permanent neighbour entry: which MAC address answers for an IP address on an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Neighbour {
    /// The interface.
    pub dev: IfName,
    /// The neighbour's IP address.
    pub address: IpAddr,
    /// The MAC address that has it.
    pub mac: Mac,
}
