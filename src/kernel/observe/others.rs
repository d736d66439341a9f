//! What else decides a packet's fate in a namespace, and no file can ask for: qdiscs, nexthop
//! objects, proxies of neighbours, IPsec.

use super::interfaces::Interfaces;
use super::parts::Parts;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandle;
use crate::kernel::objects::{foreign_neighbour, next_hop_object, qdisc, xfrm};
use crate::lab::{ForeignOther, NsName, Part};

/// What somebody has added or changed: qdiscs, nexthop objects and proxies of neighbours, and what was noted of the
/// interfaces.
pub(super) fn from_outside(
    netns: &mut NetnsHandle,
    interfaces: &mut Interfaces,
    parts: &mut Parts<'_>,
) -> Vec<ForeignOther> {
    // There is hardly ever a nexthop or a proxy: their listing ends at once, so that the last can begin.
    let hops = (next_hop_object::GET, &next_hop_object::ALL[..]);
    let proxies = (libc::RTM_GETNEIGH, &foreign_neighbour::PROXIES[..]);
    let dumps = netns.socket.dumps([hops, proxies, (libc::RTM_GETQDISC, &qdisc::ALL[..])]);
    let [hops, proxies, qdiscs] = dumps.unwrap_or_else(|error| [Err(error.clone()), Err(error.clone()), Err(error)]);
    let names = &interfaces.names;
    let hops = hops.and_then(|hops| Ok(next_hop_object::listed(hops.items(), names)?));
    let proxies = proxies.and_then(|all| Ok(foreign_neighbour::listed(all.items(), names, |_, _| false)?));
    let qdiscs = qdiscs.and_then(|qdiscs| Ok(qdisc::listed(qdiscs.items(), names)?));
    let mut others = std::mem::take(&mut interfaces.others);
    others.extend(parts.listed(Part::NextHops, hops));
    others.extend(parts.listed(Part::Proxies, proxies));
    others.extend(parts.listed(Part::Qdiscs, qdiscs));
    others.append(&mut interfaces.unspeakable);
    others
}

/// The policies and states of IPsec in this thread's namespace; those of `host` are no concern of any lab's.
pub(super) fn from_inside(ns: &NsName) -> Result<Vec<ForeignOther>, NetlinkError> {
    if ns.is_host() { Ok(Vec::new()) } else { xfrm::list() }
}
