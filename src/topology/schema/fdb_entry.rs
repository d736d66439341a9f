//! Forwarding entries of a VXLAN interface as a file has them.

use super::read::{Fields, Read, Spanned};
use super::scalar::{Scalar, Wrong};
use crate::lab::Mac;
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;
use schemars::JsonSchema;
use std::net::IpAddr;

/// An entry of a forwarding database: the end that frames for a MAC address are sent to.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct FdbEntry {
    /// The MAC address; by default, every one that is not known, and what is for all (broadcast, multicast).
    pub mac: Option<Spanned<FdbMac>>,
    /// The other end's address.
    pub to: Spanned<IpAddr>,
}

/// A MAC address in a forwarding database: of zeros, it means all that are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FdbMac(pub Mac);

impl Scalar for FdbMac {
    const WHAT: &'static str = "a MAC address, such as 02:00:00:00:00:01; of zeros: all that are not known";

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text == Mac::ANY.to_string() { Ok(Self(Mac::ANY)) } else { Mac::parse(text).map(Self) }
    }
}

impl Read for FdbEntry {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a forwarding entry", found)?;
        let before = fields.found.count();
        let mac = fields.optional("mac");
        // Without its MAC address it would mean something else.
        let readable = fields.found.count() == before;
        let to = fields.required("to");
        fields.end();
        Some(Self { mac, to: to? }).filter(|_| readable)
    }
}
