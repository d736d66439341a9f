//! A process of a program, from fork(2) to execve(2), or to the loop of built-in servers.
//!
//! Supervisors and keepers have one thread, so what is between the two calls may allocate.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{ForkResult, Gid, Pid, Uid, User};
use nix::unistd::{chdir, execve, fchdir, fork, getpid, initgroups, pipe2, setgid, setsid, setuid};

use super::cgroup::Group;
use super::forked::{plain_signals, streams};
use super::server_child::become_servers;
use crate::failpoint;
use crate::kernel::open_files;
use crate::kernel::process::{self, OwnEtc};
use crate::lab::{LabName, NsName, PROGRAM_PATH, Program, ProgramRef, Runs};
use crate::state::{self, ProgramFiles};

/// What a process is started for.
pub(super) struct Start<'a> {
    pub(super) lab: &'a LabName,
    pub(super) name: &'a ProgramRef,
    pub(super) program: &'a Program,
    /// What to become: what the program runs, or the command of its readiness.
    pub(super) runs: &'a Runs,
    /// What it finds in `/etc`.
    pub(super) etc: &'a OwnEtc,
    /// The control group that it is to be in.
    pub(super) group: Option<&'a Group>,
}

/// What programs of a namespace find in `/etc`.
pub(super) fn own_etc(lab: &LabName, ns: &NsName) -> OwnEtc {
    OwnEtc::of_folder(&state::etc_folder(lab, ns)).unwrap_or_default()
}

/// Starts a process in the program's namespace, whose output and error output go to `output`, or nowhere. Returns when
/// it has begun to be the command, or its servers have opened their ports.
///
/// # Errors
/// Why it could not.
pub(super) fn spawn(start: &Start<'_>, output: [Option<&OwnedFd>; 2]) -> Result<Pid, String> {
    failpoint::pass("start a process of a program").map_err(|errno| errno.desc().to_owned())?;
    let refused = |errno: Errno| format!("it cannot be started: {}", errno.desc());
    let (mut from_child, to_keeper) = pipe2(OFlag::O_CLOEXEC).map(|(r, w)| (File::from(r), w)).map_err(refused)?;
    let keeper = getpid();
    // SAFETY: this process has one thread, so the child may do anything that this process may.
    match unsafe { fork() }.map_err(refused)? {
        ForkResult::Child => {
            start.group.inspect(|group| group.enter());
            match start.runs {
                Runs::Command(command) => {
                    let Err(why) = become_command(start, command, output);
                    let _ = File::from(to_keeper).write_all(why.as_bytes());
                }
                Runs::Servers(servers) => become_servers(&start.name.ns, servers, output, to_keeper, keeper),
            }
            // SAFETY: ends this copy of the keeper without anything that the keeper itself has yet to do.
            unsafe { libc::_exit(127) }
        }
        ForkResult::Parent { child } => {
            drop(to_keeper);
            let mut why = String::new();
            // Ends when the pipe is closed: by execve(2), or by the end of the child.
            let _ = from_child.read_to_string(&mut why);
            if why.is_empty() { Ok(child) } else { Err(why) }
        }
    }
}

/// Becomes the command; why that is not possible.
fn become_command(start: &Start<'_>, command: &[String], output: [Option<&OwnedFd>; 2]) -> Result<Infallible, String> {
    let because = |what: &str| {
        let what = what.to_owned();
        move |errno: Errno| format!("{what}: {}", errno.desc())
    };
    let program = start.program;
    let user = program.user.as_deref().map(find_user).transpose()?;
    setsid().map_err(because("it cannot have a session of its own"))?;
    streams(output).map_err(because("its streams cannot be opened"))?;
    plain_signals().map_err(because("its signals cannot be set"))?;
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    if !start.name.ns.is_host() {
        process::enter(&start.name.ns, start.etc).map_err(|error| error.to_string())?;
    }
    let folder = folder_of_files(start)?;
    let environment = environment(start, user.as_ref());
    let candidates = candidates(command, environment.get("PATH").map_or(PROGRAM_PATH, String::as_str));
    let arguments = c_strings(command.iter().cloned());
    let variables = c_strings(environment.into_iter().map(|(key, value)| format!("{key}={value}")));
    open_files::restore();
    if let Some(limit) = program.limits.open_files {
        setrlimit(Resource::RLIMIT_NOFILE, limit, limit).map_err(because("`open_files` cannot be set"))?;
    }
    if let Some(user) = &user {
        let refused = because(&format!("it cannot become user {}", user.name));
        become_user(user).map_err(refused)?;
    }
    enter_directory(program.directory.as_deref(), folder)?;
    if let Some(limit) = program.limits.memory {
        setrlimit(Resource::RLIMIT_DATA, limit, limit).map_err(because("`memory` cannot be set"))?;
    }
    let mut worst = Errno::ENOENT;
    for candidate in &candidates {
        let Err(errno) = execve(candidate, &arguments, &variables);
        if !matches!(errno, Errno::ENOENT | Errno::ENOTDIR) {
            worst = errno;
        }
    }
    let command = command.first().map(String::as_str).unwrap_or_default();
    Err(match worst {
        Errno::ENOENT => format!("there is no command `{command}`"),
        errno => format!("cannot run `{command}`: {}", errno.desc()),
    })
}

