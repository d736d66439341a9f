//! The flows with ports (TCP, UDP, SCTP) that the kernel tracks in a namespace.
//!
//! Address translation is decided by the first packet of a flow, and kept for all later ones: where packets come all
//! the time, a flow outlives the rule that translated or allowed it. Facts from linux/netfilter/nfnetlink_conntrack.h.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use netlink_packet_core::{DecodeError, parse_ip};
use nix::errno::Errno;

use super::KernelError;
use super::netlink::{NetlinkError, Protocol, Socket, append, attributes};
use super::netns::run_in;
use crate::lab::PortProtocol;

/// A flow of a protocol with ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackedFlow {
    /// Its protocol.
    pub protocol: PortProtocol,
    /// Who sent its first packet.
    pub source: (IpAddr, u16),
    /// Where that was sent to.
    pub destination: (IpAddr, u16),
    /// Who answers: where the first packet went, once it was translated.
    pub answered_by: (IpAddr, u16),
    /// Whom it answers: where the first packet seemed to come from, once it was translated.
    pub answered_to: IpAddr,
    /// What names it to the kernel.
    name: Vec<u8>,
}

/// IPCTNL_MSG_CT_GET and IPCTNL_MSG_CT_DELETE of the subsystem NFNL_SUBSYS_CTNETLINK.
const GET: u16 = (1 << 8) | 1;
const DELETE: u16 = (1 << 8) | 2;
/// IPCTNL_MSG_CT_GET_STATS, and of its answer CTA_STATS_GLOBAL_ENTRIES: how many flows the namespace has.
const GET_STATS: u16 = (1 << 8) | 5;
const ENTRIES: u16 = 1;
/// Length of `struct nfgenmsg`: family, version, number of a resource.
const HEADER: usize = 4;
/// Attributes of a flow: CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_ID, CTA_ZONE.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
/// Attributes of a tuple: CTA_TUPLE_IP, CTA_TUPLE_PROTO.
const ADDRESSES: u16 = 1;
const PORTS: u16 = 2;
/// IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP.
const PROTOCOLS: [(u8, PortProtocol); 3] = [(6, PortProtocol::Tcp), (17, PortProtocol::Udp), (132, PortProtocol::Sctp)];
/// An attribute that holds others (NLA_F_NESTED).
const NESTED: u16 = 1 << 15;

/// Forgets the flows of a namespace that are `stale`.
///
/// # Errors
/// The kernel refuses to list or to forget them. A kernel that cannot list them at all forgets none.
pub fn forget(ns: BorrowedFd<'_>, stale: impl Fn(&TrackedFlow) -> bool + Sync) -> Result<(), KernelError> {
    run_in(ns, || forget_here(&stale))?.map_err(|error| error.about("forget flows that rules no longer say"))
}

fn forget_here(stale: impl Fn(&TrackedFlow) -> bool) -> Result<(), NetlinkError> {
    let mut socket = Socket::open_to(Protocol::Netfilter)?;
    if has_none(&mut socket) {
        return Ok(());
    }
    let dump = match socket.dump_bytes(GET, &[0; HEADER]) {
        // Without nf_conntrack_netlink, the kernel does not know the request.
        Err(error) if matches!(error.errno, Errno::EINVAL | Errno::EOPNOTSUPP) => return Ok(()),
        listed => listed?,
    };
    for item in dump.items() {
        let Some(flow) = decode(item)?.filter(|flow| stale(flow)) else { continue };
        match socket.change_listed(DELETE, &flow.name, 0) {
            Err(error) if error.errno != Errno::ENOENT => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Whether the namespace has no flows at all; false where the kernel does not say. To list them, it walks through the
/// table of the whole machine, which takes ten milliseconds where that is large.
fn has_none(socket: &mut Socket) -> bool {
    let answer = socket.get_bytes(GET_STATS, &[0; HEADER]).unwrap_or_default();
    attributes(answer.get(HEADER..).unwrap_or_default()).filter_map(Result::ok).any(|found| found == (ENTRIES, &[0; 4]))
}

/// A listed flow; none if its protocol has no ports.
pub(super) fn decode(item: &[u8]) -> Result<Option<TrackedFlow>, DecodeError> {
    let (mut original, mut reply) = (None, None);
    let mut name = item.get(..HEADER).unwrap_or_default().to_vec();
    for attribute in attributes(item.get(HEADER..).unwrap_or_default()) {
        let (kind, value) = attribute?;
        match kind {
            ORIGINAL => {
                original = tuple(value)?;
                append(&mut name, kind | NESTED, value);
            }
            REPLY => reply = tuple(value)?,
            ID | ZONE => append(&mut name, kind, value),
            _ => {}
        }
    }
    let flow = original.zip(reply).map(|((protocol, source, destination), (_, answered_by, answered_to))| {
        TrackedFlow { protocol, source, destination, answered_by, answered_to: answered_to.0, name }
    });
    Ok(flow)
}

/// A side with its port.
type Side = (IpAddr, u16);

/// The protocol, the source and the destination of one direction; none if the protocol has no ports.
fn tuple(bytes: &[u8]) -> Result<Option<(PortProtocol, Side, Side)>, DecodeError> {
    let (mut addresses, mut ports) = ([None, None], [None, None]);
    let mut protocol = None;
    for attribute in attributes(bytes) {
        let (kind, value) = attribute?;
        for inner in attributes(value) {
            let (number, value) = inner?;
            match (kind, number) {
                // CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST
                (ADDRESSES, 1 | 3) => addresses[0] = Some(parse_ip(value)?),
                (ADDRESSES, 2 | 4) => addresses[1] = Some(parse_ip(value)?),
                // CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT
                (PORTS, 1) => protocol = PROTOCOLS.iter().find(|(number, _)| value == [*number]),
                (PORTS, 2) => ports[0] = port(value),
                (PORTS, 3) => ports[1] = port(value),
                _ => {}
            }
        }
    }
    let [source, destination] = [addresses[0].zip(ports[0]), addresses[1].zip(ports[1])];
    let sides = source.zip(destination).zip(protocol);
    Ok(sides.map(|((source, destination), (_, protocol))| (*protocol, source, destination)))
}

fn port(value: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(value.try_into().ok()?))
}
