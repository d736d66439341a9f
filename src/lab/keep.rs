//! What programs add to a namespace, and the lab leaves alone: the routes of a routing daemon, the addresses of VRRP.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::Serialize;

use super::Address;

/// The protocol number of FRR's `zebra`, which hands the routes of all of FRR's daemons to the kernel.
const ZEBRA: u8 = 11;

/// What is left alone, though the file does not have it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Keep {
    /// Routes with these protocol numbers (rtm_protocol).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub routes: BTreeSet<u8>,
    /// Addresses with these protocol numbers (`IFA_PROTO`).
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub addresses_by: BTreeSet<u8>,
    /// Addresses in these subnets, whoever has added them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub addresses_in: BTreeSet<IpNet>,
}

impl Keep {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.addresses_by.is_empty() && self.addresses_in.is_empty()
    }

    /// Whether a route with this protocol number is.
    pub fn has_route(&self, protocol: u8) -> bool {
        self.routes.contains(&protocol)
    }

    /// Whether a nexthop object with this protocol number is. The routes of all of FRR's daemons lead to objects that
    /// carry zebra's number; an object to which no route leads does nothing.
    pub fn has_next_hop(&self, protocol: u8) -> bool {
        !self.routes.is_empty() && (protocol == ZEBRA || self.has_route(protocol))
    }

    /// Whether an address is that has this protocol number, or none.
    pub fn has_address(&self, address: Address, protocol: Option<u8>) -> bool {
        protocol.is_some_and(|protocol| self.addresses_by.contains(&protocol))
            || self.addresses_in.iter().any(|subnet| subnet.contains(&address.ip()))
    }
}
