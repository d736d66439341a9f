//! A command that is run in a namespace once, for what it prints and how it ends. Its processes end with it, whatever
//! they do: the one that runs it takes them in, and kills them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, pipe2};
use serde::{Deserialize, Serialize};

use super::child::{self, Start};
use super::signals::Signals;
use super::tree;
use crate::kernel::process::OwnEtc;
use crate::lab::{Ended, LabName, NsName, Printed, Program, ProgramRef, Ran, Runs};

/// What its processes find in `NSLAB_PROGRAM`, behind the lab and the namespace.
const NAME: &str = "check";

/// So much of each stream is kept.
const MOST: usize = 1 << 20;

/// How often processes that do not end are killed again.
const KILL_INTERVAL: Duration = Duration::from_millis(5);

/// What the kernel may take to end processes that were killed.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// What to run, where, and for how long.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Once {
    pub(crate) lab: LabName,
    pub(crate) ns: NsName,
    /// The command and its arguments: never empty.
    pub(crate) command: Vec<String>,
    pub(crate) timeout: Duration,
}

/// Has this process take in what a holder of commands leaves that is killed; the children that it has already.
pub(crate) fn take_in() -> BTreeSet<Pid> {
    // Where this fails, they go to the first process, as those of everybody do.
    let _ = set_child_subreaper(true);
    tree::children(getpid()).into_iter().collect()
}

/// Ends what was taken in since: the children besides these, with all of their descendants.
pub(crate) fn end_taken_in(others: BTreeSet<Pid>) {
    let end = Instant::now() + KILL_LIMIT;
    let strangers = || tree::children(getpid()).into_iter().filter(|child| !others.contains(child));
    while Instant::now() < end && strangers().next().is_some() {
        tree::signal_all(getpid(), Signal::SIGKILL, others.clone());
        for child in strangers() {
            let _ = waitpid(child, Some(WaitPidFlag::WNOHANG));
        }
        std::thread::sleep(KILL_INTERVAL);
    }
    let _ = set_child_subreaper(false);
}

/// Runs a command in this process, which must have one thread and no other children, until it ends, its time is over,
/// a signal comes, or nobody is at the other end of `asker` any more. In the end, none of its processes is left.
pub(crate) fn run_once(once: &Once, etc: &OwnEtc, asker: BorrowedFd<'_>) -> Ran {
    let refused = |errno: Errno| Ran::NotStarted(format!("it cannot be started: {}", errno.desc()));
    let prepared = set_child_subreaper(true).and_then(|()| Signals::hold());
    let (signals, output, errors) = match (prepared, stream(), stream()) {
        (Ok(signals), Ok(output), Ok(errors)) => (signals, output, errors),
        (Err(errno), ..) | (_, Err(errno), _) | (.., Err(errno)) => return refused(errno),
    };
    let Ok(name) = NAME.parse() else { return refused(Errno::EINVAL) };
    let name = ProgramRef { ns: once.ns.clone(), name };
    let program = Program::plain(Runs::Command(once.command.clone()));
    let start = Start { lab: &once.lab, name: &name, program: &program, runs: &program.runs, etc, group: None };
    let main = match child::spawn(&start, [Some(&output.1), Some(&errors.1)]) {
        Ok(main) => main,
        Err(why) => return Ran::NotStarted(why),
    };
    let mut watched =
        Watched { main, signals, output: Stream::of(output.0), errors: Stream::of(errors.0), is_stopped: false };
    let ended = watched.until(Instant::now() + once.timeout, asker);
    watched.take();
    end_all();
    let printed =
        Printed { is_whole: !watched.output.is_cut, output: watched.output.bytes, errors: watched.errors.bytes };
    match ended {
        Some(ended) => Ran::Ended(ended, printed),
        None => Ran::TooLong(printed),
    }
}

/// A pipe of which this process reads one end, and never waits.
fn stream() -> nix::Result<(File, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((File::from(read), write))
}

/// A command that runs.
struct Watched {
    main: Pid,
    signals: Signals,
    output: Stream,
    errors: Stream,
    is_stopped: bool,
}

impl Watched {
    /// Waits for its end; none: something else came first.
    fn until(&mut self, deadline: Instant, asker: BorrowedFd<'_>) -> Option<Ended> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let limit = PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
            let mut files = [asker, self.signals.as_fd(), self.output.file.as_fd(), self.errors.file.as_fd()]
                .map(|file| PollFd::new(file, PollFlags::POLLIN));
            let _ = poll(&mut files, limit);
            // It says nothing more: there is something to read when it is gone.
            let is_alone = files.first().and_then(PollFd::any).unwrap_or(false);
            self.is_stopped |= self.signals.take() || is_alone;
            self.take();
            if let Some(ended) = reap(self.main) {
                return Some(ended);
            }
            if self.is_stopped || Instant::now() >= deadline {
                return None;
            }
        }
    }

    fn take(&mut self) {
        self.output.take();
        self.errors.take();
    }
}

/// What came through a pipe.
struct Stream {
    file: File,
    bytes: Vec<u8>,
    /// Whether there was more.
    is_cut: bool,
}

impl Stream {
    fn of(file: File) -> Self {
        Self { file, bytes: Vec::new(), is_cut: false }
    }

    /// Takes what is there: not more than a pipe may hold, so that one that never ends keeps nobody.
    fn take(&mut self) {
        let mut buffer = [0; 16 << 10];
        for _ in 0..64 {
            let Ok(len @ 1..) = self.file.read(&mut buffer) else { return };
            let came = buffer.get(..len).unwrap_or_default();
            let room = MOST - self.bytes.len();
            self.bytes.extend_from_slice(came.get(..room.min(len)).unwrap_or_default());
            self.is_cut |= len > room;
        }
    }
}

/// Takes in what has ended; how the process did that is asked for, if it has.
fn reap(main: Pid) -> Option<Ended> {
    let mut of_main = None;
    loop {
        let (pid, ended) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, Ended::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Ended::Signal(signal as i32)),
            Ok(WaitStatus::StillAlive) | Err(_) => return of_main,
            Ok(_) => continue,
        };
        if pid == main {
            of_main = Some(ended);
        }
    }
}

/// Kills all processes that are left, until there is none.
fn end_all() {
    loop {
        tree::signal_all(getpid(), Signal::SIGKILL, BTreeSet::new());
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Err(_) => return,
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) => {}
            }
        }
        std::thread::sleep(KILL_INTERVAL);
    }
}
