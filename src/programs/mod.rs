//! The programs of labs: a supervisor for each lab that has some, which starts them, watches them and ends them.
//!
//! The supervisor is this program once more, without a parent, and listens at a socket in the lab's folder. For each
//! program it has a keeper, a process that takes in all descendants of the program (PR_SET_CHILD_SUBREAPER): whatever
//! they do, they stay below it, so all of them can be ended. A keeper whose supervisor is gone ends its program; what a
//! keeper that is gone has left comes to the supervisor, which ends it. Where nslab may make control groups, each
//! program has one (`cgroup.rs`): what nobody keeps any more is found by it.
//!
//! A command of a check has no supervisor: the process that runs it (`once.rs`) takes in its descendants, too.
//!
//! `client.rs` is nslab's end of the socket, `supervisor.rs` the other one. The room does not know which programs are
//! wanted, nor what a topology file is.

mod certificates;
mod cgroup;
mod channel;
mod child;
mod client;
mod forked;
mod held;
mod keeper;
mod message;
mod on_disk;
mod once;
mod output;
mod readiness;
mod sandbox;
mod server_child;
mod signals;
mod strays;
mod supervisor;
mod tree;

pub(crate) use client::{end, list, start};
pub(crate) use forked::keep_only;
pub(crate) use once::{Once, end_taken_in, run_once, take_in};
pub use output::Line;
pub(crate) use output::output;
pub(crate) use readiness::ports;
pub use supervisor::supervise;
