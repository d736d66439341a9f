//! What arrives at one of several machines that it has not sent: written down, whoever has sent it. The sides of the
//! other machines say which of it they know, by marks: what packets hold.

use std::cell::RefCell;
use std::net::IpAddr;

use super::side::Arrived;
use crate::lab::NsName;

/// How many packets of others are written down at most: a machine may have more to do than to be checked.
const MOST: usize = 200_000;

/// The length of a token, in bytes.
pub(super) const TOKEN_LENGTH: usize = 16;

/// Where something arrived, from where, and to which address, where the kernel says so.
type At<'a> = (&'a NsName, IpAddr, Option<IpAddr>);

/// What arrives that is of no try of this run.
#[derive(Debug, Default)]
pub(super) struct Others {
    arrived: RefCell<Vec<Arrived>>,
}

impl Others {
    /// Writes down a packet that held a token, or 16 bytes that may be one.
    pub(super) fn saw(&self, bytes: [u8; TOKEN_LENGTH], at: At<'_>) {
        self.note(mark_of_token(bytes), at);
    }

    /// Writes down the opening of a TCP connection.
    pub(super) fn saw_opening(&self, sequence: u32, at: At<'_>) {
        self.note(mark_of_sequence(sequence), at);
    }

    fn note(&self, mark: String, (at, source, destination): At<'_>) {
        let mut arrived = self.arrived.borrow_mut();
        if arrived.len() < MOST {
            arrived.push(Arrived { mark, at: at.to_string(), source, destination });
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
