//! Addresses of interfaces as a file has them.

use std::net::IpAddr;

use ipnet::IpNet;

use super::scalar::{Scalar, Wrong, not};
use crate::lab::Address;

impl Scalar for Address {
    const WHAT: &'static str = "an address with its prefix length, such as 192.168.15.1/24";

    fn parse(text: &str) -> Result<Self, Wrong> {
        match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
            (Ok(net), _) => Ok(Self::from(net)),
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