/// The folder of the program's files; none where it has none, or starts elsewhere.
fn folder_of_files(start: &Start<'_>) -> Result<Option<OwnedFd>, String> {
    if start.program.files.is_empty() || start.program.directory.is_some() {
        return Ok(None);
    }
    let files = ProgramFiles::open(start.lab).map_err(|error| error.to_string())?;
    let folder = files.and_then(|files| files.folder_of(start.name));
    folder.map(Some).ok_or_else(|| "it cannot start in the folder of its files: it is gone".to_owned())
}

/// Where it starts. The folder of its files is below one that is private to nslab's user: another has to be led there.
fn enter_directory(directory: Option<&str>, files: Option<OwnedFd>) -> Result<(), String> {
    match (directory, files) {
        (None, Some(files)) => fchdir(&files).map_err(|errno| ("the folder of its files", errno)),
        (directory, _) => {
            let directory = directory.unwrap_or("/");
            chdir(directory).map_err(|errno| (directory, errno))
        }
    }
    .map_err(|(directory, errno)| format!("it cannot start in {directory}: {}", errno.desc()))
}

/// The user and group that a program runs as; none: those of nslab.
///
/// # Errors
/// There is no such user.
pub(super) fn owner(program: &Program) -> Result<Option<(Uid, Gid)>, String> {
    let user = program.user.as_deref().map(find_user).transpose()?;
    Ok(user.map(|user| (user.uid, user.gid)))
}

fn find_user(name: &str) -> Result<User, String> {
    let by_number = name.parse().ok().map(Uid::from_raw);
    let found = match by_number {
        Some(uid) => User::from_uid(uid),
        None => User::from_name(name),
    };
    match (found, by_number) {
        (Ok(Some(user)), _) => Ok(user),
        // A number needs no name.
        (Ok(None), Some(uid)) => Ok(User {
            name: name.to_owned(),
            uid,
            gid: Gid::from_raw(uid.as_raw()),
            dir: "/".into(),
            shell: "/bin/sh".into(),
            passwd: CString::default(),
            gecos: CString::default(),
        }),
        (Ok(None), None) => Err(format!("there is no user `{name}`")),
        (Err(errno), _) => Err(format!("user `{name}` cannot be looked up: {}", errno.desc())),
    }
}

fn become_user(user: &User) -> nix::Result<()> {
    let name = CString::new(user.name.as_str()).map_err(|_| Errno::EINVAL)?;
    initgroups(&name, user.gid)?;
    setgid(user.gid)?;
    setuid(user.uid)
}

/// What the command finds in its environment: nothing of that of whoever has started nslab.
fn environment(start: &Start<'_>, user: Option<&User>) -> BTreeMap<String, String> {
    let own = [
        ("PATH", PROGRAM_PATH.to_owned()),
        ("NSLAB_LAB", start.lab.to_string()),
        ("NSLAB_NS", start.name.ns.to_string()),
        ("NSLAB_PROGRAM", format!("{}/{}", start.lab, start.name)),
    ];
    let mut environment: BTreeMap<String, String> =
        own.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let caller = User::from_uid(Uid::effective()).ok().flatten();
    if let Some(user) = user.or(caller.as_ref()) {
        environment.insert("USER".to_owned(), user.name.clone());
        environment.insert("HOME".to_owned(), user.dir.display().to_string());
    }
    environment.extend(start.program.environment.clone());
    environment
}

/// The files that a command may be, in their order.
fn candidates(command: &[String], path: &str) -> Vec<CString> {
    let Some(name) = command.first() else { return Vec::new() };
    match name.contains('/') {
        true => c_strings([name.clone()]),
        false => {
            c_strings(path.split(':').map(|folder| format!("{}/{name}", if folder.is_empty() { "." } else { folder })))
        }
    }
}

/// Texts for the kernel. None has a zero byte: the file's have been asked.
fn c_strings(texts: impl IntoIterator<Item = String>) -> Vec<CString> {
    texts.into_iter().filter_map(|text| CString::new(text).ok()).collect()
}
