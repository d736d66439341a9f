//! Sets of nf_tables, and maps from keys to verdicts.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::chain::Family;
use super::dnat::PortRange;
use super::firewall_rule::IpProtocol;
use super::nft_rule::{NftField, NftVerdict};

/// A set or a map, with its elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftSet {
    /// What it is.
    pub definition: NftSetDefinition,
    /// Its elements by their keys; not those that packets put into a dynamic set, which are nobody's wish.
    pub elements: BTreeMap<NftKey, NftElement>,
}

/// What a set is, whatever is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NftSetDefinition {
    /// The types of the parts of a key.
    pub key: Vec<NftType>,
    /// Whether each element leads to a verdict.
    pub is_map: bool,
    /// Whether parts of a key may be networks and ranges. They must not overlap.
    pub is_interval: bool,
    /// For how many seconds elements stay that packets put into it; none: they cannot. Nothing is wanted in such a set.
    pub dynamic_for: Option<u32>,
    /// What it says about itself.
    pub comment: Option<String>,
}

/// The type of a part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NftType {
    /// `ipv4_addr` or `ipv6_addr`.
    Address(Family),
    /// `inet_proto`.
    Protocol,
    /// `inet_service`.
    Port,
}

/// The parts of a key.
pub type NftKey = Vec<NftValue>;

/// A part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NftValue {
    /// An address (all bits are of the network), or in interval sets a network; without host bits.
    Addresses(IpNet),
    /// A protocol.
    Protocol(IpProtocol),
    /// A port, or in interval sets a range.
    Ports(PortRange),
}

/// What a set has for a key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NftElement {
    /// In maps: the verdict.
    pub verdict: Option<NftVerdict>,
    /// What it says about itself.
    pub comment: Option<String>,
}

impl NftField {
    /// What sets in which it is looked up have for it.
    pub fn of_type(self) -> NftType {
        match self {
            Self::Address(family, _) => NftType::Address(family),
            Self::Protocol => NftType::Protocol,
            Self::Port(_) => NftType::Port,
        }
    }
}

impl NftSet {
    /// A set without elements.
    pub fn set(key: impl Into<Vec<NftType>>) -> Self {
        let (is_map, is_interval, dynamic_for, comment) = (false, false, None, None);
        let definition = NftSetDefinition { key: key.into(), is_map, is_interval, dynamic_for, comment };
        Self { definition, elements: BTreeMap::new() }
    }

    /// A map to verdicts without elements.
    pub fn map(key: impl Into<Vec<NftType>>) -> Self {
        let mut map = Self::set(key);
        map.definition.is_map = true;
        map
    }

    /// The same, with networks and ranges in it.
    #[must_use]
    pub fn of_intervals(mut self) -> Self {
        self.definition.is_interval = true;
        self
    }

    /// The same, to be filled by packets; what they put into it stays for so many seconds.
    #[must_use]
    pub fn dynamic(mut self, seconds: u32) -> Self {
        self.definition.dynamic_for = Some(seconds);
        self
    }

    /// The same with a comment.
    #[must_use]
    pub fn saying(mut self, comment: impl Into<String>) -> Self {
        self.definition.comment = Some(comment.into());
        self
    }

    /// Puts an element in.
    pub fn insert(&mut self, key: impl Into<NftKey>, verdict: Option<NftVerdict>) {
        self.elements.insert(key.into(), NftElement { verdict, comment: None });
    }
}

impl Serialize for NftSet {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut set = s.serialize_struct("NftSet", 2)?;
        set.serialize_field("definition", &self.definition.to_string())?;
        let elements = self.elements.iter().map(|(key, element)| element.text(key));
        set.serialize_field("elements", &elements.collect::<Vec<_>>())?;
        set.end()
    }
}
