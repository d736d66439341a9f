//! MAC addresses.

use super::{InterfaceRef, fnv1a};
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// In a forwarding database: every address of which nothing else is known.
    pub const ANY: Self = Self([0; 6]);

    /// A locally administered address that belongs to an interface of this name and place, the same every time.
    pub(crate) fn made_for(interface: &InterfaceRef) -> Self {
        let [a, b, c, d] = fnv1a(&interface.to_string()).to_be_bytes();
        Self([0x02, 0x6e, a, b, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a MAC address is six pairs of hexadecimal digits with colons, such as 02:00:00:00:00:01";
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit())).ok_or(FORM)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| FORM)?;
        }
        if parts.next().is_some() {
            return Err(FORM);
        }
        if bytes == [0; 6] {
            return Err("the kernel refuses a MAC address of zeros");
        }
        if bytes[0] & 1 == 1 {
            return Err("this is a multicast address (the first byte is odd): no interface can have it");
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
