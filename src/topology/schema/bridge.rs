//! Bridges, their ports, and the VLANs of both.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{Fields, Named, Read, Spanned};
use super::scalar::{Scalar, Wrong, range, range_schema};
use super::scalar_net::Address;
use super::virtual_interface::VlanId;
use crate::lab::{IfName, Mac};
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::{Node, Value};

/// A bridge and its ports.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Bridge {
    /// The interfaces that are plugged in: ends of links and devices of the same namespace.
    #[schemars(default)]
    pub ports: BridgePorts,
    /// The namespace's own addresses on the bridge, with their prefix lengths.
    #[schemars(default)]
    pub addresses: Vec<Spanned<Address>>,
    /// Its hardware address; where none is given, one that stays if it has addresses, else the kernel's choice.
    pub mac: Option<Spanned<Mac>>,
    /// Its MTU in bytes; the smallest of its ports' where none is given.
    pub mtu: Option<Spanned<u32>>,
    /// Whether it is up; true where nothing is said.
    pub up: Option<Spanned<bool>>,
    /// Whether it speaks the spanning tree protocol; false where nothing is said.
    pub stp: Option<Spanned<bool>>,
    /// Whether it keeps VLANs apart; true where VLANs are written, else false.
    pub vlan_filtering: Option<Spanned<bool>>,
    /// The VLAN of the namespace's own packets.
    pub vlan: Option<Spanned<VlanId>>,
    /// The VLANs that the namespace itself gets with their tags.
    #[schemars(with = "Vec<Spanned<VlanIds>>", default)]
    pub vlans: Option<Vec<Spanned<VlanIds>>>,
}

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
}

/// A VLAN or a range of VLANs, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanIds {
    pub first: u16,
    pub last: u16,
}

impl Scalar for VlanIds {
    const WHAT: &'static str = "the number of a VLAN, from 1 to 4094, or a range such as 40-50";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (first, last) = range::<Self>(text, |text| VlanId::parse(text).ok().map(|id| id.0))?;
        Ok(Self { first, last })
    }

    fn schema() -> Schema {
        range_schema::<Self>(4094)
    }
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
            // What is neither is told as with any list.
            _ => Vec::<Spanned<IfName>>::read(node, found).map(|_| Self::default()),
        }
    }
}

impl Read for Port {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a port", found)?;
        let port = Self { vlan: fields.optional("vlan"), vlans: fields.optional("vlans") };
        fields.end();
        Some(port)
    }
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
