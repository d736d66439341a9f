//! Flows that network policies no longer allow. The rules let pass whatever belongs to a flow that they have seen, and
//! a flow over UDP has no end but its silence. Connections over TCP live on until they are closed, unless the file says
//! otherwise.

use std::collections::BTreeSet;

use crate::kernel::{Kernel, KernelError};
use crate::lab::{Lab, NsName, PolicyNode, PortProtocol};
use crate::plan::PlannedStep;
use crate::policies::{self, Connection, Judge};

/// Forgets the flows that the policies of a lab forbid, on nodes on which what enforces them has changed.
///
/// # Errors
/// The kernel refuses to list or to forget them.
pub(super) fn forget_forbidden(kernel: &mut Kernel, lab: &Lab, done: &[PlannedStep]) -> Result<(), KernelError> {
    let table = policies::table_id();
    let new: BTreeSet<NsName> =
        done.iter().filter(|planned| planned.step.makes_namespace()).map(|planned| planned.step.namespace()).collect();
    let changed = done.iter().filter_map(|planned| planned.step.nft()).filter(|step| step.table == table);
    let nodes: BTreeSet<&NsName> = changed.map(|step| &step.ns).filter(|ns| !new.contains(ns)).collect();
    if nodes.is_empty() {
        return Ok(());
    }
    let judge = Judge::new(&lab.network_policies);
    for node in nodes {
        let forgets = lab.network_policies.nodes.get(node).is_some_and(PolicyNode::forgets_connections);
        kernel.forget_flows(node, |flow| {
            let (destination, port) = flow.answered_by;
            let is_meant = forgets || flow.protocol == PortProtocol::Udp;
            let port = Some((flow.protocol, port));
            is_meant && !judge.verdict(&Connection { source: flow.source.0, destination, port }).allows()
        })?;
    }
    Ok(())
}
