//! Checks of a lab that several machines make together: on each of them, a process of nslab holds the sockets open,
//! sends when it is told to, and says at the end what it saw; then all of it is put together.

use std::fs::Permissions;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::stat::{self, SFlag};
use nix::unistd::setsid;
use sha2::{Digest, Sha256};

use super::{EngineError, as_on_this_machine};
use crate::check::{self, Report, Side};
use crate::kernel::{KernelError, process};
use crate::lab::{ExecCheck, Lab, LabName, NsName, Share};
use crate::programs;
use crate::state::{self, ChecksSocket, LabFolder};
use crate::topology::{self, OnMachine, Topology};

/// The name of nslab's command that holds the sockets open.
const COMMAND: &str = "attend";

/// How long probes may take to be sent.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// How long everything else may take.
const SOON: Duration = Duration::from_secs(3);

/// Opens the sockets of a lab's checks on this machine, which stay open until [`end_checks`], or a quarter of an hour.
/// Those that were open are closed.
///
/// # Errors
/// The lab is not applied here as one of several machines, or its sockets cannot be opened.
pub fn open_checks(lab: &LabName) -> Result<(), EngineError> {
    kept(lab)?;
    let Some(_folder) = LabFolder::try_lock(lab)? else { return Err(EngineError::Busy(lab.clone())) };
    close_checks(lab)?;
    let cannot = |error: &io::Error| KernelError::new(format!("open the checks of {lab}")).with_io(error);
    let socket = ChecksSocket::of(lab)?.ok_or_else(|| EngineError::NoSuchLab(lab.clone()))?;
    socket.remove()?;
    let listener = UnixListener::bind(socket.path()).map_err(|error| cannot(&error))?;
    std::fs::set_permissions(socket.path(), Permissions::from_mode(0o600)).map_err(|error| cannot(&error))?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("nslab").arg(COMMAND).arg(lab.as_str()).env_clear().current_dir("/");
    process::with_former_limits(&mut command);
    command.stdin(OwnedFd::from(listener)).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| cannot(&error))?;
    drop(command);
    match ask_within(lab, check::READY, LIMIT) {
        Ok(_) => Ok(()),
        Err(error) => {
            socket.remove()?;
            let _ = child.kill();
            Err(why_not(child).map_or(error, EngineError::Sides))
        }
    }
}

/// What a process that has ended has said of an error.
fn why_not(mut child: Child) -> Option<String> {
    let mut said = String::new();
    child.stderr.take()?.read_to_string(&mut said).ok()?;
    let _ = child.wait();
    let said = said.trim().trim_start_matches("error: ");
    // Its code is not that of this error.
    let said = said.rsplit_once(" [").map_or(said, |(said, _)| said);
    (!said.is_empty()).then(|| said.to_owned())
}

/// Has everything sent that starts on this machine, and waits until all of it has come to an end.
///
/// # Errors
/// The checks are not open, or could not be sent.
pub fn send_checks(lab: &LabName) -> Result<(), EngineError> {
    let answer = ask(lab, check::SEND)?;
    match answer.strip_prefix("error: ") {
        Some(why) => Err(EngineError::Sides(why.to_owned())),
        None => Ok(()),
    }
}

/// What this machine has to say, as JSON on one line, and the word that says which opening of the checks that is of.
/// The sockets stay open: see [`end_checks`].
///
/// # Errors
/// The checks are not open.
pub fn side_of_checks(lab: &LabName) -> Result<(String, String), EngineError> {
    let said = ask(lab, check::SAY)?;
    let (opening, side) = said.split_once(' ').unwrap_or_default();
    Ok((opening.to_owned(), side.to_owned()))
}

/// Closes the sockets of one opening of the checks: what was seen is forgotten. That they are closed already, or were
/// opened anew meanwhile, is no error.
///
/// # Errors
/// Whoever holds them open does not answer.
pub fn end_checks(lab: &LabName, opening: &str) -> Result<(), EngineError> {
    match if_open(ask(lab, &format!("{} {opening}", check::END)))? {
        Some(_) => ChecksSocket::of(lab)?.map_or(Ok(()), |socket| Ok(socket.remove()?)),
        None => Ok(()),
    }
}

/// Closes the checks of a lab, if they are open: what was seen is nobody's any more.
///
/// # Errors
/// Whoever holds them open does not answer.
pub(super) fn close_checks(lab: &LabName) -> Result<(), EngineError> {
    if_open(ask_within(lab, check::END, SOON)).map(drop)
}

/// What came of asking; none where nobody holds the checks open.
fn if_open(asked: Result<String, EngineError>) -> Result<Option<String>, EngineError> {
    match asked {
        Err(EngineError::NotOpen(_) | EngineError::NoSuchLab(_)) => Ok(None),
        asked => asked.map(Some),
    }
}

