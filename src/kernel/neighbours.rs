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
use super::netns::create::LOOPBACK;
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
    // Of the loopback, the kernel has one that no one has put there, and that takes a place like any other.
    let is_loopbacks = header.ifindex == LOOPBACK && header.state == NeighbourState::Noarp;
    let put_there = matches!(header.state, NeighbourState::Permanent | NeighbourState::Noarp)
        || header.flags.contains(NeighbourFlags::ExtLearned);
    is_loopbacks || !put_there
}
