//! Steps, carried out: each becomes the one or two messages that do it. A step that fails has done nothing.

use super::netlink::NetlinkError;
use super::netns::{NetnsHandle, NetnsHandles};
use super::objects::{
    accept_gone, address, bridge, bridge_port, fdb_entry, foreign, interface, mark, namespace, neighbour, policy_rule,
    route, sysctl as namespace_sysctl, veth, virtual_interface, vlans,
};
use super::{KernelError, firewall, netns, sysctl};
use crate::steps::{
    AddressStep, BridgePortStep, BridgeStep, Change, FdbEntryStep, ForeignStep, InterfaceStep, MarkStep, NamespaceStep,
    NeighbourStep, PolicyRuleStep, Presence, RouteStep, Step, SysctlStep, Update, VirtualInterfaceStep, VlansStep,
};

/// Runs steps that go together (see [`Step::batches_with`]): all of them or none.
pub(super) fn batch(handles: &mut NetnsHandles, steps: &[Step]) -> Result<(), KernelError> {
    let Some(first) = steps.first() else { return Ok(()) };
    match first {
        Step::Namespace(NamespaceStep::Add { .. }) => namespace::add(handles, steps),
        Step::Namespace(NamespaceStep::Remove { ns }) => {
            handles.close(ns);
            netns::delete(ns)
        }
        Step::Firewall(step) => firewall::run(handles.get(&step.ns)?.fd(), steps),
        Step::Mark(step) => run_mark(handles, first, step),
        Step::Interface(step) => run_interface(handles, first, step),
        Step::Veth(step) => veth::add(handles, step, &first.text()),
        Step::Bridge(step) => run_bridge(handles, first, step),
        Step::BridgePort(BridgePortStep::Master { interface, change, .. }) => {
            inside(handles, first, |netns| interface::set_master(netns, &interface.name, change.to.as_ref()))
        }
        Step::BridgePort(BridgePortStep::Options { interface, change }) => {
            inside(handles, first, |netns| bridge_port::set(netns, &interface.name, change.from, change.to))
        }
        Step::Vlans(VlansStep { interface, is_bridge, change }) => {
            inside(handles, first, |netns| vlans::set(netns, &interface.name, *is_bridge, &change.from, &change.to))
        }
        Step::VirtualInterface(VirtualInterfaceStep::Add { new, kind, lab }) => {
            virtual_interface::add(handles, &new.interface, kind, (new.mac, new.mtu), lab, &first.text())
        }
        Step::VirtualInterface(VirtualInterfaceStep::Options { interface, change }) => {
            inside(handles, first, |netns| virtual_interface::set(netns, interface, &change.from, &change.to))
        }
        Step::Address(step) => run_address(handles, first, step),
        Step::Route(step) => run_route(handles, first, step),
        Step::PolicyRule(step) => run_policy_rule(handles, first, step),
        Step::Neighbour(step) => run_neighbour(handles, first, step),
        Step::FdbEntry(step) => run_fdb_entry(handles, first, step),
        Step::Foreign(step) => run_foreign(handles, first, step),
        Step::Sysctl(step) => run_sysctl(handles, first, step),
    }
}

fn run_mark(handles: &mut NetnsHandles, step: &Step, MarkStep { interface, change, .. }: &MarkStep) -> Outcome {
    let (alias, group) = match change {
        Presence::Add(lab) => (handles.mark(lab).to_string(), lab.group()),
        Presence::Remove(_) => (String::new(), 0),
    };
    inside(handles, step, |netns| mark::set(netns, interface, &alias, group))
}

fn run_interface(handles: &mut NetnsHandles, step: &Step, of: &InterfaceStep) -> Outcome {
    match of {
        InterfaceStep::Remove { interface, .. } => {
            removal(handles, step, |netns| interface::delete(netns, &interface.name))
        }
        InterfaceStep::RemoveFromHost { lab, interfaces } => {
            removal(handles, step, |netns| interface::delete_group(netns, lab.group(), interfaces))
        }
        InterfaceStep::Up { interface, up, .. } => {
            inside(handles, step, |netns| interface::set_up(netns, &interface.name, *up))
        }
        InterfaceStep::Mtu { interface, change, .. } => {
            inside(handles, step, |netns| interface::set_mtu(netns, &interface.name, change.to))
        }
        InterfaceStep::Mac { interface, change, .. } => {
            inside(handles, step, |netns| interface::set_mac(netns, &interface.name, change.to))
        }
        InterfaceStep::Flags { interface, change, .. } => {
            inside(handles, step, |netns| interface::set_flags(netns, &interface.name, change.from, change.to))
        }
    }
}

