//! A keeper: holds one program. It starts it, takes its output, finds out when it is ready, starts it again if it is to
//! be, and ends all of its processes when the supervisor says so, or is gone.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, pipe2};

use super::certificates;
use super::cgroup::Group;
use super::channel::Channel;
use super::child::{self, Start};
use super::message::Report;
use super::signals::Signals;
use super::{readiness, tree};
use crate::kernel::process::OwnEtc;
use crate::lab::{Ended, LabName, Program, ProgramRef, ProgramState, Ready, Restart, Runs, StopSignal};
use crate::state::{Log, ProgramFiles};

/// How long a program runs until it counts as running, where nothing else says when it is ready.
const A_MOMENT: Duration = Duration::from_millis(100);
/// How long to wait before a program is started again: at first, and at most.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// A program that has run so long is well: the next delay is the first one again.
const IS_WELL: Duration = Duration::from_secs(10);
/// How often to look whether a program is ready: at first, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How often processes that do not end are killed again.
const KILL_INTERVAL: Duration = Duration::from_millis(5);
/// How often to look whether processes have ended of which no signal tells.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How long to wait where only a signal or output can tell of anything.
const IDLE: Duration = Duration::from_secs(60);
/// So much of a line is looked at for a text.
const LINE: usize = 64 << 10;

/// What a program is kept for.
pub(super) struct Keeper {
    lab: LabName,
    name: ProgramRef,
    program: Program,
    supervisor: Channel,
    group: Option<Group>,
    signals: Signals,
    output: (File, OwnedFd),
    log: Option<Log>,
    report: Report,
    /// The beginning of a line of output, of which the rest has not come yet.
    line: Vec<u8>,
    has_line: bool,
    /// The command that finds out whether the program is ready.
    probe: Option<Pid>,
    first_start: Instant,
}

/// How an attempt to run the program ended.
enum Outcome {
    /// The supervisor wants it to end.
    Stop,
    /// It has ended.
    Ended(Ended),
    /// It could not be started, or was not ready in time.
    Failed(String),
}

/// What has happened.
#[derive(Default)]
struct Happened {
    stop: bool,
    /// The first process, if it has ended.
    main: Option<Ended>,
    /// Whether the command for readiness has ended with 0.
    is_ready: bool,
    /// Whether there is no process left.
    nothing_left: bool,
    /// Whether there are new files, or why they could not be written.
    reloaded: Option<Result<(), String>>,
}

/// Keeps a program until the supervisor has it ended or is gone, or it has ended for good.
pub(super) fn keep(lab: LabName, name: ProgramRef, program: Program, supervisor: UnixStream, group: Option<Group>) {
    let Ok(mut keeper) = Keeper::new(lab, name, program, supervisor, group) else { return };
    let is_wanted = keeper.run();
    if let Some(log) = &mut keeper.log {
        log.end_line();
    }
    if let Some(group) = &keeper.group {
        group.remove();
    }
    // Those of one that has ended by itself are left for looking.
    if !is_wanted
        && !keeper.program.files.is_empty()
        && let Ok(Some(state)) = ProgramFiles::open(&keeper.lab)
    {
        let _ = state.remove(&keeper.name, None);
    }
}

impl Keeper {
    fn new(
        lab: LabName,
        name: ProgramRef,
        program: Program,
        supervisor: UnixStream,
        group: Option<Group>,
    ) -> nix::Result<Self> {
        set_child_subreaper(true)?;
        let signals = Signals::hold()?;
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        // Only this end: a program expects to be able to wait.
        fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let files = ProgramFiles::open(&lab).ok().flatten();
        let log = files.and_then(|files| files.log(&name).ok());
        let state = ProgramState::Starting;
        let output = log.as_ref().and_then(|log| log.end().ok());
        let report = Report { state, pid: None, was_ready: false, restarts: 0, ended: None, why: None, output };
        Ok(Self {
            lab,
            name,
            program,
            supervisor: Channel::new(supervisor),
            group,
            signals,
            output: (File::from(read), write),
            log,
            report,
            line: Vec::new(),
            has_line: false,
            probe: None,
            first_start: Instant::now(),
        })
    }

