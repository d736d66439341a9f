//! Bridges as a file has them.

use schemars::{JsonSchema, Schema, json_schema};

use super::bridge_port::BridgePorts;
use super::read::{Fields, Read, Spanned};
use super::scalar::{Scalar, Wrong, not, seconds, time_schema};
use super::vlans::{VlanId, VlanIds};
use crate::lab::{Address, Mac};
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// A bridge and its ports.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Bridge {
    /// The interfaces that are attached: those of links, and virtual interfaces, of the same namespace.
    #[schemars(default)]
    pub ports: BridgePorts,
    /// The namespace's own addresses on the bridge, with their prefix lengths.
    #[schemars(default)]
    pub addresses: Vec<Spanned<Address>>,
    /// Its MAC address; by default, one that stays if it has addresses, else the kernel's choice.
    pub mac: Option<Spanned<Mac>>,
    /// Its MTU in bytes; the smallest of its ports' by default.
    pub mtu: Option<Spanned<u32>>,
    /// Whether it is up; true by default.
    pub up: Option<Spanned<bool>>,
    /// Whether it speaks the spanning tree protocol; false by default.
    pub stp: Option<Spanned<bool>>,
    /// Whether it keeps VLANs apart; true where VLANs are written, else false.
    pub vlan_filtering: Option<Spanned<bool>>,
    /// How long a port listens, and then learns, before it forwards: from 2s to 30s; 15s by default.
    pub forward_delay: Option<Spanned<ForwardDelay>>,
    /// How long it knows behind which port a MAC address is; 300s by default.
    pub ageing_time: Option<Spanned<AgeingTime>>,
    /// Whether it looks at IGMP and MLD to learn which ports want which multicast groups; true by default.
    pub mcast_snooping: Option<Spanned<bool>>,
    /// Which link-local groups 01:80:c2:00:00:0X it forwards, a bit each; 0 by default.
    pub group_fwd_mask: Option<Spanned<GroupMask>>,
    /// Whether IPv4 packets that it forwards pass iptables; false by default: the machine's setting decides.
    pub nf_call_iptables: Option<Spanned<bool>>,
    /// The VLAN of the namespace's own packets.
    pub vlan: Option<Spanned<VlanId>>,
    /// The VLANs that the namespace itself gets with their tags.
    #[schemars(with = "Vec<Spanned<VlanIds>>", default)]
    pub vlans: Option<Vec<Spanned<VlanIds>>>,
}

/// The delay of a port in hundredths of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForwardDelay(pub u32);

/// The age of an entry in hundredths of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeingTime(pub u32);

/// A bit for each of the groups 01:80:c2:00:00:00 to 01:80:c2:00:00:0f.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupMask(pub u16);

/// The groups that a bridge keeps to itself: those of STP, of pause frames, and of LACP (BR_GROUPFWD_RESTRICTED in the
/// kernel's br_private.h).
const RESTRICTED_GROUPS: u16 = 0x7;

/// Tenths of a second, in hundredths: what the kernel keeps exactly, whatever its clock (CONFIG_HZ).
fn hundredths(text: &str) -> Option<u32> {
    let tenths = seconds(text)? * 10.0;
    let fits = tenths.fract() == 0.0 && (0.0..=f64::from(u32::MAX / 1000)).contains(&tenths);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number that fits")]
    fits.then(|| tenths as u32 * 10)
}

impl Scalar for ForwardDelay {
    const WHAT: &'static str = "a time from 2s to 30s, in tenths of a second at most";

    fn parse(text: &str) -> Result<Self, Wrong> {
        // The kernel's limits where STP is on (BR_MIN_FORWARD_DELAY and BR_MAX_FORWARD_DELAY in br_private.h).
        let delay = hundredths(text).filter(|delay| (200..=3000).contains(delay));
        delay.map(Self).ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> Schema {
        time_schema::<Self>()
    }
}

impl Scalar for AgeingTime {
    const WHAT: &'static str = "a time from 0 to 429496s, in tenths of a second at most, such as 300s";

    fn parse(text: &str) -> Result<Self, Wrong> {
        hundredths(text).map(Self).ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> Schema {
        time_schema::<Self>()
    }
}

impl Scalar for GroupMask {
    const WHAT: &'static str = "a mask of 16 bits without the lowest three, such as 0x4000 (LLDP)";

    fn parse(text: &str) -> Result<Self, Wrong> {
        let mask = match text.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16).ok(),
            None => u32::parse(text).ok().and_then(|mask| u16::try_from(mask).ok()),
        };
        mask.filter(|mask| mask & RESTRICTED_GROUPS == 0).map(Self).ok_or_else(|| not::<Self>(text))
    }

    fn schema() -> Schema {
        json_schema!({
            "description": Self::WHAT,
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": u16::MAX },
                { "type": "string", "pattern": "^0x[0-9a-fA-F]{1,4}$" },
            ],
        })
    }
}

impl Read for Bridge {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let mut fields = Fields::begin(node, "a bridge", found)?;
        let bridge = Self {
            ports: fields.or_empty("ports"),
            addresses: fields.or_empty("addresses"),
            mac: fields.optional("mac"),
            mtu: fields.optional("mtu"),
            up: fields.optional("up"),
            stp: fields.optional("stp"),
            vlan_filtering: fields.optional("vlan_filtering"),
            forward_delay: fields.optional("forward_delay"),
            ageing_time: fields.optional("ageing_time"),
            mcast_snooping: fields.optional("mcast_snooping"),
            group_fwd_mask: fields.optional("group_fwd_mask"),
            nf_call_iptables: fields.optional("nf_call_iptables"),
            vlan: fields.optional("vlan"),
            vlans: fields.optional("vlans"),
        };
        fields.end();
        Some(bridge)
    }
}