fn run_bridge(handles: &mut NetnsHandles, step: &Step, of: &BridgeStep) -> Outcome {
    match of {
        BridgeStep::Add { new, options, lab } => {
            let mark = handles.mark(lab);
            inside(handles, step, |netns| bridge::add(netns, &new.interface, *options, new.mac, new.mtu, &mark))
        }
        BridgeStep::Options { interface, change } => {
            inside(handles, step, |netns| bridge::set(netns, &interface.name, change.from, change.to))
        }
    }
}

fn run_address(handles: &mut NetnsHandles, step: &Step, AddressStep { interface, change }: &AddressStep) -> Outcome {
    match change {
        Presence::Add(address) => inside(handles, step, |netns| address::add(netns, &interface.name, *address)),
        Presence::Remove(address) => removal(handles, step, |netns| address::delete(netns, &interface.name, *address)),
    }
}

fn run_route(handles: &mut NetnsHandles, step: &Step, RouteStep { change, .. }: &RouteStep) -> Outcome {
    match change {
        Update::Add(route) => inside(handles, step, |netns| route::add(netns, route)),
        Update::Replace(Change { to, .. }) => inside(handles, step, |netns| route::replace(netns, to)),
        Update::Remove(route) => removal(handles, step, |netns| route::delete(netns, route)),
    }
}

fn run_policy_rule(handles: &mut NetnsHandles, step: &Step, of: &PolicyRuleStep) -> Outcome {
    match &of.change {
        Presence::Add(rule) => inside(handles, step, |netns| policy_rule::add(netns, rule)),
        Presence::Remove(rule) => removal(handles, step, |netns| policy_rule::delete(netns, rule, of.ns.is_host())),
    }
}

fn run_neighbour(handles: &mut NetnsHandles, step: &Step, NeighbourStep { change, .. }: &NeighbourStep) -> Outcome {
    match change {
        Update::Add(to) | Update::Replace(Change { to, .. }) => {
            inside(handles, step, |netns| neighbour::set(netns, to))
        }
        Update::Remove(entry) => removal(handles, step, |netns| neighbour::delete(netns, entry)),
    }
}

fn run_fdb_entry(handles: &mut NetnsHandles, step: &Step, FdbEntryStep { change, .. }: &FdbEntryStep) -> Outcome {
    match change {
        Presence::Add(entry) => inside(handles, step, |netns| fdb_entry::add(netns, entry)),
        Presence::Remove(entry) => removal(handles, step, |netns| fdb_entry::delete(netns, entry)),
    }
}

fn run_foreign(handles: &mut NetnsHandles, step: &Step, ForeignStep { change, .. }: &ForeignStep) -> Outcome {
    match change {
        Presence::Add(object) | Presence::Remove(object) if object.is_table() => {
            firewall::foreign_tables::run(handles.get(&step.namespace())?.fd(), change)
        }
        Presence::Add(object) => inside(handles, step, |netns| foreign::add(netns, object)),
        Presence::Remove(object) => removal(handles, step, |netns| foreign::delete(netns, object)),
    }
}

fn run_sysctl(handles: &mut NetnsHandles, step: &Step, of: &SysctlStep) -> Outcome {
    match of {
        SysctlStep::Set { ns, key, to, .. } if ns.is_host() => sysctl::write(handles.get(ns)?.fd(), ns, key, to),
        SysctlStep::Set { ns, key, to, .. } => namespace_sysctl::set(handles.get(ns)?, ns, key, to),
        SysctlStep::RestoreHost { .. } => Err(KernelError::new(step.text()).said("what it was is kept elsewhere")),
    }
}

type Outcome = Result<(), KernelError>;

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
