//! Single values of a DNS query, as checks write them.

use schemars::Schema;

use super::scalar::{Scalar, Wrong, word_of_kubernetes, words};
use crate::lab::DnsType;

const TYPES: [(&str, DnsType); 8] = [
    ("A", DnsType::A),
    ("AAAA", DnsType::Aaaa),
    ("CNAME", DnsType::Cname),
    ("MX", DnsType::Mx),
    ("NS", DnsType::Ns),
    ("PTR", DnsType::Ptr),
    ("SRV", DnsType::Srv),
    ("TXT", DnsType::Txt),
];

impl Scalar for DnsType {
    const WHAT: &'static str = "a type of records: A, AAAA, CNAME, MX, NS, PTR, SRV or TXT";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &TYPES)
    }

    fn schema() -> Schema {
        words(&TYPES)
    }
}