    /// Runs the program until it is to end, or has ended for good; whether it is still wanted.
    fn run(&mut self) -> bool {
        let mut delay = FIRST_DELAY;
        loop {
            let begin = Instant::now();
            let outcome = self.attempt();
            self.end_tree();
            self.take_output();
            let failure = match &outcome {
                Outcome::Stop => return false,
                Outcome::Ended(Ended::Code(0)) => None,
                Outcome::Ended(ended) => Some(format!("it {ended}")),
                Outcome::Failed(why) => Some(why.clone()),
            };
            let is_again = match self.program.restart {
                Restart::Never => false,
                Restart::OnFailure => failure.is_some(),
                Restart::Always => true,
            };
            // What was never ready is not tried for ever.
            let is_late = !self.report.was_ready && self.first_start.elapsed() >= self.program.within;
            self.report.pid = None;
            if !is_again || is_late {
                self.report.why = match outcome {
                    Outcome::Failed(why) => Some(why),
                    Outcome::Ended(ended) if is_again => Some(format!("it {ended} again and again")),
                    Outcome::Ended(_) | Outcome::Stop => None,
                };
                let is_done = failure.is_none() && !is_again;
                self.report.was_ready |= is_done;
                self.tell(if is_done { ProgramState::Done } else { ProgramState::Failed });
                return true;
            }
            self.report.why = failure;
            self.tell(ProgramState::Restarting);
            if begin.elapsed() >= IS_WELL {
                delay = FIRST_DELAY;
            }
            if self.pause(delay) {
                return false;
            }
            delay = (delay * 2).min(LONGEST_DELAY);
            self.report.restarts = self.report.restarts.saturating_add(1);
        }
    }

    /// Waits; whether the supervisor wants an end meanwhile.
    fn pause(&mut self, delay: Duration) -> bool {
        let end = Instant::now() + delay;
        while Instant::now() < end {
            if self.wait(end.saturating_duration_since(Instant::now()), None).stop {
                return true;
            }
        }
        false
    }

    fn tell(&mut self, state: ProgramState) {
        self.report.state = state;
        let report = self.report.clone();
        self.supervisor.send(&report);
    }

    /// Runs the program once.
    fn attempt(&mut self) -> Outcome {
        let main = match self.start() {
            Ok(main) => main,
            Err(why) => return Outcome::Failed(why),
        };
        let begin = Instant::now();
        self.report.pid = Some(main.as_raw());
        self.tell(ProgramState::Starting);
        let first_look = if self.program.ready == Ready::Running { begin + A_MOMENT } else { begin };
        let (mut is_ready, mut pause, mut next_look) = (false, FIRST_LOOK, first_look);
        let mut main = Some(main);
        // When what reads its files anew has survived that.
        let mut settled: Option<Instant> = None;
        loop {
            let next = settled.or((!is_ready).then_some(next_look));
            let happened = self.wait(next.map_or(IDLE, |at| at.saturating_duration_since(Instant::now())), main);
            if happened.stop {
                return Outcome::Stop;
            }
            match happened.reloaded {
                Some(Err(why)) => return Outcome::Failed(why),
                Some(Ok(())) => settled = Some(Instant::now() + A_MOMENT),
                None => {}
            }
            if let Some(ended) = happened.main {
                self.report.ended = Some(ended);
                if ended != Ended::Code(0) {
                    return Outcome::Ended(ended);
                }
                // What it has left goes on in the background.
                (main, self.report.pid) = (None, None);
            }
            if main.is_none() && (happened.nothing_left || self.reap(None).nothing_left) {
                self.take_output();
                return match is_ready || self.program.ready == Ready::Running || self.is_ready(begin) {
                    true => Outcome::Ended(Ended::Code(0)),
                    false => Outcome::Failed("it ended with exit code 0 before it was ready".to_owned()),
                };
            }
            if settled.is_some_and(|at| Instant::now() >= at) {
                settled = None;
                self.tell(self.report.state);
            }
            if is_ready {
                continue;
            }
            if happened.is_ready || self.is_ready(begin) {
                is_ready = true;
                self.report.was_ready = true;
                self.tell(ProgramState::Running);
            } else if begin.elapsed() >= self.program.within {
                return Outcome::Failed(self.why_not_ready());
            } else if Instant::now() >= next_look {
                self.start_probe();
                next_look = Instant::now() + pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }

    /// Starts its first process.
    fn start(&mut self) -> Result<Pid, String> {
        (self.has_line, self.report.ended, self.report.why) = (false, None, None);
        self.line.clear();
        self.write_files()?;
        let etc = child::own_etc(&self.lab, &self.name.ns);
        let runs = &self.program.runs;
        let start = self.start_of(runs, &etc);
        child::spawn(&start, [Some(&self.output.1); 2])
    }

    fn start_of<'a>(&'a self, runs: &'a Runs, etc: &'a OwnEtc) -> Start<'a> {
        let Self { lab, name, program, group, .. } = self;
        Start { lab, name, program, runs, etc, group: group.as_ref() }
    }

