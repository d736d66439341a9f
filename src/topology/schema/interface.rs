//! What any interface can have in a file.

use schemars::JsonSchema;

use super::read::{Fields, Read, Spanned};
use crate::lab::{Address, Mac};
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// What any interface has: one of a link, `lo`, or a virtual interface.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Interface {
    /// Its addresses with their prefix lengths.
    #[schemars(default)]
    pub addresses: Vec<Spanned<Address>>,
    /// Its MAC address; the kernel chooses one by default.
    pub mac: Option<Spanned<Mac>>,
    /// Its MTU in bytes; 1500 by default, or what there is room for in its parent.
    pub mtu: Option<Spanned<u32>>,
    /// Whether it is up; true by default.
    pub up: Option<Spanned<bool>>,
}

impl Interface {
    /// Reads what any interface has from among other keys.
    pub(super) fn from_fields(fields: &mut Fields<'_, '_, '_>) -> Self {
        Self {
            addresses: fields.or_empty("addresses"),
            mac: fields.optional("mac"),
            mtu: fields.optional("mtu"),
            up: fields.optional("up"),
        }
    }
}

impl Read for Interface {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "an interface", found)?;
        let interface = Self::from_fields(&mut fields);
        fields.end();
        Some(interface)
    }
}
