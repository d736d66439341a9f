//! Objects that the model cannot express, removed and put back by the kernel's own bytes.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE};
use nix::errno::Errno;

use super::accept_gone;
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
    let kind = match object.kind {
        ForeignKind::Route { .. } => libc::RTM_NEWROUTE,
        ForeignKind::PolicyRule { .. } => libc::RTM_NEWRULE,
        ForeignKind::FdbEntry | ForeignKind::BridgeFdbEntry { .. } => libc::RTM_NEWNEIGH,
        ForeignKind::NftTable { .. } | ForeignKind::LegacyTable { .. } => return Err(Errno::EOPNOTSUPP.into()),
    };
    netns.socket.change_listed(kind, &object.message, NLM_F_CREATE | NLM_F_APPEND)
}

/// Removes an object that was observed.
fn delete(netns: &mut NetnsHandle, object: &ForeignObject) -> Result<(), NetlinkError> {
    let kind = match object.kind {
        ForeignKind::Route { .. } => libc::RTM_DELROUTE,
        ForeignKind::PolicyRule { .. } => libc::RTM_DELRULE,
        ForeignKind::FdbEntry | ForeignKind::BridgeFdbEntry { .. } => libc::RTM_DELNEIGH,
        ForeignKind::NftTable { .. } | ForeignKind::LegacyTable { .. } => return Err(Errno::EOPNOTSUPP.into()),
    };
    netns.socket.change_listed(kind, &object.message, 0)
}
