//! The table of nf_tables that enforces policies on a node, for its own pods.
//!
//! Two base chains at `forward`, `egress` and `ingress`: what one of them accepts, the other may still drop, so that a
//! connection needs both. Each looks its pod up in a map, in which only isolated pods are; from there a chain of the
//! pod leads to those of its policies, and drops the rest. Peers and named ports are sets, so that a label which
//! changes changes elements.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::judge::{is_pod, isolating};
use crate::lab::{
    Condition, ConnectionState, Direction, Family, Hook, IpProtocol, NetworkPolicies, NetworkPolicy, NetworkPolicyRule,
    NftChain, NftChainType, NftCondition, NftFamily, NftField, NftKey, NftRule, NftSet, NftSide, NftStatement,
    NftTable, NftTableId, NftType, NftValue, NftVerdict, NsName, POLICY_TABLE, PolicyNode, PolicyPeer, PolicyPort,
    PortMatch, PortProtocol, PortRange, fnv1a,
};

/// The chain for what pods send each other beside their addresses.
const BESIDE: &str = "beside-addresses";

/// Names are at most as long, so that the words around them fit as well (255 bytes, `NFT_NAME_MAXLEN`).
const LONGEST: usize = 200;
/// Comments are at most as long (128 bytes with what `nft` adds).
const LONGEST_COMMENT: usize = 100;

/// Which table it is.
pub fn table_id() -> NftTableId {
    NftTableId::new(NftFamily::Inet, POLICY_TABLE)
}

/// The tables of the nodes on which policies are enforced.
pub fn tables(lab: &NetworkPolicies) -> BTreeMap<NsName, NftTable> {
    let addresses = lab.pods.values().flat_map(|pod| &pod.addresses);
    let families: BTreeSet<Family> = addresses.map(|address| Family::of(*address)).collect();
    let mut maker = Maker { lab, families, peers: BTreeMap::new(), table: NftTable::default() };
    let nodes = lab.nodes.keys().filter(|node| lab.are_enforced_by(node));
    nodes.map(|node| (node.clone(), maker.table_of(node))).collect()
}

struct Maker<'l> {
    lab: &'l NetworkPolicies,
    /// Those of which pods have addresses.
    families: BTreeSet<Family>,
    /// The pods that are peers of a rule: they are the same on every node. Found by the set of the rule.
    peers: BTreeMap<String, Vec<IpAddr>>,
    /// The table of the node at hand.
    table: NftTable,
}

/// The peers of a rule as conditions: each is enough. None: everybody.
type Ways = Vec<Vec<NftCondition>>;

impl<'l> Maker<'l> {
    fn table_of(&mut self, node: &NsName) -> NftTable {
        self.table.comment = Some("the network policies of this node's pods".to_owned());
        for direction in [Direction::Egress, Direction::Ingress] {
            self.base(node, direction);
            self.pods(node, direction);
        }
        std::mem::take(&mut self.table)
    }

    /// The chain of a direction to which all packets come that the node forwards.
    fn base(&mut self, node: &NsName, direction: Direction) {
        let own = own_side(direction);
        let mut chain = NftChain::base(NftChainType::Filter, Hook::Forward, 0);
        let states = [ConnectionState::Established, ConnectionState::Related];
        let known = NftRule::always().when(NftCondition::States(states.into()));
        chain.rules.push(known.verdict(NftVerdict::Accept).saying("of connections that were allowed"));
        self.within_bridges(node, direction, &mut chain);
        for family in self.families.clone() {
            let map = named(&format!("{direction}-pods"), family);
            let fields = vec![NftField::Address(family, own)];
            chain.rules.push(NftRule::always().then(NftStatement::LookUp(fields, map.clone())));
            self.table.sets.insert(map, NftSet::map([NftType::Address(family)]));
        }
        self.table.chains.insert(direction.to_string(), chain);
    }

    /// What pods on one bridge send each other beside the addresses that maps and sets have: who is who cannot be told
    /// by it, so where any of them is isolated, it is dropped. Only neighbours must be found.
    fn within_bridges(&mut self, node: &NsName, direction: Direction, chain: &mut NftChain) {
        let Some(PolicyNode { bridges, .. }) = self.lab.nodes.get(node).filter(|node| !node.bridges.is_empty()) else {
            return;
        };
        // Of ICMPv6, just neighbour and listener discovery are not tracked (`nf_conntrack_icmpv6_error`).
        let discovery = NftRule::always()
            .when(NftCondition::Protocol(Condition::Is(IpProtocol::Icmpv6)))
            .when(NftCondition::States([ConnectionState::Untracked].into()))
            .verdict(NftVerdict::Accept);
        chain.rules.push(discovery.saying("neighbours find each other"));
        let mut pods = self.lab.pods.values().filter(|pod| pod.node == *node);
        if !pods.any(|pod| isolating(self.lab, pod, direction).next().is_some()) {
            return;
        }
        let broadcasts = bridges.values().flatten().copied().collect();
        self.table.chains.entry(BESIDE.to_owned()).or_insert_with(|| beside(&broadcasts));
        for bridge in bridges.keys() {
            let within = NftRule::always()
                .when(NftCondition::Input(Condition::Is(bridge.clone())))
                .when(NftCondition::Output(Condition::Is(bridge.clone())));
            chain.rules.push(within.verdict(NftVerdict::Jump(BESIDE.to_owned())));
        }
    }

