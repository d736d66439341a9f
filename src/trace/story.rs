//! The value that is shown to people and given to programs. Its JSON form is a documented interface.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One packet's way through a lab, and that of the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    /// The lab's name.
    pub lab: String,
    /// The namespace that sends.
    pub from: String,
    /// What was asked for: a namespace, an address.
    pub to: String,
    /// The address that the packet is sent to.
    pub address: IpAddr,
    /// What is sent: `icmp`, `tcp/80`, `udp/53`.
    pub protocol: String,
    /// The size of the IP packet in bytes, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u16>,
    /// Whether it is what would happen by the file, and nothing was sent.
    pub expected: bool,
    /// The way there, namespace by namespace.
    pub there: Vec<Stage>,
    /// The way of the answer.
    pub back: Vec<Stage>,
    /// How it ended.
    pub end: Ending,
}

/// A namespace on the way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// The namespace.
    pub namespace: String,
    /// What it made of the packet, in words: the route, the rule that translated it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Where the packet passed an interface, in order.
    pub seen: Vec<Sight>,
}

/// A packet at an interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sight {
    /// The interface.
    pub interface: String,
    /// Whether it came in or went out.
    pub direction: Direction,
    /// Its source address.
    pub source: Option<IpAddr>,
    /// Its source port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_port: Option<u16>,
    /// Its destination address.
    pub destination: IpAddr,
    /// Its destination port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_port: Option<u16>,
    /// Its time to live, or hop limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
    /// The MAC address that it comes from on this link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_mac: Option<String>,
    /// The MAC address that it goes to on this link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination_mac: Option<String>,
    /// The VLAN of the frame, where it has a tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    /// What carries it here: the addresses of the packet around it, `VXLAN 42, 192.168.1.11 → 192.168.1.13`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<String>,
    /// What is in it, where it is not what was sent or its answer: an ICMP error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// When, in microseconds since the packet was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_us: Option<f64>,
}

/// Which way a packet passes an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Into the namespace.
    In,
    /// Out of it.
    Out,
}

/// How it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Ending {
    /// Whether the sender got an answer.
    pub answered: bool,
    /// The namespace at which the packet arrived, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived: Option<String>,
    /// The namespace at which it ended otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The interface there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Whether all that is known is where it was seen last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unexplained: bool,
    /// What happened, in one sentence: why there is no answer, or who answered.
    pub what: String,
    /// Commands that set it right, or what to change in the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to_do: Vec<String>,
    /// What may matter besides, and surely is so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub besides: Vec<String>,
}
