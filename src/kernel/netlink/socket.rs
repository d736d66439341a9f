//! The socket: sends one request, waits for its answer.
//!
//! A netlink socket stays in the network namespace of the thread that opened it, whoever uses it later.

use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::{NETLINK_GENERIC, NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_XFRM};
use nix::errno::Errno;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{SndBuf, SndBufForce};

use super::ack::{Answer, NetlinkError, Says, answers};
use crate::failpoint;

/// A part of the kernel that answers over netlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Interfaces, addresses, routes (rtnetlink(7)).
    Route,
    /// nf_tables.
    Netfilter,
    /// The transformation of packets (IPsec).
    Xfrm,
    /// Parts that are known by a name; see [`super::GenericSocket`].
    Generic,
}

/// A netlink socket in one namespace.
#[derive(Debug)]
pub struct Socket {
    inner: netlink_sys::Socket,
    sequence: u32,
}

/// A message of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub kind: u16,
    /// Its flags, but for [`NLM_F_REQUEST`].
    pub flags: u16,
    /// What follows the netlink header.
    pub payload: Vec<u8>,
}

/// Messages begin at multiples of this many bytes (NLMSG_ALIGNTO).
const ALIGNMENT: usize = 4;

/// How much room one answer gets: the kernel never fills more with a part of a dump (32 KiB).
const ROOM: usize = 32 * 1024;

/// How often a dump is begun anew because something changed meanwhile, before that is an error.
const DUMP_TRIES: usize = 20;

/// How answers are received. Without waiting: the kernel answers within the call that asks, and goes on with a dump
/// within the one that reads. The kernel reports the whole length of the answer, also where it does not fit.
const RECEIVE: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_TRUNC;

impl Socket {
    /// Opens a routing socket in the calling thread's network namespace.
    pub fn open() -> std::io::Result<Self> {
        Self::open_to(Protocol::Route)
    }

    /// Opens a socket to some part of the kernel in the calling thread's network namespace.
    pub fn open_to(protocol: Protocol) -> std::io::Result<Self> {
        let inner = netlink_sys::Socket::new(match protocol {
            Protocol::Route => NETLINK_ROUTE,
            Protocol::Netfilter => NETLINK_NETFILTER,
            Protocol::Xfrm => NETLINK_XFRM,
            Protocol::Generic => NETLINK_GENERIC,
        })?;
        inner.set_netlink_get_strict_chk(true)?;
        inner.set_ext_ack(true)?;
        Ok(Self { inner, sequence: 0 })
    }

