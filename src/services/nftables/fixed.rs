//! What is the same on every node: where packets come to the table's chains, its maps, and masquerading by a mark.

use ipnet::IpNet;

use super::super::model::Node;
use super::{goto, jump};
use crate::lab::{
    Condition, ConnectionState, Family, Hook, MarkBits, NftChain, NftChainType, NftCondition, NftElement, NftField,
    NftRule, NftSet, NftSide, NftStatement, NftTable, NftType, NftValue, NftVerdict,
};

/// The bit that says "masquerade this" (`--iptables-masquerade-bit`, 14 by default).
const MASQUERADE: MarkBits = MarkBits { value: 0x4000, mask: 0x4000 };
/// The chain that sets it.
pub(super) const MARK: &str = "mark-for-masquerade";

/// The chains, sets and maps of every node.
pub(super) fn begin(node: &Node, family: Family, table: &mut NftTable) {
    sets(node, family, table);
    base_chains(table);
    jumps(table);
    masquerading(table);
    dispatch(family, table);
    checks(node, family, table);
}

/// `goto reject-chain`: what becomes of packets for which there is no endpoint anywhere.
pub(super) fn refused() -> NftVerdict {
    goto("reject-chain")
}

fn sets(node: &Node, family: Family, table: &mut NftTable) {
    let (address, protocol, port) = (NftType::Address(family), NftType::Protocol, NftType::Port);
    let mut add = |name: &str, set: NftSet, comment: &str| table.sets.insert(name.to_owned(), set.saying(comment));
    add("cluster-ips", NftSet::set([address]), "Active ClusterIPs");
    let mut of_node = NftSet::set([address]);
    if let Some(own) = node.primary_address() {
        of_node.insert([NftValue::Addresses(IpNet::from(own))], None);
    }
    add("nodeport-ips", of_node, "IPs that accept NodePort traffic");
    let of_services = || NftSet::map([address, protocol, port]);
    let of_nodes = || NftSet::map([protocol, port]);
    add("firewall-ips", of_services(), "destinations that are subject to LoadBalancerSourceRanges");
    let comment = "vmap to drop or reject packets to service nodeports with no endpoints";
    add("no-endpoint-nodeports", of_nodes(), comment);
    let comment = "vmap to drop or reject packets to services with no endpoints";
    add("no-endpoint-services", of_services(), comment);
    add("service-ips", of_services(), "ClusterIP, ExternalIP and LoadBalancer IP traffic");
    add("service-nodeports", of_nodes(), "NodePort traffic");
}

/// Before addresses are translated (`dstnat`, -100), as they are, and after.
fn base_chains(table: &mut NftTable) {
    use NftChainType::{Filter, Nat};

    for (name, kind, hook, priority) in [
        ("filter-prerouting-pre-dnat", Filter, Hook::Prerouting, -110),
        ("filter-output-pre-dnat", Filter, Hook::Output, -110),
        ("filter-forward", Filter, Hook::Forward, 0),
        ("filter-input", Filter, Hook::Input, 0),
        ("filter-output", Filter, Hook::Output, 0),
        ("nat-output", Nat, Hook::Output, -100),
        ("nat-postrouting", Nat, Hook::Postrouting, 100),
        ("nat-prerouting", Nat, Hook::Prerouting, -100),
    ] {
        table.chains.insert(name.to_owned(), NftChain::base(kind, hook, priority));
    }
}

fn jumps(table: &mut NftTable) {
    for (from, to) in [
        ("filter-input", "nodeport-endpoints-check"),
        ("filter-input", "service-endpoints-check"),
        ("filter-forward", "service-endpoints-check"),
        ("filter-forward", "cluster-ips-check"),
        ("filter-output", "service-endpoints-check"),
        ("filter-output", "cluster-ips-check"),
        ("filter-prerouting-pre-dnat", "firewall-check"),
        ("filter-output-pre-dnat", "firewall-check"),
    ] {
        let new = NftCondition::States([ConnectionState::New].into());
        table.chain(from).rules.push(NftRule::always().when(new).verdict(jump(to)));
    }
    for (from, to) in [("nat-output", "services"), ("nat-prerouting", "services"), ("nat-postrouting", "masquerading")]
    {
        table.chain(from).rules.push(NftRule::always().verdict(jump(to)));
    }
}

/// The mark is taken off, so that a packet which comes by again, in a tunnel say, is not masqueraded again.
fn masquerading(table: &mut NftTable) {
    let unmarked = NftCondition::Mark(Condition::Is(MarkBits { value: 0, ..MASQUERADE }));
    let set = |bits| NftRule::always().then(NftStatement::SetMark(bits));
    table.chain(MARK).rules.push(set(MASQUERADE));
    table.chain("masquerading").rules.extend([
        NftRule::always().when(unmarked).verdict(NftVerdict::Return),
        set(MarkBits { mask: 0, ..MASQUERADE }),
        NftRule::always().then(NftStatement::Masquerade { fully_random: true }),
    ]);
}

/// A packet's address, protocol and port are looked up; then, at the node's own address, protocol and port.
fn dispatch(family: Family, table: &mut NftTable) {
    let whole = |map: &str| NftRule::always().then(NftStatement::LookUp(service_key(family), map.to_owned()));
    let at_node = |map: &str| {
        let own = NftCondition::InSet(vec![destination(family)], Condition::Is("nodeport-ips".to_owned()));
        let key = vec![NftField::Protocol, NftField::Port(NftSide::Destination)];
        NftRule::always().when(own).then(NftStatement::LookUp(key, map.to_owned()))
    };
    table.chain("services").rules.extend([whole("service-ips"), at_node("service-nodeports")]);
    table.chain("service-endpoints-check").rules.push(whole("no-endpoint-services"));
    table.chain("nodeport-endpoints-check").rules.push(at_node("no-endpoint-nodeports"));
    table.chain("firewall-check").rules.push(whole("firewall-ips"));
}

/// What is left of packets to the network of services: another port of a service, or no service's address.
fn checks(node: &Node, family: Family, table: &mut NftTable) {
    let reject = table.chain("reject-chain");
    reject.comment = Some("helper for @no-endpoint-services / @no-endpoint-nodeports".to_owned());
    reject.rules.push(NftRule::always().then(NftStatement::Reject));
    let active = NftCondition::InSet(vec![destination(family)], Condition::Is("cluster-ips".to_owned()));
    let rule = NftRule::always().when(active).then(NftStatement::Reject);
    let rules = &mut table.chain("cluster-ips-check").rules;
    rules.push(rule.saying("Reject traffic to invalid ports of ClusterIPs"));
    if let Some(network) = node.services.filter(|network| Family::of(network.addr()) == family) {
        let inside = NftCondition::Address(NftSide::Destination, Condition::Is(network.trunc()));
        let rule = NftRule::always().when(inside).verdict(NftVerdict::Drop);
        rules.push(rule.saying("Drop traffic to unallocated ClusterIPs"));
    }
}

fn destination(family: Family) -> NftField {
    NftField::Address(family, NftSide::Destination)
}

fn service_key(family: Family) -> Vec<NftField> {
    vec![destination(family), NftField::Protocol, NftField::Port(NftSide::Destination)]
}

/// An element that leads somewhere.
pub(super) fn leading(verdict: NftVerdict) -> NftElement {
    NftElement { verdict: Some(verdict), comment: None }
}
