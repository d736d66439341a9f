//! Veth pairs, made in place.

use std::os::fd::AsRawFd;

use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use nix::errno::Errno;

use super::{interface, mark};
use crate::kernel::KernelError;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::{NetnsHandle, NetnsHandles};
use crate::lab::LabName;
use crate::steps::{NewInterface, VethStep};

/// The kernel's word for the kind.
pub(in crate::kernel) const KIND: &str = "veth";

/// Makes a veth pair with one message that puts both interfaces in their places: moving one afterwards takes thirty
/// times as long. `tried` is what an error says was tried.
///
/// The message is sent in the peer's namespace, where the peer then is by default; the main interface is sent from
/// there to its own. It is the one that can be up, and a bridge's port, from the start.
pub(in crate::kernel) fn add(handles: &mut NetnsHandles, step: &VethStep, tried: &str) -> Result<(), KernelError> {
    let VethStep {
        main: NewInterface { interface: main, .. }, peer: NewInterface { interface: peer, .. }, lab, ..
    } = step;
    let about = |error: NetlinkError| error.about(tried);
    let main_message = encode_main(handles.get(&main.ns)?, step).map_err(about)?;
    let peer_message = new_message(&step.peer, lab);
    if main.ns == peer.ns {
        let pair = encode_pair(main_message, peer_message);
        interface::create(handles.get(&main.ns)?, pair).map_err(about)?;
    } else {
        let pair = encode_pair(sent_to(handles.get(&main.ns)?, main_message.clone()), peer_message.clone());
        match interface::create(handles.get(&peer.ns)?, pair) {
            // Kernels before 6.14 look for the main interface's name in the namespace of the message
            // (`__rtnl_newlink`).
            Err(error) if error.errno == Errno::EEXIST => {
                let pair = encode_pair(main_message, sent_to(handles.get(&peer.ns)?, peer_message));
                interface::create(handles.get(&main.ns)?, pair).map_err(about)?;
            }
            outcome => outcome.map_err(about)?,
        }
    }
    let mark = handles.mark(lab);
    for made in [main, peer] {
        let netns = handles.get(&made.ns)?;
        netns.forget(&made.name);
        mark::set_on_new(netns, made, &mark).map_err(about)?;
    }
    Ok(())
}

/// The main interface; an index counts in the namespace that the interface is put into.
fn encode_main(netns: &mut NetnsHandle, step: &VethStep) -> Result<LinkMessage, NetlinkError> {
    let mut message = new_message(&step.main, &step.lab);
    if let Some(master) = &step.master {
        message.attributes.push(LinkAttribute::Controller(netns.index(master)?));
    }
    if step.up {
        message.header.flags |= LinkFlags::Up;
        message.header.change_mask |= LinkFlags::Up;
    }
    Ok(message)
}

/// An interface that is put into another namespace than that of the message.
fn sent_to(netns: &NetnsHandle, mut message: LinkMessage) -> LinkMessage {
    message.attributes.push(LinkAttribute::NetNsFd(netns.fd().as_raw_fd()));
    message
}

/// The message that makes both interfaces.
fn encode_pair(mut main: LinkMessage, peer: LinkMessage) -> LinkMessage {
    main.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    main
}

/// One interface of a pair to be made, with one queue for each direction (see [`VethStep`]).
fn new_message(new: &NewInterface, lab: &LabName) -> LinkMessage {
    let mut message = interface::new_message(&new.interface, new.mac, new.mtu, lab);
    message.attributes.extend([LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)]);
    message
}
