//! Which end of a veth pair belongs to which: exactly, also where the ends are in different namespaces.
//!
//! An end tells its peer's index, and this namespace's own number for the namespace that the peer is in. Two ends that
//! name each other's index may be a pair; they are one if the number stands for the other's namespace, which
//! the kernel says for a file descriptor of it (`RTM_GETNSID`). Where many ends may be the other one (every fresh
//! namespace's first veth has the index 2), the kernel is asked for its name and MAC address first, so that the
//! number of questions grows with that of the links.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::AsRawFd;

use netlink_packet_core::{DecodeError, Emitable, parse_i32};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::nsid::{NsidAttribute, NsidHeader, NsidMessage};

use nix::errno::Errno;

use super::interfaces::{Interfaces, Veth};
use super::parts::unread;
use crate::kernel::KernelError;
use crate::kernel::netlink::attributes;
use crate::kernel::netns::NetnsHandles;
use crate::kernel::objects::interface;
use crate::lab::{IfName, InterfaceKind, InterfaceRef, Mac, NsName, Observed, Part};

/// Which ends could be paired: by their own index, and the peer's.
type Free<'a> = HashMap<(u32, u32), Vec<&'a NsName>>;

/// The numbers of namespaces, as seen from others: (from where, which).
pub(super) type NsidCache<'a> = HashMap<(&'a NsName, &'a NsName), i32>;

/// Sets the peers of all veth ends whose other end was observed too. A namespace of which that cannot be found out
/// counts as unread.
pub(super) fn connect(handles: &mut NetnsHandles, seen: &BTreeMap<NsName, Interfaces>, live: &mut Observed) {
    let mut free: Free<'_> = HashMap::new();
    for (ns, interfaces) in seen {
        for veth in interfaces.veths.iter().filter(|veth| veth.netns.is_some()) {
            free.entry((veth.index, veth.peer)).or_default().push(ns);
        }
    }
    let mut numbers = NsidCache::new();
    // From those with few veths: the kernel searches all numbers that the asking namespace has given out.
    let mut askers: Vec<_> = seen.iter().collect();
    askers.sort_by_key(|(_, interfaces)| interfaces.veths.len());
    for (ns, interfaces) in askers {
        for veth in &interfaces.veths {
            let Some(number) = veth.netns else {
                join(live, seen, (ns, veth.index), (ns, veth.peer));
                continue;
            };
            // Its pair may have been found from the other end.
            if !take(&mut free, (veth.index, veth.peer), ns) {
                continue;
            }
            let candidates = free.get(&(veth.peer, veth.index)).cloned().unwrap_or_default();
            match holder(handles, &mut numbers, seen, live, (ns, veth, number), candidates) {
                Ok(Some(other)) => {
                    take(&mut free, (veth.peer, veth.index), other);
                    join(live, seen, (ns, veth.index), (other, veth.peer));
                    join(live, seen, (other, veth.peer), (ns, veth.index));
                }
                Ok(None) => {}
                Err(error) => {
                    live.unread.push(unread(ns, Part::Everything, &error));
                    break;
                }
            }
        }
    }
}

/// The namespace among some, known to `ns` by a number, that the other end of a veth pair is in.
fn holder<'a>(
    handles: &mut NetnsHandles,
    numbers: &mut NsidCache<'a>,
    seen: &BTreeMap<NsName, Interfaces>,
    live: &Observed,
    (ns, veth, number): (&'a NsName, &Veth, i32),
    mut candidates: Vec<&'a NsName>,
) -> Result<Option<&'a NsName>, KernelError> {
    if candidates.len() > MAX_UNASKED {
        let other = ask(handles, ns, veth.peer, number)?;
        candidates.retain(|ns| other.is_some() && identity(live, seen, (ns, veth.peer)) == other);
    }
    for other in candidates {
        if number_of(handles, numbers, ns, other)? == number {
            return Ok(Some(other));
        }
    }
    Ok(None)
}

/// How many candidates are tried without asking what the other interface looks like.
const MAX_UNASKED: usize = 2;

/// Name and MAC address of an interface: enough to tell nearly all from one another.
pub(super) type Identity = (IfName, Option<Mac>);

