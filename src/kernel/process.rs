//! Processes: becoming one in a namespace, finding those that are there, and not leaving any behind.
//!
//! Facts from ip-netns(8), proc(5) and namespaces(7).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid};
use serde::Serialize;

use super::{KernelCode, KernelError, netns, open_files};
use crate::lab::{LabName, NsName};

/// Where nslab keeps its state.
const STATE: &str = "/run/nslab";

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// There is no such command (or no interpreter for it); shells exit with 127.
    #[error("there is no command `{}`", .0.to_string_lossy())]
    NotFound(OsString),
    /// It is there but cannot be run; shells exit with 126.
    #[error("cannot run `{}`: {}", .0.to_string_lossy(), .1)]
    NotExecutable(OsString, io::Error),
    /// The namespace could not be entered.
    #[error(transparent)]
    Namespace(#[from] KernelError),
}

impl ExecError {
    /// Its code.
    pub fn code(&self) -> KernelCode {
        match self {
            Self::NotFound(_) => KernelCode::CommandNotFound,
            Self::NotExecutable(..) => KernelCode::CommandNotExecutable,
            Self::Namespace(error) => error.code(),
        }
    }

    /// The exit code that a shell has for it.
    pub fn shell_code(&self) -> u8 {
        match self {
            Self::NotFound(_) => 127,
            Self::NotExecutable(..) | Self::Namespace(_) => 126,
        }
    }
}

/// So much of a file of `/etc` is read.
const LONGEST_FILE: u64 = 1 << 20;

