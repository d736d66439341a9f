//! Forgetting what a namespace has learned about its neighbours (ARP, neighbour discovery).
//!
//! The kernel keeps one table of neighbours for all namespaces together, 1,024 entries by default
//! (`net.ipv4.neigh.default.gc_thresh3`, arp(7)), and drops packets, silently, once it is full. An entry is safe from
//! the kernel's own collector for five seconds. Whoever sends between thousands of pairs at once has to make room
//! himself.

use std::cell::RefCell;
use std::collections::HashSet;
use std::os::fd::BorrowedFd;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourHeader, NeighbourMessage, NeighbourState};

use super::netlink::{NetlinkError, Socket};
use super::netns::NetnsHandle;
use super::{KernelError, netns};
use crate::lab::IfName;

/// The neighbours of one namespace.
#[derive(Debug)]
pub struct Neighbours {
    socket: RefCell<Socket>,
}

impl Neighbours {
    /// Opens the way to a namespace's neighbours.
    ///
    /// # Errors
    /// The namespace cannot be entered, or there are no more descriptors.
    pub fn open(ns: BorrowedFd<'_>) -> Result<Self, KernelError> {
        let socket = netns::run_in(ns, Socket::open)?;
        let socket = socket.map_err(|error| KernelError::new(LOOK).with_io(&error))?;
        Ok(Self { socket: RefCell::new(socket) })
    }

    /// Forgets every neighbour that was learned. Entries made by hand (permanent, NOARP, extern_learn) stay, and so
    /// do neighbours that are still being asked for, if `spare_asked`: the packets that wait for their answer would be
    /// lost with them. How many of these there are.
    ///
    /// # Errors
    /// The kernel does not list them, or keeps them. An entry that vanishes meanwhile is none.
    pub fn forget(&self, spare_asked: bool) -> Result<usize, KernelError> {
        forget(&mut self.socket.borrow_mut(), spare_asked, |_| true).map_err(|error| error.about(LOOK))
    }
}

/// How often one of the machine's tables of neighbours has been full so far, so that packets were dropped
/// (`table_fulls`, which counts per processor); none where it is not shown: in a container, say.
pub fn overflows() -> Option<u64> {
    // Only the first namespace has the files, which is usually that of the first process.
    let read = |table: &str| {
        let files = [format!("/proc/net/stat/{table}"), format!("/proc/1/net/stat/{table}")];
        files.iter().find_map(|file| table_fulls(&std::fs::read_to_string(file).ok()?))
    };
    read("arp_cache").map(|ipv4| ipv4 + read("ndisc_cache").unwrap_or_default())
}

/// The sum of a column of hexadecimal numbers (neigh_stat_seq_show of the kernel).
fn table_fulls(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let column = lines.next()?.split_whitespace().position(|name| name == "table_fulls")?;
    let count = |line: &str| u64::from_str_radix(line.split_whitespace().nth(column)?, 16).ok();
    lines.map(count).sum()
}

/// Forgets every neighbour that was learned through one of these interfaces.
pub(super) fn forget_through(netns: &mut NetnsHandle, interfaces: &[&IfName]) -> Result<(), KernelError> {
    let indexes: HashSet<u32> = interfaces.iter().filter_map(|name| netns.index(name).ok()).collect();
    let forgotten = forget(&mut netns.socket, true, |index| indexes.contains(&index));
    forgotten.map(drop).map_err(|error| error.about(LOOK))
}

const LOOK: &str = "look at the neighbour table";

fn forget(socket: &mut Socket, spare_asked: bool, through: impl Fn(u32) -> bool) -> Result<usize, NetlinkError> {
    let dump = socket.dump(&RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()))?;
    let mut spared = 0;
    for item in dump.items() {
        let header = NeighbourHeader::parse(item)?;
        if !is_learned(&header) || !through(header.ifindex) {
            continue;
        }
        if spare_asked && header.state == NeighbourState::Incomplete {
            spared += 1;
            continue;
        }
        match socket.change_listed(libc::RTM_DELNEIGH, item, 0) {
            Err(error) if !error.is_gone() => return Err(error),
            _ => {}
        }
    }
    Ok(spared)
}

/// Whether the kernel found the neighbour by itself.
fn is_learned(header: &NeighbourHeader) -> bool {
    let put_there = matches!(header.state, NeighbourState::Permanent | NeighbourState::Noarp)
        || header.flags.contains(NeighbourFlags::ExtLearned);
    !put_there
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
}
