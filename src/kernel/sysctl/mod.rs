//! Sysctls of a network namespace, below `/proc/sys/net`.
//!
//! The kernel shows each thread the values of the namespace that it is in, so every access is made inside.

mod forwarding;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use super::KernelError;
use super::netns::run_in;
use crate::failpoint;
use crate::lab::{NsName, SysctlKey, SysctlValue};

/// The present values of some sysctls in a namespace. A key that this kernel lacks is left out, and so is one that has
/// no value yet (`stable_secret`, `ip_local_reserved_ports`).
///
/// # Errors
/// One of them may not be read.
pub fn read(ns: BorrowedFd<'_>, keys: &BTreeSet<SysctlKey>) -> Result<BTreeMap<SysctlKey, SysctlValue>, KernelError> {
    run_in(ns, || values_here(keys.iter()))?
}

/// The present values in this thread's namespace, as with [`read`].
pub(super) fn values_here<'a>(
    keys: impl Iterator<Item = &'a SysctlKey>,
) -> Result<BTreeMap<SysctlKey, SysctlValue>, KernelError> {
    let mut values = BTreeMap::new();
    for key in keys {
        let value = read_here(key)?.and_then(|text| SysctlValue::normalised(&text).ok());
        values.extend(value.map(|value| (key.clone(), value)));
    }
    Ok(values)
}

/// Sets a sysctl in a namespace. `ns_name` is for the error alone.
///
/// # Errors
/// There is no such sysctl, or the kernel does not take the value.
pub fn write(ns: BorrowedFd<'_>, ns_name: &NsName, key: &SysctlKey, value: &SysctlValue) -> Result<(), KernelError> {
    run_in(ns, || write_here(ns_name, key, value.as_str()))?
}

/// The present value in a namespace, as the kernel prints it; none where there is no such key, or no value yet.
///
/// # Errors
/// It may not be read.
pub(super) fn text(ns: BorrowedFd<'_>, key: &SysctlKey) -> Result<Option<String>, KernelError> {
    run_in(ns, || read_here(key))?
}

/// Restores a value that [`text`] has read, unless it is there: for the kernel, writing a value can be an event of its
/// own. A setting that is gone, together with its interface, is no error.
///
/// # Errors
/// The kernel does not take the value.
pub(super) fn restore_text(
    ns: BorrowedFd<'_>,
    ns_name: &NsName,
    key: &SysctlKey,
    was: &str,
) -> Result<(), KernelError> {
    run_in(ns, || match read_here(key)? {
        Some(is) if is.trim_end() == was => Ok(()),
        None => Ok(()),
        Some(_) => write_here(ns_name, key, was),
    })?
}

/// What the kernel changes along with a sysctl in a namespace: a line `KEY VALUE` for each, as they are now; none where
/// it changes nothing else.
///
/// # Errors
/// One of them may not be read.
pub(super) fn along_with(ns: BorrowedFd<'_>, key: &SysctlKey) -> Result<Option<String>, KernelError> {
    run_in(ns, || forwarding::along_with(key))?
}

/// Restores what [`along_with`] has read, where it differs.
///
/// # Errors
/// The kernel does not take a value.
pub(super) fn restore_along(ns: BorrowedFd<'_>, lines: &str) -> Result<(), KernelError> {
    run_in(ns, || forwarding::put_back(lines))?
}

/// The value in this thread's namespace, as the kernel prints it; none where there is no such key, or no value yet.
fn read_here(key: &SysctlKey) -> Result<Option<String>, KernelError> {
    match std::fs::read_to_string(file(key)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // What the kernel says of net.ipv6.conf.*.stable_secret before it is set (Documentation/networking/ip-sysctl).
        Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => Ok(None),
        Err(error) => {
            let errno = Errno::try_from(error).unwrap_or(Errno::EIO);
            let refused = KernelError::new(format!("read sysctl {key}")).with_errno(errno);
            Err(match errno {
                Errno::EACCES | Errno::EPERM => {
                    refused.hint("it can only be written: it is an action rather than a setting, and cannot be kept")
                }
                _ => refused,
            })
        }
    }
}

/// Sets the value in this thread's namespace.
fn write_here(ns: &NsName, key: &SysctlKey, value: &str) -> Result<(), KernelError> {
    // One write: the kernel takes each as a value of its own.
    let line = format!("{value}\n");
    let written = failpoint::pass("write a sysctl")
        .map_err(std::io::Error::from)
        .and_then(|()| OpenOptions::new().write(true).open(file(key)))
        .and_then(|mut file| file.write_all(line.as_bytes()));
    written.map_err(|error| {
        let errno = Errno::try_from(error).unwrap_or(Errno::EIO);
        let refused = KernelError::new(format!("set sysctl {key} to `{value}` in {ns}")).with_errno(errno);
        match hint(key, errno) {
            Some(hint) => refused.hint(hint),
            None => refused,
        }
    })
}

fn hint(key: &SysctlKey, errno: Errno) -> Option<&'static str> {
    let name = key.as_str();
    match errno {
        Errno::ENOENT if name.starts_with("net.bridge.") => {
            Some("this kernel has bridge netfilter only with `modprobe br_netfilter`")
        }
        Errno::ENOENT if name.starts_with("net.netfilter.") => {
            Some("this kernel has it only once connections are tracked: `modprobe nf_conntrack`")
        }
        Errno::ENOENT if name.contains(".conf.") || name.contains(".neigh.") => {
            Some("this kernel has no such setting, or the namespace no such interface")
        }
        Errno::ENOENT => Some("this kernel has no such setting in a namespace of its own"),
        Errno::EINVAL | Errno::ERANGE => Some("the kernel does not take this value"),
        Errno::EROFS => Some("/proc/sys is read-only here: a container must be started with --privileged"),
        Errno::EACCES | Errno::EPERM => Some("it takes root, and not every setting may be changed in a container"),
        _ => None,
    }
}

fn file(key: &SysctlKey) -> String {
    format!("/proc/sys/{}", key.path())
}
