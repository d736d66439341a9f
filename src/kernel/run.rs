//! Steps, carried out: each becomes the one or two messages that do it. A step that fails has done nothing.

use super::netlink::NetlinkError;
use super::netns::{NetnsHandle, NetnsHandles};
use super::objects::{
    address, bridge, bridge_port, fdb_entry, foreign, interface, mark, namespace, neighbour, policy_rule, route,
    sysctl as namespace_sysctl, veth, virtual_interface, vlans, wireguard, xfrm,
};
use super::{KernelError, firewall, sysctl};
use crate::lab::{ForeignKind, NsName, VirtualInterface};
use crate::steps::{BridgeStep, Change, NamespaceStep, Step, SysctlStep, VirtualInterfaceStep, VlansStep};

/// Runs steps that go together (see [`Step::batches_with`]): all of them or none; of removals of namespaces, as many as
/// possible. What [`firewall::run_and_hold`] leaves open is `held`.
pub(super) fn batch(
    handles: &mut NetnsHandles,
    held: &mut Vec<firewall::Nftables>,
    steps: &[Step],
) -> Result<(), KernelError> {
    let Some(first) = steps.first() else { return Ok(()) };
    match first {
        Step::Namespace(NamespaceStep::Add { .. }) => namespace::add(handles, steps),
        Step::Namespace(NamespaceStep::Remove { .. }) => namespace::remove(handles, steps),
        Step::Firewall(step) => iptables(handles.get(&step.ns)?, &step.ns, held, steps),
        Step::Nft(step) => nftables(handles.get(&step.ns)?, held, steps),
        Step::Mark(step) => mark::run(handles, step, &first.text()),
        Step::Interface(step) => inside(handles, first, |netns| interface::run(netns, step)),
        Step::Veth(step) => veth::add(handles, step, &first.text()),
        Step::Bridge(BridgeStep::Add { new, options, lab }) => {
            let mark = handles.mark(lab);
            inside(handles, first, |netns| bridge::add(netns, &new.interface, *options, new.mac, new.mtu, &mark))
        }
        Step::Bridge(BridgeStep::Options { interface, change }) => {
            inside(handles, first, |netns| bridge::set(netns, &interface.name, change.from, change.to))
        }
        Step::BridgePort(step) => inside(handles, first, |netns| bridge_port::run(netns, step)),
        Step::Vlans(VlansStep { interface, is_bridge, change }) => {
            inside(handles, first, |netns| vlans::set(netns, &interface.name, *is_bridge, &change.from, &change.to))
        }
        Step::VirtualInterface(VirtualInterfaceStep::Add { new, kind, lab }) => {
            virtual_interface::add(handles, &new.interface, kind, (new.mac, new.mtu), lab, &first.text())
        }
        Step::VirtualInterface(VirtualInterfaceStep::Options {
            interface,
            change: Change { to: VirtualInterface::Wireguard(to), .. },
        }) => wireguard::set_options(handles.get(&interface.ns)?.fd(), &interface.name, *to, &first.text()),
        Step::VirtualInterface(VirtualInterfaceStep::Options { interface, change }) => {
            inside(handles, first, |netns| virtual_interface::set(netns, interface, &change.from, &change.to))
        }
        Step::Address(step) => inside(handles, first, |netns| address::run(netns, step)),
        Step::Route(step) => inside(handles, first, |netns| route::run(netns, step)),
        Step::PolicyRule(step) => inside(handles, first, |netns| policy_rule::run(netns, step)),
        Step::Neighbour(step) => inside(handles, first, |netns| neighbour::run(netns, step)),
        Step::Wireguard(step) => wireguard::run(handles.get(&first.namespace())?.fd(), step),
        Step::FdbEntry(step) => inside(handles, first, |netns| fdb_entry::run(netns, step)),
        Step::Foreign(step) if step.change.object().is_of_a_firewall() => {
            firewall::foreign_tables::run(handles.get(&step.ns)?.fd(), &step.change)
        }
        Step::Foreign(step) if step.change.object().is_transformation() => xfrm::run(handles.get(&step.ns)?.fd(), step),
        Step::Foreign(step) if step.change.object().kind == ForeignKind::Switch => {
            namespace_sysctl::turn(handles.get(&step.ns)?, &step.ns, &step.change)
        }
        Step::Foreign(step) => inside(handles, first, |netns| foreign::run(netns, step)),
        Step::Sysctl(step) => run_sysctl(handles, first, step),
        Step::EtcFiles(_) => Err(KernelError::new(first.text()).said("files are written elsewhere")),
        Step::Program(_) => Err(KernelError::new(first.text()).said("programs have a supervisor")),
    }
}

/// Carries out steps of iptables. Where they have led to is noted if nobody else has changed anything meanwhile; in
/// `host`, others do so all the time.
fn iptables(
    netns: &mut NetnsHandle,
    ns: &NsName,
    held: &mut Vec<firewall::Nftables>,
    steps: &[Step],
) -> Result<(), KernelError> {
    let generation = |netns: &NetnsHandle| if ns.is_host() { Ok(None) } else { firewall::generation(netns.fd()) };
    let before = generation(netns)?;
    let done = firewall::run_and_hold(netns.fd(), steps)?;
    held.extend(done.held);
    if let (Some(before), Some(after)) = (before, generation(netns)?) {
        netns.note_change(before, after, done.transactions);
    }
    Ok(())
}

/// Carries out steps on tables of nf_tables, with the same note.
fn nftables(netns: &mut NetnsHandle, held: &mut Vec<firewall::Nftables>, steps: &[Step]) -> Result<(), KernelError> {
    let (open, [before, after]) = firewall::run_nft(netns.fd(), steps)?;
    held.push(open);
    netns.note_change(before, after, 1);
    Ok(())
}

fn run_sysctl(handles: &mut NetnsHandles, step: &Step, of: &SysctlStep) -> Result<(), KernelError> {
    match of {
        SysctlStep::Set { ns, key, to, .. } if ns.is_host() => sysctl::write(handles.get(ns)?.fd(), ns, key, to),
        SysctlStep::Set { ns, key, to, .. } => namespace_sysctl::set(handles.get(ns)?, ns, key, to),
        SysctlStep::RestoreHost { .. } => Err(KernelError::new(step.text()).said("what it was is kept elsewhere")),
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
