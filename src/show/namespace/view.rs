//! One namespace for programs.

use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::NamespaceStatus;
use crate::kernel::{Details, PortState};
use crate::lab::{
    ChainId, CountedChain, CountedFirewall, Counters, Family, Interface, LabName, NeighbourEntry, NeighbourState,
    NsName, ObservedNamespace, Route, Table,
};
use crate::show::status::{InterfaceView, ProcessView};

/// One namespace of a lab, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NamespaceStatusView {
    /// The lab's name.
    pub(super) lab: String,
    /// The namespace's name; `host` is the machine.
    pub(super) namespace: String,
    /// Whether it passes packets on.
    pub(super) forwarding: ForwardingView,
    /// Its interfaces.
    pub(super) interfaces: Vec<InterfaceDetailView>,
    /// Its routes, those that the kernel makes with each address among them; not those to its own addresses.
    pub(super) routes: Vec<RouteView>,
    /// Its policy rules, without those that the kernel gives every namespace.
    pub(super) rules: Vec<RuleView>,
    /// Policy rules that the kernel gives every namespace, and that are missing here.
    pub(super) missing_rules: Vec<RuleView>,
    /// Its neighbour table.
    pub(super) neighbours: Vec<NeighbourView>,
    /// The chains of the iptables tables `nat`.
    pub(super) nat: Vec<ChainView>,
    /// The chains of the iptables tables `filter`.
    pub(super) filter: Vec<ChainView>,
    /// What else there is, by its name: tables of nf_tables, qdiscs, xfrm policies.
    pub(super) other: Vec<String>,
    /// Those of them that are tables of nf_tables which nslab makes.
    #[serde(skip)]
    pub(super) tables: Vec<String>,
    /// The processes in it; those of `host` are not listed.
    pub(super) processes: Vec<ProcessView>,
    /// What could not be read, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unread: Vec<String>,
}

/// Whether a namespace passes packets on; absent where the kernel lacks the family.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ForwardingView {
    /// `net.ipv4.ip_forward`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<bool>,
    /// `net.ipv6.conf.all.forwarding`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
}

/// An interface for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InterfaceDetailView {
    #[serde(flatten)]
    pub interface: InterfaceView,
    /// What it does.
    pub state: StateView,
}

/// What an interface does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum StateView {
    /// It is not up.
    Down,
    /// It is up, but the other side of its link is not.
    NoCarrier,
    /// It is a port that the spanning tree has blocked.
    Blocking,
    /// It is a port of a bridge that does not forward yet.
    NotForwarding,
    /// It works.
    Up,
}

/// A route for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RouteView {
    /// The routing table; absent where the route is one that a file cannot express.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<u32>,
    /// The route as `ip route` spells it, without its table.
    pub route: String,
    /// Whether the kernel made it, with an address.
    pub by_kernel: bool,
}

/// A policy rule for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RuleView {
    pub ipv6: bool,
    pub priority: u32,
    /// The rule as it comes after `ip rule add`.
    pub rule: String,
}

/// An entry of the neighbour table, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct NeighbourView {
    pub interface: String,
    pub address: String,
    /// Absent where no one has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// As `ip neigh` has it: `permanent`, `reachable`, `stale`, `delay`, `probe`, `incomplete` or `failed`.
    #[schemars(with = "String")]
    pub state: NeighbourState,
}

/// A chain of iptables, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ChainView {
    pub ipv6: bool,
    pub chain: String,
    /// What happens at the end of a built-in chain: `ACCEPT` or `DROP`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The packets that have reached its end, of a built-in chain.
    pub packets: u64,
    /// The bytes in them.
    pub bytes: u64,
    /// Its rules, in the order in which they are asked.
    pub rules: Vec<FirewallRuleView>,
}

/// A rule of a chain, for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct FirewallRuleView {
    /// Its arguments, as they come after `iptables -A CHAIN`.
    pub rule: String,
    /// The packets that it has matched; of a NAT rule, the first ones of connections.
    pub packets: u64,
    /// The bytes in them.
    pub bytes: u64,
}

