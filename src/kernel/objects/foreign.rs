//! Objects that the model cannot express, removed and put back by the kernel's own bytes.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE};
use nix::errno::Errno;

use super::{accept_gone, link_option, loopback, next_hop_object};
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
    if object.kind == ForeignKind::LoopbackName {
        return loopback::rename(netns, &object.message);
    }
    if let ForeignKind::LinkOption(_) = object.kind {
        return netns.socket.change_listed(libc::RTM_NEWLINK, &object.message, 0);
    }
    let (add, _) = messages(object.kind)?;
    netns.socket.change_listed(add, &object.message, NLM_F_CREATE | NLM_F_APPEND)
}

/// Removes an object that was observed.
fn delete(netns: &mut NetnsHandle, object: &ForeignObject) -> Result<(), NetlinkError> {
    if object.kind == ForeignKind::LoopbackName {
        return loopback::rename(netns, &loopback::named(b"lo\0"));
    }
    if let ForeignKind::LinkOption(option) = object.kind {
        return netns.socket.change_listed(libc::RTM_NEWLINK, &link_option::back(option, &object.message)?, 0);
    }
    let (_, delete) = messages(object.kind)?;
    if let ForeignKind::NextHop { id, .. } = object.kind {
        // The kernel takes nothing but the number.
        return netns.socket.change_listed(delete, &next_hop_object::of_id(id), 0);
    }
    netns.socket.change_listed(delete, &object.message, 0)
}

/// The types of the messages that add and remove an object.
fn messages(kind: ForeignKind) -> Result<(u16, u16), NetlinkError> {
    match kind {
        ForeignKind::Route { .. } => Ok((libc::RTM_NEWROUTE, libc::RTM_DELROUTE)),
        ForeignKind::PolicyRule { .. } => Ok((libc::RTM_NEWRULE, libc::RTM_DELRULE)),
        ForeignKind::FdbEntry | ForeignKind::BridgeFdbEntry { .. } | ForeignKind::Neighbour => {
            Ok((libc::RTM_NEWNEIGH, libc::RTM_DELNEIGH))
        }
        ForeignKind::Qdisc => Ok((libc::RTM_NEWQDISC, libc::RTM_DELQDISC)),
        ForeignKind::NextHop { .. } => Ok((next_hop_object::NEW, next_hop_object::DELETE)),
        ForeignKind::Interface { .. } => Ok((libc::RTM_NEWLINK, libc::RTM_DELLINK)),
        // These take other messages, or are no matter of rtnetlink: see `loopback`, `link_option`, `sysctl`, `xfrm`
        // and `firewall::foreign_tables`.
        ForeignKind::LoopbackName
        | ForeignKind::LinkOption(_)
        | ForeignKind::Switch
        | ForeignKind::XfrmPolicy
        | ForeignKind::XfrmState
        | ForeignKind::NftTable { .. }
        | ForeignKind::LegacyTable { .. }
        | ForeignKind::LabChain { .. } => Err(Errno::EOPNOTSUPP.into()),
    }
}
