//! How large the packets of a socket may be, and whether they may be cut into fragments.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};

use crate::lab::Family;

/// Whether packets may be cut into fragments on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fragments {
    /// As the kernel does it by default: the path MTU that it has learned decides.
    ByDefault,
    /// Never: a packet is sent as it is, with Don't Fragment set for IPv4, whatever has been learned of the path.
    Never,
    /// Where a link is too small for the packet; for IPv6, only the sender does that.
    Allowed,
}

/// Makes a socket send like this from now on (`IP_MTU_DISCOVER` in ip(7), `IPV6_MTU_DISCOVER` in ipv6(7), and
/// `IPV6_DONTFRAG` of RFC 3542, section 11.2).
///
/// # Errors
/// The socket is none of the family.
pub fn set_fragments(fd: &OwnedFd, family: Family, fragments: Fragments) -> nix::Result<()> {
    let discovery = match fragments {
        Fragments::ByDefault => libc::IP_PMTUDISC_WANT,
        Fragments::Never => libc::IP_PMTUDISC_PROBE,
        Fragments::Allowed => libc::IP_PMTUDISC_DONT,
    };
    match family {
        Family::Ipv4 => set(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, discovery),
        Family::Ipv6 => {
            set(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, discovery)?;
            set(fd, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, libc::c_int::from(fragments == Fragments::Never))
        }
    }
}

/// Makes a TCP socket send and ask for segments of at most so many bytes, TCP options included (`TCP_MAXSEG` in
/// tcp(7)).
///
/// # Errors
/// The kernel allows no such segments: less than 88 bytes, or more than 32,767.
pub fn limit_segments(fd: &OwnedFd, bytes: u32) -> nix::Result<()> {
    setsockopt(fd, sockopt::TcpMaxSeg, &bytes)
}

/// How many bytes of data fill a segment of a connection: what both ends and the path allow, as far as it is known.
///
/// # Errors
/// The socket is none of TCP.
pub fn segment(fd: &impl AsFd) -> nix::Result<u32> {
    getsockopt(fd, sockopt::TcpMaxSeg)
}

fn set(fd: &OwnedFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> nix::Result<()> {
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: `value` outlives the call, and `length` is its size.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), length) };
    Errno::result(result).map(drop)
}
