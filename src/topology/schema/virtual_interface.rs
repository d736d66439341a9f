//! Virtual interfaces: interfaces of a namespace that are neither in a link nor a bridge.

use std::net::Ipv4Addr;

use schemars::{JsonSchema, Schema};

use super::interface::Interface;
use super::read::{Fields, Read, Spanned};
use super::scalar::{Scalar, Wrong, not, word, words};
use super::scalar_net::TableId;
use super::vlans::VlanId;
use super::vxlan::Vxlan;
use super::wireguard::Wireguard;
use crate::lab::{IfName, InterfaceRef, IpvlanMode, MacvlanMode, NsName};
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// A further MAC address of an interface, as an interface of its own.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Macvlan {
    /// Its parent: an interface of this namespace, or of another one.
    pub parent: Spanned<Parent>,
    /// Which others on the same parent it speaks to; `bridge` by default.
    pub mode: Option<Spanned<MacvlanMode>>,
    /// What it has.
    #[schemars(flatten)]
    pub common: Interface,
}

/// Further addresses of an interface, as an interface of its own with the same MAC address.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Ipvlan {
    /// Its parent: an interface of this namespace, or of another one.
    pub parent: Spanned<Parent>,
    /// What it passes on; `l2` by default.
    pub mode: Option<Spanned<IpvlanMode>>,
    /// What it has.
    #[schemars(flatten)]
    pub common: Interface,
}

/// What arrives at an interface with a VLAN's tag.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Vlan {
    /// Its parent: an interface of this namespace, or of another one.
    pub parent: Spanned<Parent>,
    /// The VLAN.
    pub id: Spanned<VlanId>,
    /// What it has.
    #[schemars(flatten)]
    pub common: Interface,
}

/// One end of a tunnel that carries IPv4 packets in IPv4 packets.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Ipip {
    /// The namespace's own address that its packets come from.
    pub local: Spanned<Ipv4Addr>,
    /// The other end; by default, it is the gateway of the route that leads into the tunnel.
    pub remote: Option<Spanned<Ipv4Addr>>,
    /// What it has.
    #[schemars(flatten)]
    pub common: Interface,
}

/// One end of a tunnel that carries packets of IPv4 and IPv6 in IPv4 packets.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Gre {
    /// The namespace's own address that its packets come from.
    pub local: Spanned<Ipv4Addr>,
    /// The other end.
    pub remote: Spanned<Ipv4Addr>,
    /// The number in every packet, the same at both ends: tunnels between the same addresses each have their own.
    pub key: Option<Spanned<u32>>,
    /// The TTL of the packets that carry others; by default, that of the packet inside.
    pub ttl: Option<Spanned<Ttl>>,
    /// What it has.
    #[schemars(flatten)]
    pub common: Interface,
}

/// A routing table for some interfaces of the namespace, and for no others.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Vrf {
    /// The table.
    pub table: Spanned<TableId>,
    /// The interfaces of the namespace that use it.
    #[schemars(default)]
    pub ports: Vec<Spanned<IfName>>,
    /// What it has.
    #[schemars(flatten)]
    pub common: Interface,
}

