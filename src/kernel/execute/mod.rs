//! Steps, carried out: each becomes the one or two messages that do it. A step that fails has done nothing.

mod addresses;
pub(super) mod links;
pub(super) mod namespaces;
mod neighbours;
pub(super) mod routes;
mod rules;
pub(super) mod sysctls;
mod virtual_interfaces;
mod vlans;

use super::netlink::NetlinkError;
use super::netns::{NetnsHandle, NetnsHandles};
use super::{KernelError, netns, sysctl};
use crate::lab::NsName;
use crate::plan::Step;

/// Runs one step that is run alone (see [`Step::batches_with`]).
pub(super) fn run(handles: &mut NetnsHandles, step: &Step) -> Result<(), KernelError> {
    match step {
        Step::DeleteNamespace { ns } => {
            handles.close(ns);
            netns::delete(ns)
        }
        Step::SetSysctl { ns, key, to, lab, .. } if ns.is_host() => {
            sysctl::set_host(handles.get(ns)?.fd(), key, to, lab)
        }
        Step::SetSysctl { ns, key, to, .. } => sysctls::set(handles.get(ns)?, ns, key, to),
        Step::RestoreSysctl { key, lab } => sysctl::restore_host(handles.get(&NsName::host())?.fd(), key, lab),
        Step::Mark { end, lab } => {
            let mark = handles.mark(lab).to_string();
            links::mark(handles.get(&end.ns)?, end, &mark, lab.group()).map_err(|error| error.about(step.text()))
        }
        Step::AddBridge { end, options, mac, mtu, lab } => {
            let mark = handles.mark(lab);
            links::add_bridge(handles.get(&end.ns)?, end, *options, *mac, *mtu, &mark)
                .map_err(|error| error.about(step.text()))
        }
        Step::AddVirtualInterface { end, device, mac, mtu, lab } => {
            virtual_interfaces::add(handles, end, device, (*mac, *mtu), lab, step)
        }
        Step::AddVeth { main, peer, lab } => links::add_veth(handles, main, peer, lab, step),
        _ => {
            let netns = handles.get(&step.namespace())?;
            change(netns, step).map_err(|error| error.about(step.text()))
        }
    }
}

/// Runs a step that concerns a single namespace.
fn change(netns: &mut NetnsHandle, step: &Step) -> Result<(), NetlinkError> {
    match step {
        Step::DeleteInterface { end } => gone(links::delete(netns, &end.name)),
        Step::Unmark { end, .. } => links::mark(netns, end, "", 0),
        Step::DeleteHostInterfaces { lab, interfaces } => gone(links::delete_group(netns, lab.group(), interfaces)),
        Step::SetUp { end, up } => links::set_up(netns, &end.name, *up),
        Step::SetMtu { end, to, .. } => links::set_mtu(netns, &end.name, *to),
        Step::SetMac { end, to, .. } => links::set_mac(netns, &end.name, *to),
        Step::SetMaster { end, to, .. } => links::set_master(netns, &end.name, to.as_ref()),
        Step::SetVlans { end, is_bridge, from, to } => vlans::set(netns, &end.name, *is_bridge, from, to),
        Step::SetBridge { end, from, to } => links::set_bridge(netns, &end.name, *from, *to),
        Step::SetVirtualInterface { end, from, to } => virtual_interfaces::set(netns, end, from, to),
        Step::AddAddress { end, address } => addresses::add(netns, &end.name, *address),
        Step::DeleteAddress { end, address } => gone(addresses::delete(netns, &end.name, *address)),
        Step::AddRoute { route, .. } => routes::add(netns, route),
        Step::ReplaceRoute { to, .. } => routes::replace(netns, to),
        Step::DeleteRoute { route, .. } => gone(routes::delete(netns, route)),
        Step::AddPolicyRule { rule, .. } => rules::add(netns, rule),
        Step::DeletePolicyRule { ns, rule } => gone(rules::delete(netns, rule, ns.is_host())),
        Step::SetNeighbour { to, .. } => neighbours::set(netns, to),
        Step::DeleteNeighbour { neighbour, .. } => gone(neighbours::delete(netns, neighbour)),
        Step::AddFdb { entry, .. } => virtual_interfaces::add_fdb(netns, entry),
        Step::DeleteFdb { entry, .. } => gone(virtual_interfaces::delete_fdb(netns, entry)),
        Step::AddNamespace { .. }
        | Step::DeleteNamespace { .. }
        | Step::Mark { .. }
        | Step::AddBridge { .. }
        | Step::AddVirtualInterface { .. }
        | Step::AddVeth { .. }
        | Step::SetSysctl { .. }
        | Step::RestoreSysctl { .. }
        | Step::AddChain { .. }
        | Step::DeleteChain { .. }
        | Step::SetPolicy { .. }
        | Step::AddFwRule { .. }
        | Step::DeleteFwRule { .. } => Err(nix::errno::Errno::ENOSYS.into()),
    }
}

/// What comes of a removal: that there is nothing to remove (any more) is no failure.
fn gone(outcome: Result<(), NetlinkError>) -> Result<(), NetlinkError> {
    outcome.or_else(|error| if error.is_gone() { Ok(()) } else { Err(error) })
}
