//! What nslab asks the supervisor of a lab, and the start of one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use super::certificates;
use super::message::{Answer, Request};
use super::on_disk;
use super::output::last_lines;
use super::strays;
use crate::failpoint;
use crate::kernel::{KernelCode, KernelError, process, wait};
use crate::lab::{LabName, NsName, ObservedProgram, Places, Program, ProgramRef, ProgramState};
use crate::state::ProgramFiles;

/// A supervisor answers at once; one that takes longer is stopped, or means ill.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// What the kernel may take to end processes that were killed.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How often to ask again: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// So many lines of output an error shows.
const LINES: usize = 5;
/// So many programs an error names.
const NAMED: usize = 5;

/// Programs as their supervisor shows them.
type Programs = BTreeMap<ProgramRef, ObservedProgram>;

/// A conversation with a supervisor.
struct Supervisor<'a> {
    lab: &'a LabName,
    stream: BufReader<UnixStream>,
    pid: Option<Pid>,
}

impl<'a> Supervisor<'a> {
    /// The supervisor of a lab, if there is one.
    fn find(lab: &'a LabName) -> Result<Option<Self>, KernelError> {
        let Some(files) = ProgramFiles::open(lab)? else { return Ok(None) };
        let stream = match UnixStream::connect(files.socket()) {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(refused(lab).with_io(&error)),
        };
        let limits = stream.set_read_timeout(Some(ANSWER_LIMIT)).and(stream.set_write_timeout(Some(ANSWER_LIMIT)));
        limits.map_err(|error| refused(lab).with_io(&error))?;
        Ok(Some(Self { lab, stream: BufReader::new(stream), pid: None }))
    }

    /// Starts one.
    fn start(lab: &'a LabName, namespaces: &BTreeSet<NsName>) -> Result<Self, KernelError> {
        let cannot = |error: &io::Error| KernelError::new(format!("start the supervisor of {lab}")).with_io(error);
        let files = ProgramFiles::open(lab)?;
        let files = files.ok_or_else(|| refused(lab).said("the lab has no folder in /run/nslab"))?;
        files.remove_socket()?;
        // What a supervisor that was killed together with its keepers has left would be in the way.
        strays::end(lab, namespaces)?;
        let pass = failpoint::pass("start the supervisor").map_err(io::Error::from);
        let listener = pass.and_then(|()| UnixListener::bind(files.socket())).map_err(|error| cannot(&error))?;
        let only_own = Permissions::from_mode(0o600);
        std::fs::set_permissions(files.socket(), only_own).map_err(|error| cannot(&error))?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("nslab").arg("supervise").arg(lab.as_str()).env_clear().env(strays::SUPERVISOR, lab.as_str());
        if cfg!(debug_assertions)
            && let Ok(wish) = std::env::var("NSLAB_STOP_SUPERVISOR_AT")
        {
            command.env("NSLAB_STOP_AT", wish);
        }
        process::with_former_limits(&mut command);
        command.stdin(OwnedFd::from(listener)).stdout(Stdio::null()).stderr(Stdio::null()).current_dir("/");
        command.status().map_err(|error| cannot(&error))?;
        drop(command);
        Self::find(lab)?.ok_or_else(|| KernelError::new(format!("start the supervisor of {lab}")).said("it has ended"))
    }

