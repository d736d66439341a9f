//! What one port of a service adds: an element for each of its addresses, and chains of its own.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::super::model::{Node, ServicePort};
use super::names::Names;
use super::{fixed, goto, insert, jump, one_port};
use crate::lab::{
    Condition, Family, NftCondition, NftElement, NftField, NftRule, NftSet, NftSide, NftStatement, NftTable, NftType,
    NftValue, NftVerdict, PortRange,
};

/// A port on a node.
struct Here<'a> {
    port: &'a ServicePort,
    names: Names,
    /// All endpoints, in kube-proxy's order.
    endpoints: Vec<SocketAddr>,
    /// Those on the node.
    local: Vec<SocketAddr>,
    node: &'a Node,
}

/// Adds what a port needs on a node.
pub(super) fn add(node: &Node, port: &ServicePort, table: &mut NftTable) {
    let (endpoints, local) = port.endpoints_on(node);
    let here = Here { port, names: Names::of(port), endpoints, local, node };
    here.cluster_ip(table);
    here.outside(table);
    here.node_port(table);
    here.chains(table);
}

impl Here<'_> {
    fn has_endpoints(&self) -> bool {
        !self.endpoints.is_empty()
    }

    /// Whether packets of a policy come to an endpoint.
    fn has_endpoints_for(&self, local_only: bool) -> bool {
        if local_only { !self.local.is_empty() } else { self.has_endpoints() }
    }

    fn policy_chain(&self, local_only: bool) -> &str {
        if local_only { &self.names.local } else { &self.names.cluster }
    }

    /// The port of an address, as it is looked up.
    fn key(&self, address: IpAddr) -> Vec<NftValue> {
        vec![address_value(address), NftValue::Protocol(self.port.protocol), one_port(self.port.port)]
    }

    /// What becomes of packets for which there is no endpoint: none at all, or none that their policy allows.
    fn without_endpoint(&self) -> NftElement {
        let verdict = if self.has_endpoints() { NftVerdict::Drop } else { fixed::refused() };
        NftElement { verdict: Some(verdict), comment: Some(self.port.full_name()) }
    }

    fn cluster_ip(&self, table: &mut NftTable) {
        let address = self.port.cluster_ip;
        insert(table, "cluster-ips", vec![address_value(address)], NftElement::default());
        if !self.has_endpoints_for(self.port.internal_is_local) {
            insert(table, "no-endpoint-services", self.key(address), self.without_endpoint());
            return;
        }
        let chain = self.policy_chain(self.port.internal_is_local);
        insert(table, "service-ips", self.key(address), fixed::leading(goto(chain)));
        let port = NftCondition::Port(NftSide::Destination, Condition::Is(PortRange::one(self.port.port)));
        let rule = NftRule::always()
            .when(NftCondition::Address(NftSide::Destination, Condition::Is(IpNet::from(address))))
            .when(NftCondition::Protocol(Condition::Is(self.port.protocol)))
            .when(port)
            .when(NftCondition::Address(NftSide::Source, Condition::IsNot(self.node.cluster.trunc())))
            .verdict(jump(fixed::MARK));
        table.chain(chain).rules.push(rule);
    }

    fn outside(&self, table: &mut NftTable) {
        for address in self.port.external_ips.iter().copied().chain(self.port.load_balancer_ip) {
            if self.has_endpoints() {
                let to = fixed::leading(goto(&self.names.external));
                insert(table, "service-ips", self.key(address), to);
            }
            if !self.has_endpoints_for(self.port.external_is_local) {
                insert(table, "no-endpoint-services", self.key(address), self.without_endpoint());
            }
        }
        let Some(address) = self.port.load_balancer_ip.filter(|_| !self.port.source_ranges.is_empty()) else { return };
        insert(table, "firewall-ips", self.key(address), fixed::leading(goto(&self.names.firewall)));
        let ranges = &self.port.source_ranges;
        // A load balancer's address may be one of the node's own, and then is the source of what the node sends there.
        let own = self.node.primary_address();
        let from_node = own.is_some_and(|own| ranges.iter().any(|range| range.contains(&own)));
        let allowed = ranges.iter().map(IpNet::trunc).chain(from_node.then(|| IpNet::from(address)));
        let not_from = |range| NftCondition::Address(NftSide::Source, Condition::IsNot(range));
        let rule = allowed.map(not_from).fold(NftRule::always(), NftRule::when);
        table.chain(&self.names.firewall).rules.push(rule.verdict(NftVerdict::Drop));
    }

    fn node_port(&self, table: &mut NftTable) {
        let Some(port) = self.port.node_port else { return };
        let key = || vec![NftValue::Protocol(self.port.protocol), one_port(port)];
        if self.has_endpoints() {
            insert(table, "service-nodeports", key(), fixed::leading(goto(&self.names.external)));
        }
        if !self.has_endpoints_for(self.port.external_is_local) {
            insert(table, "no-endpoint-nodeports", key(), self.without_endpoint());
        }
    }

    /// The chains of its own. With a local policy, packets from the cluster itself go to all endpoints all the same.
    fn chains(&self, table: &mut NftTable) {
        if !self.has_endpoints() {
            return;
        }
        let port = self.port;
        if port.is_for_outside() {
            self.external(table);
        }
        let uses_all = !port.internal_is_local || port.is_for_outside();
        let uses_local = port.internal_is_local || (port.external_is_local && port.is_for_outside());
        if uses_all {
            self.spread(&self.names.cluster, &self.endpoints, table);
        }
        if uses_local && !self.local.is_empty() {
            self.spread(&self.names.local, &self.local, table);
        }
        let used = if uses_all { &self.endpoints } else { &self.local };
        used.iter().for_each(|endpoint| self.endpoint(endpoint, table));
    }

    fn external(&self, table: &mut NftTable) {
        let rules = &mut table.chain(&self.names.external).rules;
        if self.port.external_is_local {
            let to_all = || goto(&self.names.cluster);
            let of_pods = NftCondition::Address(NftSide::Source, Condition::Is(self.node.cluster.trunc()));
            let from_here = || NftRule::always().when(NftCondition::Local(NftSide::Source));
            rules.push(NftRule::always().when(of_pods).verdict(to_all()).saying("short-circuit pod traffic"));
            rules.push(from_here().verdict(jump(fixed::MARK)).saying("masquerade local traffic"));
            rules.push(from_here().verdict(to_all()).saying("short-circuit local traffic"));
        } else {
            rules.push(NftRule::always().verdict(jump(fixed::MARK)));
        }
        if self.has_endpoints_for(self.port.external_is_local) {
            rules.push(NftRule::always().verdict(goto(self.policy_chain(self.port.external_is_local))));
        }
    }

    fn source(&self) -> NftField {
        NftField::address(self.port.cluster_ip, NftSide::Source)
    }

    /// One of these endpoints by chance, each as likely as any other; or the one where the client was before.
    fn spread(&self, from: &str, endpoints: &[SocketAddr], table: &mut NftTable) {
        let rules = &mut table.chain(from).rules;
        if self.port.affinity.is_some() {
            for endpoint in endpoints {
                let known = Condition::Is(self.names.affinity(endpoint));
                let rule = NftRule::always().when(NftCondition::InSet(vec![self.source()], known));
                rules.push(rule.verdict(goto(self.names.endpoint(endpoint))));
            }
        }
        let all = endpoints.iter().map(|endpoint| goto(self.names.endpoint(endpoint)));
        rules.push(NftRule::always().then(NftStatement::Spread(all.collect())));
    }

    /// What an endpoint sends to itself by way of the service has to come from somebody else, or it would answer itself
    /// directly.
    fn endpoint(&self, endpoint: &SocketAddr, table: &mut NftTable) {
        let own = NftCondition::Address(NftSide::Source, Condition::Is(IpNet::from(endpoint.ip())));
        let mut rules = vec![NftRule::always().when(own).verdict(jump(fixed::MARK))];
        if let Some(seconds) = self.port.affinity {
            let clients = NftSet::set([NftType::Address(Family::of(endpoint.ip()))]).dynamic(seconds);
            table.sets.insert(self.names.affinity(endpoint), clients);
            let update = NftStatement::Update(self.names.affinity(endpoint), vec![self.source()]);
            rules.push(NftRule::always().then(update));
        }
        let protocol = NftCondition::Protocol(Condition::Is(self.port.protocol));
        rules.push(NftRule::always().when(protocol).then(NftStatement::Dnat(*endpoint)));
        table.chain(self.names.endpoint(endpoint)).rules = rules;
    }
}

fn address_value(address: IpAddr) -> NftValue {
    NftValue::Addresses(IpNet::from(address))
}
