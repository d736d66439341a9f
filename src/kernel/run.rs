//! Steps, carried out: each becomes the one or two messages that do it. A step that fails has done nothing.

use super::netlink::NetlinkError;
use super::netns::{NetnsHandle, NetnsHandles};
use super::objects::{
    accept_gone, address, bridge, fdb_entry, interface, mark, namespace, neighbour, policy_rule, route,
    sysctl as namespace_sysctl, veth, virtual_interface, vlans,
};
use super::{KernelError, firewall, netns, sysctl};
use crate::lab::NsName;
use crate::plan::Step;

/// Runs steps that go together (see [`Step::batches_with`]): all of them or none.
pub(super) fn batch(handles: &mut NetnsHandles, steps: &[Step]) -> Result<(), KernelError> {
    let Some(step) = steps.first() else { return Ok(()) };
    match step {
        Step::AddNamespace { .. } => namespace::add(handles, steps),
        Step::DeleteNamespace { ns } => {
            handles.close(ns);
            netns::delete(ns)
        }
        Step::AddVeth { main, peer, lab } => veth::add(handles, main, peer, lab, &step.text()),
        Step::AddVirtualInterface { end, device, mac, mtu, lab } => {
            virtual_interface::add(handles, end, device, (*mac, *mtu), lab, &step.text())
        }
        Step::AddBridge { end, options, mac, mtu, lab } => {
            let mark = handles.mark(lab);
            inside(handles, step, |netns| bridge::add(netns, end, *options, *mac, *mtu, &mark))
        }
        Step::Mark { end, lab } => {
            let alias = handles.mark(lab).to_string();
            inside(handles, step, |netns| mark::set(netns, end, &alias, lab.group()))
        }
        Step::SetSysctl { ns, key, to, lab, .. } if ns.is_host() => {
            sysctl::set_host(handles.get(ns)?.fd(), key, to, lab)
        }
        Step::SetSysctl { ns, key, to, .. } => namespace_sysctl::set(handles.get(ns)?, ns, key, to),
        Step::RestoreSysctl { key, lab } => sysctl::restore_host(handles.get(&NsName::host())?.fd(), key, lab),
        Step::AddChain { ns, .. }
        | Step::DeleteChain { ns, .. }
        | Step::SetPolicy { ns, .. }
        | Step::AddFwRule { ns, .. }
        | Step::DeleteFwRule { ns, .. } => firewall::run(handles.get(ns)?.fd(), steps),
        Step::Unmark { end, .. } => inside(handles, step, |netns| mark::set(netns, end, "", 0)),
        Step::DeleteInterface { end } => removal(handles, step, |netns| interface::delete(netns, &end.name)),
        Step::DeleteHostInterfaces { lab, interfaces } => {
            removal(handles, step, |netns| interface::delete_group(netns, lab.group(), interfaces))
        }
        Step::SetUp { end, up } => inside(handles, step, |netns| interface::set_up(netns, &end.name, *up)),
        Step::SetMtu { end, to, .. } => inside(handles, step, |netns| interface::set_mtu(netns, &end.name, *to)),
        Step::SetMac { end, to, .. } => inside(handles, step, |netns| interface::set_mac(netns, &end.name, *to)),
        Step::SetMaster { end, to, .. } => {
            inside(handles, step, |netns| interface::set_master(netns, &end.name, to.as_ref()))
        }
        Step::SetVlans { end, is_bridge, from, to } => {
            inside(handles, step, |netns| vlans::set(netns, &end.name, *is_bridge, from, to))
        }
        Step::SetBridge { end, from, to } => inside(handles, step, |netns| bridge::set(netns, &end.name, *from, *to)),
        Step::SetVirtualInterface { end, from, to } => {
            inside(handles, step, |netns| virtual_interface::set(netns, end, from, to))
        }
        Step::AddAddress { end, address } => inside(handles, step, |netns| address::add(netns, &end.name, *address)),
        Step::DeleteAddress { end, address } => {
            removal(handles, step, |netns| address::delete(netns, &end.name, *address))
        }
        Step::AddRoute { route, .. } => inside(handles, step, |netns| route::add(netns, route)),
        Step::ReplaceRoute { to, .. } => inside(handles, step, |netns| route::replace(netns, to)),
        Step::DeleteRoute { route, .. } => removal(handles, step, |netns| route::delete(netns, route)),
        Step::AddPolicyRule { rule, .. } => inside(handles, step, |netns| policy_rule::add(netns, rule)),
        Step::DeletePolicyRule { ns, rule } => {
            removal(handles, step, |netns| policy_rule::delete(netns, rule, ns.is_host()))
        }
        Step::SetNeighbour { to, .. } => inside(handles, step, |netns| neighbour::set(netns, to)),
        Step::DeleteNeighbour { neighbour, .. } => removal(handles, step, |netns| neighbour::delete(netns, neighbour)),
        Step::AddFdb { entry, .. } => inside(handles, step, |netns| fdb_entry::add(netns, entry)),
        Step::DeleteFdb { entry, .. } => removal(handles, step, |netns| fdb_entry::delete(netns, entry)),
    }
}

/// Does something in the one namespace that a step is about.
fn inside(
    handles: &mut NetnsHandles,
    step: &Step,
    change: impl FnOnce(&mut NetnsHandle) -> Result<(), NetlinkError>,
) -> Result<(), KernelError> {
    change(handles.get(&step.namespace())?).map_err(|error| error.about(step.text()))
}

/// The same for a removal, where it is no failure that there is nothing to remove.
fn removal(
    handles: &mut NetnsHandles,
    step: &Step,
    remove: impl FnOnce(&mut NetnsHandle) -> Result<(), NetlinkError>,
) -> Result<(), KernelError> {
    inside(handles, step, |netns| accept_gone(remove(netns)))
}
