//! Why a cluster sets what it sets for services and network policies: reasons that the plan adds to those of its steps.

use super::planned::PlannedStep;
use crate::lab::{Condition, Lab, Namespace, Route};
use crate::steps::{BridgePortStep, BridgeStep, Change, Step, SysctlStep, Update};

/// Adds the reasons to the steps in namespaces that have rules of services or of network policies.
pub(super) fn explain(lab: &Lab, steps: &mut [PlannedStep]) {
    for planned in steps {
        let ns = planned.step.namespace();
        let namespace = lab.namespaces.get(&ns);
        let of_services = namespace.filter(|namespace| has_services(namespace));
        let of_services = of_services.and_then(|namespace| reason(&planned.step, namespace));
        let is_policed =
            namespace.is_some_and(|own| !own.nft.is_empty()) && lab.network_policies.nodes.contains_key(&ns);
        let reason = of_services.or_else(|| reason_of_policies(&planned.step).filter(|_| is_policed));
        if let Some(reason) = reason {
            planned.why = format!("{}; {reason}", planned.why);
        }
    }
}

fn has_services(namespace: &Namespace) -> bool {
    namespace.firewall.chains.keys().any(|id| id.chain.is_of_services())
}

/// What nodes need that enforce policies.
fn reason_of_policies(step: &Step) -> Option<&'static str> {
    let why = "what pods of the node send each other must pass the rules of network policies";
    match step {
        Step::Bridge(
            BridgeStep::Add { options, .. } | BridgeStep::Options { change: Change { to: options, .. }, .. },
        ) if options.nf_call_iptables => Some(why),
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
        | Step::Foreign(_)
        | Step::Firewall(_)
        | Step::Nft(_) => None,
    }
}

fn reason(step: &Step, namespace: &Namespace) -> Option<&'static str> {
    match step {
        Step::Bridge(
            BridgeStep::Add { options, .. } | BridgeStep::Options { change: Change { to: options, .. }, .. },
        ) => {
            let why = "answers within the bridge must pass the rules of services, too: nf_call_iptables";
            options.nf_call_iptables.then_some(why)
        }
        Step::BridgePort(BridgePortStep::Options { change: Change { from, to }, .. }) => {
            let why = "a pod that reaches itself by a service is behind the port that it comes from";
            (to.hairpin && !from.hairpin).then_some(why)
        }
        Step::Sysctl(SysctlStep::Set { key, .. }) => {
            let why = "ports of the node lead to pods from its loopback, too";
            (key.as_str() == "net.ipv4.conf.all.route_localnet").then_some(why)
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
        | Step::Foreign(_)
        | Step::Firewall(_)
        | Step::Nft(_)
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
    route.via.is_none() && addresses.any(|address| route.to.contains(address))
}
