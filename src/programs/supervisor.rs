//! The supervisor of a lab: this program once more, without a parent, from the first program that is started to the end
//! of the last.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::Signal;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, fork, geteuid, getpid, setsid};

use super::cgroup::Groups;
use super::channel::Channel;
use super::forked::keep_only;
use super::held::Held;
use super::message::{Answer, Request};
use super::on_disk;
use super::sandbox::Owner;
use super::signals::Signals;
use super::tree;
use crate::failpoint;
use crate::kernel::open_files;
use crate::lab::{LabName, Program, ProgramRef, ProgramState};
use crate::state::ProgramFiles;

/// A supervisor that has nothing to do for so long ends.
const IDLE: Duration = Duration::from_secs(5);
/// How often processes that no keeper has are killed again.
const KILL_INTERVAL: Duration = Duration::from_millis(5);
/// So many may ask at once.
const MOST_CLIENTS: usize = 32;

/// Becomes the supervisor of a lab. The socket at which it listens is the standard input. Returns at once where this is
/// the process that was started: its child goes on.
pub fn supervise(lab: LabName) {
    let Ok(listener) = detach() else { return };
    if let Some(mut supervisor) = Supervisor::new(lab, listener) {
        supervisor.run();
        supervisor.leave();
    }
    // SAFETY: ends this process; what it had is gone or is for others.
    unsafe { libc::_exit(0) }
}

/// Leaves whatever has started this process; the socket at which to listen.
fn detach() -> nix::Result<UnixListener> {
    let listener = std::io::stdin().as_fd().try_clone_to_owned().map_err(|_| Errno::EBADF)?;
    setsid()?;
    // SAFETY: this process has one thread, so the child may do anything that this process may.
    if let ForkResult::Parent { .. } = unsafe { fork() }? {
        return Err(Errno::ECHILD);
    }
    let nothing = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    dup2_stderr(&nothing)?;
    drop(nothing);
    chdir("/")?;
    let listener: OwnedFd = keep_only(listener)?;
    Ok(listener.into())
}

struct Client {
    channel: Channel,
}

struct Supervisor {
    lab: LabName,
    listener: UnixListener,
    signals: Signals,
    owner: Owner,
    groups: Option<Groups>,
    clients: Vec<Client>,
    held: BTreeMap<ProgramRef, Held>,
    /// Since when there has been nothing to do.
    idle: Option<Instant>,
    /// Whether somebody was here.
    had_client: bool,
    /// Whether everything is to end.
    ends: bool,
}

impl Supervisor {
    fn new(lab: LabName, listener: UnixListener) -> Option<Self> {
        set_child_subreaper(true).ok()?;
        listener.set_nonblocking(true).ok()?;
        open_files::raise();
        let (signals, owner) = (Signals::hold().ok()?, Owner::find());
        let ends = matches!(owner, Owner::Gone);
        let (groups, clients, held) = (Groups::of(&lab), Vec::new(), BTreeMap::new());
        Some(Self { lab, listener, signals, owner, groups, clients, held, idle: None, had_client: false, ends })
    }

    fn run(&mut self) {
        while !self.is_over() {
            let has_strangers = self.end_strangers();
            self.wait(has_strangers);
            self.accept();
            self.serve();
            self.hear_keepers();
            if self.ends {
                self.end(&self.held.keys().cloned().collect::<Vec<_>>());
            }
            self.end_next();
            self.start_waiting();
        }
    }

    /// Whether there is nothing to do any more.
    fn is_over(&mut self) -> bool {
        if !self.held.is_empty() || (!self.clients.is_empty() && !self.ends) {
            self.idle = None;
            return false;
        }
        let since = *self.idle.get_or_insert_with(Instant::now);
        (self.ends || self.had_client || since.elapsed() >= IDLE) && !self.end_strangers()
    }

    /// Removes the socket before nobody listens at it any more: whoever finds none may make a new one.
    fn leave(&self) {
        self.groups.as_ref().inspect(|groups| groups.remove());
        if let Ok(Some(files)) = ProgramFiles::open(&self.lab) {
            let _ = files.remove_socket();
        }
    }

