//! Names and records of DNS, as a server in a lab has them.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A domain name from the root, in small letters and without its final dot; the root itself is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DnsName(String);

/// Why a text is no domain name (RFC 1035, section 2.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DnsNameError {
    /// A label has another character than letters, digits, `-` and `_`; a first label may be `*`.
    #[error("a label has letters, digits, `-` and `_`")]
    Character,
    /// A label is empty, or has more than 63 bytes.
    #[error("a label has 1 to 63 bytes")]
    Label,
    /// The whole has more than 253 bytes.
    #[error("a name has 253 bytes at most")]
    Length,
}

/// What a server knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsData {
    /// The zones that it has authority for.
    pub zones: Vec<DnsZone>,
    /// Whom it asks for everything else, the first that answers; none: it refuses (`REFUSED`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forward: Vec<SocketAddr>,
}

/// A zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsZone {
    /// The name that all its names end in.
    pub apex: DnsName,
    /// For how many seconds others may keep it that a name does not exist; also of the record SOA.
    pub ttl: u32,
    /// The server's own name, in the record SOA.
    pub server: DnsName,
    /// The records.
    pub records: BTreeSet<DnsRecord>,
    /// Names that exist although neither they nor names below them have records.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub empty: BTreeSet<DnsName>,
    /// Names below which every address, written with dashes, is a name that has this address.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub any_address_below: BTreeSet<DnsName>,
    /// Whether others are asked for a name that is not in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub falls_through: bool,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DnsRecord {
    /// Whose record it is.
    pub owner: DnsName,
    /// What it says.
    #[serde(flatten)]
    pub value: DnsValue,
    /// For how many seconds others may keep it.
    pub ttl: u32,
}

/// What a record says, of its type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DnsValue {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The name that is meant.
    Cname(DnsName),
    /// Who takes mail: a preference, of which the least is tried first, and a name.
    Mx(u16, DnsName),
    /// Who has authority.
    Ns(DnsName),
    /// The name of an address.
    Ptr(DnsName),
    /// Where a service is: priority, weight, port and name (RFC 2782).
    Srv(u16, u16, u16, DnsName),
    /// Text.
    Txt(String),
}

impl DnsName {
    /// The root, of which all names are part.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// The name with another before it, which may have dots itself.
    ///
    /// # Errors
    ///
    /// If that is no name, or the whole is too long.
    pub fn with(&self, first: &str) -> Result<Self, DnsNameError> {
        match self.0.as_str() {
            "" => first.parse(),
            rest => format!("{first}.{rest}").parse(),
        }
    }

    /// Its text, without a final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the other name, or below it.
    pub fn is_in(&self, zone: &Self) -> bool {
        let rest = self.0.strip_suffix(zone.as_str());
        rest.is_some_and(|rest| rest.is_empty() || zone.0.is_empty() || rest.ends_with('.'))
    }

    /// The name under which the name of an address is asked for: `1.0.0.10.in-addr.arpa` (RFC 1035, section 3.5; RFC
    /// 3596, section 2.5).
    pub fn reverse(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(own) => {
                let [a, b, c, d] = own.octets();
                format!("{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            IpAddr::V6(own) => {
                let nibbles = own.octets().into_iter().rev().flat_map(|byte| [byte & 0xf, byte >> 4]);
                nibbles.map(|nibble| format!("{nibble:x}.")).chain(["ip6.arpa".to_owned()]).collect()
            }
        })
    }
}

impl FromStr for DnsName {
    type Err = DnsNameError;

    fn from_str(text: &str) -> Result<Self, DnsNameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.len() > 253 {
            return Err(DnsNameError::Length);
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        for (at, label) in text.split('.').enumerate().filter(|_| !text.is_empty()) {
            if !(1..=63).contains(&label.len()) {
                return Err(DnsNameError::Label);
            }
            let is_wildcard = at == 0 && label == "*";
            if !is_wildcard && !label.bytes().all(is_plain) {
                return Err(DnsNameError::Character);
            }
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl TryFrom<String> for DnsName {
    type Error = DnsNameError;

    fn try_from(text: String) -> Result<Self, DnsNameError> {
        text.parse()
    }
}

impl From<DnsName> for String {
    fn from(name: DnsName) -> Self {
        name.0
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.0)
    }
}

impl From<IpAddr> for DnsValue {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(own) => Self::A(own),
            IpAddr::V6(own) => Self::Aaaa(own),
        }
    }
}
