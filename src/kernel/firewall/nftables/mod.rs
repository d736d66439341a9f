//! nf_tables over netlink: which tables there are, those that a lab wants, and leaving none of iptables behind.
//!
//! `iptables-nft` makes the tables and base chains that it needs and never removes them. So that the host can be left
//! as it was, a table is made here first, with a comment that says whose it is, and removed by that comment once
//! nothing is in it. Of the rules of iptables, this room knows nothing; tables that a lab wants are made and read here
//! whole: `change` and `lab_table`, with `rule`, `set` and what these are made of.

mod account;
mod attribute;
mod change;
mod contents;
mod expression;
mod lab_chain;
mod lab_table;
mod listing;
mod message;
mod rule;
mod set;
mod transaction;
mod userdata;
mod value;
mod verdict;

pub(super) use message::Message;
use nix::errno::Errno;

use crate::kernel::KernelError;
use crate::kernel::netlink::{NetlinkError, Protocol, Socket};

/// A conversation with nf_tables in the namespace of the thread that opened it.
pub(super) struct Nftables {
    socket: Socket,
}

impl Nftables {
    /// Opens it in this thread's namespace; none where this kernel has no netfilter over netlink.
    pub(super) fn open() -> Result<Option<Self>, KernelError> {
        match Socket::open_to(Protocol::Netfilter) {
            Ok(socket) => Ok(Some(Self { socket })),
            Err(error) if error.raw_os_error() == Some(Errno::EPROTONOSUPPORT as i32) => Ok(None),
            Err(error) => Err(KernelError::new("speak to nf_tables").said(error.to_string())),
        }
    }
}

fn refused(what: &str, error: NetlinkError) -> KernelError {
    let refused = KernelError::new(what).with_errno(error.errno);
    match error.ext_ack_message {
        Some(message) => refused.said(message),
        None => refused,
    }
}

/// Reads arbitrary bytes in every way in which an answer is read.
#[cfg(any(test, fuzzing))]
pub(super) fn read_any(bytes: &[u8], sequence: u32) {
    use crate::kernel::netlink::{Says, answers};

    for answer in answers(bytes, sequence).filter_map(Result::ok) {
        if let Says::Item(_, payload) = answer.says
            && let Ok(message) = Message::parse(payload)
        {
            let _ = (message.table_name(), message.uses_a_set(), contents::from_bytes(payload));
            let _ = (message.as_table(), message.as_dropping_chain());
            lab_table::read_any(&message);
            let _ = (message.as_chain(), message.as_rule(), message.leads_to(""), message.accepts_everything());
        }
    }
}
