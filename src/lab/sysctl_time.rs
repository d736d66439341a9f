//! Sysctls that are times, which the kernel keeps in ticks of its clock (jiffies) and prints rounded to them.

use super::SysctlKey;

/// How many ticks a kernel may have in a second (CONFIG_HZ).
const TICKS: [u64; 4] = [100, 250, 300, 1000];

/// How many units of `proc_dointvec_userhz_jiffies` a second has (USER_HZ).
const USER_HZ: u64 = 100;

/// How many nanoseconds a second has.
const NANOSECONDS: u64 = 1_000_000_000;

/// The settings of a neighbour table in milliseconds, and in hundredths of a second.
const NEIGH_MILLISECONDS: [&str; 3] = ["base_reachable_time_ms", "interval_probe_time_ms", "retrans_time_ms"];
const NEIGH_HUNDREDTHS: [&str; 4] = ["anycast_delay", "locktime", "proxy_delay", "retrans_time"];

/// In what a setting is written and printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Milliseconds,
    Hundredths,
}

/// The unit of a setting that the kernel keeps in ticks; none of any other setting.
pub(super) fn unit(key: &SysctlKey) -> Option<Unit> {
    let key = key.as_str();
    let (before, setting) = key.rsplit_once('.')?;
    let is_of_neighbours = before.contains(".neigh.");
    let is_in_milliseconds =
        matches!(key, "net.ipv4.icmp_ratelimit" | "net.ipv6.icmp.ratelimit" | "net.ipv6.route.gc_min_interval_ms")
            || (before.starts_with("net.ipv6.conf.")
                && matches!(setting, "mldv1_unsolicited_report_interval" | "mldv2_unsolicited_report_interval"));
    if is_in_milliseconds || (is_of_neighbours && NEIGH_MILLISECONDS.contains(&setting)) {
        Some(Unit::Milliseconds)
    } else {
        (is_of_neighbours && NEIGH_HUNDREDTHS.contains(&setting)).then_some(Unit::Hundredths)
    }
}

impl Unit {
    /// Whether a kernel prints `is` for what was asked for: exactly what one of the clocks makes of it.
    pub(super) fn is_rounded(self, asked: u64, is: u64) -> bool {
        TICKS.iter().any(|ticks| self.printed(asked, *ticks) == Some(is))
    }

    fn printed(self, asked: u64, ticks: u64) -> Option<u64> {
        match self {
            // msecs_to_jiffies and jiffies_to_msecs round up.
            Self::Milliseconds => {
                let jiffies = asked.checked_mul(ticks)?.div_ceil(1000);
                Some(jiffies.checked_mul(1000)?.div_ceil(ticks))
            }
            // clock_t_to_jiffies and jiffies_to_clock_t round down.
            Self::Hundredths => {
                let jiffies = asked.checked_mul(ticks)? / USER_HZ;
                let tick = (NANOSECONDS + ticks / 2) / ticks;
                Some(jiffies.checked_mul(tick)? / (NANOSECONDS / USER_HZ))
            }
        }
    }
}