    /// The isolated pods of a node with their chains.
    fn pods(&mut self, node: &NsName, direction: Direction) {
        let lab = self.lab;
        let mut made = BTreeSet::new();
        for (name, pod) in lab.pods.iter().filter(|(_, pod)| pod.node == *node) {
            let policies: Vec<&NetworkPolicy> = isolating(lab, pod, direction).collect();
            if policies.is_empty() {
                continue;
            }
            let chain = format!("pod-{}/{direction}", short(name.as_str()));
            let mut rules = Vec::new();
            for policy in policies {
                let target = of_policy(policy, direction);
                if made.insert(target.clone()) {
                    let chain = self.policy(policy, direction);
                    self.table.chains.insert(target.clone(), chain);
                }
                rules.push(NftRule::always().verdict(NftVerdict::Jump(target)));
            }
            // What a pod sends to itself by way of a service passes here, too.
            for address in &pod.addresses {
                let own = NftCondition::Address(other_side(direction), Condition::Is(IpNet::from(*address)));
                let itself = NftRule::always().when(own).verdict(NftVerdict::Accept);
                rules.push(itself.saying("a pod is never cut off from itself"));
            }
            let rest = NftRule::always().verdict(NftVerdict::Drop);
            rules.push(rest.saying(comment(&format!("no policy allows it ({direction} of {name})"))));
            self.table.chains.insert(chain.clone(), NftChain { rules, ..NftChain::default() });
            for address in &pod.addresses {
                let map = named(&format!("{direction}-pods"), Family::of(*address));
                if let Some(map) = self.table.sets.get_mut(&map) {
                    map.insert(key(*address), Some(NftVerdict::Goto(chain.clone())));
                }
            }
        }
    }

    /// The chain of a policy: what its rules allow.
    fn policy(&mut self, policy: &'l NetworkPolicy, direction: Direction) -> NftChain {
        let mut chain = NftChain::default();
        for (number, rule) in policy.rules(direction).unwrap_or_default().iter().enumerate() {
            let ports: Ways = match rule.ports.is_empty() {
                true => vec![Vec::new()],
                false => rule.ports.iter().flat_map(|port| self.port(port)).collect(),
            };
            let why = comment(&format!("{}, rule {} of {direction}", policy.full_name(), number + 1));
            for peer in self.peers(policy, rule, direction, number) {
                for port in &ports {
                    // A family that the two do not share is none of both.
                    if families_of(&peer).zip(families_of(port)).is_some_and(|(peer, port)| peer != port) {
                        continue;
                    }
                    let conditions = peer.iter().chain(port).cloned().collect();
                    let rule = NftRule { conditions, ..NftRule::default() };
                    chain.rules.push(rule.verdict(NftVerdict::Accept).saying(why.clone()));
                }
            }
        }
        chain
    }

    fn peers(&mut self, policy: &NetworkPolicy, rule: &NetworkPolicyRule, direction: Direction, number: usize) -> Ways {
        if rule.peers.is_empty() {
            return vec![Vec::new()];
        }
        let (lab, side) = (self.lab, other_side(direction));
        let mut ways = Vec::new();
        if rule.peers.iter().any(|peer| matches!(peer, PolicyPeer::Pods { .. })) {
            let set = format!("peers-{}/{direction}/{}", policy_name(policy), number + 1);
            let addresses = self.peers.entry(set.clone()).or_insert_with(|| {
                let is_peer = |pod| rule.peers.iter().any(|peer| is_pod(lab, policy, peer, pod));
                lab.pods.values().filter(|pod| is_peer(pod)).flat_map(|pod| &pod.addresses).copied().collect()
            });
            for family in &self.families {
                let name = named(&set, *family);
                let mut set = NftSet::set([NftType::Address(*family)]);
                for address in addresses.iter().filter(|address| Family::of(**address) == *family) {
                    set.insert(key(*address), None);
                }
                self.table.sets.insert(name.clone(), set);
                let fields = vec![NftField::Address(*family, side)];
                ways.push(vec![NftCondition::InSet(fields, Condition::Is(name))]);
            }
        }
        for peer in &rule.peers {
            if let PolicyPeer::Block { net, except } = peer {
                let except = except.iter().map(|net| NftCondition::Address(side, Condition::IsNot(*net)));
                ways.push([NftCondition::Address(side, Condition::Is(*net))].into_iter().chain(except).collect());
            }
        }
        ways
    }

