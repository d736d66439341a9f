//! What is lost of packets without a word, for want of room: counters of the machine, over all namespaces, and those of
//! sockets.

use std::fs::read_to_string;
use std::os::fd::{AsRawFd, OwnedFd};

/// How many packets were lost so far, by where there was no room for them. What the kernel does not show counts as
/// nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Losses {
    /// For want of an entry in one of the tables of neighbours (`table_fulls`).
    pub neighbours: u64,
    /// For want of a place in a processor's queue of received packets (`net.core.netdev_max_backlog`): a broadcast on a
    /// bridge takes one for each port.
    pub queue: u64,
    /// Thrown away by sockets that were to see them arrive, nearly always for want of room in their buffers.
    pub sockets: u64,
}

/// How many numbers the kernel knows of a socket's memory (`SK_MEMINFO_VARS`), and which of them counts what it has
/// lost (`SK_MEMINFO_DROPS`).
const NUMBERS: usize = 9;
const DROPS: usize = 8;

/// How many packets a socket has thrown away unread since it was opened (`SO_MEMINFO`): nearly always for want of room
/// in its buffer; one of UDP and a raw one of ICMPv6 also those with a wrong checksum. What the filter of a raw socket
/// rejects does not count. A kernel before 4.12 does not say, which counts as none.
pub fn of_socket(socket: &OwnedFd) -> u64 {
    let mut numbers = [0_u32; NUMBERS];
    let mut length = size_of_val(&numbers) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `numbers`, which is as long.
    let result = unsafe {
        let place = numbers.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, place, &raw mut length)
    };
    if result == 0 { u64::from(numbers[DROPS]) } else { 0 }
}

impl Losses {
    /// Those of the machine up to now, without those of sockets.
    pub fn now() -> Self {
        // Only the first namespace shows its tables of neighbours, which is usually that of the first process.
        let table = |name: &str| {
            let files = [format!("/proc/net/stat/{name}"), format!("/proc/1/net/stat/{name}")];
            files.iter().find_map(|file| table_fulls(&read_to_string(file).ok()?))
        };
        let tables = ["arp_cache", "ndisc_cache"].iter().filter_map(|name| table(name));
        let queue = read_to_string("/proc/net/softnet_stat").ok().and_then(|text| dropped(&text));
        Self { neighbours: tables.sum(), queue: queue.unwrap_or_default(), sockets: 0 }
    }

    /// Those since then.
    pub fn since(self, before: Self) -> Self {
        Self {
            neighbours: self.neighbours.saturating_sub(before.neighbours),
            queue: self.queue.saturating_sub(before.queue),
            sockets: self.sockets.saturating_sub(before.sockets),
        }
    }
}

/// How often a table of neighbours has been full (neigh_stat_seq_show of the kernel).
fn table_fulls(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let column = lines.next()?.split_whitespace().position(|name| name == "table_fulls")?;
    sum(lines, column)
}

/// How many packets had no place in a processor's queue (softnet_seq_show of the kernel).
fn dropped(text: &str) -> Option<u64> {
    sum(text.lines(), 1)
}

/// The sum of a column of hexadecimal numbers, of which each processor has a line.
fn sum<'t>(mut lines: impl Iterator<Item = &'t str>, column: usize) -> Option<u64> {
    lines.try_fold(0, |sum: u64, line| {
        let count = u64::from_str_radix(line.split_whitespace().nth(column)?, 16).ok()?;
        Some(sum.wrapping_add(count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_tables_are_counted_on_all_processors() {
        let shown = "entries  allocs   forced_gc_runs unresolved_discards table_fulls\n\
                     00000018 00079f51 0001f2cd       00000000            0001f259\n\
                     00000018 00095c0e 0001b3ab       00000000            00000001\n";
        assert_eq!(table_fulls(shown), Some(0x1f25a));
        let old = "entries  allocs\n00000018 00079f51\n";
        assert_eq!(table_fulls(old), None, "Linux before 4.2 does not count them");
        assert_eq!(table_fulls(""), None);
        assert_eq!(table_fulls("table_fulls\nxyz\n"), None);
    }

    #[test]
    fn dropped_packets_are_counted_on_all_processors() {
        let shown = "064d9791 01d5ef6b 00000d22 00000000\n066f8e31 00000001 00000a85 00000000\n";
        assert_eq!(dropped(shown), Some(0x01d5_ef6c));
        assert_eq!(dropped("064d9791\n"), None);
    }
}
