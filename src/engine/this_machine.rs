//! A lab that several machines make together, of which this one is to be, or is, a namespace.

use super::EngineError;
use crate::kernel::own_addresses::{self, OwnInterface};
use crate::lab::{Lab, LabName, NsName, Share};
use crate::preflight::{Finding, MachineCode};
use crate::state;
use crate::topology::{OnMachine, Topology};

/// The same topology for this machine as one of the lab's namespaces: the interface that has the node's address is its
/// uplink.
///
/// # Errors
/// The namespace is none of the lab's machines, or this machine has not its address, or not as the file has it.
pub fn on_this_machine(topology: Topology, node: &NsName) -> Result<Topology, EngineError> {
    let share = topology.lab.share(node)?;
    let own = own_addresses::list()?;
    let has_all = |own: &&OwnInterface| share.addresses.iter().all(|address| own.addresses.contains(address));
    // Of several that have it, one that is as in the file.
    let uplink = own.iter().filter(has_all).min_by_key(|own| differs(&topology.lab, &share, own).is_some());
    let Some(uplink) = uplink.filter(|_| !share.addresses.is_empty()) else {
        let named = |own: OwnInterface| own.addresses.into_iter().map(move |address| (address, own.name.clone()));
        let own = own.into_iter().flat_map(named).collect();
        return Err(EngineError::NotThisMachine { node: node.clone(), addresses: share.addresses, own });
    };
    match differs(&topology.lab, &share, uplink) {
        Some(finding) => Err(EngineError::Preconditions(vec![finding])),
        None => Ok(topology.on_machine(share, uplink.name.clone())),
    }
}

/// How the interface that a machine has as its uplink in a lab is no longer as in the file.
///
/// # Errors
/// The kernel refuses to list interfaces.
pub fn uplink_differs(machine: &OnMachine) -> Result<Option<Finding>, EngineError> {
    let own = own_addresses::list()?;
    let uplink = own.iter().find(|own| own.name == machine.dev);
    Ok(uplink.and_then(|uplink| differs(&machine.whole, &machine.share, uplink)))
}

/// How the machine's own interface is not as the file has it, and what helps: nslab changes nothing of it.
fn differs(lab: &Lab, share: &Share, is: &OwnInterface) -> Option<Finding> {
    let want = lab.namespaces.get(&share.node)?.interfaces.get(&share.uplink)?;
    let (dev, node) = (&is.name, &share.node);
    let finding = |what, help| Some(Finding::error(MachineCode::UplinkDiffers, what, help));
    if want.up && !is.is_up {
        return finding(format!("{dev}, which is the uplink of {node}, is down"), format!("ip link set {dev} up"));
    }
    let mtu = want.mtu.filter(|mtu| *mtu != is.mtu)?;
    finding(
        format!("{dev}, which is the uplink of {node}, has the MTU {}, and {mtu} in the file", is.mtu),
        format!("ip link set {dev} mtu {mtu}"),
    )
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
