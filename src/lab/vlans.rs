//! The VLANs that a port of a bridge is in, or the bridge's own interface (IEEE 802.1Q; `bridge vlan`).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

/// All VLANs of one port. Two are the same exactly when they are equal: the ranges are in order, and as few as they can
/// be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlans(Vec<VlanRange>);

/// Some VLANs that a port is in, all in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanRange {
    /// The first of them, from 1.
    pub first: u16,
    /// The last of them, to 4094.
    pub last: u16,
    /// How the port is in them.
    pub tagging: Tagging,
}

/// How a port is in a VLAN (BRIDGE_VLAN_INFO_… in linux/if_bridge.h); with neither, its frames have the VLAN's tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tagging {
    /// Frames that come in without a tag are in this VLAN.
    pub pvid: bool,
    /// Its frames go out without a tag.
    pub untagged: bool,
}

impl Tagging {
    /// What an access port has: no tags in either direction.
    pub const ACCESS: Self = Self { pvid: true, untagged: true };
    /// What a trunk has.
    pub const TAGGED: Self = Self { pvid: false, untagged: false };
}

impl VlanRange {
    /// A single VLAN.
    pub fn one(vlan: u16, tagging: Tagging) -> Self {
        Self { first: vlan, last: vlan, tagging }
    }

    /// The numbers alone: 10, or 40-50.
    pub fn numbers(&self) -> String {
        match self.first == self.last {
            true => self.first.to_string(),
            false => format!("{}-{}", self.first, self.last),
        }
    }
}

/// Where the kernel puts a new port (`vlan_default_pvid`).
impl Default for Vlans {
    fn default() -> Self {
        Self(vec![VlanRange::one(1, Tagging::ACCESS)])
    }
}

impl Vlans {
    /// Puts ranges together. Those that overlap are of one tagging.
    pub fn new(mut ranges: Vec<VlanRange>) -> Self {
        ranges.sort_by_key(|range| range.first);
        let mut all: Vec<VlanRange> = Vec::new();
        for range in ranges {
            match all.last_mut() {
                Some(before) if before.tagging == range.tagging && range.first <= before.last.saturating_add(1) => {
                    before.last = before.last.max(range.last);
                }
                _ => all.push(range),
            }
        }
        Self(all)
    }

    /// The ranges, in order.
    pub fn ranges(&self) -> &[VlanRange] {
        &self.0
    }

    /// Every VLAN for itself.
    pub fn each(&self) -> impl Iterator<Item = (u16, Tagging)> {
        self.0.iter().flat_map(|range| (range.first..=range.last).map(|vlan| (vlan, range.tagging)))
    }

    /// The VLAN of frames that come in without a tag.
    pub fn pvid(&self) -> Option<u16> {
        self.0.iter().find(|range| range.tagging.pvid).map(|range| range.first)
    }

    /// Whether frames of a VLAN go through with its tag.
    pub fn is_tagged(&self, vlan: u16) -> bool {
        self.0.iter().any(|range| !range.tagging.untagged && (range.first..=range.last).contains(&vlan))
    }

    /// Those that the other has not, or in another way.
    pub fn unlike(&self, other: &Self) -> Self {
        self.kept(other, |tagging, there| there != Some(tagging))
    }

    /// Those that the other has in no way.
    pub fn absent_in(&self, other: &Self) -> Self {
        self.kept(other, |_, there| there.is_none())
    }

    fn kept(&self, other: &Self, keeps: impl Fn(Tagging, Option<Tagging>) -> bool) -> Self {
        let there: BTreeMap<u16, Tagging> = other.each().collect();
        let kept = self.each().filter(|(vlan, tagging)| keeps(*tagging, there.get(vlan).copied()));
        Self::new(kept.map(|(vlan, tagging)| VlanRange::one(vlan, tagging)).collect())
    }
}

/// As after `vid` in `bridge vlan add`.
impl fmt::Display for VlanRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.numbers())?;
        f.write_str(if self.tagging.pvid { " pvid" } else { "" })?;
        f.write_str(if self.tagging.untagged { " untagged" } else { "" })
    }
}

/// "10 pvid untagged, 20, 40-50".
impl fmt::Display for Vlans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<String> = self.0.iter().map(VlanRange::to_string).collect();
        f.write_str(if ranges.is_empty() { "none" } else { "" })?;
        f.write_str(&ranges.join(", "))
    }
}

impl Serialize for Vlans {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.0.iter().map(VlanRange::to_string))
    }
}