    /// Waits until something happens.
    fn wait(&mut self, has_strangers: bool) {
        let limit = if has_strangers { KILL_INTERVAL } else { IDLE };
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::NONE);
        let (is_signalled, is_left) = {
            let signals = self.signals.as_fd();
            let mut files = vec![PollFd::new(signals, PollFlags::POLLIN)];
            let owner: Option<BorrowedFd<'_>> = match &self.owner {
                Owner::There(handle) => Some(handle.as_fd()),
                Owner::None | Owner::Gone => None,
            };
            files.extend(owner.map(|owner| PollFd::new(owner, PollFlags::POLLIN)));
            let accepts = if self.is_full() { PollFlags::empty() } else { PollFlags::POLLIN };
            files.push(PollFd::new(self.listener.as_fd(), accepts));
            for client in &self.clients {
                let writes = if client.channel.wants_to_send() { PollFlags::POLLOUT } else { PollFlags::empty() };
                files.push(PollFd::new(client.channel.as_fd(), PollFlags::POLLIN | writes));
            }
            let keepers = self.held.values().filter_map(|held| held.keeper.as_ref());
            for keeper in keepers {
                let writes = if keeper.channel.wants_to_send() { PollFlags::POLLOUT } else { PollFlags::empty() };
                files.push(PollFd::new(keeper.channel.as_fd(), PollFlags::POLLIN | writes));
            }
            let _ = poll(&mut files, limit);
            let has = |file: Option<&PollFd<'_>>| file.and_then(PollFd::any).unwrap_or_default();
            (has(files.first()), owner.is_some() && has(files.get(1)))
        };
        if is_signalled {
            self.ends |= self.signals.take();
        }
        self.ends |= is_left;
    }

    /// Whether so many ask that others have to wait. To send them away would say that there is no supervisor.
    fn is_full(&self) -> bool {
        self.clients.len() >= MOST_CLIENTS
    }

    /// Lets in who may ask: processes of the same user.
    fn accept(&mut self) {
        while !self.is_full()
            && let Ok((stream, _)) = self.listener.accept()
        {
            if getsockopt(&stream, PeerCredentials).is_ok_and(|peer| peer.uid() == geteuid().as_raw()) {
                self.had_client = true;
                self.clients.push(Client { channel: Channel::new(stream) });
            }
        }
    }

    fn serve(&mut self) {
        let mut clients = std::mem::take(&mut self.clients);
        for client in &mut clients {
            client.channel.flush();
            for request in client.channel.receive() {
                self.obey(request);
                let observed = |(name, held): (&ProgramRef, &Held)| {
                    let mut is = held.is.clone();
                    is.is_inside = held.is_inside(&name.ns);
                    is.keeper = held.keeper.as_ref().map(|keeper| keeper.pid.as_raw());
                    (name.clone(), is)
                };
                let programs = self.held.iter().map(observed).collect();
                client.channel.send(&Answer { supervisor: getpid().as_raw(), programs });
            }
        }
        clients.retain(|client| !client.channel.is_closed);
        self.clients = clients;
    }

    fn obey(&mut self, request: Request) {
        match request {
            Request::List => {}
            Request::Start(programs) if !self.ends => {
                let _ = failpoint::pass("take programs to start");
                programs.into_iter().for_each(|(name, program)| self.take(name, program));
            }
            Request::Start(_) => {}
            Request::End(names) => self.end(&names),
        }
    }

    /// Takes a program that is to be started. One that is as it is to be stays.
    fn take(&mut self, name: ProgramRef, program: Program) {
        let Some(held) = self.held.get_mut(&name) else {
            self.held.insert(name, Held::new(program));
            return;
        };
        let is_well = !matches!(held.is.state, ProgramState::Failed | ProgramState::Stopping);
        if is_well && !held.is_to_end && held.is_inside(&name.ns) {
            // One that is not ready yet may not know the signal.
            let is_running = held.is.state == ProgramState::Running;
            let reloads = || is_running && held.is.program.reloads_as(&program).is_some();
            let is_so = || held.is.program == program && is_as_written(&self.lab, &name, &program);
            if is_so() || reloads() && held.reload(&program) {
                return;
            }
        }
        if held.end() {
            *held = Held::new(program);
            remove_files(&self.lab, &name);
        } else {
            held.next = Some(program);
        }
    }

    /// Notes what is to end: each once those are gone that need it.
    fn end(&mut self, names: &[ProgramRef]) {
        for name in names {
            if let Some(held) = self.held.get_mut(name) {
                (held.next, held.is_to_end) = (None, true);
            }
        }
    }

    /// Ends what is to end and is needed by nothing else that is.
    fn end_next(&mut self) {
        loop {
            let to_end: Vec<(&ProgramRef, &Held)> = self.held.iter().filter(|(_, held)| held.is_to_end).collect();
            let needed: BTreeSet<&ProgramRef> = to_end.iter().flat_map(|(_, held)| &held.is.program.needs).collect();
            let is_ending = |held: &Held| held.is.state == ProgramState::Stopping;
            let open = to_end.iter().filter(|(_, held)| !is_ending(held));
            let mut next: Vec<ProgramRef> =
                open.clone().filter(|(name, _)| !needed.contains(name)).map(|(name, _)| (*name).clone()).collect();
            if next.is_empty() && !to_end.iter().any(|(_, held)| is_ending(held)) {
                // Versions of different files may need each other.
                next = open.map(|(name, _)| (*name).clone()).collect();
            }
            let mut is_gone = false;
            for name in next {
                if self.held.get_mut(&name).is_some_and(Held::end) {
                    self.held.remove(&name);
                    remove_files(&self.lab, &name);
                    is_gone = true;
                }
            }
            if !is_gone {
                return;
            }
        }
    }

    /// Takes in what keepers report, and which of them are gone.
    fn hear_keepers(&mut self) {
        let mut gone = Vec::new();
        for (name, held) in &mut self.held {
            if held.hear() {
                held.keeper = None;
                match held.is.state {
                    ProgramState::Stopping => gone.push((name.clone(), held.next.take())),
                    ProgramState::Done | ProgramState::Failed => {}
                    _ => {
                        held.is.pid = None;
                        held.become_(ProgramState::Failed, Some("the process that kept it was killed".to_owned()));
                    }
                }
            }
        }
        for (name, next) in gone {
            remove_files(&self.lab, &name);
            match next {
                Some(program) => drop(self.held.insert(name, Held::new(program))),
                None => drop(self.held.remove(&name)),
            }
        }
    }

    /// Starts what waits and has what it needs.
    fn start_waiting(&mut self) {
        let waiting =
            self.held.iter().filter(|(_, held)| held.is.state == ProgramState::Waiting && held.keeper.is_none());
        let waiting: Vec<ProgramRef> = waiting.map(|(name, _)| name.clone()).collect();
        // What a keeper that was killed has left may still hold what they want: a port.
        if waiting.is_empty() || self.end_strangers() {
            return;
        }
        for name in waiting {
            let Some(held) = self.held.get(&name) else { continue };
            let waits = held.began.elapsed();
            let is_long_gone = |need: &Held| waits.min(need.ready_until.elapsed()) >= need.is.program.within;
            let needs = held.is.program.needs.iter();
            let found: Vec<(&ProgramRef, Option<&Held>)> = needs.map(|need| (need, self.held.get(need))).collect();
            let failed = found.iter().find_map(|(name, need)| match need {
                None => Some(format!("it needs {name}, which is not there")),
                Some(need) if need.is.state == ProgramState::Failed => {
                    Some(format!("it needs {name}, which has failed"))
                }
                Some(need) if need.is.was_ready && !need.is_ready() && is_long_gone(need) => {
                    Some(format!("it needs {name}, which was ready once and is not any more"))
                }
                Some(_) => None,
            });
            let is_next = found.iter().all(|(_, need)| need.is_some_and(Held::is_ready));
            let Some(held) = self.held.get_mut(&name) else { continue };
            if failed.is_some() {
                held.become_(ProgramState::Failed, failed);
            } else if is_next {
                held.start(&self.lab, &name, self.groups.as_ref());
            }
        }
    }

    /// Ends what a keeper that was killed has left, and takes in what has ended; whether there is still something.
    fn end_strangers(&mut self) -> bool {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status.pid().is_none() {
                break;
            }
        }
        let keepers = self.held.values().filter_map(|held| held.keeper.as_ref());
        let keepers: BTreeSet<Pid> = keepers.map(|keeper| keeper.pid).collect();
        let has_strangers = tree::children(getpid()).iter().any(|child| !keepers.contains(child));
        if has_strangers {
            tree::signal_all(getpid(), Signal::SIGKILL, keepers);
        }
        has_strangers
    }
}

/// Whether the files of a program that is there are still what was written.
fn is_as_written(lab: &LabName, name: &ProgramRef, program: &Program) -> bool {
    let is_without = program.files.is_empty() && program.certificates.is_empty();
    let state = ProgramFiles::open(lab).ok().flatten();
    is_without || state.is_none_or(|state| on_disk::as_found(&state, name, program) == *program)
}

/// Removes the files of a program of which there is no keeper: those that end do it themselves. What cannot be removed
/// goes with the lab.
fn remove_files(lab: &LabName, name: &ProgramRef) {
    if let Ok(Some(files)) = ProgramFiles::open(lab) {
        let _ = files.remove(name, None);
    }
}