    /// Asks for a change and waits until it is made.
    pub fn change(&mut self, request: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        failpoint::pass("netlink request")?;
        let sequence = self.send(&request, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        self.acknowledged(sequence)
    }

    /// Asks for the removal of what the kernel has listed, or that it is put back, in the kernel's own words: they say
    /// all of it, also what has no name here. `kind` is the type of the message (`RTM_DEL…`, `RTM_NEW…`).
    pub fn change_listed(&mut self, kind: u16, item: &[u8], flags: u16) -> Result<(), NetlinkError> {
        failpoint::pass("netlink request")?;
        let sequence = self.send_bytes(kind, item, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        self.acknowledged(sequence)
    }

    /// Asks for changes that are made all together or not at all, and waits until they are made. Errors come unasked;
    /// the message that ends well with the last change has [`NLM_F_ACK`] among its flags.
    pub fn transaction(&mut self, messages: &[Message]) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for Message { kind, flags, payload } in messages {
            self.append(&mut bytes, *kind, payload, NLM_F_REQUEST | flags)?;
        }
        self.make_room(bytes.len())?;
        self.inner.send(&bytes, 0)?;
        self.acknowledged(self.sequence)
    }

    /// The kernel takes a transaction as one message, which has to fit into the buffer of the socket.
    fn make_room(&self, length: usize) -> Result<(), NetlinkError> {
        /// More than this, and a buffer of the usual size (net.core.wmem_default) may be too small.
        const USUAL: usize = 100_000;
        if length > USUAL {
            // Whoever may not go beyond the limit (net.core.wmem_max) gets up to it.
            if setsockopt(&self.inner, SndBufForce, &length).is_err() {
                setsockopt(&self.inner, SndBuf, &length)?;
            }
        }
        Ok(())
    }

    fn acknowledged(&self, sequence: u32) -> Result<(), NetlinkError> {
        loop {
            let mut datagram = Vec::new();
            self.receive(&mut datagram)?;
            for answer in answers(&datagram, sequence) {
                if let Says::End(outcome) = answer?.says {
                    return outcome;
                }
            }
        }
    }

    /// Asks for one thing; what stands behind the netlink header of the answer.
    pub fn get(&mut self, request: RouteNetlinkMessage) -> Result<Vec<u8>, NetlinkError> {
        let (kind, payload) = encoded(&request);
        self.get_bytes(kind, &payload)
    }

    /// The same for a message of any family.
    pub fn get_bytes(&mut self, kind: u16, payload: &[u8]) -> Result<Vec<u8>, NetlinkError> {
        let sequence = self.send_bytes(kind, payload, NLM_F_REQUEST)?;
        loop {
            let mut datagram = Vec::new();
            self.receive(&mut datagram)?;
            for answer in answers(&datagram, sequence) {
                match answer?.says {
                    Says::Item(_, payload) => return Ok(payload.to_vec()),
                    Says::End(outcome) => outcome?,
                }
            }
        }
    }

    /// Asks for all things of a kind, as they were at one moment: a dump during which something changed, or of which
    /// something got lost, is begun anew.
    pub fn dump(&mut self, request: &RouteNetlinkMessage) -> Result<Dump, NetlinkError> {
        let (kind, payload) = encoded(request);
        self.dump_bytes(kind, &payload)
    }

    /// The same for a message of any family.
    pub fn dump_bytes(&mut self, kind: u16, payload: &[u8]) -> Result<Dump, NetlinkError> {
        for _ in 0..DUMP_TRIES {
            if let Some(dump) = self.dump_once(kind, payload)? {
                return Ok(dump);
            }
        }
        Err(NetlinkError {
            errno: Errno::EINTR,
            ext_ack_message: Some(format!("it changed while being read, {DUMP_TRIES} times")),
        })
    }

    /// Asks for all things of several kinds at once. The kernel answers what is empty at once; while it lists what is
    /// not, it refuses to begin with the next (`EBUSY`), which is then asked for alone. One that is refused stops no
    /// other.
    pub fn dumps<const N: usize>(
        &mut self,
        requests: [(u16, &[u8]); N],
    ) -> Result<[Result<Dump, NetlinkError>; N], NetlinkError> {
        let mut bytes = Vec::new();
        let mut asked = Vec::new();
        for (kind, payload) in requests {
            self.sequence = self.sequence.wrapping_add(1);
            self.append(&mut bytes, kind, payload, NLM_F_REQUEST | NLM_F_DUMP)?;
            asked.push(self.sequence);
        }
        self.inner.send(&bytes, 0)?;
        let mut dumps: Vec<Option<Dump>> = Vec::new();
        let mut answer = Vec::with_capacity(2 * ROOM);
        let mut ends = vec![None; N];
        while ends.iter().any(Option::is_none) {
            let read = answer.len();
            self.receive(&mut answer)?;
            for (sequence, end) in asked.iter().zip(&mut ends) {
                for said in answers(answer.get(read..).unwrap_or_default(), *sequence) {
                    let Answer { interrupted, says } = said?;
                    match says {
                        Says::End(outcome) => *end = Some(outcome.is_ok() && !interrupted && *end != Some(false)),
                        Says::Item(..) if interrupted => *end = Some(false),
                        Says::Item(..) => {}
                    }
                }
            }
        }
        for (sequence, end) in asked.into_iter().zip(ends) {
            dumps.push((end == Some(true)).then(|| Dump { bytes: answer.clone(), sequence }));
        }
        let again = dumps.into_iter().zip(requests).map(|(dump, (kind, payload))| match dump {
            Some(dump) => Ok(dump),
            None => self.dump_bytes(kind, payload),
        });
        let all: Vec<Result<Dump, NetlinkError>> = again.collect();
        all.try_into().map_err(|_| Errno::EBADMSG.into())
    }

    /// One dump, read to its end; none if it is inconsistent or has gaps.
    fn dump_once(&mut self, kind: u16, payload: &[u8]) -> Result<Option<Dump>, NetlinkError> {
        let sequence = self.send_bytes(kind, payload, NLM_F_REQUEST | NLM_F_DUMP)?;
        // The end of most dumps comes in a datagram of its own; without room for both, the first would be copied.
        let mut bytes = Vec::with_capacity(2 * ROOM);
        let mut whole = true;
        loop {
            let read = bytes.len();
            match self.receive(&mut bytes) {
                Err(lost) if lost.errno == Errno::ENOBUFS => whole = false,
                outcome => outcome?,
            }
            let mut end = None;
            for answer in answers(bytes.get(read..).unwrap_or_default(), sequence) {
                let Answer { interrupted, says } = answer?;
                whole &= !interrupted;
                if let Says::End(outcome) = says {
                    end = Some(outcome);
                }
            }
            if let Some(outcome) = end {
                outcome?;
                return Ok(whole.then_some(Dump { bytes, sequence }));
            }
        }
    }

    fn send(&mut self, request: &RouteNetlinkMessage, flags: u16) -> Result<u32, NetlinkError> {
        let (kind, payload) = encoded(request);
        self.send_bytes(kind, &payload, flags)
    }

    /// Sends what stands behind the netlink header; the number by which the answer is known.
    fn send_bytes(&mut self, kind: u16, payload: &[u8], flags: u16) -> Result<u32, NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        self.append(&mut bytes, kind, payload, flags)?;
        self.inner.send(&bytes, 0)?;
        Ok(self.sequence)
    }

