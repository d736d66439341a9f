//! Protocols with ports.

use schemars::Schema;

use super::scalar::{Scalar, Wrong, word, words};
use crate::lab::IpProtocol;

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    Tcp,
    Udp,
}

const TRANSPORTS: [(&str, Transport); 2] = [("tcp", Transport::Tcp), ("udp", Transport::Udp)];

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
