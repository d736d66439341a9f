//! Single values that are addresses, subnets, ports, routing tables and marks.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use schemars::{Schema, json_schema};

use super::scalar::{Scalar, Wrong, not, range, range_schema};
use crate::lab::PortRange;

/// A subnet; a single address is a subnet of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix(pub IpNet);

/// Where a route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Everywhere; the family is that of the gateway.
    Default,
    Subnet(IpNet),
}

/// A port or a range of ports, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub first: u16,
    pub last: u16,
}

/// Where a published port leads; without ports: to the same ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishTo {
    pub address: IpAddr,
    pub ports: Option<Ports>,
}

/// A routing table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableId(pub u32);

/// A firewall mark and its mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub u32, pub u32);

impl Scalar for IpAddr {
    const WHAT: &'static str = "an IP address";

    fn parse(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(|_| match text.parse::<IpNet>() {
            Ok(net) => not::<Self>(text).help(format!("write {}, without the prefix length", net.addr())),
            Err(_) => not::<Self>(text),
        })
    }
}

impl Scalar for Ipv4Addr {
    const WHAT: &'static str = "an IPv4 address";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match IpAddr::parse(text) {
            Ok(IpAddr::V4(address)) => Ok(address),
            Ok(IpAddr::V6(_)) => Err(not::<Self>(text)),
            Err(wrong) => Err(wrong),
        }
    }
}

impl Scalar for Prefix {
    const WHAT: &'static str = "a subnet, such as 192.168.15.0/24";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        match net {
            Ok(net) if net == net.trunc() => Ok(Self(net)),
            Ok(net) => Err(Wrong::new(format!("{net} is an address in a subnet, not a subnet")).help(format!(
                "write {} for the subnet, or {} for this address alone",
                net.trunc(),
                net.addr()
            ))),
            Err(_) => Err(not::<Self>(text)),
        }
    }
}

impl Scalar for Destination {
    const WHAT: &'static str = "a subnet, such as 192.168.15.0/24, or `default`";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match text {
            "default" => Ok(Self::Default),
            _ => match Prefix::parse(text) {
                Ok(Prefix(net)) => Ok(Self::Subnet(net)),
                Err(wrong) if wrong.help.is_some() => Err(wrong),
                Err(_) => Err(not::<Self>(text)),
            },
        }
    }
}

impl Ports {
    /// The same in the lab's words.
    pub fn range(self) -> PortRange {
        PortRange { first: self.first, last: self.last }
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        u32::from(self.last) - u32::from(self.first) + 1
    }
}

impl Scalar for Ports {
    const WHAT: &'static str = "a port from 1 to 65535, or a range such as 8000-8010";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let port = |text: &str| u32::parse(text).ok().and_then(|number| u16::try_from(number).ok());
        let (first, last) = range::<Self>(text, |text| port(text).filter(|port| *port > 0))?;
        Ok(Self { first, last })
    }

    fn schema() -> Schema {
        range_schema::<Self>(u16::MAX)
    }
}

/// A single port.
impl Scalar for u16 {
    const WHAT: &'static str = "a port from 1 to 65535";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match Ports::parse(text) {
            Ok(Ports { first, last }) if first == last => Ok(first),
            _ => Err(not::<Self>(text)),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 65535 })
    }
}

impl Scalar for PublishTo {
    const WHAT: &'static str = "an address and a port, such as 192.168.15.2:80 or [fd00::2]:80";

    fn parse(text: &str) -> Result<Self, Wrong> {
        if let Ok(address) = text.parse() {
            return Ok(Self { address, ports: None });
        }
        let (address, ports) = text.rsplit_once(':').ok_or_else(|| not::<Self>(text))?;
        let bracketed = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = match bracketed {
            Some(ipv6) => ipv6.parse().map(IpAddr::V6),
            None => address.parse().map(IpAddr::V4),
        };
        Ok(Self { address: address.map_err(|_| not::<Self>(text))?, ports: Some(Ports::parse(ports)?) })
    }
}

impl Scalar for TableId {
    const WHAT: &'static str = "a routing table: a number from 1 to 4294967295, or main, local or default";

    fn parse(text: &str) -> Result<Self, Wrong> {
        // The numbers are RT_TABLE_MAIN, RT_TABLE_LOCAL and RT_TABLE_DEFAULT of linux/rtnetlink.h.
        match text {
            "main" => Ok(Self(254)),
            "local" => Ok(Self(255)),
            "default" => Ok(Self(253)),
            _ => match u32::parse(text) {
                Ok(number) if number > 0 => Ok(Self(number)),
                _ => Err(not::<Self>(text)),
            },
        }
    }

    fn schema() -> Schema {
        json_schema!({
            "description": Self::WHAT,
            "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string", "enum": ["main", "local", "default"] }],
        })
    }
}

impl Scalar for Mark {
    const WHAT: &'static str = "a firewall mark, such as 1, 0x10 or 0x10/0xff";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+')),
            None => u32::parse(text).ok(),
        };
        let (mark, mask) = match text.split_once('/') {
            Some((mark, mask)) => (number(mark), number(mask)),
            None => (number(text), Some(u32::MAX)),
        };
        match (mark, mask) {
            (Some(mark), Some(mask)) => Ok(Self(mark, mask)),
            _ => Err(not::<Self>(text)),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "description": Self::WHAT, "type": ["integer", "string"] })
    }
}
