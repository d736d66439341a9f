//! Sockets of other namespaces: opened inside them, used from wherever one is.
//!
//! A socket stays in the namespace that it was opened in (network_namespaces(7)). Opening therefore needs a thread
//! inside; binding, connecting, sending and receiving do not. All sockets here are non-blocking and close on exec. What
//! is sent over them, and what it proves, is not known here.

use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType,
    SockaddrStorage, bind, connect, getsockname, listen, recvmsg, sendmsg, setsockopt, socket, sockopt,
};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{KernelError, netns};
use crate::lab::Family;

/// What a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Raw ICMP, or ICMPv6: echo requests and replies and the errors that concern them (raw(7)).
    Icmp,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Raw TCP: copies of the segments that open a connection to an address of the namespace, whoever listens (raw(7)).
    RawTcp,
    /// Raw UDP: copies of all datagrams to an address of the namespace, whoever listens.
    RawUdp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Icmp => "raw ICMP",
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::RawTcp => "raw TCP",
            Self::RawUdp => "raw UDP",
        })
    }
}

/// The receive buffer of raw sockets and of servers, in bytes: room for a packet from each of several thousand hosts.
/// Memory is taken only as packets wait.
const LARGE_BUFFER: usize = 4 << 20;

/// Opens sockets inside a namespace, all of them in one visit: as many of each kind as asked for, in the order asked
/// for.
///
/// # Errors
/// The namespace cannot be entered, raw sockets are not permitted (CAP_NET_RAW), or there are no more descriptors.
pub fn open_in(ns: BorrowedFd<'_>, wanted: &[(Protocol, Family, usize)]) -> Result<Vec<OwnedFd>, KernelError> {
    netns::run_in(ns, || {
        let each = wanted.iter().flat_map(|&(protocol, family, count)| std::iter::repeat_n((protocol, family), count));
        each.map(|(protocol, family)| open(protocol, family).map_err(|e| refused(e, protocol))).collect()
    })?
}

/// What permits the sockets of checks: raw ones, and those that listen at a port below 1024.
pub const CHECKS_NEED: &str = "checks need CAP_NET_BIND_SERVICE and CAP_NET_RAW: run nslab as root; a container needs \
                               --cap-add NET_BIND_SERVICE --cap-add NET_RAW";

fn refused(errno: Errno, protocol: Protocol) -> KernelError {
    let error = KernelError::new(format!("open a {protocol} socket")).with_errno(errno);
    match errno {
        Errno::EPERM | Errno::EACCES => error.hint(CHECKS_NEED),
        Errno::EMFILE | Errno::ENFILE => error.hint("raise the limit of open files: ulimit -n"),
        _ => error,
    }
}

/// Opens a socket in the namespace of the calling thread that serves an address and a port there; see [`serve`].
///
/// # Errors
/// EADDRINUSE: another socket has the port. EAFNOSUPPORT: the kernel does not have the family.
pub fn open_server(protocol: Protocol, address: SocketAddr) -> nix::Result<OwnedFd> {
    let fd = bare(protocol, Family::of(address.ip()))?;
    if protocol == Protocol::Udp {
        give_room(&fd)?;
    }
    serve(&fd, protocol, address)?;
    Ok(fd)
}

/// A socket as the kernel makes it.
fn bare(protocol: Protocol, family: Family) -> nix::Result<OwnedFd> {
    let domain = match family {
        Family::Ipv4 => AddressFamily::Inet,
        Family::Ipv6 => AddressFamily::Inet6,
    };
    let (kind, number) = match (protocol, family) {
        (Protocol::Icmp, Family::Ipv4) => (SockType::Raw, SockProtocol::Icmp),
        (Protocol::Icmp, Family::Ipv6) => (SockType::Raw, SockProtocol::IcmpV6),
        (Protocol::Tcp, _) => (SockType::Stream, SockProtocol::Tcp),
        (Protocol::Udp, _) => (SockType::Datagram, SockProtocol::Udp),
        (Protocol::RawTcp, _) => (SockType::Raw, SockProtocol::Tcp),
        (Protocol::RawUdp, _) => (SockType::Raw, SockProtocol::Udp),
    };
    socket(domain, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, number)
}

