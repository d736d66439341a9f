//! Sysctls of a lab's own namespaces, and the notes of what they were before.

use std::collections::BTreeMap;

use libc::{IFLA_ALT_IFNAME, IFLA_PROP_LIST};
use netlink_packet_core::{DecodeError, Emitable, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkHeader, LinkMessage, Prop};

use super::loopback;
use crate::kernel::netlink::{NetlinkError, attributes, name_text};
use crate::kernel::netns::NetnsHandle;
use crate::kernel::{KernelError, sysctl};
use crate::lab::{ForeignObject, NsName, SysctlKey, SysctlValue, note, noted};
use crate::steps::Presence;

/// Sets a sysctl. What it was before the first time is noted; once it is that again, the note goes.
pub(in crate::kernel) fn set(
    netns: &mut NetnsHandle,
    ns: &NsName,
    key: &SysctlKey,
    to: &SysctlValue,
) -> Result<(), KernelError> {
    let about = |error: NetlinkError| error.about(format!("note what {key} was in {ns}"));
    let notes = notes(netns).map_err(about)?;
    match notes.get(key) {
        Some(was) => {
            sysctl::write(netns.fd(), ns, key, to)?;
            if to.is_kept_as(key, was) { forget(netns, key, was).map_err(about) } else { Ok(()) }
        }
        None => {
            let was = original(netns, key, &notes)?;
            // The note is there before the change: whoever is killed in between has changed nothing.
            was.iter().try_for_each(|was| remember(netns, key, was)).map_err(about)?;
            sysctl::write(netns.fd(), ns, key, to).inspect_err(|_| {
                // The first error is the one to report.
                let _ = was.iter().try_for_each(|was| forget(netns, key, was));
            })
        }
    }
}

/// Sets a switch that somebody has turned back, or as it was.
pub(in crate::kernel) fn turn(
    netns: &NetnsHandle,
    ns: &NsName,
    change: &Presence<ForeignObject>,
) -> Result<(), KernelError> {
    let setting = match change {
        Presence::Add(object) => object.text.clone(),
        Presence::Remove(object) => object.set_back().unwrap_or_default(),
    };
    let parsed = setting.split_once('=').and_then(|(key, value)| Some((key.parse().ok()?, value.parse().ok()?)));
    let (key, value) = parsed.ok_or_else(|| KernelError::new(format!("set {setting} in {ns}")))?;
    sysctl::write(netns.fd(), ns, &key, &value)
}

/// What a sysctl is before it is set for the first time. An interface may have begun with a default that the lab has
/// set: then it is what that was.
fn original(
    netns: &NetnsHandle,
    key: &SysctlKey,
    notes: &BTreeMap<SysctlKey, SysctlValue>,
) -> Result<Option<SysctlValue>, KernelError> {
    let default = key.default_of().and_then(|default| Some((notes.get(&default)?, default)));
    let keys = [key.clone()].into_iter().chain(default.as_ref().map(|(_, default)| default.clone()));
    let mut now = sysctl::read(netns.fd(), &keys.collect())?;
    let is = now.remove(key);
    Ok(match default {
        Some((was, default)) if is.is_some() && now.get(&default) == is.as_ref() => Some(was.clone()),
        _ => is,
    })
}

/// How many notes a namespace holds at most: the kernel takes 496 names of 128 bytes for one interface, and lists all
/// of them in each message about it, which has to fit into one answer (32 KiB).
const MAX_NOTES: usize = 200;

/// Notes a former value, if it can be written as a note, and there is room for it.
pub(in crate::kernel) fn remember(
    netns: &mut NetnsHandle,
    key: &SysctlKey,
    was: &SysctlValue,
) -> Result<(), NetlinkError> {
    let Some(message) = encode(key, was) else { return Ok(()) };
    if notes(netns)?.len() >= MAX_NOTES {
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
    let Some(message) = encode(key, was) else { return Ok(()) };
    netns.socket.change(RouteNetlinkMessage::DelLinkProp(message), 0)
}

fn encode(key: &SysctlKey, was: &SysctlValue) -> Option<LinkMessage> {
    let mut message = loopback::message();
    message.attributes.push(LinkAttribute::PropList(vec![Prop::AltIfName(note(key, was)?)]));
    Some(message)
}

fn notes(netns: &mut NetnsHandle) -> Result<BTreeMap<SysctlKey, SysctlValue>, NetlinkError> {
    let answer = netns.socket.get(RouteNetlinkMessage::GetLink(loopback::message()))?;
    Ok(decode_notes(&answer)?)
}

/// The notes of former values in a message about a loopback.
pub(in crate::kernel) fn decode_notes(item: &[u8]) -> Result<BTreeMap<SysctlKey, SysctlValue>, DecodeError> {
    Ok(alternative_names(item)?.into_iter().filter_map(noted).collect())
}

/// The alternative names in a message about an interface, as far as they are text.
pub(in crate::kernel) fn alternative_names(item: &[u8]) -> Result<Vec<&str>, DecodeError> {
    let after_header = item.get(LinkHeader::default().buffer_len()..).unwrap_or_default();
    let mut found = Vec::new();
    for attribute in attributes(after_header) {
        let (IFLA_PROP_LIST, names) = attribute? else { continue };
        for name in attributes(names) {
            let (IFLA_ALT_IFNAME, name) = name? else { continue };
            found.extend(name_text(name));
        }
    }
    Ok(found)
}