/// What programs in a namespace find in `/etc`, besides what `/etc/netns/NAME` says.
#[derive(Debug, Default)]
pub enum OwnEtc {
    /// What the machine has.
    #[default]
    Machines,
    /// The files of a folder.
    Folder(PathBuf),
    /// Files with these names and texts.
    Texts(Vec<(&'static str, String)>),
}

impl OwnEtc {
    /// The files of a folder, if it is there.
    pub(crate) fn of_folder(path: &str) -> Option<Self> {
        let folder = PathBuf::from(path);
        folder.is_dir().then_some(Self::Folder(folder))
    }

    /// The text of a file of `/etc` as programs in a namespace find it; empty where there is none.
    pub(crate) fn text(&self, ns: &NsName, name: &str) -> String {
        let own = match self {
            Self::Machines => None,
            Self::Folder(folder) => text_of(&folder.join(name)),
            Self::Texts(texts) => texts.iter().find(|(own, _)| *own == name).map(|(_, text)| text.clone()),
        };
        let of_ns = || text_of(Path::new(&format!("/etc/netns/{ns}/{name}"))).filter(|_| !ns.is_host());
        own.or_else(of_ns).or_else(|| text_of(&Path::new("/etc").join(name))).unwrap_or_default()
    }
}

/// The beginning of a file; none where there is none to read.
fn text_of(path: &Path) -> Option<String> {
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).ok()?;
    let mut bytes = Vec::new();
    opened.take(LONGEST_FILE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Replaces this process by a command inside a namespace, as `ip netns exec` does: with that namespace's `/sys`, and
/// its own files and those of `/etc/netns/NAME` in the place of those in `/etc`. For `host` only the command changes.
///
/// The command finds the lab and the namespace in `NSLAB_LAB` and `NSLAB_NS`. Returns only on an error; the calling
/// thread is then wherever it got to, so the process should end.
pub fn exec_in(
    lab: &LabName,
    ns: &NsName,
    etc: &OwnEtc,
    command: &OsStr,
    args: &[OsString],
) -> Result<Infallible, ExecError> {
    if !ns.is_host() {
        enter(ns, etc)?;
    }
    replace_by(Command::new(command).args(args).env("NSLAB_LAB", lab.as_str()).env("NSLAB_NS", ns.as_str()))
}

/// Replaces this process by a command where it is. Returns only on an error.
pub fn exec(command: &OsStr, args: &[OsString]) -> Result<Infallible, ExecError> {
    replace_by(Command::new(command).args(args))
}

fn replace_by(command: &mut Command) -> Result<Infallible, ExecError> {
    open_files::restore();
    let error = command.exec();
    let program = command.get_program().to_owned();
    Err(match error.kind() {
        ErrorKind::NotFound => ExecError::NotFound(program),
        _ => ExecError::NotExecutable(program, error),
    })
}

/// Has the kernel end a program together with the thread that starts it (PR_SET_PDEATHSIG): one that outlived an nslab
/// that was killed would still be changing rules while the next one looks at them.
pub fn end_with_this_thread(command: &mut Command) {
    let nslab = getpid();
    let prepare = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // Killed before that call.
        if getppid() == nslab { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec, only calls that are safe in a signal handler are allowed: prctl(2) and getppid(2)
    // are bare system calls, and making an error of a number allocates nothing.
    unsafe { command.pre_exec(prepare) };
}

/// Gives a program the limit on open files that nslab was started with.
pub(crate) fn with_former_limits(command: &mut Command) {
    let prepare = || {
        open_files::restore();
        Ok(())
    };
    // SAFETY: between fork and exec, only calls that are safe in a signal handler are allowed: getrlimit(2) and
    // setrlimit(2) are bare system calls, and what the limit was is only read.
    unsafe { command.pre_exec(prepare) };
}

/// Has the kernel end this process together with the one that has started it: what was asked for is forgotten where a
/// process becomes root of a user namespace. `parent` is the number of that other process, from before.
///
/// # Errors
/// It has ended meanwhile.
pub(crate) fn end_with(parent: Pid) -> Result<(), KernelError> {
    let failed = |errno| KernelError::new("end together with the process that has started this one").with_errno(errno);
    set_pdeathsig(Signal::SIGKILL).map_err(failed)?;
    if getppid() == parent { Ok(()) } else { Err(failed(Errno::ESRCH)) }
}

/// Moves this thread into a namespace, with mounts of its own that show it.
pub(crate) fn enter(ns: &NsName, etc: &OwnEtc) -> Result<(), KernelError> {
    enter_network(ns)?;
    let refused = |errno| KernelError::new(format!("enter namespace {ns}")).with_errno(errno);
    unshare(CloneFlags::CLONE_NEWNS).map_err(refused)?;
    // Mounts made from here on stay here; those that the host makes later still arrive.
    bind("/", None, MsFlags::MS_REC | MsFlags::MS_SLAVE).map_err(refused)?;
    show_sys()?;
    show_own_etc(etc)?;
    show_etc(ns)
}

/// Moves this thread into a namespace, and leaves its mounts as they are.
pub(crate) fn enter_network(ns: &NsName) -> Result<(), KernelError> {
    let refused = |errno| KernelError::new(format!("enter namespace {ns}")).with_errno(errno);
    setns(netns::open(ns)?, CloneFlags::CLONE_NEWNET).map_err(refused)
}

/// The name of the namespace that this thread is in; `host` where it has none.
pub(crate) fn own_namespace() -> NsName {
    let own = identity("/proc/thread-self/ns/net");
    let mut names = netns::list().unwrap_or_default().into_iter();
    names.find(|ns| identity(&format!("/run/netns/{ns}")) == own).unwrap_or_else(NsName::host)
}

/// Mounts the `/sys` of this thread's network namespace (`/sys/class/net`).
pub(super) fn show_sys() -> Result<(), KernelError> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount(Some("sysfs"), "/sys", Some("sysfs"), flags, None::<&str>) {
        // Containers may hide parts of /sys, and then no other can be mounted (mount_namespaces(7)): nothing but
        // /sys/class/net is different, so the old one serves.
        Ok(()) | Err(Errno::EPERM | Errno::EACCES) => Ok(()),
        Err(errno) => Err(KernelError::new("mount /sys for the namespace").with_errno(errno)),
    }
}

/// Puts a namespace's own files over those in `/etc`. Where the machine has no such file, there is nothing that could
/// be in its place.
fn show_own_etc(etc: &OwnEtc) -> Result<(), KernelError> {
    let over = |file: &Path, name: &OsStr| {
        let target = Path::new("/etc").join(name);
        match bind(&target, Some(file), MsFlags::MS_BIND) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(KernelError::new(format!("put a file over {}", target.display())).with_errno(errno)),
        }
    };
    match etc {
        OwnEtc::Machines => Ok(()),
        OwnEtc::Folder(folder) => {
            let read = |error: io::Error| KernelError::new(format!("read {}", folder.display())).with_io(&error);
            std::fs::read_dir(folder).map_err(read)?.try_for_each(|entry| {
                let entry = entry.map_err(read)?;
                over(&entry.path(), &entry.file_name())
            })
        }
        OwnEtc::Texts(texts) => {
            // Seen by this process alone, and only until the files are where they belong.
            let (place, none) = (Path::new(STATE), None::<&str>);
            let refused = |errno| KernelError::new("make files for /etc").with_errno(errno);
            mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, none)
                .map_err(refused)?;
            let shown = texts.iter().try_for_each(|(name, text)| {
                let file = place.join(name);
                std::fs::write(&file, text).map_err(|error| KernelError::new("make files for /etc").with_io(&error))?;
                over(&file, OsStr::new(name))
            });
            umount2(place, MntFlags::MNT_DETACH).map_err(refused).and(shown)
        }
    }
}

/// Puts each file of `/etc/netns/NAME` over the one in `/etc`.
fn show_etc(ns: &NsName) -> Result<(), KernelError> {
    let folder = format!("/etc/netns/{ns}");
    // Its own files, which are there already.
    if std::fs::read_link(&folder).is_ok_and(|to| to.starts_with(STATE)) {
        return Ok(());
    }
    let refused = |error: io::Error| KernelError::new(format!("read {folder}")).said(error.to_string());
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(refused(error)),
    };
    for entry in entries {
        let entry = entry.map_err(refused)?;
        let target = Path::new("/etc").join(entry.file_name());
        bind(&target, Some(&entry.path()), MsFlags::MS_BIND).map_err(|errno| {
            let (source, target) = (entry.path(), target.display());
            let error = KernelError::new(format!("put {} over {target}", source.display())).with_errno(errno);
            if errno == Errno::ENOENT {
                error.hint(format!("there has to be a {target}: make an empty one"))
            } else {
                error
            }
        })?;
    }
    Ok(())
}

