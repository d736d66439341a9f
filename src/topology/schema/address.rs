//! Addresses of interfaces as a file has them.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::read::{Fields, Read, Spanned};
use super::scalar::{Scalar, Wrong, not};
use crate::lab::Address;
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};
use crate::topology::yaml::{Node, Value};

/// An address with the length of its subnet's prefix.
struct InSubnet(IpNet);

/// An address with a peer at the other side of a point-to-point link.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct WithPeer {
    /// The address, without a prefix length.
    address: Spanned<IpAddr>,
    /// The peer's address; with a prefix length, the interface leads to the subnet of that prefix.
    peer: Spanned<Peer>,
}

/// The address of a peer with the length of its prefix.
struct Peer(IpNet);

impl Scalar for InSubnet {
    const WHAT: &'static str = "an address with its prefix length, such as 192.168.15.1/24";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
            (Ok(net), _) => Ok(Self(net)),
            (_, Ok(address)) => {
                let length = if address.is_ipv4() { 24 } else { 64 };
                Err(Wrong::new(format!("{address} has no prefix length")).help(format!(
                    "write {address}/{length}: without one the kernel takes /{}, a subnet without neighbours",
                    if address.is_ipv4() { 32 } else { 128 }
                )))
            }
            _ => Err(not::<Self>(text)),
        }
    }
}

impl Scalar for Peer {
    const WHAT: &'static str = "a peer's address, such as 10.0.0.2 or 10.0.0.2/32";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(Self).map_err(|_| not::<Self>(text))
    }
}

impl Read for Spanned<Address> {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let is_key =
            |(key, _): &(Node, Node)| matches!(&key.value, Value::Scalar(key) if key == "address" || key == "peer");
        match &node.value {
            Value::Map(entries) if entries.iter().any(is_key) => with_peer(node, found),
            _ => {
                let Spanned { value: InSubnet(net), span } = Read::read(node, found)?;
                Some(Self { value: net.into(), span })
            }
        }
    }
}

fn with_peer(node: &Node, found: &mut Collector<'_>) -> Option<Spanned<Address>> {
    let mut fields = Fields::begin(node, "an address with a peer", found)?;
    let (address, peer) = (fields.required("address"), fields.required("peer"));
    fields.end();
    let WithPeer { address, peer } = WithPeer { address: address?, peer: peer? };
    let (ip, net) = (address.value, peer.value.0);
    if ip == net.addr() {
        let help = format!("an address without a peer is written {net}");
        let fault = Diagnostic::new(Code::ContradictoryKeys, peer.span, "the peer is the address itself");
        found.add(fault.help(help).also(address.span, "the address"));
        return None;
    }
    let Some(value) = Address::with_peer(ip, net) else {
        let message = format!("the peer {} and the address {ip} are of different families", net.addr());
        found.add(Diagnostic::new(Code::FamilyMismatch, peer.span, message));
        return None;
    };
    Some(Spanned { value, span: address.span })
}

impl JsonSchema for Spanned<Address> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (alone, with_peer) =
            (generator.subschema_for::<Spanned<InSubnet>>(), generator.subschema_for::<WithPeer>());
        json_schema!({ "anyOf": [alone, with_peer] })
    }
}
