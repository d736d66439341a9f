//! The route look-up: policy rules in order of priority, the table each leads to, the most specific route there
//! (`fib_rules_lookup` and `fib_table_lookup` of the kernel).

use std::net::IpAddr;
use std::sync::OnceLock;

use ipnet::IpNet;

use super::Packet;
use super::link_local;
use super::table::{self, Tables};
use crate::lab::{
    Address, Family, IfName, Interface, LOCAL_TABLE, MAIN_TABLE, Namespace, PolicyRule, Route, RouteKind, RuleAction,
    VirtualInterface,
};

/// The table behind `main`, which is usually empty (`RT_TABLE_DEFAULT`).
const DEFAULT_TABLE: u32 = 253;

/// Priority of the rule that the kernel adds with the first VRF (`FIB_RULE_PREF_L3MDEV`).
const VRF_PRIORITY: u32 = 1000;

/// Priorities of the kernel's own rules for the tables `main` and `default`.
const MAIN_PRIORITY: u32 = 32766;
const DEFAULT_PRIORITY: u32 = 32767;

/// How long the prefix of link-local IPv6 addresses is.
const LINK_LOCAL_PREFIX: u8 = 64;

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

/// A namespace, ready to look up where packets go.
#[derive(Debug)]
pub struct Router<'n> {
    namespace: &'n Namespace,
    has_local_routes: bool,
    /// What a look-up goes through; made with the first one.
    ready: OnceLock<Ready<'n>>,
}

/// What a look-up goes through.
#[derive(Debug)]
struct Ready<'n> {
    /// The namespace's policy rules with the kernel's own, in the order in which they are asked.
    rules: Vec<PolicyRule>,
    tables: Tables<'n>,
    /// Whether the kernel keeps the IPv4 tables `local` and `main` as one, in which the longest prefix wins: it does
    /// until a rule is added, by an author or with a VRF (`fib_unmerge`).
    ipv4_has_one_table: bool,
}

/// The source address that a namespace gives what it sends to an address; none: it sends nothing there, or to itself.
pub fn source_towards(namespace: &Namespace, destination: IpAddr) -> Option<IpAddr> {
    match Router::new(namespace).lookup(&Packet::to(destination)).outcome {
        Outcome::Leaves { source, .. } => source,
        Outcome::Local { .. } | Outcome::Dropped(_) | Outcome::DroppedByRule | Outcome::NoRoute => None,
    }
}

impl<'n> Router<'n> {
    /// Costs next to nothing until something is looked up.
    pub fn new(namespace: &'n Namespace) -> Self {
        let has_local_routes = namespace.routes.iter().any(|route| route.kind == RouteKind::Local);
        Self { namespace, has_local_routes, ready: OnceLock::new() }
    }