fn bind(target: impl AsRef<Path>, source: Option<&Path>, flags: MsFlags) -> nix::Result<()> {
    mount(source, target.as_ref(), None::<&str>, flags, None::<&str>)
}

/// A process that lives in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its command line, or the kernel's name for it where it has none.
    pub command: String,
}

/// The processes of every given namespace, by one pass over `/proc`; `host` is this process's own. Without root, other
/// people's processes cannot be read and are left out.
pub fn in_namespaces<'a>(
    namespaces: impl IntoIterator<Item = &'a NsName>,
) -> Result<BTreeMap<NsName, Vec<Process>>, KernelError> {
    let mut names = BTreeMap::new();
    let mut found = BTreeMap::new();
    for ns in namespaces {
        let path = if ns.is_host() { "/proc/thread-self/ns/net".to_owned() } else { format!("/run/netns/{ns}") };
        // A namespace that is gone has no processes that could be found by its name.
        if let Some(identity) = identity(&path) {
            names.insert(identity, ns);
        }
        found.insert(ns.clone(), Vec::new());
    }
    let refused = |error: io::Error| KernelError::new("list processes in /proc").said(error.to_string());
    for entry in std::fs::read_dir("/proc").map_err(refused)? {
        let Some(pid) = entry.map_err(refused)?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end while we look at it: then it is in no namespace.
        let ns = identity(&format!("/proc/{pid}/ns/net")).and_then(|identity| names.get(&identity));
        if let Some(processes) = ns.and_then(|&ns| found.get_mut(ns)) {
            processes.extend(command_line(pid).map(|command| Process { pid, command }));
        }
    }
    found.values_mut().for_each(|processes| processes.sort_by_key(|process: &Process| process.pid));
    Ok(found)
}

/// A handle of a process, which can be read from once that has ended (pidfd_open(2)).
///
/// # Errors
/// There is no such process, or the kernel has no such call (before Linux 5.3).
pub(crate) fn handle(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: the call takes two numbers and no pointers.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    let fd = i32::try_from(fd).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What tells one namespace from all others: device and inode of its file (namespaces(7)).
pub(crate) fn identity(path: &str) -> Option<(u64, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

fn command_line(pid: u32) -> Option<String> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let line = String::from_utf8_lossy(&line);
    let words: Vec<&str> = line.split_terminator('\0').collect();
    if words.is_empty() {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        return Some(format!("[{}]", name.trim_end()));
    }
    Some(words.join(" "))
}
