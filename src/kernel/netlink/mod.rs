//! Netlink with any part of the kernel: one request at a time over a socket of its own.
//!
//! Three things are done here that the common crates leave out and a reconciler cannot do without: a refused dump
//! is an error rather than an empty answer, an interrupted dump is repeated, and the kernel's own words about a
//! error (extended acknowledgement) are kept. Nothing here knows what a lab is.

mod ack;
mod attributes;
mod generic;
pub mod numbers;
mod socket;

pub use ack::NetlinkError;
#[cfg(any(test, fuzzing))]
pub use ack::{Answer, Says, answers};
pub use attributes::{append, attributes, name_text, printable, with_attributes};
pub use generic::{GENERIC_HEADER, GenericSocket};
pub use socket::{Dump, Message, Protocol, Socket};
