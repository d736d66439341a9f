//! The loopback of a namespace, known by its index: its name can be changed, and another interface can have `lo`.

use libc::IFLA_IFNAME;
use netlink_packet_core::Emitable;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkFlags, LinkMessage};

use super::interface;
use crate::kernel::netlink::{NetlinkError, Socket, append};
use crate::kernel::netns::NetnsHandle;
use crate::kernel::netns::create::LOOPBACK;

/// A message about the loopback.
pub(super) fn message() -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = LOOPBACK;
    message
}

/// The body of the message that gives the loopback a name, which need not be UTF-8.
pub(in crate::kernel) fn named(name: &[u8]) -> Vec<u8> {
    let message = message();
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    append(&mut bytes, IFLA_IFNAME, name);
    bytes
}

/// Renames the loopback, by such a message. Before Linux 6.2 an interface that is up keeps its name, so it goes down
/// meanwhile, on every kernel: what it loses by that is then always the same.
pub(super) fn rename(netns: &mut NetnsHandle, named: &[u8]) -> Result<(), NetlinkError> {
    let answer = netns.socket.get(RouteNetlinkMessage::GetLink(message()))?;
    let was_up = interface::decode(&answer)?.is_up();
    set_up(&mut netns.socket, false)?;
    let renamed = netns.socket.change_listed(libc::RTM_SETLINK, named, 0);
    if was_up { renamed.and(set_up(&mut netns.socket, true)) } else { renamed }
}

/// Brings the loopback up or down.
pub(in crate::kernel) fn set_up(socket: &mut Socket, up: bool) -> Result<(), NetlinkError> {
    let mut message = message();
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    message.header.change_mask = LinkFlags::Up;
    socket.change(RouteNetlinkMessage::SetLink(message), 0)
}
