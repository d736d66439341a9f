//! What a file of the kernel's file system of namespaces stands for, and whose it is (ioctl_nsfs(2)).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::stat::{FileStat, fstat, stat};

/// Asks for the user namespace that owns a namespace: a new descriptor.
const NS_GET_USERNS: libc::Ioctl = 0xb701;
/// Asks for a namespace's kind: its `CLONE_NEW…`.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// What there is under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A network namespace in which nobody has more rights than those who can be root here.
    Network,
    /// A network namespace that an ordinary user, or another container's root, can change as they like: nothing that
    /// they write there can be believed.
    OfOthers,
    /// A namespace of another kind: `uts`, say.
    Other,
}

/// What an open file of that file system is.
///
/// # Errors
/// The kernel does not tell.
pub(super) fn of(file: BorrowedFd<'_>) -> Result<Kind, Errno> {
    if ask(file, NS_GET_NSTYPE)? != libc::CLONE_NEWNET {
        return Ok(Kind::Other);
    }
    let owner = match ask(file, NS_GET_USERNS) {
        // SAFETY: the kernel has just made this descriptor for us, and nothing else has it.
        Ok(fd) => unsafe { OwnedFd::from_raw_fd(fd) },
        // It is none of ours, nor of one that was made from it.
        Err(Errno::EPERM) => return Ok(Kind::OfOthers),
        Err(errno) => return Err(errno),
    };
    Ok(if identity(&fstat(owner.as_fd())?) == own()? { Kind::Network } else { Kind::OfOthers })
}

fn ask(file: BorrowedFd<'_>, question: libc::Ioctl) -> Result<libc::c_int, Errno> {
    // SAFETY: neither question takes an argument, and the file is open for as long as it is borrowed.
    Errno::result(unsafe { libc::ioctl(file.as_raw_fd(), question) })
}

/// The user namespace of this process, which it never leaves.
fn own() -> Result<(u64, u64), Errno> {
    static OWN: OnceLock<(u64, u64)> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(*own);
    }
    let own = identity(&stat("/proc/self/ns/user")?);
    Ok(*OWN.get_or_init(|| own))
}

fn identity(of: &FileStat) -> (u64, u64) {
    (of.st_dev, of.st_ino)
}
