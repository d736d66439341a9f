//! The way back to what was there before, for undoing steps that have no inverse.

use super::compare::plan;
use super::planned::Plan;
use super::unread::in_common;
use crate::lab::{
    ChainName, IfName, Interface, InterfaceKind, InterfaceRef, Keep, Lab, LabName, Namespace, NsName, Observed,
    ObservedNamespace, ObservedWireguard, SecretKeys,
};
use crate::steps::{
    Change, FirewallChange, FirewallStep, Presence, Step, SysctlStep, Update, WireguardKey, WireguardStep,
};

/// Plans the way back to what was there before. Rules and settings that were added by hand have come back with the
/// steps' own inverses, and are left alone.
pub fn way_back(lab: &Lab, before: &Observed, now: &Observed) -> Plan {
    let [before, now] = in_common(lab, before, now);
    let now = Observed { wireguard_keys: keys(&before), ..now.into_owned() };
    let mut plan = plan(&as_lab(lab, &before), &now);
    plan.steps.retain(|planned| is_kept(&planned.step));
    plan
}

/// The private keys of what there was.
fn keys(live: &Observed) -> SecretKeys {
    let all = live.namespaces.iter().flat_map(|(ns, namespace)| namespace.wireguards.iter().map(move |own| (ns, own)));
    let key = |(ns, (name, own)): (&NsName, (&IfName, &ObservedWireguard))| {
        Some((InterfaceRef { ns: ns.clone(), name: name.clone() }, own.key.clone()?))
    };
    all.filter_map(key).collect()
}

fn is_kept(step: &Step) -> bool {
    match step {
        Step::Firewall(FirewallStep { change, .. }) => match change {
            FirewallChange::RemoveChain { .. }
            | FirewallChange::Policy(_)
            | FirewallChange::Rule { change: Presence::Remove(_), .. } => false,
            FirewallChange::AddChain | FirewallChange::Rule { change: Presence::Add(_), .. } => true,
        },
        // What was put back as it was cannot be said in the model, and would seem to be an extra.
        Step::Foreign(_)
        | Step::Wireguard(WireguardStep::Peer { change: Update::Remove(_), .. })
        | Step::Wireguard(WireguardStep::Key { change: Change { to: WireguardKey::New, .. }, .. })
        | Step::Sysctl(SysctlStep::RestoreHost { .. }) => false,
        Step::Wireguard(WireguardStep::Peer { change: Update::Replace(change), .. }) => {
            change.from.preshared_key.is_none()
        }
        Step::Sysctl(SysctlStep::Set { .. })
        | Step::Namespace(_)
        | Step::Mark(_)
        | Step::Interface(_)
        | Step::Veth(_)
        | Step::Bridge(_)
        | Step::BridgePort(_)
        | Step::Vlans(_)
        | Step::VirtualInterface(_)
        | Step::Address(_)
        | Step::Route(_)
        | Step::PolicyRule(_)
        | Step::Neighbour(_)
        | Step::FdbEntry(_)
        | Step::Wireguard(_)
        | Step::Nft(_)
        | Step::EtcFiles(_)
        | Step::Program(_) => true,
    }
}

/// What a lab had, as a lab to want. What nslab cannot make (a tunnel, say, that was made by hand) is left
/// out.
fn as_lab(wanted: &Lab, live: &Observed) -> Lab {
    let lab = &wanted.name;
    let own = |(name, ns): &(&NsName, &ObservedNamespace)| {
        name.is_host() || (ns.is.owner.as_ref() == Some(lab) && ns.is.interfaces.contains_key(&IfName::lo()))
    };
    let namespaces = live.namespaces.iter().filter(own);
    let kept = |name: &NsName| wanted.namespaces.get(name).map(|namespace| namespace.keep.clone()).unwrap_or_default();
    let restorable = namespaces.map(|(name, ns)| {
        let mut own = restorable(lab, name, ns, kept(name));
        let programs = live.programs.iter().filter(|(of, program)| of.ns == *name && program.why_gone().is_none());
        own.programs = programs.map(|(of, program)| (of.name.clone(), program.program.clone())).collect();
        (name.clone(), own)
    });
    Lab { etc: live.etc.clone(), ..Lab::of(lab.clone(), restorable.collect()) }
}

fn restorable(lab: &LabName, name: &NsName, live: &ObservedNamespace, keep: Keep) -> Namespace {
    let mut wanted = live.is.clone();
    // What a program has added, it adds again: nslab would put its own mark on it.
    wanted.routes.retain(|route| !live.route_protocols.get(route).is_some_and(|by| keep.has_route(*by)));
    wanted.keep = keep;
    wanted.interfaces.retain(|_, interface| interface.is_of(lab, name) && can_be_made(interface));
    let on_own = |dev: &IfName| wanted.interfaces.contains_key(dev);
    wanted.routes.retain(|route| match name.is_host() && live.is.is_unattached(route) {
        false => route.devs().all(on_own),
        true => live.nslab_routing.routes.contains(route),
    });
    wanted.neighbours.retain(|neighbour| on_own(&neighbour.dev));
    wanted.fdb.retain(|entry| on_own(&entry.dev));
    wanted.wireguard.retain(|name, _| on_own(name));
    wanted.firewall.chains.retain(|chain, rules| {
        if chain.hook().is_some() {
            rules.retain(|rule| rule.leads_to().is_some_and(ChainName::is_of_services));
        }
        let of_services = chain.chain.is_of_services() || (chain.hook().is_some() && !rules.is_empty());
        chain.owner().is_some_and(|(owner, _)| owner == *lab) || (of_services && !name.is_host())
    });
    if name.is_host() {
        // Host settings have a way back of their own.
        wanted.rules = live.nslab_routing.rules.clone();
        wanted.sysctls.clear();
    }
    wanted
}

fn can_be_made(interface: &Interface) -> bool {
    match &interface.kind {
        InterfaceKind::Loopback | InterfaceKind::Bridge(_) => true,
        InterfaceKind::Virtual(own) => own.is_complete(),
        InterfaceKind::Veth { peer } => peer.is_some(),
        InterfaceKind::Other(_) => false,
    }
}
