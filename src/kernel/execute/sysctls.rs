//! Sysctls of a lab's own namespaces, and the notes of what they were before.

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, Prop};

use crate::kernel::netlink::Refusal;
use crate::kernel::netns::create::LOOPBACK;
use crate::kernel::observe::links::former;
use crate::kernel::space::Space;
use crate::kernel::{KernelError, sysctl};
use crate::lab::{NsName, SysctlKey, SysctlValue, note};

/// Sets a sysctl. What it was before the first time is noted; once it is that again, the note goes.
pub(super) fn set(space: &mut Space, ns: &NsName, key: &SysctlKey, to: &SysctlValue) -> Result<(), KernelError> {
    let about = |refusal: Refusal| refusal.about(format!("note what {key} was in {ns}"));
    match notes(space).map_err(about)?.get(key) {
        Some(was) => {
            sysctl::write(space.fd(), ns, key, to)?;
            if was == to { forget(space, key, was).map_err(about) } else { Ok(()) }
        }
        None => {
            let was = sysctl::read(space.fd(), &[key.clone()].into())?.remove(key);
            // The note is there before the change: whoever is killed in between has changed nothing.
            was.iter().try_for_each(|was| remember(space, key, was)).map_err(about)?;
            sysctl::write(space.fd(), ns, key, to).inspect_err(|_| {
                // The error that is told is the first one.
                let _ = was.iter().try_for_each(|was| forget(space, key, was));
            })
        }
    }
}

/// How many notes a namespace holds: the kernel takes 496 names of 128 bytes for one interface, and tells of all of them in
/// each message about it, which is to fit into one answer (32 KiB).
const NOTES: usize = 200;

/// Notes a former value, if it can be written as a note, and there is room for it.
pub(in crate::kernel) fn remember(space: &mut Space, key: &SysctlKey, was: &SysctlValue) -> Result<(), Refusal> {
    let Some(message) = message(key, was) else { return Ok(()) };
    if notes(space)?.len() >= NOTES {
        return Ok(());
    }
    space.socket.change(RouteNetlinkMessage::NewLinkProp(message), NLM_F_CREATE | NLM_F_EXCL)
}

/// Removes the note of a former value.
pub(in crate::kernel) fn forget(space: &mut Space, key: &SysctlKey, was: &SysctlValue) -> Result<(), Refusal> {
    let Some(message) = message(key, was) else { return Ok(()) };
    space.socket.change(RouteNetlinkMessage::DelLinkProp(message), 0)
}

fn message(key: &SysctlKey, was: &SysctlValue) -> Option<LinkMessage> {
    let mut message = loopback();
    message.attributes.push(LinkAttribute::PropList(vec![Prop::AltIfName(note(key, was)?)]));
    Some(message)
}

fn notes(space: &mut Space) -> Result<std::collections::BTreeMap<SysctlKey, SysctlValue>, Refusal> {
    let answer = space.socket.get(RouteNetlinkMessage::GetLink(loopback()))?;
    Ok(former(&answer)?)
}

fn loopback() -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = LOOPBACK;
    message
}
