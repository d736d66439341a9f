//! WireGuard interfaces as a file has them. Their keys are in no file.

use std::net::{IpAddr, SocketAddr};

use schemars::{JsonSchema, Schema, json_schema};

use super::interface::Interface;
use super::read::{Fields, Named, OneOrMany, Read, Spanned};
use super::scalar::{Scalar, Wrong, not};
use super::scalar_net::Prefix;
use crate::lab::{IfName, InterfaceRef, NsName};
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// An interface whose packets travel encrypted to its peers.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Wireguard {
    /// The UDP port that its packets come in at; 51820 by default.
    pub listen_port: Option<Spanned<u16>>,
    /// Its peers, by their namespaces, or as NAMESPACE/INTERFACE.
    #[schemars(default)]
    pub peers: Named<PeerName, WireguardPeer>,
    /// What it has.
    #[schemars(flatten)]
    pub common: Interface,
}

/// A peer of a WireGuard interface.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WireguardPeer {
    /// Where its packets are sent; by default its address on the network in between, if there is no doubt which.
    pub endpoint: Option<Spanned<Endpoint>>,
    /// Which packets go to it, and which are believed to come from it; by default its own addresses in the tunnel.
    pub allowed_ips: Option<OneOrMany<Spanned<Prefix>>>,
    /// How many seconds after the last packet one is sent to keep NAT on the way open; by default, none is.
    pub keepalive: Option<Spanned<Keepalive>>,
}

/// A WireGuard interface: the only one of a namespace, where it is not named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerName {
    pub ns: NsName,
    pub name: Option<IfName>,
}

/// Where packets for a peer are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Nowhere, until it was heard from.
    None,
    /// An address, with a port that is not that of the peer itself.
    At(IpAddr, Option<u16>),
}

/// A time in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive(pub u16);

impl Scalar for PeerName {
    const WHAT: &'static str = "a namespace, or its WireGuard interface: NAMESPACE/INTERFACE";

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text.contains('/') {
            return InterfaceRef::parse(text).map(|InterfaceRef { ns, name }| Self { ns, name: Some(name) });
        }
        NsName::parse(text).map(|ns| Self { ns, name: None })
    }
}

impl Scalar for Endpoint {
    const WHAT: &'static str = "an address, with a port or without one (192.0.2.1:51820), or `none`";

    fn parse(text: &str) -> Result<Self, Wrong> {
        if text == "none" {
            return Ok(Self::None);
        }
        let address = text.parse::<IpAddr>().map(|address| Self::At(address, None));
        let with_port = || text.parse::<SocketAddr>().map(|socket| Self::At(socket.ip(), Some(socket.port())));
        match address.or_else(|_| with_port()) {
            Ok(Self::At(address, port)) if !address.is_unspecified() && port != Some(0) => Ok(Self::At(address, port)),
            _ => Err(not::<Self>(text)),
        }
    }
}

impl Scalar for Keepalive {
    const WHAT: &'static str = "a number of seconds from 1 to 65535";

    fn parse(text: &str) -> Result<Self, Wrong> {
        u16::parse(text).map(Self).map_err(|_| not::<Self>(text))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 65535 })
    }
}

impl Read for Wireguard {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a wireguard interface", found)?;
        let listen_port = fields.optional("listen_port");
        let peers = fields.or_empty("peers");
        let common = Interface::from_fields(&mut fields);
        fields.end();
        Some(Self { listen_port, peers, common })
    }
}

impl Read for WireguardPeer {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a peer", found)?;
        let endpoint = fields.optional("endpoint");
        let allowed_ips = fields.optional("allowed_ips");
        let keepalive = fields.optional("keepalive");
        fields.end();
        Some(Self { endpoint, allowed_ips, keepalive })
    }
}