/// Gives a socket a large receive buffer. Without CAP_NET_ADMIN in the first user namespace, it stays at
/// net.core.rmem_max, which is smaller.
///
/// # Errors
/// The kernel refuses it.
pub fn give_room(fd: &OwnedFd) -> nix::Result<()> {
    match setsockopt(fd, sockopt::RcvBufForce, &LARGE_BUFFER) {
        Ok(()) => Ok(()),
        Err(_) => setsockopt(fd, sockopt::RcvBuf, &LARGE_BUFFER),
    }
}

fn open(protocol: Protocol, family: Family) -> nix::Result<OwnedFd> {
    let fd = bare(protocol, family)?;
    if !matches!(protocol, Protocol::Tcp | Protocol::Udp) {
        give_room(&fd)?;
        tell_destinations(&fd, family)?;
    }
    match protocol {
        Protocol::Icmp => only_echo_and_errors(&fd, family)?,
        Protocol::RawTcp => only_openings(&fd, family)?,
        Protocol::RawUdp => {}
        // Errors that routers report end the attempt at once instead of being taken for a passing trouble
        // (IP_RECVERR in ip(7)).
        Protocol::Tcp | Protocol::Udp => match family {
            Family::Ipv4 => setsockopt(&fd, sockopt::Ipv4RecvErr, &true)?,
            Family::Ipv6 => setsockopt(&fd, sockopt::Ipv6RecvErr, &true)?,
        },
    }
    Ok(fd)
}

/// Lets a raw TCP socket see only segments with SYN and without ACK: those that open a connection. A filter of the
/// classic kind (SO_ATTACH_FILTER in socket(7)); an IPv4 socket sees the IP header, an IPv6 socket does not.
fn only_openings(fd: &OwnedFd, family: Family) -> nix::Result<()> {
    const FLAGS: u32 = 13;
    const SYN_AND_ACK: u32 = 0x12;
    const SYN: u32 = 0x02;
    let code = |class: u32| class as u16;
    let step = |class: u32, k: u32| libc::sock_filter { code: code(class), jt: 0, jf: 0, k };
    // The length of an IPv4 header, four times the low half of its first byte, becomes the offset of what follows.
    let skip = match family {
        Family::Ipv4 => step(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0),
        Family::Ipv6 => step(libc::BPF_LDX | libc::BPF_W | libc::BPF_IMM, 0),
    };
    let mut program = [
        skip,
        step(libc::BPF_LD | libc::BPF_B | libc::BPF_IND, FLAGS),
        step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, SYN_AND_ACK),
        libc::sock_filter { code: code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K), jt: 0, jf: 1, k: SYN },
        step(libc::BPF_RET | libc::BPF_K, u32::MAX),
        step(libc::BPF_RET | libc::BPF_K, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let length = size_of_val(&filter) as libc::socklen_t;
    // SAFETY: `filter` and the program that it points to outlive the call, and `length` is its size.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, (&raw const filter).cast(), length)
    };
    Errno::result(result).map(drop)
}

/// Lets a raw socket see echo requests, echo replies and the errors that concern them only ("destination unreachable",
/// "packet too big", "time exceeded"): neighbour discovery and router advertisements would wake it for nothing. The
/// filter has one bit a type, set for those that are to be dropped (`ICMP_FILTER` in raw(7), `ICMP6_FILTER` in RFC
/// 3542, section 3.2).
fn only_echo_and_errors(fd: &OwnedFd, family: Family) -> nix::Result<()> {
    let (level, option, types): (_, _, &[u32]) = match family {
        Family::Ipv4 => (libc::SOL_RAW, 1 /* ICMP_FILTER, linux/icmp.h */, &[0, 3, 8, 11]),
        Family::Ipv6 => (libc::IPPROTO_ICMPV6, 1 /* ICMP6_FILTER, linux/icmpv6.h */, &[1, 2, 3, 128, 129]),
    };
    let mut dropped = [u32::MAX; 8];
    for kind in types {
        if let Some(word) = dropped.get_mut(*kind as usize / 32) {
            *word &= !(1 << (kind % 32));
        }
    }
    let bytes = match family {
        Family::Ipv4 => size_of::<u32>(),
        Family::Ipv6 => size_of_val(&dropped),
    };
    // SAFETY: `dropped` outlives the call and is at least `bytes` long.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, dropped.as_ptr().cast(), bytes as libc::socklen_t) };
    Errno::result(result).map(drop)
}