/// A virtual interface of any kind.
#[derive(Clone, Copy)]
pub enum VirtualInterface<'f> {
    Vxlan(&'f Vxlan),
    Macvlan(&'f Macvlan),
    Ipvlan(&'f Ipvlan),
    Vlan(&'f Vlan),
    Ipip(&'f Ipip),
    Gre(&'f Gre),
    Wireguard(&'f Wireguard),
    Dummy(&'f Interface),
    Vrf(&'f Vrf),
}

/// The parent of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The namespace, if it is named.
    pub ns: Option<NsName>,
    pub name: IfName,
}

impl<'f> VirtualInterface<'f> {
    /// What any interface has.
    pub fn common(self) -> &'f Interface {
        match self {
            Self::Vxlan(device) => &device.common,
            Self::Macvlan(device) => &device.common,
            Self::Ipvlan(device) => &device.common,
            Self::Vlan(device) => &device.common,
            Self::Ipip(device) => &device.common,
            Self::Gre(device) => &device.common,
            Self::Wireguard(device) => &device.common,
            Self::Dummy(common) => common,
            Self::Vrf(device) => &device.common,
        }
    }

    /// What it is called: "a vxlan".
    pub fn called(self) -> &'static str {
        match self {
            Self::Vxlan(_) => "a vxlan",
            Self::Macvlan(_) => "a macvlan",
            Self::Ipvlan(_) => "an ipvlan",
            Self::Vlan(_) => "a vlan",
            Self::Ipip(_) => "an ipip tunnel",
            Self::Gre(_) => "a gre tunnel",
            Self::Wireguard(_) => "a wireguard interface",
            Self::Dummy(_) => "a dummy",
            Self::Vrf(_) => "a vrf",
        }
    }

    /// Whether it is of use as a port of a bridge: the others take no frames but those for themselves.
    pub fn can_be_port(self) -> bool {
        matches!(self, Self::Vxlan(_) | Self::Vlan(_) | Self::Dummy(_))
    }
}

const MACVLAN_MODES: [(&str, MacvlanMode); 4] = [
    ("bridge", MacvlanMode::Bridge),
    ("private", MacvlanMode::Private),
    ("vepa", MacvlanMode::Vepa),
    ("passthru", MacvlanMode::Passthru),
];
const IPVLAN_MODES: [(&str, IpvlanMode); 3] =
    [("l2", IpvlanMode::L2), ("l3", IpvlanMode::L3), ("l3s", IpvlanMode::L3s)];

impl Scalar for MacvlanMode {
    const WHAT: &'static str = "the mode of a macvlan: bridge, private, vepa or passthru";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &MACVLAN_MODES)
    }

    fn schema() -> Schema {
        words(&MACVLAN_MODES)
    }
}

impl Scalar for IpvlanMode {
    const WHAT: &'static str = "the mode of an ipvlan: l2, l3 or l3s";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &IPVLAN_MODES)
    }

    fn schema() -> Schema {
        words(&IPVLAN_MODES)
    }
}

/// The TTL of packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl(pub u8);

impl Scalar for Ttl {
    const WHAT: &'static str = "a TTL: from 1 to 255";

    fn parse(text: &str) -> Result<Self, Wrong> {
        u32::parse(text)
            .ok()
            .and_then(|ttl| u8::try_from(ttl).ok())
            .filter(|ttl| *ttl > 0)
            .map(Self)
            .ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": 255 })
    }
}

impl Scalar for Parent {
    const WHAT: &'static str = "an interface of this namespace, or one of another: NAMESPACE/INTERFACE";

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.contains('/') {
            return InterfaceRef::parse(text).map(|InterfaceRef { ns, name }| Self { ns: Some(ns), name });
        }
        IfName::parse(text).map(|name| Self { ns: None, name })
    }
}

impl Read for Macvlan {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a macvlan", found)?;
        let parent = fields.required("parent");
        let mode = fields.optional("mode");
        let common = Interface::from_fields(&mut fields);
        fields.end();
        Some(Self { parent: parent?, mode, common })
    }
}

impl Read for Ipvlan {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "an ipvlan", found)?;
        let parent = fields.required("parent");
        let mode = fields.optional("mode");
        let common = Interface::from_fields(&mut fields);
        fields.end();
        Some(Self { parent: parent?, mode, common })
    }
}

impl Read for Vlan {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a vlan", found)?;
        let parent = fields.required("parent");
        let id = fields.required("id");
        let common = Interface::from_fields(&mut fields);
        fields.end();
        Some(Self { parent: parent?, id: id?, common })
    }
}

impl Read for Ipip {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "an ipip tunnel", found)?;
        let local = fields.required("local");
        let remote = fields.optional("remote");
        let common = Interface::from_fields(&mut fields);
        fields.end();
        Some(Self { local: local?, remote, common })
    }
}

impl Read for Gre {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a gre tunnel", found)?;
        let local = fields.required("local");
        let remote = fields.required("remote");
        let key = fields.optional("key");
        let ttl = fields.optional("ttl");
        let common = Interface::from_fields(&mut fields);
        fields.end();
        Some(Self { local: local?, remote: remote?, key, ttl, common })
    }
}

impl Read for Vrf {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a vrf", found)?;
        let table = fields.required("table");
        let ports = fields.or_empty("ports");
        let common = Interface::from_fields(&mut fields);
        fields.end();
        Some(Self { table: table?, ports, common })
    }
}