impl NamespaceStatusView {
    /// From the state of a namespace.
    pub fn new(
        lab: &LabName,
        ns: &NsName,
        NamespaceStatus { live, details, unread, processes }: &NamespaceStatus,
    ) -> Self {
        let rule = |ipv6: bool, priority: u32, rule: String| RuleView { ipv6, priority, rule };
        let known = live.is.rules.iter().map(|own| rule(own.ipv6, own.priority, own.to_string()));
        let foreign = live.foreign.rules.iter().map(|own| rule(own.ipv6, own.priority, own.object.text.clone()));
        let mut rules: Vec<RuleView> = known.chain(foreign).collect();
        rules.sort_by_key(|rule| (rule.ipv6, rule.priority));
        Self {
            lab: lab.to_string(),
            namespace: ns.to_string(),
            forwarding: ForwardingView {
                ipv4: details.forwarding.get(&Family::Ipv4).copied(),
                ipv6: details.forwarding.get(&Family::Ipv6).copied(),
            },
            interfaces: interfaces(ns, live, details),
            routes: routes(live),
            rules,
            missing_rules: live
                .lost_rules
                .iter()
                .map(|lost| rule(lost.ipv6, lost.priority, lost.to_string()))
                .collect(),
            neighbours: details.neighbours.iter().map(NeighbourView::new).collect(),
            nat: chains(&details.firewall, Table::Nat),
            filter: chains(&details.firewall, Table::Filter),
            other: others(live),
            tables: tables(live).collect(),
            processes: processes.iter().map(ProcessView::new).collect(),
            unread: unread.clone(),
        }
    }
}

/// What is shown by its name alone: tables of nf_tables, and what the model has no words for.
fn others(live: &ObservedNamespace) -> Vec<String> {
    let foreign = live.foreign.others.iter().map(|other| other.object.text.clone());
    tables(live).chain(foreign).collect()
}

fn tables(live: &ObservedNamespace) -> impl Iterator<Item = String> {
    live.is.nft.keys().map(ToString::to_string)
}

fn interfaces(ns: &NsName, live: &ObservedNamespace, details: &Details) -> Vec<InterfaceDetailView> {
    let all = live.is.interfaces.iter();
    let view = all.map(|(name, interface)| InterfaceDetailView {
        interface: InterfaceView::new((ns, &live.is), name.as_str(), interface),
        state: StateView::of(interface, details.ports.get(name).copied(), is_port(live, interface)),
    });
    view.collect()
}

/// Whether an interface is a port of a bridge, and not of a VRF.
fn is_port(live: &ObservedNamespace, interface: &Interface) -> bool {
    interface.master.is_some() && live.is.vrf_of(interface).is_none()
}

fn routes(live: &ObservedNamespace) -> Vec<RouteView> {
    let own = live.is.routes.iter().map(|route| (route, false));
    let mut all: Vec<(&Route, bool)> = own.chain(live.connected.iter().map(|route| (route, true))).collect();
    all.sort_by_key(|(route, _)| (route.table, route.is_ipv6(), route.to, route.metric));
    let known = all.into_iter().map(|(route, by_kernel)| {
        let text = Route { table: route.kind.default_table(), ..route.clone() }.to_string();
        RouteView { table: Some(route.table), route: text, by_kernel }
    });
    let foreign = live.foreign.routes.iter();
    let foreign = foreign.map(|route| RouteView { table: None, route: route.object.text.clone(), by_kernel: false });
    known.chain(foreign).collect()
}

/// The chains of a table: the built-in ones in the order in which a packet meets them, then the others.
fn chains(firewall: &CountedFirewall, table: Table) -> Vec<ChainView> {
    let mut chains: Vec<_> = firewall.iter().filter(|(id, _)| id.table == table).collect();
    chains.sort_by_key(|(id, _)| (id.family, id.hook().is_none(), id.hook()));
    chains.into_iter().map(|(id, chain)| ChainView::new(id, chain)).collect()
}

impl StateView {
    fn of(interface: &Interface, state: Option<PortState>, is_port: bool) -> Self {
        match state {
            _ if !interface.up => Self::Down,
            Some(PortState::NoCarrier) => Self::NoCarrier,
            Some(PortState::Blocking) if is_port => Self::Blocking,
            Some(PortState::NotYet) if is_port => Self::NotForwarding,
            Some(PortState::Blocking | PortState::NotYet | PortState::Forwarding) | None => Self::Up,
        }
    }
}

impl NeighbourView {
    fn new(entry: &NeighbourEntry) -> Self {
        Self {
            interface: entry.dev.to_string(),
            address: entry.address.to_string(),
            mac: entry.mac.map(|mac| mac.to_string()),
            state: entry.state,
        }
    }
}

impl ChainView {
    fn new(id: &ChainId, chain: &CountedChain) -> Self {
        let Counters { packets, bytes } = chain.counters;
        let rules = chain.rules.iter().map(|rule| FirewallRuleView {
            rule: rule.text.clone(),
            packets: rule.counters.packets,
            bytes: rule.counters.bytes,
        });
        Self {
            ipv6: id.family == Family::Ipv6,
            chain: id.chain.to_string(),
            policy: chain.policy.map(|policy| policy.name().to_owned()),
            packets,
            bytes,
            rules: rules.collect(),
        }
    }
}
