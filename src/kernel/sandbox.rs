//! A private host for this process: network and mounts of its own, thrown away with the last process in it.
//!
//! Facts from user_namespaces(7), network_namespaces(7) and mount_namespaces(7).

use std::fs::{DirBuilder, create_dir_all};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, getegid, geteuid};

use super::facts::{self, neighbour_limits};
use super::netlink::Socket;
use super::objects::loopback;
use super::{KernelError, process};
use crate::preflight::has_all_privileges;

/// Moves this process, which must have a single thread, into a private host of its own: a network namespace with its
/// loopback up, and a mount namespace with an empty `/run` that holds `netns` and `nslab`. Without the privilege to do
/// so, or to do in it what labs take, it becomes root of a user namespace first; nothing outside can be changed from
/// there.
///
/// The error says what forbids user namespaces where they are forbidden.
pub fn enter() -> Result<(), KernelError> {
    let resolver = std::fs::read_to_string(RESOLVER).ok();
    neighbour_limits::keep();
    let capabilities = facts::capabilities();
    let user = (geteuid(), getegid());
    let explained = |error| explained(error, user.0);
    // Root of a container may lack what root of a user namespace has: CAP_NET_RAW, say.
    if !has_all_privileges(capabilities) && can_be_mapped(user.0, capabilities) {
        // The kernel keeps mounts of a user namespace as they were, so this comes first.
        if unshare(CloneFlags::CLONE_NEWNS).is_ok() && make_private().is_ok() {
            show_settings();
        }
        if unshare(OWN_HOST | CloneFlags::CLONE_NEWUSER).is_ok() {
            return map_to_root(user).and_then(|()| furnish(resolver)).map_err(explained);
        }
    }
    match unshare(OWN_HOST) {
        Ok(()) => furnish(resolver),
        // Not root, or root of a container without CAP_SYS_ADMIN.
        Err(Errno::EPERM) if can_be_mapped(user.0, capabilities) => {
            become_root(user).and_then(|()| furnish(resolver)).map_err(explained)
        }
        Err(errno) => Err(explained(refused("make a network namespace").with_errno(errno))),
    }
}

/// Whether a user can be root of a user namespace: root itself only with CAP_SETFCAP, since Linux 5.12.
fn can_be_mapped(user: Uid, capabilities: u64) -> bool {
    const CAP_SETFCAP: u32 = 31; // linux/capability.h
    !user.is_root() || capabilities & (1 << CAP_SETFCAP) != 0
}

const OWN_HOST: CloneFlags = CloneFlags::CLONE_NEWNET.union(CloneFlags::CLONE_NEWNS);
const RESOLVER: &str = "/etc/resolv.conf";
const SETTINGS: &str = "/proc/sys/net";
/// Files of namespaces (ip-netns(8)).
const NETNS_FILES: &str = "/etc/netns";
/// The file in a sandbox that says to which process it belongs: its number, and when it was started.
const OWNER: &str = "/run/nslab-sandbox";

fn own_identity() -> String {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let start_time = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(19)).unwrap_or("0");
    format!("{} {start_time}\n", std::process::id())
}

/// The number of the process that this sandbox belongs to, and when it was started, in ticks since the boot; none
/// outside of sandboxes.
pub(crate) fn owner() -> Option<(i32, u64)> {
    let text = std::fs::read_to_string(OWNER).ok()?;
    let (pid, start_time) = text.trim_end().split_once(' ')?;
    Some((pid.parse().ok()?, start_time.parse().ok()?))
}

/// Makes a user namespace in which this user is root, and the private host within it.
fn become_root(user: (Uid, Gid)) -> Result<(), KernelError> {
    unshare(OWN_HOST | CloneFlags::CLONE_NEWUSER).map_err(|errno| {
        let refused = refused("make a user namespace").with_errno(errno);
        match errno {
            Errno::ENOSPC => refused.said("there are too many, or too many inside each other"),
            Errno::EINVAL => refused.said("this kernel was built without them"),
            _ => refused,
        }
    })?;
    map_to_root(user)
}

/// Makes the user and the group that this process had the root of its new user namespace.
fn map_to_root((user, group): (Uid, Gid)) -> Result<(), KernelError> {
    // Without the privilege to set groups, a map of groups is only taken once setgroups(2) is given up.
    let files =
        [("setgroups", "deny".to_owned()), ("uid_map", format!("0 {user} 1")), ("gid_map", format!("0 {group} 1"))];
    for (file, text) in files {
        std::fs::write(format!("/proc/self/{file}"), text).map_err(|error| {
            refused(&format!("become root of a user namespace ({file})")).with_errno(errno_of(error))
        })?;
    }
    Ok(())
}

