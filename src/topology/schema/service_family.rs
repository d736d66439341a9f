//! The address families of services, in Kubernetes' words.

use schemars::Schema;

use super::scalar::{Scalar, Wrong, word_of_kubernetes, words};
use crate::lab::Family;

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpFamily(pub Family);

/// Of how many families a service has addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpFamilyPolicy {
    Single,
    PreferDual,
    RequireDual,
}

const FAMILIES: [(&str, IpFamily); 2] = [("IPv4", IpFamily(Family::Ipv4)), ("IPv6", IpFamily(Family::Ipv6))];
const POLICIES: [(&str, IpFamilyPolicy); 3] = [
    ("SingleStack", IpFamilyPolicy::Single),
    ("PreferDualStack", IpFamilyPolicy::PreferDual),
    ("RequireDualStack", IpFamilyPolicy::RequireDual),
];

impl Scalar for IpFamily {
    const WHAT: &'static str = "an address family: IPv4 or IPv6";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &FAMILIES)
    }

    fn schema() -> Schema {
        words(&FAMILIES)
    }
}

impl Scalar for IpFamilyPolicy {
    const WHAT: &'static str = "how many families: SingleStack, PreferDualStack or RequireDualStack";

    fn parse(text: &str) -> Result<Self, Wrong> {
        word_of_kubernetes(text, &POLICIES)
    }

    fn schema() -> Schema {
        words(&POLICIES)
    }
}
