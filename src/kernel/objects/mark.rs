//! The marks of a lab on an interface: its alias, and in `host` its group.

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage};

use super::{interface, loopback, program};
use crate::kernel::KernelError;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::{GivenNames, NetnsHandle, NetnsHandles};
use crate::lab::{InterfaceRef, LabName, Mark, NsName};
use crate::steps::{MarkStep, Presence};

/// The mark that a namespace carries: the alias of its loopback; and whether programs run in it.
pub(in crate::kernel) fn of_namespace(netns: &mut NetnsHandle) -> Result<Option<(Mark, bool)>, NetlinkError> {
    let answer = netns.socket.get(RouteNetlinkMessage::GetLink(loopback::message()))?;
    let has_programs = program::is_noted(&answer)?;
    Ok(interface::decode(&answer)?.alias.and_then(Mark::parse).map(|mark| (mark, has_programs)))
}

/// Runs a step. A namespace's name is marked as well, beneath the namespace.
pub(in crate::kernel) fn run(handles: &mut NetnsHandles, step: &MarkStep, tried: &str) -> Result<(), KernelError> {
    let InterfaceRef { ns, name } = &step.interface;
    let name_of_ns = Some(ns).filter(|ns| name.is_lo() && !ns.is_host());
    let lab = step.change.object();
    let mark = handles.mark(lab);
    let netns = handles.get(ns)?;
    match step.change {
        Presence::Add(_) => {
            give(name_of_ns, lab, tried)?;
            set(netns, &step.interface, &mark.to_string(), lab.group()).map_err(|error| {
                // The first error is the one to report.
                let _ = release(name_of_ns, tried);
                error.about(tried)
            })
        }
        Presence::Remove(_) => {
            set(netns, &step.interface, "", 0).map_err(|error| error.about(tried))?;
            release(name_of_ns, tried)
        }
    }
}

/// Makes a namespace's name the lab's.
fn give(ns: Option<&NsName>, lab: &LabName, tried: &str) -> Result<(), KernelError> {
    let Some(ns) = ns else { return Ok(()) };
    GivenNames::look().give(ns, lab).map_err(|error| {
        let is_link = error.raw_os_error() == Some(libc::ELOOP);
        let error = KernelError::new(tried).with_io(&error);
        if is_link { error.said("its name is a link; `ip netns attach` gives it one of its own") } else { error }
    })
}

/// Makes it nobody's again.
fn release(ns: Option<&NsName>, tried: &str) -> Result<(), KernelError> {
    let Some(ns) = ns else { return Ok(()) };
    GivenNames::look().release(ns).map_err(|error| KernelError::new(tried).with_io(&error))
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
