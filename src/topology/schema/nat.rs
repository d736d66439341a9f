//! Address translation, as it is written.

use std::net::IpAddr;

use schemars::JsonSchema;

use super::read::{Fields, Read, Spanned};
use super::scalar_net::{Ports, Prefix, PublishTo};
use super::transport::Transport;
use crate::lab::IfName;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::yaml::Node;

/// One way of translating addresses.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Nat {
    /// Packets that leave a subnet get this namespace's own address.
    Masquerade(Masquerade),
    /// Packets that leave a subnet get a certain address.
    Snat(Snat),
    /// Packets that arrive for an address and port are sent on to another.
    Dnat(Dnat),
    /// A port of this namespace that leads to another one, from everywhere: outside, here, and the target's own subnet.
    Publish(Publish),
}

/// Packets from `source` to elsewhere leave under this namespace's address. Traffic within `source` is spared.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Masquerade {
    /// The subnet whose packets are translated.
    pub source: Spanned<Prefix>,
    /// Only packets that leave through this interface.
    pub out: Option<Spanned<IfName>>,
    /// Destinations that see the true source.
    #[schemars(default)]
    pub except: Vec<Spanned<Prefix>>,
}

/// Packets from `source` to elsewhere leave under the address `to`. Traffic within `source` is spared.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Snat {
    /// The subnet whose packets are translated.
    pub source: Spanned<Prefix>,
    /// The address that they get.
    pub to: Spanned<IpAddr>,
    /// Only packets that leave through this interface.
    pub out: Option<Spanned<IfName>>,
}

/// Packets that arrive for a port are sent on to another address.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Dnat {
    /// The port, or the range of ports.
    pub port: Spanned<Ports>,
    /// `tcp` or `udp`; `tcp` where nothing is said.
    pub protocol: Option<Spanned<Transport>>,
    /// Only packets to this subnet; every address of this namespace where none is given.
    pub destination: Option<Spanned<Prefix>>,
    /// Only packets that came in through this interface.
    #[schemars(rename = "in")]
    pub input: Option<Spanned<IfName>>,
    /// Where they go: an address and a port, or an address alone for the same port.
    pub to: Spanned<PublishTo>,
}

/// A published port.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Publish {
    /// The port, or the range of ports.
    pub port: Spanned<Ports>,
    /// `tcp` or `udp`; `tcp` where nothing is said.
    pub protocol: Option<Spanned<Transport>>,
    /// The address of this namespace on which it is published; every one (but loopback) where none is given, or
    /// 0.0.0.0 or `::` is.
    pub address: Option<Spanned<IpAddr>>,
    /// Where it leads: an address and a port, or an address alone for the same port.
    pub to: Spanned<PublishTo>,
}

impl Read for Nat {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let before = found.count();
        let mut fields = Fields::begin(node, "an entry of `nat`", found)?;
        let mut kinds: Vec<Self> = Vec::new();
        kinds.extend(fields.optional("masquerade").map(Self::Masquerade));
        kinds.extend(fields.optional("snat").map(Self::Snat));
        kinds.extend(fields.optional("dnat").map(Self::Dnat));
        kinds.extend(fields.optional("publish").map(Self::Publish));
        let head = fields.head();
        fields.end();
        if kinds.len() != 1 && found.count() == before {
            let help = "begin each with a dash and one of masquerade, snat, dnat, publish".to_owned();
            found.add(
                Diagnostic::new(Code::BadNat, head, "an entry of `nat` is exactly one kind of translation").help(help),
            );
        }
        kinds.pop()
    }
}

impl Read for Masquerade {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`masquerade`", found)?;
        let source = fields.required("source");
        let out = fields.optional("out");
        let except = fields.or_empty("except");
        fields.end();
        Some(Self { source: source?, out, except })
    }
}

impl Read for Snat {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`snat`", found)?;
        let source = fields.required("source");
        let to = fields.required("to");
        let out = fields.optional("out");
        fields.end();
        Some(Self { source: source?, to: to?, out })
    }
}

impl Read for Dnat {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`dnat`", found)?;
        let port = fields.required("port");
        let protocol = fields.optional("protocol");
        let destination = fields.optional("destination");
        let input = fields.optional("in");
        let to = fields.required("to");
        fields.end();
        Some(Self { port: port?, protocol, destination, input, to: to? })
    }
}

impl Read for Publish {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "`publish`", found)?;
        let port = fields.required("port");
        let protocol = fields.optional("protocol");
        let address = fields.optional("address");
        let to = fields.required("to");
        fields.end();
        Some(Self { port: port?, protocol, address, to: to? })
    }
}
