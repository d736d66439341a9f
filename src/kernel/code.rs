//! The codes of what the kernel refused: by its cause, since any operation can meet any of them.

use std::fmt;

use nix::errno::Errno;
use schemars::JsonSchema;
use serde::Serialize;

/// Why the kernel, or a program that speaks to it, refused something. Its name is the variant's in kebab case; its
/// comment is its line in `docs/codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KernelCode {
    /// A command to run is there, but cannot be run.
    CommandNotExecutable,
    /// There is no such command to run.
    CommandNotFound,
    /// `iptables-restore` refused a rule or a table.
    FirewallRefused,
    /// The file system is full, or a limit of the kernel is reached (ENOSPC).
    LimitReached,
    /// Another process holds a lock that is only meant to be held for moments.
    LockHeld,
    /// No route leads there, or the next hop is in no connected subnet (ENETUNREACH, EHOSTUNREACH).
    NetworkUnreachable,
    /// This needs root, or a capability that the process lacks (EPERM, EACCES).
    NotPermitted,
    /// This kernel lacks the feature, or its module is not loaded (EOPNOTSUPP).
    NotSupported,
    /// The object is in use, or another request for it is under way (EBUSY).
    ObjectBusy,
    /// There is already such an object (EEXIST).
    ObjectExists,
    /// There is no such object (ENOENT, ENODEV, ESRCH).
    ObjectMissing,
    /// Something in `/run/nslab` is not what nslab keeps there.
    OddState,
    /// The operation failed for a cause without a code of its own.
    OperationFailed,
    /// The kernel is out of memory (ENOMEM, ENOBUFS).
    OutOfMemory,
    /// Another program uses this port (EADDRINUSE).
    PortInUse,
    /// A program of the lab could not be started, ended at once, or was not ready in time.
    ProgramFailed,
    /// A program that nslab has started does not end, or does not answer.
    ProgramHangs,
    /// A program that nslab needs is not installed.
    ProgramMissing,
    /// The file system is read-only (EROFS).
    ReadOnly,
    /// Another lab has claimed another value of a host setting meanwhile.
    SettingContested,
    /// Interfaces would be stacked in a loop, or too deep (ELOOP).
    StackedTooDeep,
    /// The process has too many open files (EMFILE).
    TooManyOpenFiles,
    /// `/run/nslab` belongs to another user.
    UntrustedState,
    /// The kernel does not accept this value, or this combination (EINVAL, ERANGE).
    ValueRefused,
    /// A signal ended a wait for another process.
    WaitInterrupted,
}

impl KernelCode {
    /// Whether it may be the cause where a file in `/run/nslab` cannot be made: something else is there, or the file
    /// system is full or read-only.
    pub(crate) fn is_of_state(self) -> bool {
        matches!(self, Self::OddState | Self::UntrustedState | Self::LimitReached | Self::ReadOnly)
    }

    /// Of an error number.
    pub(super) fn of(errno: Errno) -> Self {
        match errno {
            Errno::EPERM | Errno::EACCES => Self::NotPermitted,
            Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EAFNOSUPPORT | Errno::EPROTONOSUPPORT => Self::NotSupported,
            Errno::EEXIST => Self::ObjectExists,
            Errno::ENOENT | Errno::ENODEV | Errno::ESRCH | Errno::ENXIO | Errno::EADDRNOTAVAIL => Self::ObjectMissing,
            Errno::EBUSY => Self::ObjectBusy,
            Errno::EADDRINUSE => Self::PortInUse,
            Errno::EINVAL | Errno::ERANGE => Self::ValueRefused,
            Errno::ENETUNREACH | Errno::EHOSTUNREACH => Self::NetworkUnreachable,
            Errno::EMFILE | Errno::ENFILE => Self::TooManyOpenFiles,
            Errno::ENOMEM | Errno::ENOBUFS => Self::OutOfMemory,
            Errno::ENOSPC => Self::LimitReached,
            Errno::EROFS => Self::ReadOnly,
            Errno::ELOOP => Self::StackedTooDeep,
            _ => Self::OperationFailed,
        }
    }
}

impl fmt::Display for KernelCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
