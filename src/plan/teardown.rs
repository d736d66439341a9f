//! The way back: what has to go so that nothing of a lab is left.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::etc_files;
use super::planned::PlannedStep;
use crate::lab::{
    ChainId, FirewallRule, ForeignObject, IfName, InterfaceRef, KeyedPeer, Lab, LabName, Namespace, NsName, Observed,
    ObservedFirewall, ObservedNamespace, ObservedProgram, ObservedRule, ObservedWireguard, Program, Routing, SecretKey,
    SecretKeys, SysctlKey, WireguardPeer,
};
use crate::steps::{
    FirewallChange, FirewallStep, ForeignStep, InterfaceStep, NamespaceStep, PolicyRuleStep, Presence, ProgramStep,
    RouteStep, Step, SysctlStep, Update,
};

/// Plans the removal of a lab from what is there: the host's settings, namespaces, and of the host the firewall, routes
/// and interfaces. `settings` are the host settings that the lab has claimed.
pub fn teardown(lab: &LabName, live: &Observed, settings: &[SysctlKey]) -> Vec<PlannedStep> {
    let mut steps = Vec::new();
    let mut add = |step| steps.push(PlannedStep { step, why: "the lab is removed".to_owned() });
    for (program, own) in &live.programs {
        let change = Update::Remove(Box::new(own.program.clone()));
        add(Step::Program(ProgramStep { lab: lab.clone(), program: program.clone(), change }));
    }
    let observed_host = live.namespaces.get(&NsName::host());
    let host = observed_host.map(|host| &host.is);
    // What the settings were is also in the marks, which go with what carries them.
    for key in settings {
        add(Step::Sysctl(SysctlStep::RestoreHost { key: key.clone(), lab: lab.clone() }));
    }
    // Which lab these belong to is in the marks as well.
    for step in observed_host.into_iter().flat_map(host_routing) {
        add(step);
    }
    // First nothing passes the host any more: the firewall, which goes later, guards nothing then. Namespaces lose
    // their names, and are let go only when the interfaces are about to be removed: the kernel, which frees them in
    // the background, keeps everything else waiting meanwhile.
    let links = host.map(|host| own_interfaces(lab, host)).unwrap_or_default();
    if !links.is_empty() {
        add(Step::Interface(InterfaceStep::DownInHost { lab: lab.clone(), interfaces: links.clone() }));
    }
    for (ns, is) in &live.namespaces {
        if is.is.owner.as_ref() == Some(lab) {
            add(Step::Namespace(NamespaceStep::Remove { ns: ns.clone() }));
        }
    }
    for step in observed_host.into_iter().flat_map(|host| host_firewall(lab, &host.firewall)) {
        add(step);
    }
    for step in observed_host.into_iter().flat_map(|host| unshown_chains(lab, host)) {
        add(step);
    }
    for step in etc_files::removal(lab, &live.etc) {
        add(step);
    }
    if !links.is_empty() {
        add(Step::Interface(InterfaceStep::RemoveFromHost { lab: lab.clone(), interfaces: links }));
    }
    steps
}

/// What the kernel shows when a lab has been built exactly as the file says: for the script that undoes the script.
pub fn as_built(lab: &Lab) -> Observed {
    let mut live = Observed { etc: lab.etc.clone(), ..Observed::default() };
    for (ns, wanted) in &lab.namespaces {
        let is = wanted.clone();
        let mut firewall = ObservedFirewall::of(&is.firewall);
        for id in is.firewall.chains.keys() {
            if let Some((_, hook)) = id.owner() {
                let jump = FirewallRule::jump(&lab.name, &id.chain);
                let builtin = ChainId::builtin(id.family, id.table, hook);
                firewall.chains.entry(builtin).or_default().push(jump.into());
            }
        }
        let connected = is.interfaces.iter().flat_map(|(name, own)| super::route::implied(&is, name, own)).collect();
        live.namespaces
            .insert(ns.clone(), ObservedNamespace { is, firewall, connected, ..ObservedNamespace::default() });
    }
    wireguards(lab, &mut live);
    let running = |program: &Program| ObservedProgram::running(program.clone());
    live.programs = lab.programs().map(|(name, program)| (name, running(program))).collect();
    if let Some(host) = live.namespaces.get_mut(&NsName::host()) {
        host.nslab_routing = Routing { routes: host.is.routes.clone(), rules: host.is.rules.clone() };
    }
    live
}

