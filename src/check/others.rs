//! What arrives at one of several machines that it has not sent: written down, whoever has sent it. The sides of the
//! other machines say which of it they know, by marks: what packets hold. A machine has other things to do than to be
//! checked, and those are nobody's business: tokens begin with a tag that all machines of a lab have in common, and of
//! TCP, whose first packets have no room for it, only what comes to the ports of checks is looked at.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::IpAddr;

use super::side::Arrived;
use crate::lab::NsName;

/// How many packets of others are written down at most.
const MOST: usize = 200_000;

/// The length of a token, in bytes.
pub(super) const TOKEN_LENGTH: usize = 16;

/// Where something arrived, from where, and to which address, where the kernel says so.
type At<'a> = (&'a NsName, IpAddr, Option<IpAddr>);

/// What arrives that is of no try of this run.
#[derive(Debug)]
pub(super) struct Others {
    /// What the tokens of all machines begin with.
    pub(super) tag: u32,
    /// The ports of TCP to which checks go.
    ports: BTreeSet<u16>,
    arrived: RefCell<Vec<Arrived>>,
    is_full: Cell<bool>,
}

impl Others {
    /// Nothing yet.
    pub(super) fn new(tag: u32, ports: BTreeSet<u16>) -> Self {
        Self { tag, ports, arrived: RefCell::default(), is_full: Cell::new(false) }
    }

    /// Writes down a packet that held 16 bytes, if they are a token of the lab's.
    pub(super) fn saw(&self, bytes: [u8; TOKEN_LENGTH], at: At<'_>) {
        if self.is_tagged(bytes) {
            self.note(mark_of_token(bytes), at);
        }
    }

    /// Whether 16 bytes are a token of the lab's.
    pub(super) fn is_tagged(&self, bytes: [u8; TOKEN_LENGTH]) -> bool {
        bytes.starts_with(&self.tag.to_be_bytes())
    }

    /// Writes down the opening of a TCP connection to a port, if checks go there.
    pub(super) fn saw_opening(&self, port: u16, sequence: u32, at: At<'_>) {
        if self.ports.contains(&port) {
            self.note(mark_of_sequence(sequence), at);
        }
    }

    /// Whether more has arrived than is written down.
    pub(super) fn is_full(&self) -> bool {
        self.is_full.get()
    }

    fn note(&self, mark: String, (at, source, destination): At<'_>) {
        let mut arrived = self.arrived.borrow_mut();
        match arrived.len() < MOST {
            true => arrived.push(Arrived { mark, at: at.to_string(), source, destination }),
            false => self.is_full.set(true),
        }
    }

    /// All of it.
    pub(super) fn all(&self) -> Vec<Arrived> {
        self.arrived.borrow().clone()
    }
}

/// The mark of a packet that holds a token.
pub(super) fn mark_of_token(bytes: [u8; TOKEN_LENGTH]) -> String {
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// The mark of the opening of a TCP connection.
pub(super) fn mark_of_sequence(sequence: u32) -> String {
    format!("tcp {sequence:08x}")
}
