//! The signals that a supervisor and its keepers read from a descriptor (signalfd(2)) instead of obeying them.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that have come.
#[derive(Debug)]
pub(super) struct Signals(SignalFd);

impl Signals {
    /// Holds back SIGCHLD and the signals that end a process.
    pub(super) fn hold() -> nix::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            mask.add(signal);
        }
        mask.thread_block()?;
        SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).map(Self)
    }

    /// Takes what has come; whether one of them is to end this process.
    pub(super) fn take(&mut self) -> bool {
        let mut ends = false;
        while let Ok(Some(info)) = self.0.read_signal() {
            ends |= info.ssi_signo != Signal::SIGCHLD as u32;
        }
        ends
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