/// What wakes the reader of a datagram socket: packets, and errors that the network reports.
pub const ANYTHING: Interest = Interest::READABLE.add(Interest::ERROR);

/// Registers a datagram socket with the runtime of this thread, which must be one of tokio's.
///
/// # Errors
/// The runtime cannot watch it (epoll_ctl(2)).
pub fn watched(fd: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, and always the same, until it is dropped together with the `AsyncFd`.
    Ok(unsafe { AsyncFd::register_with_interest(fd, ANYTHING) }?)
}

/// Makes a TCP socket accept connections at an address and a port of its namespace, or a UDP socket receive there. The
/// unspecified address is every address of its family.
///
/// # Errors
/// EADDRINUSE: another socket has the port.
pub fn serve(fd: &OwnedFd, protocol: Protocol, address: SocketAddr) -> nix::Result<()> {
    let family = Family::of(address.ip());
    tell_destinations(fd, family)?;
    if family == Family::Ipv6 {
        setsockopt(fd, sockopt::Ipv6V6Only, &true)?;
    }
    if family == Family::Ipv6 || !address.ip().is_unspecified() {
        // Answers may come from an address that a local route has brought, and no interface has; and an address may
        // come later.
        setsockopt(fd, sockopt::IpFreebind, &true)?;
    }
    if protocol == Protocol::Tcp {
        // A connection of an earlier run that is still being forgotten (TIME_WAIT) does not keep the port.
        setsockopt(fd, sockopt::ReuseAddr, &true)?;
    }
    bind_to(fd, address)?;
    if protocol == Protocol::Tcp { listen(fd, Backlog::MAXALLOWABLE) } else { Ok(()) }
}

/// Every address of a family.
pub fn any_address(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Lets a socket say to which address a packet has come (IP_PKTINFO in ip(7), IPV6_RECVPKTINFO in ipv6(7)).
fn tell_destinations(fd: &OwnedFd, family: Family) -> nix::Result<()> {
    match family {
        Family::Ipv4 => setsockopt(fd, sockopt::Ipv4PacketInfo, &true),
        Family::Ipv6 => setsockopt(fd, sockopt::Ipv6RecvPacketInfo, &true),
    }
}

/// Gives a socket its own address; port 0 lets the kernel choose.
///
/// # Errors
/// EADDRNOTAVAIL: the namespace does not have the address.
pub fn bind_to(fd: &OwnedFd, address: SocketAddr) -> nix::Result<()> {
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address))
}

/// Gives a TCP socket the sequence number that its connection begins with; zero leaves that to the kernel. What
/// translates addresses on the way may change ports, and keeps it. (`TCP_REPAIR` in linux/tcp.h: a socket that is being
/// restored has it set; `tcp_v4_connect` then draws none.)
///
/// # Errors
/// EPERM: it takes CAP_NET_ADMIN over the namespace.
pub fn begin_at(fd: &OwnedFd, sequence: u32) -> nix::Result<()> {
    const SEND_QUEUE: u32 = 2; // TCP_SEND_QUEUE in linux/tcp.h
    let options = [
        (libc::TCP_REPAIR, 1),
        (libc::TCP_REPAIR_QUEUE, SEND_QUEUE),
        (libc::TCP_QUEUE_SEQ, sequence),
        (libc::TCP_REPAIR, 0),
    ];
    options.into_iter().try_for_each(|(option, value)| {
        let length = size_of::<u32>() as libc::socklen_t;
        // SAFETY: `value` outlives the call, and `length` is its size.
        let set =
            unsafe { libc::setsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, option, (&raw const value).cast(), length) };
        Errno::result(set).map(drop)
    })
}

/// Starts a TCP connection, or fixes whom a UDP socket speaks to. A TCP connection that is on its way is no error.
///
/// # Errors
/// What the sender's own kernel says: ENETUNREACH (no route), EHOSTUNREACH, EACCES and EINVAL (routes of the types
/// unreachable, prohibit and blackhole).
pub fn connect_to(fd: &OwnedFd, address: SocketAddr) -> nix::Result<()> {
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(address)) {
        Err(Errno::EINPROGRESS) => Ok(()),
        result => result,
    }
}

