//! Why a cluster sets what it sets for services and network policies: reasons that the plan adds to those of its steps.

use super::planned::PlannedStep;
use ipnet::IpNet;

use crate::lab::{Condition, Lab, Namespace, NftValue, Route};
use crate::steps::{BridgePortStep, BridgeStep, Change, Step, SysctlStep, Update};

/// Adds the reasons to the steps in namespaces that have rules of services or of network policies.
pub(super) fn explain(lab: &Lab, steps: &mut [PlannedStep]) {
    for planned in steps {
        let ns = planned.step.namespace();
        let namespace = lab.namespaces.get(&ns);
        let of_services = namespace.filter(|namespace| namespace.has_services());
        let of_services = of_services.and_then(|namespace| reason(&planned.step, namespace));
        let is_policed = lab.network_policies.are_enforced_by(&ns);
        let reason = of_services.or_else(|| reason_of_policies(&planned.step).filter(|_| is_policed));
        if let Some(reason) = reason {
            planned.why = format!("{}; {reason}", planned.why);
        }
    }
}

/// Whether a bridge has its packets pass iptables from a step on.
fn asks_iptables(step: &BridgeStep) -> bool {
    let (BridgeStep::Add { options, .. } | BridgeStep::Options { change: Change { to: options, .. }, .. }) = step;
    options.nf_call_iptables
}

/// What nodes need that enforce policies.
fn reason_of_policies(step: &Step) -> Option<&'static str> {
    let why = "what pods of the node send each other must pass the rules of network policies";
    match step {
        Step::Bridge(bridge) if asks_iptables(bridge) => Some(why),
        Step::Sysctl(SysctlStep::Set { key, .. }) if key.as_str() == "net.bridge.bridge-nf-call-ip6tables" => Some(why),
        Step::Bridge(_)
        | Step::Sysctl(_)
        | Step::Namespace(_)
        | Step::Mark(_)
        | Step::Interface(_)
        | Step::Veth(_)
        | Step::BridgePort(_)
        | Step::Vlans(_)
        | Step::VirtualInterface(_)
        | Step::Address(_)
        | Step::Route(_)
        | Step::PolicyRule(_)
        | Step::Neighbour(_)
        | Step::FdbEntry(_)
        | Step::Wireguard(_)
        | Step::Foreign(_)
        | Step::Firewall(_)
        | Step::EtcFiles(_)
        | Step::Nft(_)
        | Step::Program(_) => None,
    }
}

fn reason(step: &Step, namespace: &Namespace) -> Option<&'static str> {
    match step {
        Step::Bridge(bridge) => {
            let why = "answers within the bridge must pass the rules of services, too: nf_call_iptables";
            asks_iptables(bridge).then_some(why)
        }
        Step::BridgePort(BridgePortStep::Options { change: Change { from, to }, .. }) => {
            let why = "a pod that reaches itself by a service is behind the port that it comes from";
            (to.hairpin && !from.hairpin).then_some(why)
        }
        Step::Sysctl(SysctlStep::Set { key, .. }) => {
            let of_loopback = "ports of the node lead to pods from its loopback, too";
            let of_bridges = "answers over IPv6 within a bridge must pass the rules of services, too";
            match key.as_str() {
                "net.ipv4.conf.all.route_localnet" => Some(of_loopback),
                "net.bridge.bridge-nf-call-ip6tables" => Some(of_bridges),
                _ => None,
            }
        }
        Step::Route(route) => match &route.change {
            Update::Add(route) => leads_to_services(route, namespace)
                .then_some("what the node sends to services needs a way before the rules change its destination"),
            Update::Remove(_) | Update::Replace(_) => None,
        },
        Step::Namespace(_)
        | Step::Mark(_)
        | Step::Interface(_)
        | Step::Veth(_)
        | Step::BridgePort(_)
        | Step::Vlans(_)
        | Step::VirtualInterface(_)
        | Step::Address(_)
        | Step::PolicyRule(_)
        | Step::Neighbour(_)
        | Step::FdbEntry(_)
        | Step::Wireguard(_)
        | Step::Foreign(_)
        | Step::Firewall(_)
        | Step::Nft(_)
        | Step::EtcFiles(_)
        | Step::Program(_)
        | Step::Sysctl(_) => None,
    }
}

/// Whether a route without a gateway is the only way to the address of a service.
fn leads_to_services(route: &Route, namespace: &Namespace) -> bool {
    let of_services = namespace.firewall.chains.iter().filter(|(id, _)| id.chain.as_str() == "KUBE-SERVICES");
    let mut addresses = of_services.flat_map(|(_, rules)| rules).filter_map(|rule| match &rule.matches.destination {
        Some(Condition::Is(address)) => Some(address),
        Some(Condition::IsNot(_)) | None => None,
    });
    let tables = namespace.nft.iter().filter(|(id, _)| id.is_of_services());
    let active = tables.filter_map(|(_, table)| table.sets.get("cluster-ips")).flat_map(|set| set.elements.keys());
    let mut active = active.flatten().filter_map(|value| match value {
        NftValue::Addresses(address) => Some(address),
        NftValue::Protocol(_) | NftValue::Ports(_) => None,
    });
    let mut leads = |address: &IpNet| route.to.contains(address);
    route.via.is_none() && (addresses.any(&mut leads) || active.any(leads))
}