    /// Asks; none where the supervisor has ended.
    fn ask(&mut self, request: &Request) -> Result<Option<Programs>, KernelError> {
        let refused = |error: &io::Error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => refused(self.lab)
                .said(format!("it has not answered for {} s", ANSWER_LIMIT.as_secs()))
                .with_code(KernelCode::ProgramHangs)
                .hint("if it is stopped, let it go on with `kill -CONT`, or end it with `kill -KILL`"),
            _ => refused(self.lab).with_io(error),
        };
        // Their keys are strings, so this cannot fail.
        let mut line = serde_json::to_string(request).unwrap_or_default();
        line.push('\n');
        match self.stream.get_mut().write_all(line.as_bytes()) {
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                return Ok(None);
            }
            written => written.map_err(|error| refused(&error))?,
        }
        let mut answer = String::new();
        match self.stream.read_line(&mut answer) {
            Ok(0) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
            read => read.map_err(|error| refused(&error))?,
        };
        let answer: Answer =
            serde_json::from_str(&answer).map_err(|error| refused(&io::Error::other(error.to_string())))?;
        self.pid = Some(Pid::from_raw(answer.supervisor));
        Ok(Some(answer.programs.into_iter().collect()))
    }

    /// Waits until it has ended.
    fn wait_for_end(self) {
        let handle = self.pid.and_then(|pid| process::handle(pid).ok());
        drop(self.stream);
        if let Some(handle) = handle {
            let mut files = [PollFd::new(handle.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut files, PollTimeout::try_from(ANSWER_LIMIT).unwrap_or(PollTimeout::NONE));
        }
    }
}

fn refused(lab: &LabName) -> KernelError {
    KernelError::new(format!("ask the supervisor of the programs of {lab}"))
}

/// The programs of a lab, with their files as they are; none where it has no supervisor.
///
/// # Errors
/// The supervisor does not answer.
pub(crate) fn list(lab: &LabName) -> Result<Option<Programs>, KernelError> {
    let Some(mut supervisor) = Supervisor::find(lab)? else { return Ok(None) };
    let mut programs = supervisor.ask(&Request::List)?;
    on_disk::look(lab, programs.iter_mut().flatten());
    Ok(programs)
}

/// Starts programs, each once what it needs is ready, and waits until all are. All are started, or none: where one
/// cannot be, the others are ended again, unless they are kept. An error says where each is written.
///
/// # Errors
/// One could not be started or was not ready in time, or a signal came.
pub(crate) fn start(
    lab: &LabName,
    namespaces: &BTreeSet<NsName>,
    programs: &[(ProgramRef, Program)],
    (keeps, places): (bool, &Places),
) -> Result<(), KernelError> {
    certificates::prepare(lab, programs)?;
    let request = Request::Start(programs.to_vec());
    let names: Vec<ProgramRef> = programs.iter().map(|(name, _)| name.clone()).collect();
    let found = match Supervisor::find(lab)? {
        Some(mut supervisor) => supervisor.ask(&request)?.map(|now| (supervisor, now)),
        None => None,
    };
    let (mut supervisor, now) = match found {
        Some(found) => found,
        None => {
            let mut supervisor = Supervisor::start(lab, namespaces)?;
            let now = supervisor.ask(&request)?;
            (supervisor, now.unwrap_or_default())
        }
    };
    let started = wait_until_ready(&mut supervisor, now, &names, places);
    let is_kept = |error: &KernelError| keeps && error.code() == KernelCode::ProgramFailed;
    if started.as_ref().is_err_and(|error| !is_kept(error)) {
        drop(supervisor);
        let limit = programs.iter().map(|(_, program)| program.stop.grace).max().unwrap_or_default();
        // The first error is the one to report; what could not be ended is seen by the next look.
        let _ = end(lab, namespaces, &names, limit);
    }
    started
}

fn wait_until_ready(
    supervisor: &mut Supervisor<'_>,
    mut now: Programs,
    names: &[ProgramRef],
    places: &Places,
) -> Result<(), KernelError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let of = |name: &&ProgramRef| now.get(name);
        let failed: Vec<&ProgramRef> = names.iter().filter(|name| of(name).is_none_or(has_failed)).collect();
        if !failed.is_empty() {
            return Err(failure(supervisor.lab, &failed, &now, places));
        }
        if names.iter().filter_map(|name| of(&name)).all(is_up) {
            return Ok(());
        }
        if wait::is_interrupted() {
            return Err(wait::interrupted("wait for programs"));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
        now = supervisor.ask(&Request::List)?.unwrap_or_default();
    }
}

