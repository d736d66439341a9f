//! The first packet of a connection, and the rule of a namespace's chains that decides about it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::lab::{
    ChainId, Condition, ConnectionState, Family, FirewallRule, FirewallTarget, Hook, IfName, IpProtocol, Matches,
    Namespace, PortRange, Protocol, RouteKind, Table,
};

/// The first packet of a connection, as the firewall of a namespace sees it. What is not known of it meets every
/// condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Its source address.
    pub source: Option<IpAddr>,
    /// Its destination.
    pub destination: IpAddr,
    /// Its protocol.
    pub protocol: IpProtocol,
    /// Its source port.
    pub source_port: Option<u16>,
    /// Its destination port.
    pub destination_port: Option<u16>,
    /// The interface on which it arrived.
    pub input: Option<IfName>,
    /// The interface through which it leaves; before it is routed, the one that the sending socket is bound to.
    pub out: Option<IfName>,
    /// Its firewall mark.
    pub mark: u32,
    /// The states of its connection: new, and what was translated of it.
    pub states: BTreeSet<ConnectionState>,
}

/// Where a rule is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleAt {
    /// The chain.
    pub chain: ChainId,
    /// Its place in it, counted from 1.
    pub position: usize,
}

/// How a walk through a chain goes on.
enum Walk<'n> {
    /// The packet comes to the end of the chain.
    End,
    /// A rule decides.
    Decided(RuleAt, &'n FirewallTarget),
}

/// How many chains may lead into each other; the kernel refuses circles.
const DEPTH: usize = 32;

impl Flow {
    /// The first packet of a connection to a port of an address.
    pub fn to(protocol: IpProtocol, destination: IpAddr, port: Option<u16>) -> Self {
        Self {
            source: None,
            destination,
            protocol,
            source_port: None,
            destination_port: port,
            input: None,
            out: None,
            mark: 0,
            states: [ConnectionState::New].into(),
        }
    }

    /// What a check sends to an address.
    pub fn probing(protocol: Protocol, destination: IpAddr) -> Self {
        match (protocol, destination) {
            (Protocol::Tcp(port), _) => Self::to(IpProtocol::Tcp, destination, Some(port)),
            (Protocol::Udp(port), _) => Self::to(IpProtocol::Udp, destination, Some(port)),
            (Protocol::Icmp, IpAddr::V4(_)) => Self::to(IpProtocol::Icmp, destination, None),
            (Protocol::Icmp, IpAddr::V6(_)) => Self::to(IpProtocol::Icmpv6, destination, None),
        }
    }

    pub(super) fn family(&self) -> Family {
        Family::of(self.destination)
    }

    /// Whether it meets all conditions of a rule of a namespace, as far as it is known.
    pub fn meets(&self, namespace: &Namespace, matches: &Matches) -> bool {
        let states = matches.states.as_ref();
        states.is_none_or(|states| states.holds(|states| !states.is_disjoint(&self.states)))
            && meets(matches.source.as_ref(), self.source, |net, address| net.contains(&address))
            && meets(matches.destination.as_ref(), Some(self.destination), |net, address| net.contains(&address))
            && meets(matches.input.as_ref(), self.input.as_ref(), |name, input| name == input)
            && meets(matches.out.as_ref(), self.out.as_ref(), |name, out| name == out)
            && meets(matches.protocol.as_ref(), Some(self.protocol), |protocol, own| *protocol == own)
            && meets(matches.source_port.as_ref(), self.source_port, PortRange::contains)
            && meets(matches.destination_port.as_ref(), self.destination_port, PortRange::contains)
            && matches.destination_is_local.is_none_or(|local| local == is_own(namespace, self.destination))
    }
}

fn meets<T, V>(condition: Option<&Condition<T>>, value: Option<V>, fits: impl FnOnce(&T, V) -> bool) -> bool {
    match (condition, value) {
        (Some(condition), Some(value)) => condition.holds(|of| fits(of, value)),
        (None, _) | (_, None) => true,
    }
}

/// Whether an address is one of the namespace's own, by an interface or a local route (`-m addrtype`).
fn is_own(namespace: &Namespace, address: IpAddr) -> bool {
    let mut own = namespace.interfaces.values().flat_map(|interface| &interface.addresses);
    let mut routes = namespace.routes.iter().filter(|route| route.kind == RouteKind::Local);
    address.is_loopback() || own.any(|own| own.ip() == address) || routes.any(|route| route.to.contains(&address))
}

/// The rule that decides about a packet at a hook, with its target; none where the packet goes on as it is.
pub(super) fn decide<'n>(
    namespace: &'n Namespace,
    (table, hook): (Table, Hook),
    flow: &Flow,
) -> Option<(RuleAt, &'n FirewallTarget)> {
    let chains = &namespace.firewall.chains;
    // In a lab, the chains of a hook are there without the built-in one, which does nothing but lead to them.
    let is_here = |id: &&ChainId| {
        (id.family, id.table) == (flow.family(), table) && id.owner().is_some_and(|(_, own)| own == hook)
    };
    chains.keys().filter(is_here).find_map(|id| match walk(namespace, id, flow, DEPTH) {
        Walk::Decided(at, target) => Some((at, target)),
        Walk::End => None,
    })
}

fn walk<'n>(namespace: &'n Namespace, id: &ChainId, flow: &Flow, depth: usize) -> Walk<'n> {
    let rules = namespace.firewall.chains.get(id).map_or(&[][..], Vec::as_slice);
    let matching = |(_, rule): &(usize, &FirewallRule)| flow.meets(namespace, &rule.matches);
    for (at, rule) in rules.iter().enumerate().filter(matching) {
        match &rule.target {
            FirewallTarget::Return => return Walk::End,
            FirewallTarget::Jump(chain) => {
                let inner = ChainId { chain: chain.clone(), ..id.clone() };
                if let Some(depth) = depth.checked_sub(1)
                    && let decided @ Walk::Decided(..) = walk(namespace, &inner, flow, depth)
                {
                    return decided;
                }
            }
            target @ (FirewallTarget::Accept
            | FirewallTarget::Drop
            | FirewallTarget::Reject(_)
            | FirewallTarget::Masquerade
            | FirewallTarget::Snat(_)
            | FirewallTarget::Dnat(_)
            | FirewallTarget::Redirect(_)) => {
                return Walk::Decided(RuleAt { chain: id.clone(), position: at + 1 }, target);
            }
        }
    }
    Walk::End
}
