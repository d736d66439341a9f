//! What one port of a service adds: in the shared chains a rule for each of its addresses, and chains of its own.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::fixed;
use super::model::{Node, ServicePort};
use super::names::{Names, chain};
use super::rules::Rules;
use crate::lab::{
    ChainName, Condition, DnatPort, DnatTarget, FirewallRule, FirewallTarget, IpProtocol, Matches, PortRange,
    Probability, Recent, RejectWith, Table,
};

/// More endpoints in a cluster than this, and rules do not say which endpoint they are for ("large cluster mode").
const MANY_ENDPOINTS: usize = 1000;

/// A port on a node.
struct Here<'a> {
    port: &'a ServicePort,
    names: Names,
    full_name: String,
    /// All endpoints, in kube-proxy's order.
    endpoints: Vec<SocketAddr>,
    /// Those on the node.
    local: Vec<SocketAddr>,
    node: &'a Node,
}

/// Adds what a port needs on a node.
pub(super) fn add(node: &Node, port: &ServicePort, rules: &mut Rules) {
    let (endpoints, local) = port.endpoints_on(node);
    let here = Here { port, names: Names::of(port), full_name: port.full_name(), endpoints, local, node };
    here.cluster_ip(rules);
    here.outside(rules);
    here.load_balancer(rules);
    here.node_port(rules);
    here.health_check(rules);
    here.chains(rules);
}

