//! The descendants of a process, and their end.
//!
//! Facts from proc(5), pidfd_send_signal(2), wait(2) and prctl(2), PR_SET_CHILD_SUBREAPER.

use std::collections::BTreeSet;
use std::fs::{read_dir, read_to_string};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid};

use crate::kernel::process;

/// How deep a tree is followed.
const DEEPEST: usize = 10_000;

/// The children of a process: those of all its threads.
pub(super) fn children(of: Pid) -> Vec<Pid> {
    let Ok(threads) = read_dir(format!("/proc/{of}/task")) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .map(Pid::from_raw)
        .collect()
}

/// All descendants of a process, each with its parent; parents come first.
pub(super) fn descendants(of: Pid) -> Vec<(Pid, Pid)> {
    let mut found: Vec<(Pid, Pid)> = children(of).into_iter().map(|child| (child, of)).collect();
    let mut next = 0;
    while let Some(&(parent, _)) = found.get(next) {
        next += 1;
        if found.len() < DEEPEST {
            found.extend(children(parent).into_iter().map(|child| (child, parent)));
        }
    }
    found
}

/// Sends a signal to all descendants of a process, except some of its children and what is below them.
pub(super) fn signal_all(of: Pid, signal: Signal, except: BTreeSet<Pid>) {
    let mut spared = except;
    for (pid, parent) in descendants(of) {
        if spared.contains(&pid) || spared.contains(&parent) {
            spared.insert(pid);
            continue;
        }
        signal_one(pid, parent, signal);
    }
}

/// Sends a signal to a child of this process.
pub(super) fn signal_child(child: Pid, signal: Signal) {
    signal_one(child, getpid(), signal);
}

fn signal_one(pid: Pid, parent: Pid, signal: Signal) {
    // Between the look and the opening, the number may have become that of another process.
    if let Ok(handle) = process::handle(pid)
        && self::parent(pid) == Some(parent)
    {
        let _ = send(&handle, signal);
    }
}

/// The parent of a process.
fn parent(of: Pid) -> Option<Pid> {
    let stat = read_to_string(format!("/proc/{of}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let (_, behind_name) = stat.rsplit_once(") ")?;
    behind_name.split(' ').nth(1)?.parse().ok().map(Pid::from_raw)
}

/// When a process was started, in ticks since the boot: with its number, this is its identity.
pub(super) fn start_time(of: Pid) -> Option<u64> {
    let stat = read_to_string(format!("/proc/{of}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

/// Sends a signal to a process by its handle.
pub(super) fn send(handle: &OwnedFd, signal: Signal) -> nix::Result<()> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: pidfd_send_signal(2) takes a descriptor, a number, no information and no flags.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, handle.as_raw_fd(), signal as i32, no_info, 0) };
    Errno::result(sent).map(drop)
}
