//! What else decides a packet's fate in a namespace, and no file can ask for: qdiscs, nexthop
//! objects, proxies of neighbours, IPsec.

use super::interfaces::Interfaces;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandle;
use crate::kernel::objects::{foreign_neighbour, next_hop_object, qdisc, xfrm};
use crate::lab::{ForeignOther, NsName};

/// What somebody has added or changed: qdiscs, nexthop objects and proxies of neighbours, and what was noted of the
/// interfaces.
pub(super) fn from_outside(
    netns: &mut NetnsHandle,
    interfaces: &mut Interfaces,
) -> Result<Vec<ForeignOther>, NetlinkError> {
    // There is hardly ever a nexthop or a proxy: their listing ends at once, so that the last can begin.
    let hops = (next_hop_object::GET, &next_hop_object::ALL[..]);
    let proxies = (libc::RTM_GETNEIGH, &foreign_neighbour::PROXIES[..]);
    let [hops, proxies, qdiscs] = netns.socket.dumps([hops, proxies, (libc::RTM_GETQDISC, &qdisc::ALL[..])])?;
    let mut others = std::mem::take(&mut interfaces.others);
    others.extend(next_hop_object::listed(hops.items(), &interfaces.names)?);
    others.extend(foreign_neighbour::listed(proxies.items(), &interfaces.names, |_, _| false)?);
    others.extend(qdisc::listed(qdiscs.items(), &interfaces.names)?);
    others.append(&mut interfaces.unspeakable);
    Ok(others)
}

/// The policies and states of IPsec in this thread's namespace; those of `host` are no concern of any lab's.
pub(super) fn from_inside(ns: &NsName) -> Result<Vec<ForeignOther>, NetlinkError> {
    if ns.is_host() { Ok(Vec::new()) } else { xfrm::list() }
}
