//! The route look-up: policy rules in order of priority, the table each leads to, the most specific route there
//! (`fib_rules_lookup` and `fib_table_lookup` of the kernel).

use std::net::IpAddr;

use super::{Packet, table};
use crate::lab::{
    Address, IfName, Interface, LOCAL_TABLE, MAIN_TABLE, Namespace, PolicyRule, Route, RouteKind, RuleAction,
    VirtualInterface,
};

/// The table behind `main`, which is usually empty (`RT_TABLE_DEFAULT`).
const DEFAULT_TABLE: u32 = 253;

/// Priority of the rule that the kernel adds with the first VRF (`FIB_RULE_PREF_L3MDEV`).
const VRF_PRIORITY: u32 = 1000;

/// Priorities of the kernel's own rules for the tables `main` and `default`.
const MAIN_PRIORITY: u32 = 32766;
const DEFAULT_PRIORITY: u32 = 32767;

/// What becomes of a packet, and which rule decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The policy rule, the kernel's own included; none: no rule led to a route.
    pub rule: Option<PolicyRule>,
    /// What it led to.
    pub outcome: Outcome,
}

/// What becomes of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is for the namespace itself.
    Local {
        /// The interface that has the address, or that a local route names.
        dev: IfName,
    },
    /// It leaves through an interface.
    Leaves {
        /// The interface.
        dev: IfName,
        /// Who gets it there: the gateway, or the destination itself where the route has none.
        next_hop: IpAddr,
        /// The source address that the kernel gives a packet which has none.
        source: Option<IpAddr>,
        /// The route; those that the kernel adds with an address are here as it has them.
        route: Route,
    },
    /// A route drops it.
    Dropped(Route),
    /// The policy rule itself drops it.
    DroppedByRule,
    /// There is no route.
    NoRoute,
}

/// What becomes of a packet in a namespace. A route through a VRF leads to another look-up, in the VRF's table.
pub fn lookup(namespace: &Namespace, packet: &Packet) -> Decision {
    let decision = look_up(namespace, packet);
    let Outcome::Leaves { dev, source, .. } = &decision.outcome else { return decision };
    let into_vrf = namespace.interfaces.get(dev).is_some_and(is_vrf);
    if !into_vrf || packet.oif.as_ref() == Some(dev) {
        return decision;
    }
    look_up(namespace, &Packet { source: *source, iif: None, oif: Some(dev.clone()), ..packet.clone() })
}

fn is_vrf(interface: &Interface) -> bool {
    matches!(interface.virtual_interface(), Some(VirtualInterface::Vrf { .. }))
}

fn look_up(namespace: &Namespace, packet: &Packet) -> Decision {
    for rule in rules(namespace, packet.destination.is_ipv6()) {
        if !packet.matches(&rule) {
            continue;
        }
        let table = match rule.action {
            RuleAction::Table(table) => Some(table),
            RuleAction::Vrf => vrf(namespace, packet),
            RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit => {
                return Decision { rule: Some(rule), outcome: Outcome::DroppedByRule };
            }
        };
        if let Some(outcome) = table.and_then(|table| in_table(namespace, table, packet)) {
            return Decision { rule: Some(rule), outcome };
        }
    }
    Decision { rule: None, outcome: Outcome::NoRoute }
}

/// The namespace's policy rules with the kernel's own, in the order in which they are asked.
fn rules(namespace: &Namespace, ipv6: bool) -> Vec<PolicyRule> {
    let own = |priority, action| PolicyRule {
        priority,
        ipv6,
        from: None,
        to: None,
        iif: None,
        oif: None,
        fwmark: None,
        action,
    };
    let has_vrf = namespace.interfaces.values().any(is_vrf);
    let mut rules = vec![own(0, RuleAction::Table(LOCAL_TABLE))];
    rules.extend(has_vrf.then(|| own(VRF_PRIORITY, RuleAction::Vrf)));
    rules.extend(namespace.rules.iter().filter(|rule| rule.ipv6 == ipv6).cloned());
    rules.push(own(MAIN_PRIORITY, RuleAction::Table(MAIN_TABLE)));
    rules.push(own(DEFAULT_PRIORITY, RuleAction::Table(DEFAULT_TABLE)));
    rules.sort_by_key(|rule| rule.priority);
    rules
}

/// The table of the VRF that a packet came in through, or is bound to.
fn vrf(namespace: &Namespace, packet: &Packet) -> Option<u32> {
    let through = packet.iif.as_ref().or(packet.oif.as_ref())?;
    namespace.vrf_of(namespace.interfaces.get(through)?)
}

/// What a table says about a packet; none: nothing, so that the next rule is asked.
fn in_table(namespace: &Namespace, table: u32, packet: &Packet) -> Option<Outcome> {
    let local = match table {
        // The local addresses of a VRF are in the VRF's table, and what is bound to it does not find others.
        LOCAL_TABLE if packet.oif.is_some() && vrf(namespace, packet).is_some() => return None,
        LOCAL_TABLE => table::local_dev(namespace, MAIN_TABLE, packet.destination),
        MAIN_TABLE => None,
        _ => table::local_dev(namespace, table, packet.destination),
    };
    if let Some(dev) = local {
        return Some(Outcome::Local { dev: dev.clone() });
    }
    let route = table::find(namespace, table, packet)?;
    match route.kind {
        RouteKind::Unicast => leaves(namespace, route, packet),
        RouteKind::Local => route.dev.map(|dev| Outcome::Local { dev }),
        RouteKind::Throw => None,
        RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => Some(Outcome::Dropped(route)),
    }
}

fn leaves(namespace: &Namespace, route: Route, packet: &Packet) -> Option<Outcome> {
    let (via, dev) = route.hops().next().map(|(via, dev)| (via, dev.clone()))?;
    let next_hop = via.unwrap_or(packet.destination);
    let source = packet.source.or(route.source).or_else(|| source(namespace, &dev, next_hop));
    Some(Outcome::Leaves { dev, next_hop, source, route })
}

/// The address of an interface in the subnet of the next hop, or else its first one of the family.
fn source(namespace: &Namespace, dev: &IfName, next_hop: IpAddr) -> Option<IpAddr> {
    let addresses = &namespace.interfaces.get(dev)?.addresses;
    let near = addresses.iter().find(|own| own.reaches(next_hop));
    let first = || addresses.iter().find(|own| own.is_ipv6() == next_hop.is_ipv6());
    near.or_else(first).map(Address::ip)
}
