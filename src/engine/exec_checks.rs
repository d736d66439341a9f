//! Runs the commands of checks: each in a process of its own, nslab once more, so that all of its processes end.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::exec::own_etc;
use crate::check::{self, CheckResult};
use crate::kernel::process;
use crate::lab::{ExecCheck, Lab, LabName, NsName, Ran};
use crate::programs::{self, Once, run_once};

/// How many commands run at once.
const AT_ONCE: usize = 8;

/// The name of nslab's command that runs one.
const COMMAND: &str = "run-once";

/// So much later than a command has to end, whoever holds it has to have answered.
const SPARE: Duration = Duration::from_secs(5);

/// Runs the commands of all checks, a few at a time; a result for each check. Whatever they leave is ended.
pub(super) fn run(lab: &Lab) -> Vec<CheckResult> {
    if lab.exec_checks.is_empty() {
        return Vec::new();
    }
    let others = programs::take_in();
    let results = run_all(lab);
    programs::end_taken_in(others);
    results
}

fn run_all(lab: &Lab) -> Vec<CheckResult> {
    let jobs: Vec<(&ExecCheck, &NsName)> =
        lab.exec_checks.iter().flat_map(|check| check.from.iter().map(move |ns| (check, ns))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((check, ns)) = jobs.get(at) else { return done };
            done.push((at, one(&lab.name, check, ns)));
        }
    };
    let mut done: Vec<(usize, (Ran, Duration))> = std::thread::scope(|scope| {
        let start = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
        // Where no thread is to be had, this one does everything.
        let helpers: Vec<_> = (1..AT_ONCE.min(jobs.len())).map_while(start).collect();
        let own = work();
        let theirs = helpers.into_iter().flat_map(|helper| helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        own.into_iter().chain(theirs).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    let mut done = done.into_iter().map(|(_, ran)| ran);
    let with_namespaces = |check: &ExecCheck| {
        let runs = check.from.iter().zip(done.by_ref()).map(|(ns, (ran, took))| (ns.clone(), ran, took)).collect();
        check::exec_result(check, runs)
    };
    lab.exec_checks.iter().map(with_namespaces).collect()
}

fn one(lab: &LabName, check: &ExecCheck, ns: &NsName) -> (Ran, Duration) {
    let (lab, ns, command, timeout) = (lab.clone(), ns.clone(), check.command.clone(), check.timeout);
    let begin = Instant::now();
    let ran = in_child(&Once { lab, ns, command, timeout });
    let failed = |error: io::Error| Ran::NotStarted(format!("nslab cannot run it: {error}"));
    (ran.unwrap_or_else(failed), begin.elapsed())
}

/// Has another nslab run it, which ends it where this one is gone.
fn in_child(once: &Once) -> io::Result<Ran> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("nslab").arg(COMMAND).stdin(Stdio::piped()).stdout(Stdio::piped());
    process::with_former_limits(&mut command);
    let mut child = command.spawn()?;
    let mut order = serde_json::to_vec(once)?;
    order.push(b'\n');
    // Stays open: its end is that of this process.
    let mut to_child = child.stdin.take();
    let sent = to_child.as_mut().map_or(Ok(()), |stream| stream.write_all(&order));
    let mut answer = Vec::new();
    let is_over = child.stdout.as_ref().is_none_or(|answer| waits_too_long(answer.as_fd(), once.timeout + SPARE));
    if is_over {
        // What it holds is taken in by this process, and ended with it.
        child.kill()?;
    }
    let read = child.stdout.take().map_or(Ok(0), |mut stream| stream.read_to_end(&mut answer));
    drop(to_child);
    child.wait()?;
    sent.and(read)?;
    match serde_json::from_slice(&answer) {
        Ok(ran) => Ok(ran),
        Err(_) if is_over => Err(io::Error::other("the process that held it was stopped")),
        Err(_) => Err(io::Error::other("the process that held it was killed")),
    }
}

/// Whether nothing comes in time: the answer is short, and comes as a whole.
fn waits_too_long(answer: BorrowedFd<'_>, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut files = [PollFd::new(answer, PollFlags::POLLIN)];
        match poll(&mut files, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(0) if left.is_zero() => return true,
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return false,
        }
    }
}

/// The other nslab: reads what to run from its standard input, runs it, and writes what came of it.
///
/// # Errors
/// There is nobody to read from or to write to.
pub fn run_one() -> io::Result<()> {
    let mut input = io::stdin();
    let mut order = Vec::new();
    let mut byte = [0];
    while input.read(&mut byte)? == 1 && byte != *b"\n" {
        order.extend(byte);
    }
    let once: Once = serde_json::from_slice(&order)?;
    let ran = match own_etc(&once.lab, &once.ns) {
        Ok(etc) => run_once(&once, &etc, input.as_fd()),
        Err(error) => Ran::NotStarted(error.to_string()),
    };
    let answer = serde_json::to_vec(&ran)?;
    io::stdout().write_all(&answer)
}
