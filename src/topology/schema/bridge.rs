//! Bridges as a file has them.

use schemars::JsonSchema;

use super::bridge_port::BridgePorts;
use super::read::{Fields, Read, Spanned};
use super::scalar_net::Address;
use super::vlans::{VlanId, VlanIds};
use crate::lab::Mac;
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// A bridge and its ports.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Bridge {
    /// The interfaces that are attached: those of links, and virtual interfaces, of the same namespace.
    #[schemars(default)]
    pub ports: BridgePorts,
    /// The namespace's own addresses on the bridge, with their prefix lengths.
    #[schemars(default)]
    pub addresses: Vec<Spanned<Address>>,
    /// Its MAC address; by default, one that stays if it has addresses, else the kernel's choice.
    pub mac: Option<Spanned<Mac>>,
    /// Its MTU in bytes; the smallest of its ports' by default.
    pub mtu: Option<Spanned<u32>>,
    /// Whether it is up; true by default.
    pub up: Option<Spanned<bool>>,
    /// Whether it speaks the spanning tree protocol; false by default.
    pub stp: Option<Spanned<bool>>,
    /// Whether it keeps VLANs apart; true where VLANs are written, else false.
    pub vlan_filtering: Option<Spanned<bool>>,
    /// The VLAN of the namespace's own packets.
    pub vlan: Option<Spanned<VlanId>>,
    /// The VLANs that the namespace itself gets with their tags.
    #[schemars(with = "Vec<Spanned<VlanIds>>", default)]
    pub vlans: Option<Vec<Spanned<VlanIds>>>,
}

impl Read for Bridge {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a bridge", found)?;
        let bridge = Self {
            ports: fields.or_empty("ports"),
            addresses: fields.or_empty("addresses"),
            mac: fields.optional("mac"),
            mtu: fields.optional("mtu"),
            up: fields.optional("up"),
            stp: fields.optional("stp"),
            vlan_filtering: fields.optional("vlan_filtering"),
            vlan: fields.optional("vlan"),
            vlans: fields.optional("vlans"),
        };
        fields.end();
        Some(bridge)
    }
}