    fn is_ready(&self, begin: Instant) -> bool {
        match &self.program.ready {
            Ready::Running => begin.elapsed() >= A_MOMENT,
            Ready::Port { number, protocol } => readiness::listens(getpid(), *number, *protocol),
            Ready::File(path) => readiness::file_is_there(getpid(), path),
            Ready::Line(_) => self.has_line,
            Ready::Command(_) => false,
            Ready::Begun => true,
        }
    }

    /// Starts the command that finds out whether the program is ready, unless it is running.
    fn start_probe(&mut self) {
        if let Ready::Command(command) = &self.program.ready
            && self.probe.is_none()
        {
            let etc = child::own_etc(&self.lab, &self.name.ns);
            let runs = Runs::Command(command.clone());
            let start = self.start_of(&runs, &etc);
            self.probe = child::spawn(&start, [None; 2]).ok();
        }
    }

    fn why_not_ready(&self) -> String {
        let what = match &self.program.ready {
            Ready::Running => "it has not run for a moment".to_owned(),
            Ready::Port { number, protocol } => format!("none of its processes listens at port {number}/{protocol}"),
            Ready::File(path) => format!("there is no {path}"),
            Ready::Line(text) => format!("no line of its output has `{text}` in it"),
            Ready::Command(command) => format!("`{}` does not end with 0", command.join(" ")),
            Ready::Begun => "it has not begun".to_owned(),
        };
        format!("it is not ready after {:?}: {what}", self.program.within)
    }

    /// Waits until something happens, and takes it in.
    fn wait(&mut self, limit: Duration, main: Option<Pid>) -> Happened {
        let limit = PollTimeout::try_from(limit + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
        let mut files = [&self.supervisor.as_fd(), &self.signals.as_fd(), &self.output.0.as_fd()]
            .map(|file| PollFd::new(*file, PollFlags::POLLIN));
        let _ = poll(&mut files, limit);
        let is_stopped = self.signals.take();
        self.take_output();
        // All that the supervisor says is what has changed in the files. That it is to end is the end of the stream.
        let changed: Vec<Program> = self.supervisor.receive();
        self.supervisor.flush();
        let happened = self.reap(main);
        // One that has just ended gets no signal: its number may be another's by now.
        let main = main.filter(|_| happened.main.is_none());
        let reloaded = changed.into_iter().next_back().map(|program| self.reload(program, main));
        Happened { stop: is_stopped || self.supervisor.is_closed, reloaded, ..happened }
    }

    /// Writes the program's files.
    fn write_files(&self) -> Result<(), String> {
        if self.program.files.is_empty() {
            return Ok(());
        }
        let owner = child::owner(&self.program)?;
        let state = ProgramFiles::open(&self.lab).map_err(|error| error.to_string())?;
        let state =
            state.ok_or_else(|| "its files cannot be written: the lab has no folder in /run/nslab".to_owned())?;
        state.write(&self.name, &self.program.files, owner).map_err(|error| error.to_string())?;
        certificates::write(&state, &self.lab, &self.name, &self.program)
    }

    /// Takes what has changed in the files of the program, and lets it read them anew.
    fn reload(&mut self, program: Program, main: Option<Pid>) -> Result<(), String> {
        let former = std::mem::replace(&mut self.program, program);
        self.report.output = self.log.as_ref().and_then(|log| log.end().ok());
        if let Err(why) = self.write_files() {
            self.report.was_ready = false;
            return Err(why);
        }
        if let Ok(Some(state)) = ProgramFiles::open(&self.lab) {
            let (former, own) = (former.file_names(), self.program.file_names());
            former.difference(&own).for_each(|name| drop(state.remove(&self.name, Some(name))));
        }
        // Without a first process, those that it has left. Their numbers are theirs until this process takes them in.
        let first = main.map_or_else(|| tree::children(getpid()), |main| vec![main]);
        if let Some(signal) = self.program.reload.map(to_signal) {
            for pid in first {
                let _ = kill(pid, signal);
            }
        }
        Ok(())
    }

    /// Takes in what has ended.
    fn reap(&mut self, main: Option<Pid>) -> Happened {
        let mut happened = Happened::default();
        loop {
            let (pid, ended) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, Ended::Code(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Ended::Signal(signal as i32)),
                Ok(WaitStatus::StillAlive) => return happened,
                Err(Errno::ECHILD) => {
                    happened.nothing_left = true;
                    return happened;
                }
                Ok(_) | Err(_) => continue,
            };
            if Some(pid) == main {
                happened.main = Some(ended);
            } else if Some(pid) == self.probe {
                self.probe = None;
                happened.is_ready |= ended == Ended::Code(0);
            }
        }
    }

