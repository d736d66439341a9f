//! A lab that several machines make together, of which this one is to be, or is, a namespace.

use super::EngineError;
use crate::kernel::own_addresses::{self, OwnInterface};
use crate::lab::{Lab, LabName, NsName, Share};
use crate::state;
use crate::topology::Topology;

/// The same topology for this machine as one of the lab's namespaces: the interface that has the node's address is its
/// uplink.
///
/// # Errors
/// The namespace is none of the lab's machines, or this machine has not its address, or not as the file has it.
pub fn on_this_machine(topology: Topology, node: &NsName) -> Result<Topology, EngineError> {
    let share = topology.lab.share(node)?;
    let own = own_addresses::list()?;
    let has_all = |own: &&OwnInterface| share.addresses.iter().all(|address| own.addresses.contains(address));
    let uplink = own.iter().filter(has_all).min_by_key(|own| !own.is_up);
    let Some(uplink) = uplink.filter(|_| !share.addresses.is_empty()) else {
        let named = |own: OwnInterface| own.addresses.into_iter().map(move |address| (address, own.name.clone()));
        let own = own.into_iter().flat_map(named).collect();
        return Err(EngineError::NotThisMachine { node: node.clone(), addresses: share.addresses, own });
    };
    match differs(&topology.lab, &share, uplink) {
        Some(what) => Err(EngineError::UplinkDiffers { node: node.clone(), what }),
        None => Ok(topology.on_machine(share, uplink.name.clone())),
    }
}

/// How the machine's own interface is not as the file has it, and what helps: nslab changes nothing of it.
fn differs(lab: &Lab, share: &Share, is: &OwnInterface) -> Option<String> {
    let want = lab.namespaces.get(&share.node)?.interfaces.get(&share.uplink)?;
    let (dev, mtu) = (&is.name, want.mtu.filter(|mtu| *mtu != is.mtu));
    match (is.is_up || !want.up, mtu) {
        (false, _) => Some(format!("{dev} is down: ip link set {dev} up")),
        (true, Some(mtu)) => {
            Some(format!("the MTU of {dev} is {}, and {mtu} in the file: ip link set {dev} mtu {mtu}", is.mtu))
        }
        (true, None) => None,
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
