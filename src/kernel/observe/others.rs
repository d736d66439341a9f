//! What else decides a packet's fate in a namespace, and no file can ask for: qdiscs, nexthop objects, IPsec.

use super::interfaces::Interfaces;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandle;
use crate::kernel::objects::{next_hop_object, qdisc, xfrm};
use crate::lab::{ForeignOther, NsName};

/// The qdiscs and nexthop objects that somebody has added.
pub(super) fn from_outside(
    netns: &mut NetnsHandle,
    interfaces: &Interfaces,
) -> Result<Vec<ForeignOther>, NetlinkError> {
    // There is hardly ever a nexthop: its listing ends at once, so that the other can begin.
    let requests = [(next_hop_object::GET, &next_hop_object::ALL[..]), (libc::RTM_GETQDISC, &qdisc::ALL[..])];
    let [hops, qdiscs] = netns.socket.dumps(requests)?;
    let mut others = next_hop_object::listed(hops.items(), &interfaces.names)?;
    others.extend(qdisc::listed(qdiscs.items(), &interfaces.names)?);
    Ok(others)
}

/// The policies and states of IPsec in this thread's namespace; those of `host` are no concern of any lab's.
pub(super) fn from_inside(ns: &NsName) -> Result<Vec<ForeignOther>, NetlinkError> {
    if ns.is_host() { Ok(Vec::new()) } else { xfrm::list() }
}
