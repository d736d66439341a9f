//! Making a namespace so that, whenever the process is killed, there is either nothing or something that says whose it
//! is: it gets its mark while it is still invisible, and the file that becomes its name is born with the mark in it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, Flock};
use nix::mount::{MsFlags, mount};
use nix::unistd::linkat;

use super::{DIRECTORY, Named, NetnsGuard, look, open, path};
use crate::failpoint;
use crate::kernel::netlink::{NetlinkError, Socket};
use crate::kernel::{KernelError, wait};
use crate::lab::{LabName, Mark, NsName};

/// The index of the loopback in every namespace (`LOOPBACK_IFINDEX`).
pub(in crate::kernel) const LOOPBACK: u32 = 1;

/// Makes a namespace with its loopback up and marked; the namespace, and a netlink socket in it. The visit is there
/// afterwards.
///
/// # Errors
/// `EEXIST` where the name is taken, unless by what a kill has left of this lab. Whatever fails, nothing is left.
pub(in crate::kernel) fn add(visit: &NetnsGuard, ns: &NsName, mark: &Mark) -> Result<(OwnedFd, Socket), KernelError> {
    let tried = format!("make namespace {ns}");
    let failed = || KernelError::new(tried.as_str());
    visit.enter_new()?;
    let fd = open(&NsName::host())?;
    let mut socket = Socket::open().map_err(|error| failed().with_io(&error))?;
    mark_loopback(&mut socket, mark).map_err(|error| error.about(tried.as_str()))?;
    give_name(ns, &mark.lab).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            failed().with_io(&error).said(format!("{} is there already", path(ns).display()))
        }
        _ => failed().with_io(&error),
    })?;
    Ok((fd, socket))
}

/// Brings the loopback up and sets its alias to the lab's mark, in one message.
fn mark_loopback(socket: &mut Socket, mark: &Mark) -> Result<(), NetlinkError> {
    let mut message = LinkMessage::default();
    message.header.index = LOOPBACK;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    message.attributes.push(LinkAttribute::IfAlias(mark.to_string()));
    socket.change(RouteNetlinkMessage::SetLink(message), 0)
}

/// Gives this thread's namespace its name.
fn give_name(ns: &NsName, lab: &LabName) -> io::Result<()> {
    let path = path(ns);
    let content = format!("{}\n", lab.mark());
    match publish(&path, content.as_bytes()) {
        // What the lab itself has left when nslab was killed makes way.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_leftover(ns, lab) => {
            failpoint::pass("remove a namespace's file")?;
            fs::remove_file(&path)?;
            publish(&path, content.as_bytes())?;
        }
        published => published?,
    }
    let mounted = failpoint::pass("mount a namespace")
        .and_then(|()| mount(Some("/proc/thread-self/ns/net"), &path, None::<&str>, MsFlags::MS_BIND, None::<&str>));
    mounted.map_err(|errno| {
        // The error that is reported is the mount's.
        let _ = fs::remove_file(&path);
        errno.into()
    })
}

fn is_leftover(ns: &NsName, lab: &LabName) -> bool {
    matches!(look(ns), Ok(Named::Leftover(owner)) if owner == *lab)
}

/// Makes `/run/netns` and lets mounts in it be seen in other mount namespaces, as iproute2 does, so that a
/// namespace that is removed here is not held elsewhere.
pub(in crate::kernel) fn prepare_directory() -> Result<(), KernelError> {
    let failed = |errno| KernelError::new(format!("prepare {DIRECTORY}")).with_errno(errno);
    let failed_io = |error: io::Error| KernelError::new(format!("prepare {DIRECTORY}")).with_io(&error);
    fs::DirBuilder::new().recursive(true).mode(0o755).create(DIRECTORY).map_err(failed_io)?;
    let share = || {
        failpoint::pass("share the mounts of namespaces")?;
        mount(None::<&str>, DIRECTORY, None::<&str>, MsFlags::MS_SHARED | MsFlags::MS_REC, None::<&str>)
    };
    match share() {
        // Not a mount point yet: only to make one takes the lock, which anybody who may read the directory can hold.
        Err(Errno::EINVAL) => {}
        outcome => return outcome.map_err(failed),
    }
    let _lock = lock(Path::new(DIRECTORY))?;
    match share() {
        Err(Errno::EINVAL) => {
            mount(Some(DIRECTORY), DIRECTORY, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
                .and_then(|()| share())
                .map_err(failed)
        }
        outcome => outcome.map_err(failed),
    }
}

/// The lock that iproute2 takes as well while it prepares the directory.
fn lock(directory: &Path) -> Result<Flock<File>, KernelError> {
    let what = format!("lock {}", directory.display());
    let file = File::open(directory).map_err(|error| KernelError::new(&what).with_io(&error))?;
    wait::lock(file, &what)
}

/// Makes a file that has its content from the very first moment it can be seen.
///
/// # Errors
/// `AlreadyExists` where something has the name.
fn publish(path: &Path, content: &[u8]) -> io::Result<()> {
    failpoint::pass("make a namespace's file")?;
    let directory = path.parent().unwrap_or(Path::new("/"));
    match unnamed(directory) {
        Ok(mut file) => {
            file.write_all(content)?;
            let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
            Ok(linkat(AT_FDCWD, unnamed.as_str(), AT_FDCWD, path, AtFlags::AT_SYMLINK_FOLLOW)?)
        }
        // Some file systems know no files without a name (overlayfs before Linux 6.3).
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => {
            publish_renamed(directory, path, content)
        }
        Err(error) => Err(error),
    }
}

fn unnamed(directory: &Path) -> io::Result<File> {
    fs::OpenOptions::new().write(true).mode(0o400).custom_flags(libc::O_TMPFILE).open(directory)
}

/// The same by way of another name, which begins with a dot and therefore is no namespace's. The lock makes sure that
/// one which is there already is a leftover.
fn publish_renamed(directory: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let _lock = lock(directory).map_err(io::Error::other)?;
    let temporary = directory.join(format!(".nslab-{}", path.file_name().unwrap_or(OsStr::new("")).display()));
    let _ = fs::remove_file(&temporary);
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(&temporary)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::hard_link(&temporary, path));
    let removed = fs::remove_file(&temporary);
    written.and(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_published_whole_and_only_once() {
        type Publish = fn(&Path, &Path, &[u8]) -> io::Result<()>;
        let ways: [(&str, Publish); 2] =
            [("unnamed", |_, path, content| publish(path, content)), ("renamed", publish_renamed)];
        for (name, way) in ways {
            let directory = std::env::temp_dir().join(format!("nslab-publish-{name}-{}", std::process::id()));
            fs::create_dir_all(&directory).unwrap();
            let path = directory.join("red");
            way(&directory, &path, b"nslab:a\n").unwrap();
            let again = way(&directory, &path, b"nslab:b\n").unwrap_err();
            assert_eq!(again.kind(), io::ErrorKind::AlreadyExists, "{name}");
            assert_eq!(fs::read(&path).unwrap(), b"nslab:a\n", "{name}");
            assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "{name}: something else is left");
            fs::remove_dir_all(&directory).unwrap();
        }
    }
}
