//! Neighbour entries: permanent ones, and what the kernel has learned.

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

/// Any entry of the neighbour table that `ip neigh` shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourEntry {
    /// The interface.
    pub dev: IfName,
    /// The neighbour's IP address.
    pub address: IpAddr,
    /// The MAC address that has it; none where no one has answered.
    pub mac: Option<Mac>,
    /// What the kernel knows of it.
    pub state: NeighbourState,
}

/// What the kernel knows of a neighbour (`NUD_*`, see ip-neighbour(8)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NeighbourState {
    /// Somebody has set it, for good.
    Permanent,
    /// It has answered lately.
    Reachable,
    /// It has answered, but not lately; it is asked before it is used for long.
    Stale,
    /// It is used, and about to be asked.
    Delay,
    /// It is being asked.
    Probe,
    /// It is being asked for the first time.
    Incomplete,
    /// It has not answered.
    Failed,
}

impl NeighbourState {
    /// Its word in `ip neigh`, in small letters.
    pub fn word(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Reachable => "reachable",
            Self::Stale => "stale",
            Self::Delay => "delay",
            Self::Probe => "probe",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }
}