    fn port(&mut self, port: &PolicyPort) -> Ways {
        let protocol = NftCondition::Protocol(Condition::Is(port.protocol.of_ip()));
        match &port.port {
            PortMatch::All => vec![vec![protocol]],
            PortMatch::Numbers(first, last) => {
                let range = PortRange { first: *first, last: *last };
                vec![vec![protocol, NftCondition::Port(NftSide::Destination, Condition::Is(range))]]
            }
            PortMatch::Named(name) => {
                let families = self.families.clone().into_iter();
                families.map(|family| self.named(name, port.protocol, family)).collect()
            }
        }
    }

    /// The ports of a name: at each pod the number that it has there.
    fn named(&mut self, name: &str, protocol: PortProtocol, family: Family) -> Vec<NftCondition> {
        let set = named(&format!("port-{name}/{protocol}"), family);
        let side = NftSide::Destination;
        let fields = vec![NftField::Address(family, side), NftField::Protocol, NftField::Port(side)];
        let lab = self.lab;
        self.table.sets.entry(set.clone()).or_insert_with(|| {
            let types: Vec<NftType> = fields.iter().map(|field| field.of_type()).collect();
            let mut set = NftSet::set(types);
            for pod in lab.pods.values() {
                let own = pod.ports.iter().filter(|own| own.name == *name && own.protocol == protocol);
                for port in own {
                    for address in pod.addresses.iter().filter(|address| Family::of(**address) == family) {
                        let mut key = key(*address);
                        key.push(NftValue::Protocol(protocol.of_ip()));
                        key.push(NftValue::Ports(PortRange::one(port.number)));
                        set.insert(key, None);
                    }
                }
            }
            set
        });
        vec![NftCondition::InSet(fields, Condition::Is(set))]
    }
}

/// Drops what is for all, for a group, or has a link-local address.
fn beside(broadcasts: &BTreeSet<IpAddr>) -> NftChain {
    use NftSide::{Destination, Source};

    let net = |address: [u16; 8], length| IpNet::new_assert(IpAddr::from(address), length);
    let ipv4 = |address: [u8; 4], length| IpNet::new_assert(IpAddr::from(address), length);
    let (link, link_ipv4) = (net([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), ipv4([169, 254, 0, 0], 16));
    let groups = [net([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), ipv4([224, 0, 0, 0], 4), ipv4([255; 4], 32)];
    let groups = groups.into_iter().chain(broadcasts.iter().copied().map(IpNet::from));
    let link = [(Source, link), (Destination, link), (Source, link_ipv4), (Destination, link_ipv4)];
    let all = link.into_iter().chain(groups.map(|net| (Destination, net)));
    let rules = all.map(|(side, net)| {
        let rule = NftRule::always().when(NftCondition::Address(side, Condition::Is(net)));
        rule.verdict(NftVerdict::Drop).saying("not from pod to pod by their addresses")
    });
    NftChain { rules: rules.collect(), ..NftChain::default() }
}

/// The family that conditions ask for, if they do.
fn families_of(conditions: &[NftCondition]) -> Option<Family> {
    conditions.iter().find_map(|condition| match condition {
        NftCondition::Address(_, net) => Some(Family::of(net.value().addr())),
        NftCondition::InSet(fields, _) => fields.iter().find_map(|field| match field {
            NftField::Address(family, _) => Some(*family),
            NftField::Protocol | NftField::Port(_) => None,
        }),
        _ => None,
    })
}

/// Where the pod's address is in packets of a direction.
fn own_side(direction: Direction) -> NftSide {
    match direction {
        Direction::Ingress => NftSide::Destination,
        Direction::Egress => NftSide::Source,
    }
}

/// Where the address of its peer is.
fn other_side(direction: Direction) -> NftSide {
    match direction {
        Direction::Ingress => NftSide::Source,
        Direction::Egress => NftSide::Destination,
    }
}

/// The key of an address.
fn key(address: IpAddr) -> NftKey {
    vec![NftValue::Addresses(IpNet::from(address))]
}

/// The name of a set of a family.
fn named(name: &str, family: Family) -> String {
    match family {
        Family::Ipv4 => name.to_owned(),
        Family::Ipv6 => format!("{name}-v6"),
    }
}

fn of_policy(policy: &NetworkPolicy, direction: Direction) -> String {
    format!("policy-{}/{direction}", policy_name(policy))
}

fn policy_name(policy: &NetworkPolicy) -> String {
    short(&policy.full_name())
}

/// A name that fits; what is cut off counts by its hash.
fn short(name: &str) -> String {
    match name.get(..LONGEST).filter(|_| name.len() > LONGEST) {
        Some(first) => format!("{first}-{:08x}", fnv1a(name)),
        None => name.to_owned(),
    }
}

/// A comment that fits.
fn comment(text: &str) -> String {
    match text.get(..LONGEST_COMMENT).filter(|_| text.len() > LONGEST_COMMENT) {
        Some(first) => format!("{first}…"),
        None => text.to_owned(),
    }
}