    /// The namespace.
    pub fn namespace(&self) -> &'n Namespace {
        self.namespace
    }

    /// Whether it may take packets for other addresses than those on its interfaces.
    pub fn has_local_routes(&self) -> bool {
        self.has_local_routes
    }

    /// What becomes of a packet. A route through a VRF leads to another look-up, in the VRF's table.
    pub fn lookup(&self, packet: &Packet) -> Decision {
        if let Some(outcome) = self.on_link(packet) {
            return Decision { rule: None, outcome };
        }
        let decision = self.look_up(packet);
        let Outcome::Leaves { dev, source, .. } = &decision.outcome else { return decision };
        let into_vrf = self.namespace.interfaces.get(dev).is_some_and(is_vrf);
        if !into_vrf || packet.oif.as_ref() == Some(dev) {
            return decision;
        }
        self.look_up(&Packet { source: *source, iif: None, oif: Some(dev.clone()), ..packet.clone() })
    }

    /// What becomes of a packet to a link-local IPv6 address, to which each interface has a route; none: it goes to
    /// another one, or neither the sender says which link is meant, nor the interface on which it came in.
    fn on_link(&self, packet: &Packet) -> Option<Outcome> {
        let to = packet.destination;
        let dev = packet.iif.as_ref().or(packet.oif.as_ref()).filter(|_| link_local::is_link_local(to))?;
        let interface = self.namespace.interfaces.get(dev)?;
        if link_local::has(interface, to) {
            return Some(Outcome::Local { dev: dev.clone() });
        }
        let prefix = Address::from(IpNet::new(to, LINK_LOCAL_PREFIX).ok()?);
        let route =
            Route::connected(MAIN_TABLE, dev, prefix).next().filter(|_| packet.iif.is_none() && interface.up)?;
        let source = packet.source.or_else(|| link_local::of(interface));
        Some(Outcome::Leaves { dev: dev.clone(), next_hop: to, source, route })
    }

    fn look_up(&self, packet: &Packet) -> Decision {
        let ready = self.ready.get_or_init(|| Ready::new(self.namespace));
        for rule in ready.rules.iter().filter(|rule| packet.matches(rule)) {
            let table = match rule.action {
                RuleAction::Table(table) => Some(table),
                RuleAction::Vrf => self.vrf(packet),
                RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit => {
                    return Decision { rule: Some(rule.clone()), outcome: Outcome::DroppedByRule };
                }
            };
            if let Some(outcome) = table.and_then(|table| self.in_table(ready, table, packet)) {
                return Decision { rule: Some(rule.clone()), outcome };
            }
        }
        Decision { rule: None, outcome: Outcome::NoRoute }
    }

    /// The table of the VRF that a packet came in through, or is bound to.
    fn vrf(&self, packet: &Packet) -> Option<u32> {
        let through = packet.iif.as_ref().or(packet.oif.as_ref())?;
        self.namespace.vrf_of(self.namespace.interfaces.get(through)?)
    }

    /// What a table says about a packet; none: nothing, so that the next rule is asked.
    fn in_table(&self, ready: &Ready<'n>, number: u32, packet: &Packet) -> Option<Outcome> {
        let local_dev = |number: u32| ready.tables.get(&number)?.local_dev(packet.destination);
        let lo = || self.namespace.interfaces.keys().find(|name| name.is_lo() && packet.destination.is_loopback());
        let local = match number {
            // The local addresses of a VRF are in the VRF's table, and what is bound to it does not find others.
            LOCAL_TABLE if packet.oif.is_some() && self.vrf(packet).is_some() => return None,
            LOCAL_TABLE => local_dev(MAIN_TABLE).or_else(lo),
            MAIN_TABLE => None,
            _ => local_dev(number),
        };
        if let Some(dev) = local {
            return Some(Outcome::Local { dev: dev.clone() });
        }
        let find = |number: u32| ready.tables.get(&number)?.find(self.namespace, packet);
        let route = find(number)?;
        if number == LOCAL_TABLE && ready.ipv4_has_one_table && packet.destination.is_ipv4() {
            let main = find(MAIN_TABLE).filter(|main| main.to.prefix_len() > route.to.prefix_len());
            if main.is_some() {
                return None;
            }
        }
        match route.kind {
            RouteKind::Unicast => self.leaves(route, packet),
            RouteKind::Local => route.dev.clone().map(|dev| Outcome::Local { dev }),
            RouteKind::Throw => None,
            RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => {
                Some(Outcome::Dropped(route.clone()))
            }
        }
    }

    fn leaves(&self, route: &Route, packet: &Packet) -> Option<Outcome> {
        let (via, dev) = route.hops().next().map(|(via, dev)| (via, dev.clone()))?;
        let next_hop = via.unwrap_or(packet.destination);
        let source = packet.source.or(route.source).or_else(|| self.source(&dev, next_hop));
        Some(Outcome::Leaves { dev, next_hop, source, route: route.clone() })
    }

    /// The address of an interface in the subnet of the next hop, or else its first one of the family.
    fn source(&self, dev: &IfName, next_hop: IpAddr) -> Option<IpAddr> {
        let interface = self.namespace.interfaces.get(dev)?;
        let addresses = &interface.addresses;
        let near = addresses.iter().find(|own| own.reaches(next_hop));
        let first = || addresses.iter().find(|own| own.is_ipv6() == next_hop.is_ipv6());
        let own = near.or_else(first).map(Address::ip);
        own.or_else(|| self.namespace.address_for(interface, Family::of(next_hop)))
    }
}

impl<'n> Ready<'n> {
    fn new(namespace: &'n Namespace) -> Self {
        let is_ipv4 = |rule: &PolicyRule| !rule.ipv6;
        let has_own_rules = namespace.rules.iter().any(is_ipv4) || namespace.interfaces.values().any(is_vrf);
        Self { rules: rules(namespace), tables: table::all(namespace), ipv4_has_one_table: !has_own_rules }
    }
}

fn is_vrf(interface: &Interface) -> bool {
    matches!(interface.virtual_interface(), Some(VirtualInterface::Vrf { .. }))
}

/// The namespace's policy rules with the kernel's own, in the order in which they are asked.
fn rules(namespace: &Namespace) -> Vec<PolicyRule> {
    let has_vrf = namespace.interfaces.values().any(is_vrf);
    let kernels = |ipv6: bool| {
        let own = move |priority, action| PolicyRule {
            priority,
            ipv6,
            from: None,
            to: None,
            iif: None,
            oif: None,
            fwmark: None,
            action,
        };
        let vrf = has_vrf.then(|| own(VRF_PRIORITY, RuleAction::Vrf));
        let tables = [(0, LOCAL_TABLE), (MAIN_PRIORITY, MAIN_TABLE), (DEFAULT_PRIORITY, DEFAULT_TABLE)];
        tables.map(|(priority, table)| own(priority, RuleAction::Table(table))).into_iter().chain(vrf)
    };
    let mut rules: Vec<_> = kernels(false).chain(kernels(true)).chain(namespace.rules.iter().cloned()).collect();
    rules.sort_by_key(|rule| rule.priority);
    rules
}
