//! Capabilities, as a bit each: which of those are missing that labs and their checks take.

/// The capabilities that every lab takes, by their bit (linux/capability.h).
const NEEDED: [(u32, &str); 2] = [(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];

/// Those that checks take besides: to listen at ports below 1024, and to see packets arrive.
const NEEDED_BY_CHECKS: [(u32, &str); 2] = [(10, "CAP_NET_BIND_SERVICE"), (13, "CAP_NET_RAW")];

/// Whether the needed capabilities are among these.
pub(super) fn has_privileges(capabilities: u64) -> bool {
    missing(capabilities).is_empty()
}

/// The needed capabilities that are not among these.
pub(super) fn missing(capabilities: u64) -> Vec<&'static str> {
    not_among(capabilities, &NEEDED)
}

/// Those that checks need and that are not among these.
pub(super) fn missing_for_checks(capabilities: u64) -> Vec<&'static str> {
    not_among(capabilities, &NEEDED_BY_CHECKS)
}

fn not_among(capabilities: u64, needed: &[(u32, &'static str)]) -> Vec<&'static str> {
    needed.iter().filter(|(bit, _)| capabilities & (1 << bit) == 0).map(|(_, name)| *name).collect()
}
