//! Numbers of VLANs as a file has them.

use super::scalar::{Scalar, Wrong, not, range, range_schema};
use schemars::{Schema, json_schema};

/// A VLAN or a range of VLANs, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanIds {
    pub first: u16,
    pub last: u16,
}

impl Scalar for VlanIds {
    const WHAT: &'static str = "the number of a VLAN, from 1 to 4094, or a range such as 40-50";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let (first, last) = range::<Self>(text, |text| VlanId::parse(text).ok().map(|id| id.0))?;
        Ok(Self { first, last })
    }

    fn schema() -> Schema {
        range_schema::<Self>(4094)
    }
}

/// The number of a VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VlanId(pub u16);

impl Scalar for VlanId {
    const WHAT: &'static str = "the number of a VLAN: from 1 to 4094";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let id = u32::parse(text).ok().filter(|id| (1..=4094).contains(id));
        id.and_then(|id| u16::try_from(id).ok()).map(Self).ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 4094 })
    }
}