/// Gives the WireGuard interfaces keys, and makes them known to each other.
fn wireguards(lab: &Lab, live: &mut Observed) {
    let of = |(ns, namespace): (&NsName, &Namespace)| {
        let interface = |name: &IfName| InterfaceRef { ns: ns.clone(), name: name.clone() };
        namespace.wireguard.keys().map(interface).collect::<Vec<_>>()
    };
    let keys: SecretKeys = lab.namespaces.iter().flat_map(of).map(|one| (one, SecretKey::random())).collect();
    for (interface, key) in &keys {
        let Some(namespace) = live.namespaces.get_mut(&interface.ns) else { continue };
        let peer = |peer: &WireguardPeer| KeyedPeer {
            public_key: peer.interface.as_ref().and_then(|other| keys.get(other)).map(SecretKey::public),
            preshared_key: None,
            peer: peer.clone(),
        };
        let peers = namespace.is.wireguard.get(&interface.name).into_iter().flatten().map(peer).collect();
        let own = ObservedWireguard { key: Some(key.clone()), peers, heard: BTreeMap::new() };
        namespace.wireguards.insert(interface.name.clone(), own);
    }
}

/// The lab's routes and policy rules in `host` that do not go with an interface.
fn host_routing(host: &ObservedNamespace) -> Vec<Step> {
    let ns = NsName::host;
    let of_nslab = host.nslab_routing.routes.iter().filter(|route| host.is.is_unattached(route));
    let routes = of_nslab.map(|route| Step::Route(RouteStep { ns: ns(), change: Update::Remove(route.clone()) }));
    let foreign_routes = host.foreign.routes.iter().filter(|route| route.is_ours).map(|route| &route.object);
    let foreign_rules = host.foreign.rules.iter().filter(|rule| rule.is_ours).map(|rule| &rule.object);
    let foreign = foreign_routes.chain(foreign_rules);
    let foreign =
        foreign.map(|object| Step::Foreign(ForeignStep { ns: ns(), change: Presence::Remove(object.clone()) }));
    let mut rules: Vec<_> = host.nslab_routing.rules.iter().collect();
    rules.sort_by_key(|rule| Reverse(rule.conditions()));
    let rules = rules.into_iter().map(|rule| {
        let change = Presence::Remove(rule.clone());
        Step::PolicyRule(PolicyRuleStep { ns: ns(), is_temporary: false, change })
    });
    routes.chain(foreign).chain(rules).collect()
}

fn host_firewall(lab: &LabName, firewall: &ObservedFirewall) -> Vec<Step> {
    let is_own = |id: &ChainId| id.is_of(lab);
    let leads_to_own = |id: &ChainId, rule: &ObservedRule| {
        rule.leads_to().is_some_and(|chain| is_own(&ChainId { chain: chain.clone(), ..id.clone() }))
    };
    let mut steps = Vec::new();
    // First nothing leads to nslab's chains any more, then they are emptied, then they go.
    for jumps in [true, false] {
        for (id, rules) in &firewall.chains {
            for (n, rule) in rules.iter().enumerate().rev() {
                if is_own(id) != jumps && (is_own(id) || leads_to_own(id, rule)) {
                    let change = Presence::Remove(Box::new(rule.clone()));
                    let change = FirewallChange::Rule { position: Some(n + 1), is_rewritten: false, change };
                    steps.push(FirewallStep { ns: NsName::host(), chain: id.clone(), change });
                }
            }
        }
    }
    let own = firewall.chains.keys().filter(|id| is_own(id)).cloned();
    steps.extend(own.map(|chain| FirewallStep {
        ns: NsName::host(),
        chain,
        change: FirewallChange::RemoveChain { is_rewritten: false },
    }));
    // One family's rules are loaded with one program.
    steps.sort_by_key(|step| step.chain.family);
    steps.into_iter().map(Step::Firewall).collect()
}

/// The lab's chains in `host` that the installed iptables does not show.
fn unshown_chains(lab: &LabName, host: &ObservedNamespace) -> Vec<Step> {
    let objects = host.foreign.others.iter().map(|other| &other.object);
    let own = objects.filter(|object| object.lab_chain().is_some_and(|chain| chain.is_of(lab)));
    let step = |object: &ForeignObject| ForeignStep { ns: NsName::host(), change: Presence::Remove(object.clone()) };
    own.map(step).map(Step::Foreign).collect()
}

/// The lab's interfaces in `host`.
fn own_interfaces(lab: &LabName, host: &Namespace) -> Vec<IfName> {
    let mine = host.interfaces.iter().filter(|(_, interface)| interface.owner.as_ref() == Some(lab));
    mine.map(|(name, _)| name.clone()).collect()
}
