//! Steps, carried out: each becomes the one or two messages that do it. A step that fails has done nothing.

mod addresses;
mod devices;
pub(super) mod links;
pub(super) mod namespaces;
mod neighbours;
pub(super) mod routes;
mod rules;
pub(super) mod sysctls;
mod vlans;

use super::netlink::Refusal;
use super::space::{Space, Spaces};
use super::{KernelError, netns, sysctl};
use crate::lab::NsName;
use crate::plan::Step;

/// Runs one step that is run alone (see [`Step::joins`]).
pub(super) fn run(spaces: &mut Spaces, step: &Step) -> Result<(), KernelError> {
    match step {
        Step::DeleteNamespace { ns } => {
            spaces.close(ns);
            netns::delete(ns)
        }
        Step::SetSysctl { ns, key, to, lab, .. } if ns.is_host() => {
            sysctl::set_host(spaces.get(ns)?.fd(), key, to, lab)
        }
        Step::SetSysctl { ns, key, to, .. } => sysctls::set(spaces.get(ns)?, ns, key, to),
        Step::RestoreSysctl { key, lab } => sysctl::restore_host(spaces.get(&NsName::host())?.fd(), key, lab),
        Step::Adopt { end, lab } => {
            let mark = spaces.mark(lab).to_string();
            links::mark(spaces.get(&end.ns)?, end, &mark, lab.group()).map_err(|refusal| refusal.about(step.text()))
        }
        Step::AddBridge { end, options, mac, mtu, lab } => {
            let mark = spaces.mark(lab);
            links::add_bridge(spaces.get(&end.ns)?, end, *options, *mac, *mtu, &mark)
                .map_err(|refusal| refusal.about(step.text()))
        }
        Step::AddDevice { end, device, mac, mtu, lab } => devices::add(spaces, end, device, (*mac, *mtu), lab, step),
        Step::AddVeth { main, peer, lab } => links::add_veth(spaces, main, peer, lab, step),
        _ => {
            let space = spaces.get(&step.namespace())?;
            change(space, step).map_err(|refusal| refusal.about(step.text()))
        }
    }
}

/// Runs a step that concerns a single namespace.
fn change(space: &mut Space, step: &Step) -> Result<(), Refusal> {
    match step {
        Step::DeleteLink { end } => gone(links::delete(space, &end.name)),
        Step::Disown { end, .. } => links::mark(space, end, "", 0),
        Step::DeleteHostLinks { lab, links } => gone(links::delete_group(space, lab.group(), links)),
        Step::SetUp { end, up } => links::set_up(space, &end.name, *up),
        Step::SetMtu { end, to, .. } => links::set_mtu(space, &end.name, *to),
        Step::SetMac { end, to, .. } => links::set_mac(space, &end.name, *to),
        Step::SetMaster { end, to, .. } => links::set_master(space, &end.name, to.as_ref()),
        Step::SetVlans { end, is_bridge, from, to } => vlans::set(space, &end.name, *is_bridge, from, to),
        Step::SetBridge { end, from, to } => links::set_bridge(space, &end.name, *from, *to),
        Step::SetDevice { end, from, to } => devices::set(space, end, from, to),
        Step::AddAddress { end, address } => addresses::add(space, &end.name, *address),
        Step::DeleteAddress { end, address } => gone(addresses::delete(space, &end.name, *address)),
        Step::AddRoute { route, .. } => routes::add(space, route),
        Step::ReplaceRoute { to, .. } => routes::replace(space, to),
        Step::DeleteRoute { route, .. } => gone(routes::delete(space, route)),
        Step::AddRule { rule, .. } => rules::add(space, rule),
        Step::DeleteRule { ns, rule } => gone(rules::delete(space, rule, ns.is_host())),
        Step::SetNeighbour { to, .. } => neighbours::set(space, to),
        Step::DeleteNeighbour { neighbour, .. } => gone(neighbours::delete(space, neighbour)),
        Step::AddFdb { entry, .. } => devices::add_fdb(space, entry),
        Step::DeleteFdb { entry, .. } => gone(devices::delete_fdb(space, entry)),
        Step::AddNamespace { .. }
        | Step::DeleteNamespace { .. }
        | Step::Adopt { .. }
        | Step::AddBridge { .. }
        | Step::AddDevice { .. }
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
fn gone(outcome: Result<(), Refusal>) -> Result<(), Refusal> {
    outcome.or_else(|refusal| if refusal.is_gone() { Ok(()) } else { Err(refusal) })
}
