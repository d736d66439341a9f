//! What a check asks of the program at the other end, and what that has to answer.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

/// What a check asks of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Asks {
    /// An HTTP request, over the connection of a TCP probe.
    Http(HttpRequest),
    /// A DNS query, as the datagram of a UDP probe.
    Dns(DnsQuery),
}

/// An HTTP request, and what the answer has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HttpRequest {
    /// `GET`.
    pub method: String,
    /// The `Host` header; none: what the file calls the destination.
    pub host: Option<String>,
    /// The path, with its query: `/index.html?page=2`.
    pub path: String,
    /// The status that the answer must have.
    pub status: u16,
    /// A text that the body must contain.
    pub contains: Option<String>,
    /// Headers, by name, with a text that a value of each must contain.
    pub headers: Vec<(String, String)>,
}

/// A DNS query, and what the answer has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsQuery {
    /// The name that is asked for.
    pub name: String,
    /// The type of its records.
    #[serde(rename = "type")]
    pub kind: DnsType,
    /// What has to come; none: it does not matter.
    pub answer: Option<DnsAnswer>,
}

/// A type of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)] // Their names are those of RFC 1035, 3596 and 2782.
pub enum DnsType {
    A,
    Aaaa,
    Cname,
    Mx,
    Ns,
    Ptr,
    Srv,
    Txt,
}

/// What has to come of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnsAnswer {
    /// These records and no others, each spelled as [`DnsType::normal`] does, in order.
    Records(Vec<String>),
    /// NXDOMAIN: there is no such name.
    NoName,
    /// The name is there, and has no record of the type.
    NoData,
    /// REFUSED: the server does not answer that.
    Refused,
}

impl DnsType {
    /// A record as it is compared: addresses in their usual form, names in small letters and without the last dot.
    pub fn normal(self, record: &str) -> String {
        match (self, record.parse::<IpAddr>()) {
            (Self::Txt, _) => record.to_owned(),
            (Self::A | Self::Aaaa, Ok(address)) => address.to_string(),
            _ => {
                let words = record.split_whitespace().map(|word| match word {
                    "." => word.to_owned(),
                    word => word.strip_suffix('.').unwrap_or(word).to_ascii_lowercase(),
                });
                words.collect::<Vec<_>>().join(" ")
            }
        }
    }
}

impl fmt::Display for DnsType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        })
    }
}
