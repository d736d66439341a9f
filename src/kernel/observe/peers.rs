//! Which end of a veth pair belongs to which: exactly, also where the ends are in different namespaces.
//!
//! An end tells its peer's index, and this namespace's own number for the namespace that the peer is in. Two ends that
//! name each other's index may be a pair; they are one if the number stands for the other's namespace, which
//! the kernel says for a file descriptor of it (`RTM_GETNSID`). An end that has found its peer is out of the question for
//! all others, so nearly every question asked is answered with yes, and their number grows with that of the links.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::AsRawFd;

use netlink_packet_core::{Emitable, parse_i32};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidHeader, NsidMessage};

use super::links::Interfaces;
use crate::kernel::KernelError;
use crate::kernel::netlink::{Refusal, attributes};
use crate::kernel::space::Spaces;
use crate::lab::{End, LinkKind, Live, NsName};

/// Which ends could be paired: by their own index, and the peer's.
type Free<'a> = HashMap<(u32, u32), Vec<&'a NsName>>;

/// The numbers of namespaces, as seen from others: (from where, which).
type Numbers<'a> = HashMap<(&'a NsName, &'a NsName), i32>;

/// Sets the peers of all veth ends whose other end was observed too.
pub(super) fn connect(
    spaces: &mut Spaces,
    seen: &BTreeMap<NsName, Interfaces>,
    live: &mut Live,
) -> Result<(), KernelError> {
    let mut free: Free<'_> = HashMap::new();
    // From the last, so that the first is at the end of each list, where it is found and taken out fastest.
    for (ns, interfaces) in seen.iter().rev() {
        for veth in interfaces.veths.iter().filter(|veth| veth.netns.is_some()) {
            free.entry((veth.index, veth.peer)).or_default().push(ns);
        }
    }
    let mut numbers = Numbers::new();
    for (ns, interfaces) in seen {
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
            for other in candidates.into_iter().rev() {
                let tried = || format!("find the other end of a veth pair of {ns} in {other}");
                if number_of(spaces, &mut numbers, ns, other)?.map_err(|refusal| refusal.about(tried()))? == number {
                    take(&mut free, (veth.peer, veth.index), other);
                    join(live, seen, (ns, veth.index), (other, veth.peer));
                    join(live, seen, (other, veth.peer), (ns, veth.index));
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Takes an end out of those that are free; whether it was among them.
fn take(free: &mut Free<'_>, indexes: (u32, u32), ns: &NsName) -> bool {
    let Some(namespaces) = free.get_mut(&indexes) else { return false };
    match namespaces.iter().rposition(|candidate| *candidate == ns) {
        Some(position) => {
            namespaces.remove(position);
            true
        }
        None => false,
    }
}

/// Notes the peer of one end.
fn join(live: &mut Live, seen: &BTreeMap<NsName, Interfaces>, end: (&NsName, u32), other: (&NsName, u32)) {
    let name = |(ns, index): (&NsName, u32)| seen.get(ns)?.names.get(&index).cloned();
    let (Some(own), Some(others)) = (name(end), name(other)) else { return };
    let link = live.namespaces.get_mut(end.0).and_then(|namespace| namespace.links.get_mut(&own));
    if let Some(LinkKind::Veth { peer }) = link.map(|link| &mut link.kind) {
        *peer = Some(End { ns: other.0.clone(), name: others });
    }
}

/// The number by which `from` knows the namespace `of`; -1 if it knows none.
fn number_of<'a>(
    spaces: &mut Spaces,
    numbers: &mut Numbers<'a>,
    from: &'a NsName,
    of: &'a NsName,
) -> Result<Result<i32, Refusal>, KernelError> {
    if let Some(&number) = numbers.get(&(from, of)) {
        return Ok(Ok(number));
    }
    let fd = spaces.get(of)?.fd().as_raw_fd();
    let mut message = NsidMessage::default();
    message.attributes.push(NsidAttribute::Fd(fd.cast_unsigned()));
    let answer = spaces.get(from)?.socket.get(RouteNetlinkMessage::GetNsId(message));
    let number = answer.and_then(|answer| read_number(&answer));
    if let Ok(number) = number {
        numbers.insert((from, of), number);
    }
    Ok(number)
}

fn read_number(answer: &[u8]) -> Result<i32, Refusal> {
    const NETNSA_NSID: u16 = 1;
    const UNKNOWN: i32 = -1;
    for attribute in attributes(answer.get(NsidHeader::default().buffer_len()..).unwrap_or_default()) {
        if let (NETNSA_NSID, value) = attribute? {
            return Ok(parse_i32(value)?);
        }
    }
    Ok(UNKNOWN)
}