/// The address and the port that a connected socket sends from, as the kernel chose them.
///
/// # Errors
/// EBADF and the like: the socket is none of the Internet's.
pub fn own_address(fd: &OwnedFd) -> nix::Result<SocketAddr> {
    let address: SockaddrStorage = getsockname(fd.as_raw_fd())?;
    internet_address(&address).ok_or(Errno::EAFNOSUPPORT)
}

/// Sends one packet: to an address, or to where the socket is connected; from a chosen address of the namespace, or
/// from the one that the kernel takes.
pub fn send(fd: &OwnedFd, bytes: &[u8], to: Option<SocketAddr>, from: Option<IpAddr>) -> nix::Result<()> {
    let to = to.map(SockaddrStorage::from);
    let parts = [IoSlice::new(bytes)];
    let send = |control: &[ControlMessage]| {
        sendmsg(fd.as_raw_fd(), &parts, control, MsgFlags::MSG_NOSIGNAL, to.as_ref()).map(drop)
    };
    match from {
        None => send(&[]),
        Some(IpAddr::V4(from)) => {
            let chosen = libc::in_addr { s_addr: u32::from(from).to_be() };
            let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: chosen, ipi_addr: libc::in_addr { s_addr: 0 } };
            send(&[ControlMessage::Ipv4PacketInfo(&info)])
        }
        Some(IpAddr::V6(from)) => {
            let chosen = libc::in6_addr { s6_addr: from.octets() };
            send(&[ControlMessage::Ipv6PacketInfo(&libc::in6_pktinfo { ipi6_addr: chosen, ipi6_ifindex: 0 })])
        }
    }
}

/// A packet that was received.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    /// How many bytes of the buffer it fills.
    pub length: usize,
    /// Its source.
    pub from: SocketAddr,
    /// Its destination, where the socket is a raw one or serves a port (see [`serve`]).
    pub to: Option<IpAddr>,
}

/// Takes one packet that is waiting.
///
/// # Errors
/// EAGAIN: none is waiting. On a connected UDP socket also what the network said about an earlier packet.
pub fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> nix::Result<Received> {
    let mut control = cmsg_space!(libc::in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let to = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(IpAddr::V4(u32::from_be(info.ipi_spec_dst.s_addr).into())),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::V6(info.ipi6_addr.s6_addr.into())),
        _ => None,
    });
    let from = message.address.as_ref().and_then(internet_address).ok_or(Errno::EAFNOSUPPORT)?;
    Ok(Received { length: message.bytes, from, to })
}

/// Who reported the error that a UDP socket has just returned, and for a packet that was too big the MTU of the next
/// link, else zero (the error queue of ip(7)); if the kernel kept it.
pub fn error_report(fd: &OwnedFd) -> Option<(IpAddr, u32)> {
    let mut control = cmsg_space!([u8; 128]);
    let mut byte = [0_u8; 64];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(fd.as_raw_fd(), &mut parts, Some(&mut control), flags).ok()?;
    message.cmsgs().ok()?.find_map(|part| match part {
        ControlMessageOwned::Ipv4RecvErr(error, reporter) => {
            Some((IpAddr::V4(u32::from_be(reporter?.sin_addr.s_addr).into()), error.ee_info))
        }
        ControlMessageOwned::Ipv6RecvErr(error, reporter) => {
            Some((IpAddr::V6(reporter?.sin6_addr.s6_addr.into()), error.ee_info))
        }
        _ => None,
    })
}

/// Whether the other end of a TCP connection has confirmed all that was sent: that the data has come there, and the
/// confirmation back (`SIOCOUTQ` in tcp(7)).
pub fn is_all_acknowledged(fd: &impl AsFd) -> bool {
    let mut waiting: libc::c_int = 0;
    // SAFETY: the request writes an int, and `waiting` outlives the call.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut waiting) };
    result == 0 && waiting == 0
}

fn internet_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|a| SocketAddr::new(a.ip().into(), a.port()));
    // With its scope: an answer to a link-local address needs it.
    v4.or_else(|| address.as_sockaddr_in6().map(|a| SocketAddr::V6((*a).into())))
}

/// The Internet checksum (RFC 1071).
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Whether a TCP socket is connected.
pub fn is_connected(fd: &OwnedFd) -> bool {
    nix::sys::socket::getpeername::<SockaddrStorage>(fd.as_raw_fd()).is_ok()
}
