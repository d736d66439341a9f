//! A lab that several machines make together, of which this one is to be, or is, a namespace.

use super::EngineError;
use crate::kernel::own_addresses;
use crate::lab::{IfName, LabName, NsName};
use crate::state;
use crate::topology::Topology;

/// The same topology for this machine as one of the lab's namespaces: the interface that has the node's address is its
/// uplink.
///
/// # Errors
/// The namespace is none of the lab's machines, or this machine has not its address.
pub fn on_this_machine(topology: Topology, node: &NsName) -> Result<Topology, EngineError> {
    let share = topology.lab.share(node)?;
    let own = own_addresses::list()?;
    let has_all = |dev: &&IfName| share.addresses.iter().all(|address| own.contains(&(*address, (*dev).clone())));
    // An address of the loopback leads to no other machine.
    let mut devs = own.iter().map(|(_, dev)| dev).filter(|dev| !dev.is_lo());
    match devs.find(has_all).filter(|_| !share.addresses.is_empty()) {
        Some(dev) => Ok(topology.on_machine(share, dev.clone())),
        None => Err(EngineError::NotThisMachine { node: node.clone(), addresses: share.addresses, own }),
    }
}

/// The topology of a lab of this machine: where it was applied as one of several machines, it is that machine's.
///
/// # Errors
/// What is kept cannot be read, or the topology has no such machine any more.
pub fn as_on_this_machine(topology: Topology) -> Result<Topology, EngineError> {
    match state::machine_of(&topology.lab.name)? {
        None => Ok(topology),
        Some((node, dev)) => {
            let share = topology.lab.share(&node)?;
            Ok(topology.on_machine(share, dev))
        }
    }
}

/// Makes sure that a lab was not applied to this machine as something else: as another of its machines, or as all of
/// them at once.
///
/// # Errors
/// It was.
pub fn is_applied_alike(lab: &LabName, node: Option<&NsName>) -> Result<(), EngineError> {
    let before = state::machine_of(lab)?.map(|(node, _)| node);
    match state::topology(lab)?.is_some() && before.as_ref() != node {
        true => Err(EngineError::AppliedOtherwise { lab: lab.clone(), before, node: node.cloned() }),
        false => Ok(()),
    }
}
