//! The limits of the kernel's tables of neighbours (`gc_thresh3`, arp(7)), which only the machine's first network
//! namespace shows.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::sync::OnceLock;

use crate::lab::Family;

/// What was shown before this process went into a sandbox.
static SHOWN_OUTSIDE: OnceLock<BTreeMap<Family, u64>> = OnceLock::new();

/// Keeps what is shown now: in a sandbox, nothing is.
pub(in crate::kernel) fn keep() {
    SHOWN_OUTSIDE.get_or_init(shown);
}

/// The limits by family, as far as this process has seen them.
pub(super) fn known() -> BTreeMap<Family, u64> {
    SHOWN_OUTSIDE.get().cloned().unwrap_or_else(shown)
}

fn shown() -> BTreeMap<Family, u64> {
    let limit = |(family, folder): (Family, &str)| {
        let text = read_to_string(format!("/proc/sys/net/{folder}/neigh/default/gc_thresh3")).ok()?;
        Some((family, text.trim().parse().ok()?))
    };
    [(Family::Ipv4, "ipv4"), (Family::Ipv6, "ipv6")].into_iter().filter_map(limit).collect()
}
