//! The first packet of a connection, and the rule of a namespace's chains that decides about it.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use crate::lab::{
    CHAIN_PREFIX, ChainId, Condition, ConnectionState, Family, FirewallTarget, Hook, IfName, IpProtocol, Matches,
    Namespace, NftTableId, PortRange, Protocol, RouteKind, Table,
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
    pub chain: ChainAt,
    /// Its place in it, counted from 1; 0: what becomes of packets at its end.
    pub position: usize,
}

/// A chain of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainAt {
    /// One of iptables.
    Iptables(ChainId),
    /// One of a table of nf_tables, by its name.
    Nft(NftTableId, String),
}

/// How many chains may lead into each other; the kernel refuses circles.
pub(super) const DEPTH: usize = 32;

impl fmt::Display for ChainAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Iptables(id) => id.chain.fmt(f),
            Self::Nft(table, chain) => write!(f, "{table} {chain}"),
        }
    }
}

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
            && meets(matches.mark.as_ref(), Some(self.mark), |bits, mark| bits.are_in(mark))
            && self
                .source
                .is_none_or(|source| matches.source_is_local.is_none_or(|local| local == is_own(namespace, source)))
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
pub(super) fn is_own(namespace: &Namespace, address: IpAddr) -> bool {
    let mut own = namespace.interfaces.values().flat_map(|interface| &interface.addresses);
    let mut routes = namespace.routes.iter().filter(|route| route.kind == RouteKind::Local);
    address.is_loopback() || own.any(|own| own.ip() == address) || routes.any(|route| route.to.contains(&address))
}

/// What becomes of a packet at a hook.
pub(super) struct Decided {
    /// The rule that decides about it, with its target; none: the packet goes on as it is.
    pub by: Option<(RuleAt, FirewallTarget)>,
    /// Its firewall mark then.
    pub mark: u32,
}

/// All that the chains of iptables may make of a packet at a hook: more than one only where rules leave it to chance.
pub(super) fn possibilities(namespace: &Namespace, at: (Table, Hook), flow: &Flow) -> Vec<Decided> {
    let mut walk = Walk { namespace, flow: flow.clone(), possible: Vec::new() };
    let goes_on = entrances(namespace, flow.family(), at).all(|id| walk.may_pass(&id, DEPTH));
    if goes_on {
        walk.possible.push(Decided { by: None, mark: walk.flow.mark });
    }
    walk.possible
}

/// The chains that are asked at a hook: that of a lab, and the built-in one, which in a lab is there only with rules
/// other than that which leads to it.
fn entrances(namespace: &Namespace, family: Family, (table, hook): (Table, Hook)) -> impl Iterator<Item = ChainId> {
    let chains = &namespace.firewall.chains;
    let from = ChainId::before_own(family, table);
    let of_labs = chains
        .range(from.clone()..)
        .map(|(id, _)| id)
        .take_while(move |id| (id.family, id.table) == (family, table) && id.chain.as_str().starts_with(CHAIN_PREFIX));
    let own = of_labs.filter(move |id| id.owner().is_some_and(|(_, own)| own == hook)).cloned();
    own.chain([ChainId::builtin(family, table, hook)])
}

/// Whether a packet at a hook may come to a rule that does this with it, if all that is not sure goes that way.
pub(super) fn may_come_to(
    namespace: &Namespace,
    at: (Table, Hook),
    flow: &Flow,
    does: fn(&FirewallTarget) -> bool,
) -> bool {
    let mut walk = Search { namespace, flow, does };
    entrances(namespace, flow.family(), at).any(|id| walk.finds(&id, DEPTH))
}

/// A search through chains.
struct Search<'a> {
    namespace: &'a Namespace,
    flow: &'a Flow,
    does: fn(&FirewallTarget) -> bool,
}

impl Search<'_> {
    fn finds(&mut self, id: &ChainId, depth: usize) -> bool {
        let rules = self.namespace.firewall.chains.get(id).map_or(&[][..], Vec::as_slice);
        // A mark may be set on the way.
        let unmarked = |matches: &Matches| Matches { mark: None, ..matches.clone() };
        rules.iter().any(|rule| {
            let leads = (self.does)(&rule.target) || rule.leads_to().is_some();
            leads
                && self.flow.meets(self.namespace, &unmarked(&rule.matches))
                && match rule.leads_to() {
                    None => true,
                    Some(chain) => {
                        let inner = ChainId { chain: chain.clone(), ..id.clone() };
                        depth.checked_sub(1).is_some_and(|depth| self.finds(&inner, depth))
                    }
                }
        })
    }
}

/// A packet's way through chains.
struct Walk<'n> {
    namespace: &'n Namespace,
    /// The packet, with the mark that it has by now.
    flow: Flow,
    possible: Vec<Decided>,
}

impl Walk<'_> {
    /// Asks a chain; whether the packet may come to its end.
    fn may_pass(&mut self, id: &ChainId, depth: usize) -> bool {
        let rules = self.namespace.firewall.chains.get(id).map_or(&[][..], Vec::as_slice);
        for (at, rule) in rules.iter().enumerate() {
            if !self.flow.meets(self.namespace, &rule.matches) {
                continue;
            }
            let is_sure = !rule.matches.is_chance();
            match &rule.target {
                FirewallTarget::Continue => {}
                FirewallTarget::Mark(bits) => self.flow.mark = bits.applied_to(self.flow.mark),
                FirewallTarget::Return if is_sure => return true,
                FirewallTarget::Return => {}
                FirewallTarget::Jump(chain) => {
                    let inner = ChainId { chain: chain.clone(), ..id.clone() };
                    let before = self.flow.mark;
                    let passes = depth.checked_sub(1).is_none_or(|depth| self.may_pass(&inner, depth));
                    if is_sure && !passes {
                        return false;
                    }
                    if !is_sure {
                        self.flow.mark = before;
                    }
                }
                target @ (FirewallTarget::Accept
                | FirewallTarget::Drop
                | FirewallTarget::Reject(_)
                | FirewallTarget::Masquerade
                | FirewallTarget::MasqueradeRandomly
                | FirewallTarget::Snat(_)
                | FirewallTarget::Dnat(_)
                | FirewallTarget::Redirect(_)) => {
                    let at = RuleAt { chain: ChainAt::Iptables(id.clone()), position: at + 1 };
                    self.possible.push(Decided { by: Some((at, target.clone())), mark: self.flow.mark });
                    if is_sure {
                        return false;
                    }
                }
            }
        }
        true
    }
}
