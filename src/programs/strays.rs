//! What is left where a supervisor and its keepers were killed together: processes in the control group of one of the
//! lab's programs; and those that have the name of one in the environment that they were started with, or are where the
//! files of one are (nginx writes its title over its environment), in one of the lab's own namespaces.
//!
//! This is the last resort: without a group, one that has another environment, and has gone elsewhere, is not found.

use std::collections::BTreeSet;
use std::fs::{read, read_dir, read_link};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::cgroup::Left;
use super::tree;
use crate::kernel::process::{self, identity};
use crate::kernel::{KernelCode, KernelError};
use crate::lab::{LabName, NsName};

/// The variable that supervisors and keepers have in their environment.
pub(super) const SUPERVISOR: &str = "NSLAB_SUPERVISOR";

/// Supervisors and keepers end when they are told to, once their programs have had their grace.
const KEEPER_LIMIT: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_millis(5);

/// Ends what is left of a lab's programs. There must be no supervisor that can be asked: one whose socket is gone ends
/// as well.
///
/// # Errors
/// A process does not end.
pub(super) fn end(lab: &LabName, namespaces: &BTreeSet<NsName>) -> Result<(), KernelError> {
    let own: BTreeSet<(u64, u64)> = namespaces.iter().filter_map(|ns| identity(&format!("/run/netns/{ns}"))).collect();
    let host = identity("/proc/thread-self/ns/net");
    let program = format!("NSLAB_PROGRAM={lab}/");
    let folder = format!("/run/nslab/{lab}/files/");
    let keeper = format!("{SUPERVISOR}={lab}");
    let groups = Left::find(lab);
    let (begin, mut told) = (Instant::now(), BTreeSet::new());
    loop {
        let mut left = groups.end();
        for pid in processes() {
            let ns = identity(&format!("/proc/{pid}/ns/net"));
            let is_of_keepers = ns == host && has(pid, |variable| variable == keeper.as_bytes());
            let is_program = || {
                ns.is_some_and(|ns| own.contains(&ns))
                    && (has(pid, |variable| variable.starts_with(program.as_bytes())) || is_below(pid, &folder))
            };
            if !is_of_keepers && !is_program() {
                continue;
            }
            let is_new = told.insert(pid);
            left = Some(pid);
            let signal = match is_of_keepers && begin.elapsed() < KEEPER_LIMIT {
                true if is_new => Signal::SIGTERM,
                true => continue,
                false => Signal::SIGKILL,
            };
            if let Ok(handle) = process::handle(pid)
                // The number may have become that of another process since.
                && identity(&format!("/proc/{pid}/ns/net")) == ns
            {
                let _ = tree::send(&handle, signal);
            }
        }
        let Some(pid) = left else { return Ok(()) };
        if begin.elapsed() > LIMIT {
            let error = KernelError::new(format!("end process {pid} of a program of {lab}"));
            return Err(error.with_code(KernelCode::ProgramHangs).said("the kernel does not end it"));
        }
        std::thread::sleep(INTERVAL);
    }
}

fn processes() -> Vec<Pid> {
    let entries = read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw)).collect()
}

/// Whether the working directory of a process is below a folder.
fn is_below(pid: Pid, folder: &str) -> bool {
    read_link(format!("/proc/{pid}/cwd")).is_ok_and(|path| path.as_os_str().as_bytes().starts_with(folder.as_bytes()))
}

/// Whether a process has a variable in the environment that it was started with. One that has ended has none.
fn has(pid: Pid, is_it: impl Fn(&[u8]) -> bool) -> bool {
    let environment = read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(is_it)
}