impl Here<'_> {
    fn has_endpoints(&self) -> bool {
        !self.endpoints.is_empty()
    }

    /// Whether packets of a policy come to an endpoint.
    fn has_endpoints_for(&self, local_only: bool) -> bool {
        if local_only { !self.local.is_empty() } else { self.has_endpoints() }
    }

    /// Packets to the port of an address.
    fn to(&self, address: IpAddr, port: u16) -> Matches {
        Matches { destination: Some(Condition::Is(IpNet::from(address))), ..self.to_port(port) }
    }

    fn to_port(&self, port: u16) -> Matches {
        Matches {
            protocol: Some(Condition::Is(self.port.protocol)),
            destination_port: Some(Condition::Is(PortRange::one(port))),
            ..Matches::default()
        }
    }

    fn jump(&self, matches: Matches, to: &ChainName, what: &str) -> FirewallRule {
        let rule = matches.then(FirewallTarget::Jump(to.clone()));
        rule.saying(format!("{}{what}", self.full_name))
    }

    /// What becomes of packets for which there is no endpoint: none at all, or none that their policy allows.
    fn without_endpoint(&self, matches: Matches) -> FirewallRule {
        let name = &self.full_name;
        match self.has_endpoints() {
            false => {
                let family = crate::lab::Family::of(self.port.cluster_ip);
                let target = FirewallTarget::Reject(RejectWith::port_unreachable(family));
                matches.then(target).saying(format!("{name} has no endpoints"))
            }
            true => matches.then(FirewallTarget::Drop).saying(format!("{name} has no local endpoints")),
        }
    }

    fn cluster_ip(&self, rules: &mut Rules) {
        let matches = self.to(self.port.cluster_ip, self.port.port);
        if !self.has_endpoints_for(self.port.internal_is_local) {
            rules.add(Table::Filter, &chain("SERVICES"), self.without_endpoint(matches));
            return;
        }
        let to = self.policy_chain(self.port.internal_is_local);
        rules.add(Table::Nat, &chain("SERVICES"), self.jump(matches.clone(), to, " cluster IP"));
        let matches = Matches { source: Some(Condition::IsNot(self.node.cluster)), ..matches };
        let rule = fixed::mark(matches).saying(format!("{} cluster IP", self.full_name));
        rules.add(Table::Nat, to, rule);
    }

    fn policy_chain(&self, local_only: bool) -> &ChainName {
        if local_only { &self.names.local } else { &self.names.cluster }
    }

    /// An address that leads here from outside, by one of the chains.
    fn at_outside_address(&self, address: IpAddr, to: &ChainName, what: &str, rules: &mut Rules) {
        let matches = self.to(address, self.port.port);
        if self.has_endpoints() {
            rules.add(Table::Nat, &chain("SERVICES"), self.jump(matches.clone(), to, what));
        }
        if !self.has_endpoints_for(self.port.external_is_local) {
            rules.add(Table::Filter, &chain("EXTERNAL-SERVICES"), self.without_endpoint(matches));
        }
    }

    fn outside(&self, rules: &mut Rules) {
        for address in &self.port.external_ips {
            self.at_outside_address(*address, &self.names.external, " external IP", rules);
        }
    }

    /// Whether not everybody may use the load balancer's address.
    fn is_guarded(&self) -> bool {
        self.has_endpoints() && self.port.load_balancer_ip.is_some() && !self.port.source_ranges.is_empty()
    }

    fn load_balancer(&self, rules: &mut Rules) {
        let Some(address) = self.port.load_balancer_ip else { return };
        let to = if self.is_guarded() { &self.names.firewall } else { &self.names.external };
        self.at_outside_address(address, to, " loadbalancer IP", rules);
        if self.is_guarded() {
            let rule = self.to(address, self.port.port).then(FirewallTarget::Drop);
            let comment = format!("{} traffic not accepted by {}", self.full_name, self.names.firewall);
            rules.add(Table::Filter, &chain("PROXY-FIREWALL"), rule.saying(comment));
            self.guard(address, rules);
        }
    }

    /// What reaches the end of the chain is not translated, and so dropped later.
    fn guard(&self, address: IpAddr, rules: &mut Rules) {
        let ranges = &self.port.source_ranges;
        // A load balancer's address may be one of the node's own, and then is the source of what the node sends there.
        let from_node = ranges.iter().any(|range| self.node.addresses.iter().any(|own| range.contains(own)));
        let sources = ranges.iter().copied().chain(from_node.then(|| IpNet::from(address)));
        for source in sources {
            let rule = self.jump(Matches::default().from(source), &self.names.external, " loadbalancer IP");
            rules.add(Table::Nat, &self.names.firewall, rule);
        }
        let comment = format!("other traffic to {} will be dropped by KUBE-PROXY-FIREWALL", self.full_name);
        rules.add(Table::Nat, &self.names.firewall, Matches::default().then(FirewallTarget::Continue).saying(comment));
    }

    fn node_port(&self, rules: &mut Rules) {
        if let Some(port) = self.port.node_port {
            let matches = self.to_port(port);
            if self.has_endpoints() {
                rules.add(Table::Nat, &chain("NODEPORTS"), self.jump(matches.clone(), &self.names.external, ""));
            }
            if !self.has_endpoints_for(self.port.external_is_local) {
                let matches = Matches { destination_is_local: Some(true), ..matches };
                rules.add(Table::Filter, &chain("EXTERNAL-SERVICES"), self.without_endpoint(matches));
            }
        }
    }

    /// Whoever asks for endpoints on the node may do so, whatever else is dropped there.
    fn health_check(&self, rules: &mut Rules) {
        let Some(port) = self.port.health_check_node_port else { return };
        let matches = Matches { protocol: Some(Condition::Is(IpProtocol::Tcp)), ..self.to_port(port) };
        let rule = matches.then(FirewallTarget::Accept).saying(format!("{} health check node port", self.full_name));
        rules.add(Table::Filter, &chain("NODEPORTS"), rule);
    }

    /// The chains of its own. With a local policy, packets from the cluster itself go to all endpoints all the same.
    fn chains(&self, rules: &mut Rules) {
        if !self.has_endpoints() {
            return;
        }
        let port = self.port;
        if port.is_for_outside() {
            self.external(rules);
        }
        let uses_all = !port.internal_is_local || port.is_for_outside();
        let uses_local = port.internal_is_local || (port.external_is_local && port.is_for_outside());
        if uses_all {
            self.spread(&self.names.cluster, &self.endpoints, rules);
        }
        if uses_local && !self.local.is_empty() {
            self.spread(&self.names.local, &self.local, rules);
        }
        let used = if uses_all { &self.endpoints } else { &self.local };
        used.iter().for_each(|endpoint| self.endpoint(*endpoint, rules));
    }

    fn external(&self, rules: &mut Rules) {
        let from_outside = &self.names.external;
        let says = |what: &str| format!("{what} for {} external destinations", self.full_name);
        if self.port.external_is_local {
            let to_all = |matches: Matches| matches.then(FirewallTarget::Jump(self.names.cluster.clone()));
            let from_here = || Matches { source_is_local: Some(true), ..Matches::default() };
            let pods = to_all(Matches::default().from(self.node.cluster)).saying(says("pod traffic"));
            rules.add(Table::Nat, from_outside, pods);
            rules.add(Table::Nat, from_outside, fixed::mark(from_here()).saying(says("masquerade LOCAL traffic")));
            rules.add(Table::Nat, from_outside, to_all(from_here()).saying(says("route LOCAL traffic")));
        } else {
            rules.add(Table::Nat, from_outside, fixed::mark(Matches::default()).saying(says("masquerade traffic")));
        }
        if self.has_endpoints_for(self.port.external_is_local) {
            let to = self.policy_chain(self.port.external_is_local).clone();
            rules.add(Table::Nat, from_outside, Matches::default().then(FirewallTarget::Jump(to)));
        }
    }

    /// One of these endpoints by chance, each as likely as any other; or the one where the client was before.
    fn spread(&self, from: &ChainName, endpoints: &[SocketAddr], rules: &mut Rules) {
        let count = endpoints.len();
        let jump = |endpoint: &SocketAddr, matches: Matches| {
            let rule = matches.then(FirewallTarget::Jump(self.names.endpoint(endpoint)));
            match self.endpoints.len() > MANY_ENDPOINTS {
                true => rule,
                false => rule.saying(format!("{} -> {endpoint}", self.full_name)),
            }
        };
        for endpoint in endpoints {
            if let Some(seconds) = self.port.affinity {
                let list = self.names.endpoint(endpoint);
                let recent = Some(Recent::Within { list, seconds });
                rules.add(Table::Nat, from, jump(endpoint, Matches { recent, ..Matches::default() }));
            }
        }
        for (at, endpoint) in endpoints.iter().enumerate() {
            let left = count - at;
            let probability = if left > 1 { Probability::one_in(left) } else { None };
            rules.add(Table::Nat, from, jump(endpoint, Matches { probability, ..Matches::default() }));
        }
    }

    /// What an endpoint sends to itself by way of the service has to come from somebody else, or it would answer itself
    /// directly.
    fn endpoint(&self, endpoint: SocketAddr, rules: &mut Rules) {
        let own = self.names.endpoint(&endpoint);
        let hairpin = fixed::mark(Matches::default().from(endpoint.ip().into())).saying(&self.full_name);
        rules.add(Table::Nat, &own, hairpin);
        let matches = Matches {
            protocol: Some(Condition::Is(self.port.protocol)),
            recent: self.port.affinity.map(|_| Recent::Set(own.clone())),
            ..Matches::default()
        };
        let to = DnatTarget { address: endpoint.ip(), port: DnatPort::One(endpoint.port()) };
        rules.add(Table::Nat, &own, matches.then(FirewallTarget::Dnat(to)).saying(&self.full_name));
    }
}
