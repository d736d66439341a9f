//! Address translation and packet filter rules, as they are written.

use std::net::IpAddr;

use schemars::{JsonSchema, Schema};

use super::read::{Fields, Read, Spanned};
use super::scalar::{Scalar, Wrong, word, words};
use super::scalar_net::{Ports, Prefix, PublishTo};
use crate::lab::{IfName, IpProtocol};
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

/// One packet filter rule: what all of its conditions hold for is accepted, dropped or rejected.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Filter {
    /// `input` (to this namespace), `forward` (through it) or `output` (from it).
    pub chain: Spanned<Chain>,
    /// The interface that packets came in through (`input`, `forward`).
    #[schemars(rename = "in")]
    pub input: Option<Spanned<IfName>>,
    /// The interface that packets leave through (`forward`, `output`).
    pub out: Option<Spanned<IfName>>,
    /// The subnet that packets come from.
    pub source: Option<Spanned<Prefix>>,
    /// The subnet that packets go to.
    pub destination: Option<Spanned<Prefix>>,
    /// `tcp`, `udp`, `icmp` or `icmpv6`.
    pub protocol: Option<Spanned<FilterProtocol>>,
    /// The destination port, or a range of them (`tcp`, `udp`).
    pub port: Option<Spanned<Ports>>,
    /// The source port, or a range of them (`tcp`, `udp`).
    pub source_port: Option<Spanned<Ports>>,
    /// The states of the connection: `new`, `established`, `related`, `invalid`.
    #[schemars(default)]
    pub state: Vec<Spanned<State>>,
    /// `accept`, `drop`, or `reject` (with ICMP "port unreachable").
    pub action: Spanned<Action>,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    Tcp,
    Udp,
}

/// A protocol that the filter can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterProtocol {
    Transport(Transport),
    Icmp,
    Icmpv6,
}

/// A chain of the packet filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    Input,
    Forward,
    Output,
}

/// What a filter rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Accept,
    Drop,
    Reject,
}

/// A state of a connection, in the order in which `iptables-save` prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Invalid,
    New,
    Related,
    Established,
}

const TRANSPORTS: [(&str, Transport); 2] = [("tcp", Transport::Tcp), ("udp", Transport::Udp)];
const PROTOCOLS: [(&str, FilterProtocol); 4] = [
    ("tcp", FilterProtocol::Transport(Transport::Tcp)),
    ("udp", FilterProtocol::Transport(Transport::Udp)),
    ("icmp", FilterProtocol::Icmp),
    ("icmpv6", FilterProtocol::Icmpv6),
];
const CHAINS: [(&str, Chain); 3] = [("input", Chain::Input), ("forward", Chain::Forward), ("output", Chain::Output)];
const ACTIONS: [(&str, Action); 3] = [("accept", Action::Accept), ("drop", Action::Drop), ("reject", Action::Reject)];
const STATES: [(&str, State); 4] = [
    ("new", State::New),
    ("established", State::Established),
    ("related", State::Related),
    ("invalid", State::Invalid),
];

impl Transport {
    /// The same as a protocol of IP.
    pub fn protocol(self) -> IpProtocol {
        match self {
            Self::Tcp => IpProtocol::Tcp,
            Self::Udp => IpProtocol::Udp,
        }
    }
}

impl Scalar for Transport {
    const WHAT: &'static str = "a protocol with ports: tcp or udp";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &TRANSPORTS)
    }

    fn schema() -> Schema {
        words(&TRANSPORTS)
    }
}

impl Scalar for FilterProtocol {
    const WHAT: &'static str = "a protocol: tcp, udp, icmp or icmpv6";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &PROTOCOLS)
    }

    fn schema() -> Schema {
        words(&PROTOCOLS)
    }
}

impl Scalar for Chain {
    const WHAT: &'static str = "a chain: input, forward or output";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &CHAINS)
    }

    fn schema() -> Schema {
        words(&CHAINS)
    }
}

impl Scalar for Action {
    const WHAT: &'static str = "an action: accept, drop or reject";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &ACTIONS)
    }

    fn schema() -> Schema {
        words(&ACTIONS)
    }
}

impl Scalar for State {
    const WHAT: &'static str = "a connection's state: new, established, related or invalid";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word(text, &STATES)
    }

    fn schema() -> Schema {
        words(&STATES)
    }
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

impl Read for Filter {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a filter rule", found)?;
        let chain = fields.required("chain");
        let input = fields.optional("in");
        let out = fields.optional("out");
        let source = fields.optional("source");
        let destination = fields.optional("destination");
        let protocol = fields.optional("protocol");
        let port = fields.optional("port");
        let source_port = fields.optional("source_port");
        let state = fields.or_empty("state");
        let action = fields.required("action");
        fields.end();
        let (chain, action) = (chain?, action?);
        Some(Self { chain, input, out, source, destination, protocol, port, source_port, state, action })
    }
}
