//! The note that programs of a lab run in a namespace: an alternative name of its loopback. So nothing is asked for
//! programs where there are none, and they are found where the files of the lab are lost.

use netlink_packet_core::{DecodeError, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, Prop};
use nix::errno::Errno;

use super::{loopback, sysctl};
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandle;

/// The note. No interface can have such a name.
const NOTE: &str = "runs:programs";

/// Notes that programs run in a namespace, if that is not noted yet.
pub(in crate::kernel) fn note(netns: &mut NetnsHandle) -> Result<(), NetlinkError> {
    let added = netns.socket.change(RouteNetlinkMessage::NewLinkProp(message()), NLM_F_CREATE | NLM_F_EXCL);
    unless(Errno::EEXIST, added)
}

/// Removes the note, if there is one.
pub(in crate::kernel) fn forget(netns: &mut NetnsHandle) -> Result<(), NetlinkError> {
    unless(Errno::ENOENT, netns.socket.change(RouteNetlinkMessage::DelLinkProp(message()), 0))
}

/// Whether a message about a loopback has the note.
pub(in crate::kernel) fn is_noted(item: &[u8]) -> Result<bool, DecodeError> {
    Ok(sysctl::alternative_names(item)?.contains(&NOTE))
}

fn unless(expected: Errno, result: Result<(), NetlinkError>) -> Result<(), NetlinkError> {
    match result {
        Err(error) if error.errno == expected => Ok(()),
        other => other,
    }
}

fn message() -> LinkMessage {
    let mut message = loopback::message();
    message.attributes.push(LinkAttribute::PropList(vec![Prop::AltIfName(NOTE.to_owned())]));
    message
}
