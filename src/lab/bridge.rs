//! Options of a bridge.

use serde::Serialize;

/// The options of a bridge that the language knows (`ip link … type bridge`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct BridgeOptions {
    /// Spanning tree protocol (`stp_state`); off in Linux unless asked for.
    pub stp: bool,
    /// Whether the bridge keeps VLANs apart (`vlan_filtering`).
    pub vlan_filtering: bool,
}
