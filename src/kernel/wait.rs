//! Waits for what other processes hold or do: each has a limit, and ends when a signal comes.
//!
//! SIGINT and SIGTERM are blocked while a command works, since the engine reads them between steps. A wait only asks
//! whether one is pending (sigpending(2)), and leaves it for the engine.

use std::fs::read_to_string;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, Flockable};
use nix::sys::stat::{fstat, major, minor};

use super::netlink::printable;
use super::{KernelCode, KernelError};

/// How often what is held is asked for again.
const INTERVAL: Duration = Duration::from_millis(20);

/// How long one waits for a lock that is only held for moments: whoever has it that long is stopped, or means ill.
const LIMIT: Duration = Duration::from_secs(10);

/// The same for those who are not to wait.
const SHORT_LIMIT: Duration = Duration::from_secs(1);

static IS_SHORT: AtomicBool = AtomicBool::new(false);

/// From now on, waits of this process are short.
pub(crate) fn be_short() {
    IS_SHORT.store(true, Ordering::Relaxed);
}

/// Whether SIGINT or SIGTERM has come, and has not been read yet.
pub(crate) fn is_interrupted() -> bool {
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigpending(2) writes a set of signals into the place that it is given, which is as large as one; the set
    // is read only where it says that it has.
    unsafe {
        libc::sigpending(pending.as_mut_ptr()) == 0
            && [libc::SIGINT, libc::SIGTERM].iter().any(|&signal| libc::sigismember(pending.as_ptr(), signal) == 1)
    }
}

/// Takes the lock of a file (flock(2)), for which it waits. `what` says for what: "lock /run/netns".
///
/// # Errors
/// It cannot be locked, another process holds it for too long, or a signal came.
pub(crate) fn lock<F: Flockable + AsFd>(mut file: F, what: &str) -> Result<Flock<F>, KernelError> {
    let limit = if IS_SHORT.load(Ordering::Relaxed) { SHORT_LIMIT } else { LIMIT };
    let start = Instant::now();
    loop {
        file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((file, Errno::EWOULDBLOCK)) => file,
            Err((_, errno)) => return Err(KernelError::new(what).with_errno(errno)),
        };
        if is_interrupted() {
            return Err(interrupted(what));
        }
        if start.elapsed() > limit {
            return Err(held(what, &file, limit));
        }
        std::thread::sleep(INTERVAL);
    }
}

/// That a signal has ended a wait.
pub(crate) fn interrupted(what: &str) -> KernelError {
    KernelError::new(what).said("interrupted by a signal").with_code(KernelCode::WaitInterrupted)
}

fn held(what: &str, file: &impl AsFd, limit: Duration) -> KernelError {
    let error = KernelError::new(what).with_code(KernelCode::LockHeld);
    let seconds = limit.as_secs();
    match holder(file) {
        Some(pid) => {
            let name = read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            let name = printable(name.trim_end().as_bytes());
            error
                .said(format!("process {pid} ({name}) has held the lock for {seconds} s or longer"))
                .hint(format!("if it is stopped, let it go on with `kill -CONT {pid}`, or end it"))
        }
        None => error.said(format!("another process has held the lock for {seconds} s or longer")),
    }
}

/// The process that holds the lock of a file, as far as /proc/locks (proc_locks(5)) shows it.
fn holder(file: &impl AsFd) -> Option<u32> {
    let stat = fstat(file.as_fd()).ok()?;
    let wanted = format!("{:02x}:{:02x}:{}", major(stat.st_dev), minor(stat.st_dev), stat.st_ino);
    let locks = read_to_string("/proc/locks").ok()?;
    let held = locks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut holders = held.filter_map(|words| match words.as_slice() {
        [_, "FLOCK", _, _, pid, at, ..] if *at == wanted => pid.parse::<u32>().ok(),
        _ => None,
    });
    holders.next().filter(|pid| *pid > 0)
}
