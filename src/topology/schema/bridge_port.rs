//! Ports of a bridge as a file has them.

use super::read::{Fields, Named, Read, Spanned};
use super::vlans::{VlanId, VlanIds};
use crate::lab::IfName;
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::{Node, Value};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// The ports of a bridge: a list of names, or a map from names to what each has; entries of the list may be such maps.
#[derive(Default)]
pub struct BridgePorts(pub Vec<(Spanned<IfName>, Port)>);

/// A port of a bridge.
#[derive(JsonSchema, Default)]
#[schemars(deny_unknown_fields)]
pub struct Port {
    /// The VLAN of what comes in, and goes out, without a tag.
    pub vlan: Option<Spanned<VlanId>>,
    /// The VLANs that go through with their tags.
    #[schemars(with = "Vec<Spanned<VlanIds>>", default)]
    pub vlans: Option<Vec<Spanned<VlanIds>>>,
    /// Whether a frame may leave through the port that it came in through; false by default.
    pub hairpin: Option<Spanned<bool>>,
    /// Whether it gets nothing from other isolated ports, and they nothing from it; false by default.
    pub isolated: Option<Spanned<bool>>,
    /// Whether the bridge learns which MAC addresses are behind it; true by default.
    pub learning: Option<Spanned<bool>>,
    /// Whether frames for MAC addresses that the bridge does not know leave through it; true by default.
    pub flood: Option<Spanned<bool>>,
}

impl Read for BridgePorts {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let described = |node: &Node, found: &mut Collector<'_>| {
            Named::read(node, found).map(|named: Named<IfName, Port>| named.entries)
        };
        match &node.value {
            Value::Map(_) => described(node, found).map(Self),
            Value::List(items) => {
                let mut ports = Vec::with_capacity(items.len());
                for item in items {
                    match &item.value {
                        Value::Map(_) => ports.extend(described(item, found).into_iter().flatten()),
                        _ => ports.extend(Spanned::read(item, found).map(|name| (name, Port::default()))),
                    }
                }
                Some(Self(ports))
            }
            // What is neither is reported as for any list.
            _ => Vec::<Spanned<IfName>>::read(node, found).map(|_| Self::default()),
        }
    }
}

impl Read for Port {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a port", found)?;
        let port = Self {
            vlan: fields.optional("vlan"),
            vlans: fields.optional("vlans"),
            hairpin: fields.optional("hairpin"),
            isolated: fields.optional("isolated"),
            learning: fields.optional("learning"),
            flood: fields.optional("flood"),
        };
        fields.end();
        Some(port)
    }
}

impl JsonSchema for BridgePorts {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ports of a bridge".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let name = generator.subschema_for::<Spanned<IfName>>();
        let map = generator.subschema_for::<Named<IfName, Port>>();
        json_schema!({ "anyOf": [{ "type": "array", "items": { "anyOf": [name, map] } }, map] })
    }
}
