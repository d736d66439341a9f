//! Policies and states of the transformation of packets (IPsec). No file has any. Facts from linux/xfrm.h.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use netlink_packet_core::{DecodeError, NLM_F_CREATE, parse_ip, parse_u32};
use nix::errno::Errno;

use super::accept_gone;
use crate::kernel::KernelError;
use crate::kernel::netlink::{NetlinkError, Protocol, Socket, append, attributes};
use crate::kernel::netns::run_in;
use crate::lab::{ForeignKind, ForeignObject, ForeignOther};
use crate::steps::{ForeignStep, Presence, Step};

const NEWSA: u16 = 0x10;
const DELSA: u16 = 0x11;
const GETSA: u16 = 0x12;
const NEWPOLICY: u16 = 0x13;
const DELPOLICY: u16 = 0x14;
const GETPOLICY: u16 = 0x15;
/// Attributes that are part of what names an object: XFRMA_POLICY_TYPE, XFRMA_MARK, XFRMA_IF_ID.
const NAMING: [u16; 3] = [16, MARK, 31];
const MARK: u16 = 21;
/// Length of `struct xfrm_selector`, `struct xfrm_userpolicy_info` and `struct xfrm_usersa_info`.
const SELECTOR: usize = 56;
const POLICY: usize = 168;
const STATE: usize = 224;
/// The words of `ip` for the directions of a policy (XFRM_POLICY_…); there are others, which sockets have.
const DIRECTIONS: [&str; 3] = ["in", "out", "fwd"];

/// Lists all policies and states of this thread's namespace. None where this kernel has no transformation.
pub(in crate::kernel) fn list() -> Result<Vec<ForeignOther>, NetlinkError> {
    let mut socket = match Socket::open_to(Protocol::Xfrm) {
        Err(error) if error.raw_os_error() == Some(Errno::EPROTONOSUPPORT as i32) => return Ok(Vec::new()),
        opened => opened?,
    };
    let [states, policies] = socket.dumps([(GETSA, &[][..]), (GETPOLICY, &[][..])])?;
    let mut found = Vec::new();
    for item in policies?.items() {
        found.extend(policy(item)?);
    }
    for item in states?.items() {
        found.extend(state(item)?);
    }
    Ok(found)
}

/// A policy, unless it is that of a socket.
pub(in crate::kernel) fn policy(item: &[u8]) -> Result<Option<ForeignOther>, DecodeError> {
    let at = |at: usize| item.get(at).copied().unwrap_or_default();
    let family = u16::from_ne_bytes([at(40), at(41)]);
    let (to, from) = (address(item, 0, family)?, address(item, 16, family)?);
    let Some(direction) = DIRECTIONS.get(usize::from(at(160))) else { return Ok(None) };
    let text = format!("src {from}/{} dst {to}/{} dir {direction}", at(43), at(42));
    let mark =
        attributes(item.get(POLICY..).unwrap_or_default()).find_map(|part| part.ok().filter(|(kind, _)| *kind == MARK));
    let mark = mark.and_then(|(_, value)| Some((parse_u32(value.get(..4)?).ok()?, parse_u32(value.get(4..8)?).ok()?)));
    let mark = mark.map(|(mark, mask)| format!(" mark {mark:#x} mask {mask:#x}")).unwrap_or_default();
    Ok(Some(other(ForeignKind::XfrmPolicy, text + &mark, item)))
}

/// A state.
pub(in crate::kernel) fn state(item: &[u8]) -> Result<Option<ForeignOther>, DecodeError> {
    let at = |at: usize| item.get(at).copied().unwrap_or_default();
    let family = u16::from_ne_bytes([at(212), at(213)]);
    let (to, from) = (address(item, SELECTOR, family)?, address(item, 80, family)?);
    let spi = u32::from_be_bytes([at(72), at(73), at(74), at(75)]);
    let protocol = match at(76) {
        50 => "esp".to_owned(),
        51 => "ah".to_owned(),
        108 => "comp".to_owned(),
        other => other.to_string(),
    };
    let text = format!("src {from} dst {to} proto {protocol} spi {spi:#x}");
    Ok(Some(other(ForeignKind::XfrmState, text, item)))
}

fn other(kind: ForeignKind, text: String, item: &[u8]) -> ForeignOther {
    ForeignOther { object: ForeignObject { kind, text, message: item.to_vec() }, dev: None }
}

fn address(item: &[u8], at: usize, family: u16) -> Result<IpAddr, DecodeError> {
    let length = if family == 10 { 16 } else { 4 };
    parse_ip(item.get(at..at + length).unwrap_or_default())
}

/// Removes a policy or a state of a namespace, or puts it back.
pub(in crate::kernel) fn run(ns: BorrowedFd<'_>, step: &ForeignStep) -> Result<(), KernelError> {
    let change = || -> Result<(), NetlinkError> {
        let mut socket = Socket::open_to(Protocol::Xfrm)?;
        let is_policy = step.change.object().kind == ForeignKind::XfrmPolicy;
        match &step.change {
            Presence::Add(object) => {
                let kind = if is_policy { NEWPOLICY } else { NEWSA };
                socket.change_listed(kind, &object.message, NLM_F_CREATE)
            }
            Presence::Remove(object) => {
                let kind = if is_policy { DELPOLICY } else { DELSA };
                accept_gone(socket.change_listed(kind, &name(&object.message, is_policy)?, 0))
            }
        }
    };
    run_in(ns, change)?.map_err(|error| error.about(Step::Foreign(step.clone()).text()))
}

/// What names an object to the kernel: struct xfrm_userpolicy_id or xfrm_usersa_id, and some attributes.
fn name(item: &[u8], is_policy: bool) -> Result<Vec<u8>, DecodeError> {
    let part = |begin: usize, end: usize| item.get(begin..end).unwrap_or_default();
    let mut message = Vec::new();
    if is_policy {
        message.extend_from_slice(part(0, SELECTOR));
        message.extend_from_slice(part(156, 161));
        message.resize(SELECTOR + 8, 0);
    } else {
        message.extend_from_slice(part(SELECTOR, 76));
        message.extend_from_slice(part(212, 214));
        message.extend_from_slice(part(76, 77));
        message.resize(24, 0);
    }
    for attribute in attributes(item.get(if is_policy { POLICY } else { STATE }..).unwrap_or_default()) {
        let (kind, value) = attribute?;
        if NAMING.contains(&kind) {
            append(&mut message, kind, value);
        }
    }
    Ok(message)
}