/// Makes sure that nobody holds the checks of a lab open: ports at which they listen are taken.
pub(super) fn are_closed(lab: &LabName) -> Result<(), EngineError> {
    match if_open(ask_within(lab, check::READY, SOON))? {
        Some(_) => Err(EngineError::Sides(format!(
            "the checks of lab {lab} are open, and what listens for them would answer here: nslab check {lab} --end"
        ))),
        None => Ok(()),
    }
}

/// Puts together what the machines of a lab have said.
///
/// # Errors
/// It does not belong together, or is not what [`side_of_checks`] gives.
pub fn join_checks(topology: &Topology, sides: &[(String, String)]) -> Result<Report, EngineError> {
    let read = |(name, text): &(String, String)| {
        if text.trim().is_empty() {
            let why = "it is empty: `--end` has failed there, and can be run again".to_owned();
            return Err(EngineError::BadSide { file: name.clone(), why });
        }
        serde_json::from_str::<Side>(text)
            .map_err(|error| EngineError::BadSide { file: name.clone(), why: error.to_string() })
    };
    let sides = sides.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let whole = topology.machine.as_ref().map_or(&topology.lab, |machine| &machine.whole);
    check::join(whole, &number(topology), &sides).map_err(EngineError::SidesDiffer)
}

/// Becomes the process that holds the sockets open; the socket at which it is told what to do is the standard input.
///
/// # Errors
/// The lab is not applied here as one of several machines, or its sockets cannot be opened.
pub fn attend(lab: &LabName) -> Result<(), EngineError> {
    let cannot = |what: &str| EngineError::Sides(format!("{what}: `nslab check {lab} --open` starts this"));
    let listener = io::stdin().as_fd().try_clone_to_owned().map_err(|error| cannot(&error.to_string()))?;
    let listener = programs::keep_only(listener).map_err(|error| cannot(error.desc()))?;
    if !stat::fstat(&listener).is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode).contains(SFlag::S_IFSOCK)) {
        return Err(cannot("there is no socket"));
    }
    // A process that leads a group, as where a person has started it, has its session already.
    let _ = setsid();
    let topology = kept(lab)?;
    let Some(OnMachine { share, whole, .. }) = &topology.machine else { return Err(cannot("there is one machine")) };
    let (number, folder) = (number(&topology), state::identity(lab)?);
    let is_over = || match state::identity(lab) {
        Ok(now) => now != folder,
        Err(error) => error.errno() == Some(Errno::ENOENT),
    };
    Ok(check::stand_by(whole, share, &number, UnixListener::from(listener), is_over)?)
}

/// The commands of checks that run on this machine. None runs in its own namespace.
pub(super) fn with_commands_here(whole: &Lab, share: &Share) -> Lab {
    let is_here = |ns: &NsName| share.holds(ns) && *ns != share.node;
    let own = |check: &ExecCheck| {
        let from: Vec<NsName> = check.from.iter().filter(|ns| is_here(ns)).cloned().collect();
        (!from.is_empty()).then(|| ExecCheck { from, ..check.clone() })
    };
    Lab { exec_checks: whole.exec_checks.iter().filter_map(own).collect(), ..whole.clone() }
}

/// The topology of a lab that is applied here as one of several machines.
fn kept(lab: &LabName) -> Result<Topology, EngineError> {
    let text = state::topology(lab)?.ok_or_else(|| EngineError::NoSuchLab(lab.clone()))?;
    let topology = topology::parse("the topology as applied", &text);
    let topology = as_on_this_machine(topology.map_err(|_| EngineError::TopologyNotKept(lab.clone()))?)?;
    match topology.machine {
        Some(_) => Ok(topology),
        None => Err(EngineError::NotShared(lab.clone())),
    }
}

/// A number that two machines have in common if they have the same topology.
fn number(topology: &Topology) -> String {
    Sha256::digest(topology.expanded().as_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Asks the process that holds the checks of a lab open.
fn ask(lab: &LabName, what: &str) -> Result<String, EngineError> {
    ask_within(lab, what, LIMIT)
}

fn ask_within(lab: &LabName, what: &str, limit: Duration) -> Result<String, EngineError> {
    let socket = ChecksSocket::of(lab)?.ok_or_else(|| EngineError::NoSuchLab(lab.clone()))?;
    let mut stream = UnixStream::connect(socket.path()).map_err(|_| EngineError::NotOpen(lab.clone()))?;
    let refused = |error: io::Error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => {
            let what =
                format!("the process that holds the checks of {lab} open has not answered for {} s", limit.as_secs());
            EngineError::Sides(format!("{what}; if it is stopped, end it: pkill -KILL -f '^nslab attend {lab}$'"))
        }
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => EngineError::NotOpen(lab.clone()),
        _ => KernelError::new(format!("ask the checks of {lab}")).with_io(&error).into(),
    };
    stream.set_read_timeout(Some(limit)).map_err(refused)?;
    writeln!(stream, "{what}").map_err(refused)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(refused)?;
    match answer.trim_end() {
        "" => Err(EngineError::NotOpen(lab.clone())),
        answer => Ok(answer.to_owned()),
    }
}
