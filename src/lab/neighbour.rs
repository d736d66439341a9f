//! Permanent neighbour entries.

use std::fmt;
use std::net::IpAddr;
use ipnet::IpNet;
use serde::Serialize;
use super::{IfName, Mac};

/// A permanent neighbour entry: which hardware address answers for an IP address on an interface.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Neighbour {
    /// The interface.
    pub dev: IfName,
    /// The neighbour's IP address.
    pub address: IpAddr,
    /// The hardware address that has it.
    pub mac: Mac,
}
