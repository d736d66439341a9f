//! Packet filter rules, as they are written.

use schemars::{JsonSchema, Schema};

use super::read::{Fields, Read, Spanned};
use super::scalar::{Scalar, Wrong, word, words};
use super::scalar_net::{Ports, Prefix};
use super::transport::Transport;
use crate::lab::IfName;
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

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
