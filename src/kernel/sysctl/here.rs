//! Sysctls of the namespace that the calling thread is in.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use nix::errno::Errno;

use crate::failpoint;
use crate::kernel::KernelError;
use crate::lab::{NsName, SysctlKey};

/// The value in this thread's namespace, as the kernel prints it; none where there is no such key, or no value yet.
pub(super) fn read_here(key: &SysctlKey) -> Result<Option<String>, KernelError> {
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
pub(super) fn write_here(ns: &NsName, key: &SysctlKey, value: &str) -> Result<(), KernelError> {
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
        Errno::EROFS => Some(
            "/proc/sys is read-only here: a container needs --security-opt unmask=ALL (Docker: systempaths=unconfined), \
             or --privileged",
        ),
        Errno::EACCES | Errno::EPERM => Some("it takes root, and not every setting may be changed in a container"),
        _ => None,
    }
}

fn file(key: &SysctlKey) -> String {
    format!("/proc/sys/{}", key.path())
}
