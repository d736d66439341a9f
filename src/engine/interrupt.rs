//! SIGINT and SIGTERM, taken between steps instead of in the middle of one.
//!
//! The two signals are blocked for the whole process and read from a descriptor (signalfd(2)) where it is safe to stop.
//! Programs that we start inherit the block, so Ctrl-C does not kill an iptables-restore half-way either.

use super::{EngineError, UndoError};
use crate::kernel::{KernelCode, wait};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that end a command, held back until [`Interrupts::pending`] reads them.
#[derive(Debug)]
pub struct Interrupts {
    fd: Option<SignalFd>,
    mask: SigSet,
}

impl Interrupts {
    /// Holds the signals back in this thread and in those that it starts from now on.
    pub fn hold() -> Self {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGINT);
        mask.add(Signal::SIGTERM);
        // Without a descriptor the signals still kill, and the journal is what is left: worse, but not wrong.
        let fd = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).ok();
        if fd.is_some() {
            let _ = mask.thread_block();
        }
        Self { fd, mask }
    }

    /// Stops what is under way where a signal has come.
    ///
    /// # Errors
    /// `Interrupted`, where one has.
    pub(super) fn check(&mut self) -> Result<(), EngineError> {
        match self.pending() {
            Some(signal) => Err(EngineError::Interrupted { signal, undo: UndoError::default() }),
            None => Ok(()),
        }
    }

    /// What to report where a signal has ended a wait: the signal, and not that the wait has failed.
    pub(super) fn behind(&mut self, error: EngineError) -> EngineError {
        let refused = match &error {
            EngineError::Kernel(refused) => Some(refused),
            EngineError::Step(refused, _) => Some(refused.as_ref()),
            _ => None,
        };
        let was_waiting = refused.is_some_and(|refused| refused.code() == KernelCode::WaitInterrupted);
        let signal = if was_waiting { self.pending() } else { None };
        if signal.is_some() {
            // What holds this run up would hold its undoing up as well.
            wait::be_short();
        }
        signal.map_or(error, |signal| EngineError::Interrupted { signal, undo: UndoError::default() })
    }

    /// The signal that has come since the last call, if one has.
    pub fn pending(&mut self) -> Option<Signal> {
        let info = self.fd.as_mut()?.read_signal().ok()??;
        Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        // What comes after the last call is too late: the work is done, or undone.
        while self.pending().is_some() {}
        let _ = self.mask.thread_unblock();
    }
}
