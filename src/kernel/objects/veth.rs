//! Veth pairs, made in place.

use std::os::fd::AsRawFd;

use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};

use super::{interface, mark};
use crate::kernel::KernelError;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::NetnsHandles;
use crate::lab::LabName;
use crate::plan::VethEnd;

/// The kernel's word for the kind.
pub(in crate::kernel) const KIND: &str = "veth";

/// Makes a veth pair with one message that puts both interfaces in their places: moving one afterwards takes thirty times
/// as long. `tried` is what an error says was tried.
///
/// The message is sent in the peer's namespace, where the peer then is by default; the main interface is sent from there to
/// its own. It is the one that can be up, and a bridge's port, from the start.
pub(in crate::kernel) fn add(
    handles: &mut NetnsHandles,
    main: &VethEnd,
    peer: &VethEnd,
    lab: &LabName,
    tried: &str,
) -> Result<(), KernelError> {
    let about = |error: NetlinkError| error.about(tried);
    let mut message = new_message(main, lab);
    let netns = handles.get(&main.end.ns)?;
    if let Some(master) = &main.master {
        // An interface's index counts in the namespace that the interface is put into.
        message.attributes.push(LinkAttribute::Controller(netns.index(master).map_err(about)?));
    }
    if main.up {
        message.header.flags |= LinkFlags::Up;
        message.header.change_mask |= LinkFlags::Up;
    }
    if main.end.ns != peer.end.ns {
        message.attributes.push(LinkAttribute::NetNsFd(netns.fd().as_raw_fd()));
    }
    let mark = handles.mark(lab);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(new_message(peer, lab)))),
    ]));
    interface::create(handles.get(&peer.end.ns)?, message).map_err(about)?;
    for made in [&main.end, &peer.end] {
        let netns = handles.get(&made.ns)?;
        netns.forget(&made.name);
        mark::set_on_new(netns, made, &mark).map_err(about)?;
    }
    Ok(())
}

/// One interface of a pair to be made, with one queue for each direction (see [`crate::plan::Step::AddVeth`]).
fn new_message(end: &VethEnd, lab: &LabName) -> LinkMessage {
    let mut message = interface::new_message(&end.end, end.mac, end.mtu, lab);
    message.attributes.extend([LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)]);
    message
}
