//! Firewalls out of arbitrary bytes and text, for [`crate::fuzzing`].

use super::{nftables, restore};
use crate::steps::Step;

/// Reads bytes as what nf_tables lists.
pub(crate) fn tables_and_chains(bytes: &[u8], sequence: u32) {
    nftables::read_any(bytes, sequence);
}

/// The input of `iptables-restore` for some steps.
pub(crate) fn restored_rules(steps: &[Step]) -> String {
    restore::script(steps).text
}
