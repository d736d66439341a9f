//! A program that a supervisor has, with its keeper.

use std::os::unix::net::UnixStream;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, Pid, fork};

use super::cgroup::Groups;
use super::channel::Channel;
use super::forked::keep_only;
use super::keeper;
use super::message::Report;
use super::tree;
use crate::failpoint;
use crate::kernel::process;
use crate::lab::{LabName, NsName, ObservedProgram, Program, ProgramRef, ProgramState};

/// A program that a supervisor has.
pub(super) struct Held {
    pub(super) is: ObservedProgram,
    pub(super) keeper: Option<Keeper>,
    /// Whether it is to end, once those are gone that need it.
    pub(super) is_to_end: bool,
    /// When it was asked for.
    pub(super) began: Instant,
    /// When it was ready for the last time, while it is not.
    pub(super) ready_until: Instant,
    /// What is to be started in its place once it has ended.
    pub(super) next: Option<Program>,
    /// The namespace that it was started in: device and inode of its file.
    namespace: Option<(u64, u64)>,
}

/// The process that keeps a program.
pub(super) struct Keeper {
    pub(super) pid: Pid,
    pub(super) channel: Channel,
}

impl Held {
    /// One that waits for what it needs.
    pub(super) fn new(program: Program) -> Self {
        let is =
            ObservedProgram { state: ProgramState::Waiting, was_ready: false, ..ObservedProgram::running(program) };
        let (began, ready_until) = (Instant::now(), Instant::now());
        let mut held = Self { is, keeper: None, is_to_end: false, began, ready_until, next: None, namespace: None };
        held.become_(ProgramState::Waiting, None);
        held
    }

    pub(super) fn become_(&mut self, state: ProgramState, why: Option<String>) {
        (self.is.state, self.is.why, self.is.since) = (state, why, now());
    }

    /// Starts its keeper.
    pub(super) fn start(&mut self, lab: &LabName, name: &ProgramRef, groups: Option<&Groups>) {
        if let Err(error) = self.try_to_start(lab, name, groups) {
            self.become_(ProgramState::Failed, Some(format!("it cannot be kept: {error}")));
        }
    }

    fn try_to_start(&mut self, lab: &LabName, name: &ProgramRef, groups: Option<&Groups>) -> std::io::Result<()> {
        failpoint::pass("start a keeper")?;
        self.namespace = identity(&name.ns);
        let (ours, theirs) = UnixStream::pair()?;
        // SAFETY: this process has one thread, so the child may do anything that this process may.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(ours);
                if let Ok(theirs) = keep_only(theirs.into()) {
                    let group = groups.and_then(|groups| groups.make(name));
                    keeper::keep(lab.clone(), name.clone(), self.is.program.clone(), theirs.into(), group);
                }
                // SAFETY: ends this copy of the supervisor without anything that the supervisor itself has yet to do.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                self.become_(ProgramState::Starting, None);
                self.keeper = Some(Keeper { pid: child, channel: Channel::new(ours) });
                Ok(())
            }
        }
    }

    /// Has it end; whether there is nothing to wait for.
    pub(super) fn end(&mut self) -> bool {
        let Some(keeper) = &self.keeper else { return true };
        if self.is.state != ProgramState::Stopping {
            let _ = failpoint::pass("end a program");
            // The end of the stream is what the keeper waits for. One that is gone is seen as well.
            let _ = keeper.channel.stream().shutdown(std::net::Shutdown::Write);
            // One that is stopped (SIGSTOP) has to go on to see it.
            tree::signal_child(keeper.pid, Signal::SIGCONT);
            self.become_(ProgramState::Stopping, None);
        }
        false
    }

    /// Gives the keeper what has changed in the files of the program; whether there is a keeper.
    pub(super) fn reload(&mut self, program: &Program) -> bool {
        let Some(keeper) = &mut self.keeper else { return false };
        keeper.channel.send(program);
        self.is.program = program.clone();
        // Until the keeper has done it, and reports.
        (self.is.state, self.is.was_ready) = (ProgramState::Starting, false);
        true
    }

    /// Takes in what the keeper has reported; whether the keeper is gone.
    pub(super) fn hear(&mut self) -> bool {
        let Some(keeper) = &mut self.keeper else { return false };
        keeper.channel.flush();
        let reports: Vec<Report> = keeper.channel.receive();
        let is_gone = keeper.channel.is_closed;
        for report in reports {
            if self.is_ready() {
                self.ready_until = Instant::now();
            }
            if self.is.state != ProgramState::Stopping {
                if self.is.state != report.state || self.is.pid != report.pid {
                    self.is.since = now();
                }
                self.is.state = report.state;
            }
            (self.is.pid, self.is.why, self.is.ended) = (report.pid, report.why, report.ended.or(self.is.ended));
            (self.is.was_ready, self.is.restarts, self.is.output) = (report.was_ready, report.restarts, report.output);
        }
        is_gone
    }

    /// Whether what was started is in the namespace that has the name now.
    pub(super) fn is_inside(&self, ns: &NsName) -> bool {
        self.namespace.is_none() || self.namespace == identity(ns)
    }

    /// Whether others that need it may start.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.is.state, ProgramState::Running | ProgramState::Done)
    }
}

fn identity(ns: &NsName) -> Option<(u64, u64)> {
    process::identity(&format!("/run/netns/{ns}"))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
