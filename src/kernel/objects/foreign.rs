//! Objects that the model cannot express, removed and put back by the kernel's own bytes.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE};
use nix::errno::Errno;

use super::{accept_gone, next_hop_object};
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandle;
use crate::lab::{ForeignKind, ForeignObject};
use crate::steps::{ForeignStep, Presence};

/// Runs a step.
pub(in crate::kernel) fn run(netns: &mut NetnsHandle, step: &ForeignStep) -> Result<(), NetlinkError> {
    match &step.change {
        Presence::Add(object) => add(netns, object),
        Presence::Remove(object) => accept_gone(delete(netns, object)),
    }
}

/// Puts an object back, as it was when it was observed.
fn add(netns: &mut NetnsHandle, object: &ForeignObject) -> Result<(), NetlinkError> {
    let Some((kind, _)) = types(object.kind) else { return Err(Errno::EOPNOTSUPP.into()) };
    netns.socket.change_listed(kind, &object.message, NLM_F_CREATE | NLM_F_APPEND)
}

/// Removes an object that was observed.
fn delete(netns: &mut NetnsHandle, object: &ForeignObject) -> Result<(), NetlinkError> {
    let Some((_, kind)) = types(object.kind) else { return Err(Errno::EOPNOTSUPP.into()) };
    match object.kind {
        // The kernel takes nothing but the number.
        ForeignKind::NextHop { id } => netns.socket.change_listed(kind, &next_hop_object::of_id(id), 0),
        _ => netns.socket.change_listed(kind, &object.message, 0),
    }
}

/// The messages that make and remove an object of a kind; none where that is no matter of rtnetlink.
fn types(kind: ForeignKind) -> Option<(u16, u16)> {
    Some(match kind {
        ForeignKind::Route { .. } => (libc::RTM_NEWROUTE, libc::RTM_DELROUTE),
        ForeignKind::PolicyRule { .. } => (libc::RTM_NEWRULE, libc::RTM_DELRULE),
        ForeignKind::FdbEntry | ForeignKind::BridgeFdbEntry { .. } => (libc::RTM_NEWNEIGH, libc::RTM_DELNEIGH),
        ForeignKind::Qdisc => (libc::RTM_NEWQDISC, libc::RTM_DELQDISC),
        ForeignKind::NextHop { .. } => (next_hop_object::NEW, next_hop_object::DELETE),
        ForeignKind::Interface { .. } => (libc::RTM_NEWLINK, libc::RTM_DELLINK),
        ForeignKind::XfrmPolicy
        | ForeignKind::XfrmState
        | ForeignKind::NftTable { .. }
        | ForeignKind::LegacyTable { .. } => return None,
    })
}