    /// Appends a message to others that are sent with it.
    fn append(&self, bytes: &mut Vec<u8>, kind: u16, payload: &[u8], flags: u16) -> Result<(), NetlinkError> {
        let mut header = NetlinkHeader::default();
        header.message_type = kind;
        header.flags = flags;
        header.sequence_number = self.sequence;
        let length = header.buffer_len() + payload.len();
        header.length = u32::try_from(length).map_err(|_| Errno::EMSGSIZE)?;
        let start = bytes.len();
        bytes.resize(start + header.buffer_len(), 0);
        header.emit(bytes.get_mut(start..).unwrap_or_default());
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        Ok(())
    }

    /// Receives one datagram behind what is there already.
    fn receive(&self, bytes: &mut Vec<u8>) -> Result<(), NetlinkError> {
        bytes.reserve(ROOM);
        let room = bytes.capacity() - bytes.len();
        let length = self.inner.recv(bytes, RECEIVE)?;
        if length > room {
            return Err(NetlinkError {
                errno: Errno::EMSGSIZE,
                ext_ack_message: Some(format!("an answer of {length} bytes")),
            });
        }
        Ok(())
    }
}

/// The type of a message, and what follows the netlink header.
fn encoded(request: &RouteNetlinkMessage) -> (u16, Vec<u8>) {
    let mut payload = vec![0; Emitable::buffer_len(request)];
    request.emit(&mut payload);
    (request.message_type(), payload)
}

/// Everything that the kernel listed in answer to one request.
pub struct Dump {
    bytes: Vec<u8>,
    sequence: u32,
}

impl Dump {
    /// What stands behind the netlink header of each message.
    pub fn items(&self) -> impl Iterator<Item = &[u8]> {
        answers(&self.bytes, self.sequence).filter_map(Result::ok).filter_map(|answer| match answer.says {
            Says::Item(_, payload) => Some(payload),
            Says::End(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::AddressFamily;
    use netlink_packet_route::route::{RouteAttribute, RouteMessage};
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    #[test]
    fn a_refused_dump_is_an_error_and_not_an_empty_answer() {
        std::thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("run the tests as root, or with scripts/test");
            let mut request = RouteMessage::default();
            request.header.address_family = AddressFamily::Inet;
            let mut socket = Socket::open().unwrap();
            let all = socket.dump(&RouteNetlinkMessage::GetRoute(request.clone())).unwrap();
            assert_eq!(all.items().count(), 0, "a new namespace has no IPv4 route");
            request.attributes.push(RouteAttribute::Table(4711));
            let error = socket.dump(&RouteNetlinkMessage::GetRoute(request)).err().unwrap();
            assert_eq!(error.errno, Errno::ENOENT);
            assert!(error.ext_ack_message.unwrap().contains("table does not exist"));
        })
        .join()
        .unwrap();
    }
}