fn has_failed(program: &ObservedProgram) -> bool {
    program.state == ProgramState::Failed
}

fn is_up(program: &ObservedProgram) -> bool {
    match program.state {
        ProgramState::Running | ProgramState::Done => true,
        ProgramState::Starting | ProgramState::Restarting => program.was_ready,
        ProgramState::Waiting | ProgramState::Failed | ProgramState::Stopping => false,
    }
}

/// Why programs could not be started: those first that others need, with their places in the file and their last lines.
fn failure(lab: &LabName, failed: &[&ProgramRef], now: &Programs, places: &Places) -> KernelError {
    let needs_failed = |name: &ProgramRef| {
        now.get(name).is_some_and(|own| own.program.needs.iter().any(|need| now.get(need).is_some_and(has_failed)))
    };
    let mut failed = failed.to_vec();
    failed.sort_by_key(|name| needs_failed(name));
    let called = |name: &ProgramRef| match now.get(name) {
        Some(own) => own.program.called(name),
        None => format!("program {name}"),
    };
    let why = |name: &ProgramRef| {
        let why = now.get(name).map_or_else(|| "its supervisor was killed".to_owned(), ObservedProgram::failure);
        let place = places.get(name).map(|place| format!("\n  --> {place}")).unwrap_or_default();
        let since = now.get(name).and_then(|own| own.output);
        let lines = since.map(|since| last_lines(lab, name, LINES, since)).unwrap_or_default();
        let lines: String = lines.iter().map(|line| format!("\n    {line}")).collect();
        let head = if lines.is_empty() { "" } else { "\n  its last lines:" };
        let (what, help) = why.split_at(why.find('\n').unwrap_or(why.len()));
        format!("{what}{place}{help}{head}{lines}")
    };
    let Some((first, others)) = failed.split_first() else { return KernelError::new("start programs") };
    let mut text = why(first);
    for other in others.iter().take(NAMED - 1) {
        text += &format!("\ncannot start {}: {}", called(other), why(other));
    }
    if failed.len() > NAMED {
        text += &format!("\nand {} more programs", failed.len() - NAMED);
    }
    KernelError::new(format!("start {}", called(first))).said(text).with_code(KernelCode::ProgramFailed)
}

/// Ends programs with all of their processes, those first that need others, and the supervisor with the last of all;
/// whether it was the last. `grace` is the longest that any of them has.
///
/// # Errors
/// The supervisor does not answer, or a process does not end.
pub(crate) fn end(
    lab: &LabName,
    namespaces: &BTreeSet<NsName>,
    names: &[ProgramRef],
    grace: Duration,
) -> Result<bool, KernelError> {
    let mut limit = Instant::now() + grace + KILL_LIMIT;
    let (mut pause, mut count) = (FIRST_PAUSE, names.len());
    if let Some(mut supervisor) = Supervisor::find(lab)? {
        let mut now = supervisor.ask(&Request::End(names.to_vec()))?;
        while let Some(programs) = &now
            && let Some(left) = names.iter().find(|name| programs.contains_key(name))
        {
            // They end one after the other; each has its time.
            let still = names.iter().filter(|name| programs.contains_key(name)).count();
            if still < count {
                (count, limit) = (still, Instant::now() + grace + KILL_LIMIT);
            }
            if Instant::now() > limit {
                let error = KernelError::new(format!("end program {left}")).with_code(KernelCode::ProgramHangs);
                return Err(error.said("the kernel does not end one of its processes"));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
            now = supervisor.ask(&Request::List)?;
        }
        match now {
            Some(programs) if !programs.is_empty() => return Ok(false),
            Some(_) => {
                supervisor.wait_for_end();
                return Ok(true);
            }
            None => {}
        }
    }
    strays::end(lab, namespaces)?;
    Ok(true)
}
