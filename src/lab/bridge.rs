//! Options of a bridge.

use serde::Serialize;

/// The options of a bridge that the language knows (`ip link … type bridge`, see `ip-link(8)`). JSON has those of the
/// last five that are not the kernel's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BridgeOptions {
    /// Spanning tree protocol (`stp_state`); off in Linux unless asked for.
    pub stp: bool,
    /// Whether the bridge keeps VLANs apart (`vlan_filtering`).
    pub vlan_filtering: bool,
    /// How long a port listens, and then learns, before it forwards (`forward_delay`), in hundredths of a second. Live
    /// `None`: the kernel shows that of the root of the bridge's spanning tree, which is another bridge.
    #[serde(skip_serializing_if = "is_default_delay")]
    pub forward_delay: Option<u32>,
    /// How long the bridge knows behind which port a MAC address is (`ageing_time`), in hundredths of a second. Live
    /// `None`: its spanning tree changes, and the kernel shows a shorter time meanwhile.
    #[serde(skip_serializing_if = "is_default_age")]
    pub ageing_time: Option<u32>,
    /// Whether it looks at IGMP and MLD to learn which ports want which multicast groups (`mcast_snooping`).
    #[serde(skip_serializing_if = "Clone::clone")]
    pub mcast_snooping: bool,
    /// Which link-local groups 01:80:c2:00:00:0X it forwards, a bit each (`group_fwd_mask`).
    #[serde(skip_serializing_if = "is_no_group")]
    pub group_fwd_mask: u16,
    /// Whether IPv4 packets that it forwards pass iptables (`nf_call_iptables`), whatever
    /// `net.bridge.bridge-nf-call-iptables` says.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nf_call_iptables: bool,
}

/// What the kernel makes a bridge with (br_dev_setup in its br_device.c).
impl Default for BridgeOptions {
    fn default() -> Self {
        Self {
            stp: false,
            vlan_filtering: false,
            forward_delay: Some(1500),
            ageing_time: Some(30000),
            mcast_snooping: true,
            group_fwd_mask: 0,
            nf_call_iptables: false,
        }
    }
}

impl BridgeOptions {
    /// These, with those of another where the kernel does not show them.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            forward_delay: self.forward_delay.or(other.forward_delay),
            ageing_time: self.ageing_time.or(other.ageing_time),
            ..self
        }
    }
}

fn is_default_delay(value: &Option<u32>) -> bool {
    *value == BridgeOptions::default().forward_delay
}

fn is_default_age(value: &Option<u32>) -> bool {
    *value == BridgeOptions::default().ageing_time
}

fn is_no_group(value: &u16) -> bool {
    *value == 0
}
