//! VXLAN interfaces as a file has them.

use std::net::IpAddr;

use schemars::JsonSchema;

use super::fdb_entry::FdbEntry;
use super::interface::Interface;
use super::read::{Fields, Read, Spanned};
use super::scalar::{Scalar, Wrong, not};
use crate::lab::IfName;
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// One end of a VXLAN: Ethernet frames in UDP packets, over whatever network leads to the other ends.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Vxlan {
    /// The number of the network (VNI): the same at all ends.
    pub id: Spanned<VxlanId>,
    /// The namespace's own address that its packets come from.
    pub local: Spanned<IpAddr>,
    /// The UDP port; 4789 by default.
    pub port: Option<Spanned<u16>>,
    /// The interface that its packets are bound to; by default, the routing table decides.
    pub dev: Option<Spanned<IfName>>,
    /// Whether it learns which MAC address is behind which VTEP; true by default.
    pub learning: Option<Spanned<bool>>,
    /// Where frames are sent.
    #[schemars(default)]
    pub fdb: Vec<FdbEntry>,
    /// What it has.
    #[schemars(flatten)]
    pub common: Interface,
}

/// The number of a VXLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VxlanId(pub u32);

impl Scalar for VxlanId {
    const WHAT: &'static str = "the number of a VXLAN: from 0 to 16777215 (24 bits)";

    fn parse(text: &str) -> Result<Self, Wrong> {
        u32::parse(text).ok().filter(|id| *id < 1 << 24).map(Self).ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 0, "maximum": (1 << 24) - 1 })
    }
}

impl Read for Vxlan {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a vxlan", found)?;
        let id = fields.required("id");
        let local = fields.required("local");
        let port = fields.optional("port");
        let dev = fields.optional("dev");
        let learning = fields.optional("learning");
        let fdb = fields.or_empty("fdb");
        let common = Interface::from_fields(&mut fields);
        fields.end();
        Some(Self { id: id?, local: local?, port, dev, learning, fdb, common })
    }
}