/// Name and MAC address in a message about an interface.
pub(super) fn decode_identity(item: &[u8]) -> Result<Option<Identity>, DecodeError> {
    let raw = interface::decode(item)?;
    Ok(raw.name.and_then(|name| name.parse().ok()).map(|name| (name, raw.mac)))
}

/// What an observed interface looks like.
pub(super) fn identity(
    live: &Observed,
    seen: &BTreeMap<NsName, Interfaces>,
    (ns, index): (&NsName, u32),
) -> Option<Identity> {
    let name = seen.get(ns)?.names.get(&index)?;
    Some((name.clone(), live.namespaces.get(ns)?.is.interfaces.get(name)?.mac))
}

/// What the interface with an index looks like in the namespace that `ns` knows by a number; none if that is not to be
/// seen.
pub(super) fn ask(
    handles: &mut NetnsHandles,
    ns: &NsName,
    index: u32,
    number: i32,
) -> Result<Option<Identity>, KernelError> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    // IFLA_TARGET_NETNSID has the number that once was IFLA_IF_NETNSID's.
    message.attributes.push(LinkAttribute::IfNetnsId(number));
    let answer = handles.get(ns)?.socket.get(RouteNetlinkMessage::GetLink(message));
    match answer.and_then(|answer| Ok(decode_identity(&answer)?)) {
        Ok(identity) => Ok(identity),
        // Gone meanwhile with its namespace, or in one where we may not look.
        Err(error) if matches!(error.errno, Errno::ENODEV | Errno::EINVAL | Errno::EACCES) => Ok(None),
        Err(error) => Err(error.about(format!("find an interface that one of {ns} leads to"))),
    }
}

/// Takes an end out of those that are free; whether it was among them.
fn take(free: &mut Free<'_>, indexes: (u32, u32), ns: &NsName) -> bool {
    let Some(namespaces) = free.get_mut(&indexes) else { return false };
    match namespaces.iter().position(|candidate| *candidate == ns) {
        Some(position) => {
            namespaces.remove(position);
            true
        }
        None => false,
    }
}

/// Notes the peer of one end.
fn join(live: &mut Observed, seen: &BTreeMap<NsName, Interfaces>, end: (&NsName, u32), other: (&NsName, u32)) {
    let name = |(ns, index): (&NsName, u32)| seen.get(ns)?.names.get(&index).cloned();
    let (Some(own), Some(others)) = (name(end), name(other)) else { return };
    let interface = live.namespaces.get_mut(end.0).and_then(|namespace| namespace.is.interfaces.get_mut(&own));
    if let Some(InterfaceKind::Veth { peer }) = interface.map(|interface| &mut interface.kind) {
        *peer = Some(InterfaceRef { ns: other.0.clone(), name: others });
    }
}

/// The number by which `from` knows the namespace `of`; -1 if it knows none.
pub(super) fn number_of<'a>(
    handles: &mut NetnsHandles,
    numbers: &mut NsidCache<'a>,
    from: &'a NsName,
    of: &'a NsName,
) -> Result<i32, KernelError> {
    if let Some(&number) = numbers.get(&(from, of)) {
        return Ok(number);
    }
    let fd = handles.get(of)?.fd().as_raw_fd();
    let mut message = NsidMessage::default();
    message.attributes.push(NsidAttribute::Fd(fd.cast_unsigned()));
    let answer = handles.get(from)?.socket.get(RouteNetlinkMessage::GetNsId(message));
    let number = answer.and_then(|answer| Ok(read_number(&answer)?));
    let number = number.map_err(|error| error.about(format!("find the number by which {from} knows {of}")))?;
    numbers.insert((from, of), number);
    Ok(number)
}

pub(super) fn read_number(answer: &[u8]) -> Result<i32, DecodeError> {
    const NETNSA_NSID: u16 = 1;
    const UNKNOWN: i32 = -1;
    for attribute in attributes(answer.get(NsidHeader::default().buffer_len()..).unwrap_or_default()) {
        if let (NETNSA_NSID, value) = attribute? {
            return parse_i32(value);
        }
    }
    Ok(UNKNOWN)
}
