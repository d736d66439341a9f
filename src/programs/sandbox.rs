//! The process that a sandbox belongs to: programs must not keep a sandbox that it has left.

use std::os::fd::OwnedFd;

use nix::unistd::Pid;

use super::tree;
use crate::kernel::{process, sandbox};

/// Whether there is still the process that a sandbox belongs to.
pub(super) enum Owner {
    /// This is no sandbox.
    None,
    /// It is there, and this becomes readable when it ends.
    There(OwnedFd),
    /// It has ended.
    Gone,
}

impl Owner {
    pub(super) fn find() -> Self {
        let Some((pid, start_time)) = sandbox::owner() else { return Self::None };
        let pid = Pid::from_raw(pid);
        match process::handle(pid) {
            Ok(handle) if tree::start_time(pid) == Some(start_time) => Self::There(handle),
            _ => Self::Gone,
        }
    }
}
