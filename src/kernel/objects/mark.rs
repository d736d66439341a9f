//! The marks of a lab on an interface: its alias, and in `host` its group.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};

use super::{interface, loopback};
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandle;
use crate::lab::{InterfaceRef, Mark};
use crate::steps::{MarkStep, Presence};

/// The mark that a namespace carries: the alias of its loopback.
pub(in crate::kernel) fn of_namespace(netns: &mut NetnsHandle) -> Result<Option<Mark>, NetlinkError> {
    let answer = netns.socket.get(RouteNetlinkMessage::GetLink(loopback::message()))?;
    Ok(interface::decode(&answer)?.alias.and_then(Mark::parse))
}

/// Runs a step. `mark` is the lab's.
pub(in crate::kernel) fn run(netns: &mut NetnsHandle, step: &MarkStep, mark: &Mark) -> Result<(), NetlinkError> {
    match step.change {
        Presence::Add(_) => set(netns, &step.interface, &mark.to_string(), mark.lab.group()),
        Presence::Remove(_) => set(netns, &step.interface, "", 0),
    }
}

/// Sets the alias of an interface, and in `host` its group.
pub(in crate::kernel) fn set(
    netns: &mut NetnsHandle,
    interface: &InterfaceRef,
    alias: &str,
    group: u32,
) -> Result<(), NetlinkError> {
    let mut message = if interface.name.is_lo() {
        loopback::message()
    } else {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(interface.name.to_string()));
        message
    };
    message.attributes.push(LinkAttribute::IfAlias(alias.to_owned()));
    message.attributes.extend(interface.ns.is_host().then_some(LinkAttribute::Group(group)));
    netns.socket.change(RouteNetlinkMessage::SetLink(message), 0)
}

/// Sets the alias of a new interface in `host`, which the kernel does not take at creation. Where that fails, the
/// interface is removed again.
pub(super) fn set_on_new(netns: &mut NetnsHandle, new: &InterfaceRef, mark: &Mark) -> Result<(), NetlinkError> {
    if !new.ns.is_host() {
        return Ok(());
    }
    set(netns, new, &mark.to_string(), mark.lab.group()).inspect_err(|_| {
        // The first error is the one to report.
        let _ = interface::delete(netns, &new.name);
    })
}
