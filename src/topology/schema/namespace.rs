//! A namespace: its interfaces, its bridges, and what else is in it.

use ipnet::IpNet;
use schemars::JsonSchema;

use super::read::{Fields, Named, Read, Spanned};
use super::routing::Neighbour;
use super::scalar_lab::Text;
use super::scalar_net::Address;
use super::{Bridge, Filter, Ipip, Ipvlan, Macvlan, Nat, PolicyRule, Route, Vlan, Vrf, Vxlan};
use crate::lab::{IfName, Mac, SysctlKey, SysctlValue};
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// A network namespace. An empty one has nothing but its loopback interface.
#[derive(JsonSchema, Default)]
#[schemars(deny_unknown_fields)]
pub struct Namespace {
    /// Ends of links, by name, with what they have; and `lo`, which may have further addresses.
    #[schemars(default)]
    pub interfaces: Named<IfName, Interface>,
    /// Bridges: switches in the kernel.
    #[schemars(default)]
    pub bridges: Named<IfName, Bridge>,
    /// Ends of VXLANs.
    #[schemars(default)]
    pub vxlans: Named<IfName, Vxlan>,
    /// Further hardware addresses of interfaces.
    #[schemars(default)]
    pub macvlans: Named<IfName, Macvlan>,
    /// Further addresses of interfaces, under the same hardware address.
    #[schemars(default)]
    pub ipvlans: Named<IfName, Ipvlan>,
    /// VLANs of interfaces.
    #[schemars(default)]
    pub vlans: Named<IfName, Vlan>,
    /// Ends of tunnels of IPv4 in IPv4.
    #[schemars(default)]
    pub ipips: Named<IfName, Ipip>,
    /// Interfaces that lead nowhere.
    #[schemars(default)]
    pub dummies: Named<IfName, Interface>,
    /// Routing tables for some of its interfaces each.
    #[schemars(default)]
    pub vrfs: Named<IfName, Vrf>,
    /// Routes beyond those that the addresses bring.
    #[schemars(default)]
    pub routes: Vec<Route>,
    /// Policy routing rules.
    #[schemars(default)]
    pub rules: Vec<PolicyRule>,
    /// Permanent entries of the neighbour (ARP) table.
    #[schemars(default)]
    pub neighbours: Vec<Neighbour>,
    /// Sysctls below `net.`.
    #[schemars(default)]
    pub sysctls: Named<SysctlKey, Spanned<SysctlValue>>,
    /// Whether packets are forwarded between interfaces (`net.ipv4.ip_forward`, and IPv6 where it is in use).
    pub forwarding: Option<Spanned<bool>>,
    /// Address translation, in the order in which it is tried.
    #[schemars(default)]
    pub nat: Vec<Nat>,
    /// Packet filter rules, in the order in which they are asked.
    #[schemars(default)]
    pub filter: Vec<Filter>,
    /// Labels by which checks can select namespaces.
    #[schemars(default)]
    pub labels: Named<Text, Spanned<Text>>,
    /// Whether all of it could be read.
    #[schemars(skip)]
    pub whole: bool,
}

/// What any interface has: one end of a link, `lo`, or a device.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Interface {
    /// Its addresses with their prefix lengths.
    #[schemars(default)]
    pub addresses: Vec<Spanned<Address>>,
    /// Its hardware address; the kernel chooses one where none is given.
    pub mac: Option<Spanned<Mac>>,
    /// Its MTU in bytes; 1500 where none is given, or what there is room for in the interface that it is upon.
    pub mtu: Option<Spanned<u32>>,
    /// Whether it is up; true where nothing is said.
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

impl Spanned<Address> {
    /// The address alone.
    pub fn net(&self) -> Spanned<IpNet> {
        Spanned { value: self.value.0, span: self.span }
    }
}

impl Read for Namespace {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let before = found.count();
        let mut fields = Fields::begin(node, "a namespace", found)?;
        let mut namespace = Self {
            interfaces: fields.or_empty("interfaces"),
            bridges: fields.or_empty("bridges"),
            vxlans: fields.or_empty("vxlans"),
            macvlans: fields.or_empty("macvlans"),
            ipvlans: fields.or_empty("ipvlans"),
            vlans: fields.or_empty("vlans"),
            ipips: fields.or_empty("ipips"),
            dummies: fields.or_empty("dummies"),
            vrfs: fields.or_empty("vrfs"),
            routes: fields.or_empty("routes"),
            rules: fields.or_empty("rules"),
            neighbours: fields.or_empty("neighbours"),
            sysctls: fields.or_empty("sysctls"),
            forwarding: fields.optional("forwarding"),
            nat: fields.or_empty("nat"),
            filter: fields.or_empty("filter"),
            labels: fields.or_empty("labels"),
            whole: false,
        };
        fields.end();
        namespace.whole = found.count() == before;
        Some(namespace)
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
