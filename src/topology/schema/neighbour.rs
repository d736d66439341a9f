//! Neighbour entries as a file has them.

use super::read::{Fields, Read, Spanned};
use crate::lab::{IfName, Mac};
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;
use schemars::JsonSchema;
use std::net::IpAddr;

/// A permanent entry of the neighbour table.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Neighbour {
    /// The neighbour's IP address.
    pub to: Spanned<IpAddr>,
    /// Its MAC address.
    pub mac: Spanned<Mac>,
    /// The interface; found from `to` by default.
    pub dev: Option<Spanned<IfName>>,
}

impl Read for Neighbour {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a neighbour", found)?;
        let to = fields.required("to");
        let mac = fields.required("mac");
        let dev = fields.optional("dev");
        fields.end();
        Some(Self { to: to?, mac: mac?, dev })
    }
}