/// Sets the new namespaces up.
fn furnish(resolver: Option<String>) -> Result<(), KernelError> {
    make_private().map_err(|errno| cannot_make_private(refused("make the mounts private").with_errno(errno)))?;
    show_settings();
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=0755"))
        .map_err(|errno| refused("mount an empty /run").with_errno(errno))?;
    for (folder, mode) in [("/run/netns", 0o755), ("/run/nslab", 0o700), ("/run/lock", 0o1777)] {
        DirBuilder::new()
            .mode(mode)
            .create(folder)
            .map_err(|error| refused(&format!("make {folder}")).with_errno(errno_of(error)))?;
    }
    std::fs::write(OWNER, own_identity())
        .map_err(|error| refused("write down whose the sandbox is").with_io(&error))?;
    keep_resolver(resolver)?;
    hide_netns_files()?;
    process::show_sys()?;
    loopback_up()
}

fn make_private() -> nix::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
}

/// Makes the settings of the network, which are the sandbox's own, writable where a container has them read-only. Root
/// of a user namespace may not, and then a lab that has any is refused.
fn show_settings() {
    if facts::is_writable_mount(SETTINGS) {
        return;
    }
    let none = None::<&str>;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let _ = mount(Some(SETTINGS), SETTINGS, none, MsFlags::MS_BIND, none)
        .and_then(|()| mount(none, SETTINGS, none, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags, none));
}

/// Adds why mounts cannot be made private where the root directory is none: after chroot(2), say.
fn cannot_make_private(error: KernelError) -> KernelError {
    match error.errno() {
        Some(Errno::EINVAL) => error.hint(
            "the root directory is not a mount point, as in a bare chroot: change into it with pivot_root, or run \
             `unshare --mount sh -c 'mount --bind DIRECTORY DIRECTORY; chroot DIRECTORY …'`",
        ),
        _ => error,
    }
}

/// On many systems /etc/resolv.conf is a link into /run, where nothing is left now: what it said is put back there.
fn keep_resolver(text: Option<String>) -> Result<(), KernelError> {
    let Some(text) = text.filter(|_| !Path::new(RESOLVER).exists()) else { return Ok(()) };
    let keep = || -> io::Result<()> {
        let target = Path::new("/etc").join(std::fs::read_link(RESOLVER)?);
        if let Some(folder) = target.parent() {
            create_dir_all(folder)?;
        }
        std::fs::write(target, text)
    };
    keep().map_err(|error| refused("keep /etc/resolv.conf").with_errno(errno_of(error)))
}

/// What `ip netns exec` puts over `/etc` for the namespaces of the outer host is not for those in here.
fn hide_netns_files() -> Result<(), KernelError> {
    if !Path::new(NETNS_FILES).is_dir() {
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), NETNS_FILES, Some("tmpfs"), flags, Some("mode=0755"))
        .map_err(|errno| refused(&format!("mount an empty {NETNS_FILES}")).with_errno(errno))
}

/// A namespace's loopback is down at first.
fn loopback_up() -> Result<(), KernelError> {
    let mut socket = Socket::open().map_err(|error| refused("open a netlink socket").with_io(&error))?;
    loopback::set_up(&mut socket, true).map_err(|error| error.about("bring the loopback up"))
}

/// Adds what this system's settings have to do with it.
fn explained(error: KernelError, user: Uid) -> KernelError {
    let setting =
        |key: &str| std::fs::read_to_string(format!("/proc/sys/{key}")).map(|text| text.trim().to_owned()).ok();
    let forbidding = [
        ("kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
        ("user/max_net_namespaces", "0", "sysctl -w user.max_net_namespaces=15000"),
        ("user/max_mnt_namespaces", "0", "sysctl -w user.max_mnt_namespaces=15000"),
    ];
    match forbidding.iter().find(|(key, value, _)| setting(key).as_deref() == Some(*value)) {
        Some((_, _, command)) => error.hint(format!("this system limits them: `{command}`, or run as root")),
        None => error.hint(match user.is_root() {
            true => "a container needs --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_ADMIN, or --privileged",
            false => {
                "run as root; in a container, as its root with --cap-add NET_ADMIN --cap-add NET_RAW --cap-add \
                 SYS_ADMIN, or with --security-opt seccomp=unconfined where users may make user namespaces"
            }
        }),
    }
}

fn refused(what: &str) -> KernelError {
    KernelError::new(what)
}

fn errno_of(error: io::Error) -> Errno {
    Errno::try_from(error).unwrap_or(Errno::EIO)
}
