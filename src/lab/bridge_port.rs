//! Options of a port of a bridge.

use serde::Serialize;

/// The options of a bridge's port that the language knows (`ip link … type bridge_slave`, see `ip-link(8)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PortOptions {
    /// Whether a frame may leave through the port that it came in through (`hairpin`).
    pub hairpin: bool,
    /// Whether it gets nothing from other isolated ports, and they nothing from it (`isolated`).
    pub isolated: bool,
    /// Whether the bridge learns which MAC addresses are behind it (`learning`).
    pub learning: bool,
    /// Whether frames for MAC addresses that the bridge does not know leave through it (`flood`).
    pub flood: bool,
}

/// What the kernel makes a port with (new_nbp in its br_if.c).
impl Default for PortOptions {
    fn default() -> Self {
        Self { hairpin: false, isolated: false, learning: true, flood: true }
    }
}

impl PortOptions {
    /// Whether they are those of a new port.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
