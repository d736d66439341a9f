//! What a namespace has learned about the ways of its packets, and keeps for ten minutes: that they must be smaller
//! (RFC 1191, RFC 8201), or that another router is nearer (RFC 792). `ip route show cache` lists it.

use netlink_packet_route::route::{RouteFlags, RouteMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::accept_gone;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::{NetnsHandle, run_in};

/// Whoever writes to this has IPv4 forget all of it.
const IPV4_FLUSH: &str = "/proc/sys/net/ipv4/route/flush";

/// Has a namespace forget all of it.
pub(in crate::kernel) fn forget(netns: &mut NetnsHandle) -> Result<(), NetlinkError> {
    // Where /proc/sys is not to be written, it expires by itself.
    let _ = run_in(netns.fd(), || std::fs::write(IPV4_FLUSH, "1"));
    let mut request = RouteMessage::default();
    request.header.address_family = AddressFamily::Inet6;
    request.header.flags = RouteFlags::Cloned;
    let dump = netns.socket.dump(&RouteNetlinkMessage::GetRoute(request))?;
    dump.items().try_for_each(|item| accept_gone(netns.socket.change_listed(libc::RTM_DELROUTE, item, 0)))
}
