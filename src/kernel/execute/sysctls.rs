//! Sysctls of a lab's own namespaces, and the notes of what they were before.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, Prop};

use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandle;
use crate::kernel::netns::create::LOOPBACK;
use crate::kernel::observe::links::former;
use crate::kernel::{KernelError, sysctl};
use crate::lab::{NsName, SysctlKey, SysctlValue, note};

/// Sets a sysctl. What it was before the first time is noted; once it is that again, the note goes.
pub(super) fn set(netns: &mut NetnsHandle, ns: &NsName, key: &SysctlKey, to: &SysctlValue) -> Result<(), KernelError> {
    let about = |error: NetlinkError| error.about(format!("note what {key} was in {ns}"));
    match notes(netns).map_err(about)?.get(key) {
        Some(was) => {
            sysctl::write(netns.fd(), ns, key, to)?;
            if was == to { forget(netns, key, was).map_err(about) } else { Ok(()) }
        }
        None => {
            let was = sysctl::read(netns.fd(), &[key.clone()].into())?.remove(key);
            // The note is there before the change: whoever is killed in between has changed nothing.
            was.iter().try_for_each(|was| remember(netns, key, was)).map_err(about)?;
            sysctl::write(netns.fd(), ns, key, to).inspect_err(|_| {
                // The error that is told is the first one.
                let _ = was.iter().try_for_each(|was| forget(netns, key, was));
            })
        }
    }
}

/// How many notes a namespace holds: the kernel takes 496 names of 128 bytes for one interface, and tells of all of them in
/// each message about it, which is to fit into one answer (32 KiB).
const NOTES: usize = 200;

/// Notes a former value, if it can be written as a note, and there is room for it.
pub(in crate::kernel) fn remember(
    netns: &mut NetnsHandle,
    key: &SysctlKey,
    was: &SysctlValue,
) -> Result<(), NetlinkError> {
    let Some(message) = message(key, was) else { return Ok(()) };
    if notes(netns)?.len() >= NOTES {
        return Ok(());
    }
    netns.socket.change(RouteNetlinkMessage::NewLinkProp(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes the note of a former value.
pub(in crate::kernel) fn forget(
    netns: &mut NetnsHandle,
    key: &SysctlKey,
    was: &SysctlValue,
) -> Result<(), NetlinkError> {
    let Some(message) = message(key, was) else { return Ok(()) };
    netns.socket.change(RouteNetlinkMessage::DelLinkProp(message), 0)
}

fn message(key: &SysctlKey, was: &SysctlValue) -> Option<LinkMessage> {
    let mut message = loopback();
    message.attributes.push(LinkAttribute::PropList(vec![Prop::AltIfName(note(key, was)?)]));
    Some(message)
}

fn notes(netns: &mut NetnsHandle) -> Result<std::collections::BTreeMap<SysctlKey, SysctlValue>, NetlinkError> {
    let answer = netns.socket.get(RouteNetlinkMessage::GetLink(loopback()))?;
    Ok(former(&answer)?)
}

fn loopback() -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = LOOPBACK;
    message
}