    /// Takes the output that is there.
    fn take_output(&mut self) {
        let mut buffer = [0; 16 << 10];
        // Not more than a pipe holds: others have their turn.
        for _ in 0..4 {
            let Ok(len) = self.output.0.read(&mut buffer) else { return };
            let output = buffer.get(..len).unwrap_or_default();
            if let Some(log) = &mut self.log {
                log.write(output);
            }
            if let Ready::Line(text) = &self.program.ready
                && !self.has_line
            {
                self.line.extend_from_slice(output);
                self.has_line = self.line.split(|byte| *byte == b'\n').any(|line| has(line, text.as_bytes()));
                let begin = self.line.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
                self.line.drain(..begin.max(self.line.len().saturating_sub(LINE)));
            }
        }
    }

    /// Ends all processes of the program: by its signal, and those that do not heed that, by SIGKILL.
    fn end_tree(&mut self) {
        self.probe = None;
        if self.reap(None).nothing_left {
            return;
        }
        let signal = to_signal(self.program.stop.signal);
        let end = Instant::now() + self.program.stop.grace;
        self.report.pid = None;
        tree::signal_all(getpid(), signal, BTreeSet::new());
        // One that is stopped (SIGSTOP) has to go on to heed it.
        tree::signal_all(getpid(), Signal::SIGCONT, BTreeSet::new());
        while Instant::now() < end {
            if self.wait_for_end(LOOK_INTERVAL.min(end.saturating_duration_since(Instant::now()))) {
                return;
            }
        }
        loop {
            // All at once, where there is a group, however fast they start others.
            self.group.as_ref().inspect(|group| group.kill());
            tree::signal_all(getpid(), Signal::SIGKILL, BTreeSet::new());
            if self.wait_for_end(KILL_INTERVAL) {
                return;
            }
        }
    }

    /// Waits for processes to end; whether there is none left.
    fn wait_for_end(&mut self, limit: Duration) -> bool {
        let limit = PollTimeout::try_from(limit + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
        let mut files =
            [&self.signals.as_fd(), &self.output.0.as_fd()].map(|file| PollFd::new(*file, PollFlags::POLLIN));
        let _ = poll(&mut files, limit);
        self.signals.take();
        self.take_output();
        self.reap(None).nothing_left
    }
}

fn to_signal(signal: StopSignal) -> Signal {
    format!("SIG{}", signal.name()).parse().unwrap_or(Signal::SIGTERM)
}

fn has(line: &[u8], text: &[u8]) -> bool {
    text.is_empty() || line.windows(text.len()).any(|part| part == text)
}
