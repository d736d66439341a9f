//! Forgetting what a namespace has learned about its neighbours (ARP, neighbour discovery).
//!
//! The kernel keeps one table of neighbours for all namespaces together, 1,024 entries by default
//! (`net.ipv4.neigh.default.gc_thresh3`, arp(7)), and drops packets, silently, once it is full. An entry is safe from the
//! kernel's own collector for five seconds. Whoever sends between thousands of pairs at once has to make room himself.

use std::os::fd::BorrowedFd;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourFlags, NeighbourMessage, NeighbourState};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;

use super::{KernelError, netns};

/// The sequence numbers that tell the answers to our requests apart.
const LIST: u32 = 1;
const DELETION: u32 = 2;

/// The neighbours of one namespace.
#[derive(Debug)]
pub struct Neighbours {
    socket: Socket,
}

impl Neighbours {
    /// Opens the way to a namespace's neighbours.
    ///
    /// # Errors
    /// The namespace cannot be entered, or there are no more descriptors.
    pub fn open(ns: BorrowedFd<'_>) -> Result<Self, KernelError> {
        let socket = netns::run_in(ns, || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            Ok(socket)
        })?;
        socket.map(|socket| Self { socket }).map_err(|e| refused(&e))
    }

    /// Forgets every neighbour that was learned. What somebody put there (permanent, NOARP, extern_learn) stays.
    ///
    /// # Errors
    /// The kernel does not list them. An entry that vanishes meanwhile is none.
    pub fn forget(&self) -> Result<(), KernelError> {
        for neighbour in self.learned()? {
            self.send(RouteNetlinkMessage::DelNeighbour(neighbour), NLM_F_REQUEST, DELETION)?;
        }
        Ok(())
    }

    fn learned(&self) -> Result<Vec<NeighbourMessage>, KernelError> {
        self.send(RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()), NLM_F_REQUEST | NLM_F_DUMP, LIST)?;
        let mut learned = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full().map_err(|e| refused(&e))?;
            let mut rest = datagram.as_slice();
            while !rest.is_empty() {
                let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|e| KernelError::new("cannot read the list of neighbours").said(e.to_string()))?;
                rest = rest.get(padded(message.header.length)..).unwrap_or_default();
                match message.payload {
                    NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewNeighbour(neighbour)) => {
                        learned.extend(Some(neighbour).filter(is_learned));
                    }
                    NetlinkPayload::Done(_) => return Ok(learned),
                    NetlinkPayload::Error(error) if message.header.sequence_number == LIST => {
                        return Err(refused(&error.to_io()));
                    }
                    // Or else the answer to an earlier deletion: the entry was gone already.
                    _ => {}
                }
            }
        }
    }

    fn send(&self, message: RouteNetlinkMessage, flags: u16, number: u32) -> Result<(), KernelError> {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = flags;
        message.header.sequence_number = number;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), 0).map(drop).map_err(|e| refused(&e))
    }
}

/// Whether the kernel found the neighbour by itself.
fn is_learned(neighbour: &NeighbourMessage) -> bool {
    let put_there = matches!(neighbour.header.state, NeighbourState::Permanent | NeighbourState::Noarp)
        || neighbour.header.flags.contains(NeighbourFlags::ExtLearned);
    !put_there
}

/// The length of a netlink message with its padding to four bytes.
fn padded(length: u32) -> usize {
    (length as usize).next_multiple_of(4)
}

fn refused(error: &std::io::Error) -> KernelError {
    KernelError::new("cannot look at the neighbour table")
        .with_errno(Errno::from_raw(error.raw_os_error().unwrap_or_default()))
}
