//! What a process that was just forked leaves of its parent's: streams, signals, descriptors.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::stat::Mode;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};

/// Nothing to read, and the output and error output into pipes, or nowhere.
pub(super) fn streams([output, errors]: [Option<&OwnedFd>; 2]) -> nix::Result<()> {
    let nothing = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    dup2_stdin(&nothing)?;
    dup2_stdout(output.map_or(nothing.as_fd(), AsFd::as_fd))?;
    dup2_stderr(errors.map_or(nothing.as_fd(), AsFd::as_fd))?;
    Ok(())
}

/// No signal is held back, and a stream that nobody reads any more is an error, no end: for what goes on without
/// execve(2).
pub(super) fn own_signals() -> nix::Result<()> {
    signals(SigHandler::SigIgn)
}

/// No signal is held back or ignored: this is inherited over execve(2), and Rust ignores SIGPIPE.
pub(super) fn plain_signals() -> nix::Result<()> {
    signals(SigHandler::SigDfl)
}

fn signals(of_pipe: SigHandler) -> nix::Result<()> {
    // SAFETY: the callers pass no function of ours.
    unsafe { signal(Signal::SIGPIPE, of_pipe) }?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Closes all descriptors but the standard ones and, as number 3, one more.
pub(crate) fn keep_only(descriptor: OwnedFd) -> nix::Result<OwnedFd> {
    let mut third = descriptor;
    if third.as_raw_fd() != 3 {
        // SAFETY: whatever is number 3 belongs to the process that this one is a copy of, and is not used here.
        third = unsafe { nix::unistd::dup3_raw(third, 3, OFlag::O_CLOEXEC) }?;
    }
    // SAFETY: closes what belongs to the process that this one is a copy of, and is not used here.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 4, u32::MAX, 0) };
    Errno::result(closed)?;
    Ok(third)
}
