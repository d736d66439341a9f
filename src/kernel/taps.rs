//! Sockets that see every frame at every interface of a namespace, in and out (packet(7)).

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::net::if_::if_nameindex;
use nix::sys::socket::{setsockopt, sockopt};

use super::{KernelError, netns};
use crate::lab::IfName;

/// The receive buffer, in bytes.
const BUFFER: usize = 8 << 20;

/// So much of a frame is kept: the headers of a packet in a tunnel, and what it begins with.
const KEPT: usize = 512;

/// Links whose packets have no header of their own (linux/if_arp.h): tunnels of IP packets, and no header at all.
const WITHOUT_HEADER: [u16; 4] = [768, 769, 776, 0xfffe];

/// A socket that sees all frames of a namespace.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
    /// The interfaces by their numbers, when it was opened.
    names: BTreeMap<u32, IfName>,
}

/// A frame that was seen.
#[derive(Debug, Clone)]
pub struct Frame {
    /// When, by the clock of the day.
    pub time: Duration,
    /// The interface.
    pub interface: IfName,
    /// Whether it went out there, or came in.
    pub leaves: bool,
    /// Whether it begins with an Ethernet header.
    pub has_ethernet: bool,
    /// The VLAN of its tag, which the kernel keeps beside it.
    pub vlan: Option<u16>,
    /// Its first bytes.
    pub bytes: Vec<u8>,
}

impl Tap {
    /// Opens one.
    ///
    /// # Errors
    /// The namespace cannot be entered, or packet sockets are not permitted (CAP_NET_RAW).
    pub fn open(ns: BorrowedFd<'_>) -> Result<Self, KernelError> {
        netns::run_in(ns, || {
            let fd = packet_socket().map_err(|errno| {
                let error = KernelError::new("open a packet socket".to_owned()).with_errno(errno);
                error
                    .hint("to follow packets takes CAP_NET_RAW: run nslab as root; a container needs --cap-add NET_RAW")
            })?;
            let all = if_nameindex().map_err(|e| KernelError::new("list interfaces".to_owned()).with_errno(e))?;
            let named = all.iter().filter_map(|one| Some((one.index(), one.name().to_str().ok()?.parse().ok()?)));
            Ok(Self { fd, names: named.collect() })
        })?
    }

    /// Takes a frame that is waiting; none: there is no more.
    pub fn read(&self) -> Option<Frame> {
        loop {
            let (received, address) = receive(&self.fd).ok()?;
            // One of an interface that came later is passed over.
            if let Some(interface) = self.names.get(&u32::try_from(address.sll_ifindex).unwrap_or_default()) {
                return Some(Frame {
                    time: received.time,
                    interface: interface.clone(),
                    leaves: address.sll_pkttype == libc::PACKET_OUTGOING,
                    has_ethernet: !WITHOUT_HEADER.contains(&address.sll_hatype),
                    vlan: received.vlan,
                    bytes: received.bytes,
                });
            }
        }
    }
}

/// Closes taps all at once: for each, the kernel waits until no processor looks at it any more (synchronize_net), and
/// for all of them together that takes no longer.
pub fn close(taps: Vec<Tap>) {
    std::thread::scope(|scope| {
        for tap in taps {
            // Where there is no thread to be had, it is closed here.
            let _ = std::thread::Builder::new().spawn_scoped(scope, move || drop(tap));
        }
    });
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn packet_socket() -> nix::Result<OwnedFd> {
    let all = i32::from((libc::ETH_P_ALL as u16).to_be());
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: the call takes numbers only.
    let fd = Errno::result(unsafe { libc::socket(libc::AF_PACKET, kind, all) })?;
    // SAFETY: `fd` was just opened, and belongs to nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // Without rights over the whole machine the buffer stays smaller.
    if setsockopt(&fd, sockopt::RcvBufForce, &BUFFER).is_err() {
        setsockopt(&fd, sockopt::RcvBuf, &BUFFER)?;
    }
    setsockopt(&fd, sockopt::ReceiveTimestampns, &true)?;
    let on: libc::c_int = 1;
    let length = size_of_val(&on) as libc::socklen_t;
    // SAFETY: `on` outlives the call, and `length` is its size.
    let set = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_PACKET, libc::PACKET_AUXDATA, (&raw const on).cast(), length)
    };
    Errno::result(set)?;
    Ok(fd)
}

/// What a socket has received.
#[derive(Default)]
struct Received {
    time: Duration,
    vlan: Option<u16>,
    bytes: Vec<u8>,
}

fn receive(fd: &OwnedFd) -> nix::Result<(Received, libc::sockaddr_ll)> {
    let mut bytes = vec![0_u8; KEPT];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // Aligned as control messages have to be.
    let mut control = [0_u64; 16];
    let mut address = MaybeUninit::<libc::sockaddr_ll>::zeroed();
    // SAFETY: all fields of the header may be zero.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = address.as_mut_ptr().cast();
    header.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control) as _;
    // SAFETY: every buffer that the header names outlives the call and is as long as it says.
    let length = Errno::result(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT) })?;
    bytes.truncate(usize::try_from(length).unwrap_or_default());
    let mut received = Received { bytes, ..Received::default() };
    // SAFETY: the kernel has filled the header, whose control messages are in `control`.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    // SAFETY: a message that is not null is whole, by the kernel's account and CMSG_NXTHDR.
    while let Some(own) = unsafe { message.as_ref() } {
        // SAFETY: the data of a message follow its header.
        let data = unsafe { libc::CMSG_DATA(message) };
        match (own.cmsg_level, own.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                // SAFETY: a message of this type holds a time, which need not be aligned to be read.
                let time = unsafe { data.cast::<libc::timespec>().read_unaligned() };
                let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
                received.time = Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), nanoseconds);
            }
            (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                // SAFETY: a message of this type holds this structure, which need not be aligned to be read.
                let beside = unsafe { data.cast::<libc::tpacket_auxdata>().read_unaligned() };
                let has_tag = beside.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
                received.vlan = has_tag.then_some(beside.tp_vlan_tci & 0x0fff);
            }
            _ => {}
        }
        // SAFETY: both are those that the kernel has filled.
        message = unsafe { libc::CMSG_NXTHDR(&raw const header, message) };
    }
    // SAFETY: it began as zeros, all of which are valid, and the kernel has written an address of this kind.
    Ok((received, unsafe { address.assume_init() }))
}
