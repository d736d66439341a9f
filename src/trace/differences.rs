//! Where the way of a packet through the live lab first differs from the way that the file leads it.

use super::diagnosis::Case;
use crate::forwarding::{Cause, Layer2, Leg, Obstacle, Verdict};
use crate::lab::{Interface, InterfaceRef, Lab, Namespace, SysctlKey};

use super::words;

/// The first namespace that translates the packet otherwise than the file says, and how.
pub(super) fn translation(case: &Case<'_>) -> Option<(Obstacle, String)> {
    let legs = case.wanted.there.legs.iter().zip(&case.round.there.legs);
    let (wanted, live) = legs.take_while(|(wanted, live)| wanted.ns == live.ns).find(|(wanted, live)| {
        destination(wanted) != destination(live) || source(wanted).is_some_and(|own| source(live) != Some(own))
    })?;
    let ns = &live.ns;
    let by = |at: &Option<crate::forwarding::RuleAt>| {
        let own = case.evidence.live.namespaces.get(ns);
        at.as_ref().zip(own).map(|(at, own)| format!(" by {}", words::rule(own, at))).unwrap_or_default()
    };
    let text = if destination(wanted) == destination(live) {
        let (meant, left) = (source(wanted)?, source(live));
        match left.filter(|left| Some(*left) != before(live)) {
            Some(other) => {
                let rule = live.source.as_ref().map(|source| by(&source.by)).unwrap_or_default();
                format!("{ns} has it leave as {other}{rule}, and not as {meant}")
            }
            None => format!("{ns} does not translate its source to {meant}"),
        }
    } else {
        let meant = end(destination(wanted));
        match destination(live) == (live.came.destination, live.came.destination_port) {
            true => format!("{ns} does not lead {} to {meant}", end(destination(live))),
            false => {
                let to = end(destination(live));
                format!("{ns} leads {} to {to}{}, and not to {meant}", end(came(live)), by(&live.destination.by))
            }
        }
    };
    let cause = Cause::Filtered(Verdict::Accepted(None));
    Some((Obstacle { ns: ns.clone(), interface: None, cause }, text))
}

type End = (std::net::IpAddr, Option<u16>);

fn came(leg: &Leg) -> End {
    (leg.came.destination, leg.came.destination_port)
}

fn destination(leg: &Leg) -> End {
    (leg.destination.flow.destination, leg.destination.flow.destination_port)
}

fn source(leg: &Leg) -> Option<std::net::IpAddr> {
    leg.source.as_ref()?.flow.source
}

fn before(leg: &Leg) -> Option<std::net::IpAddr> {
    leg.destination.flow.source
}

fn end((address, port): End) -> String {
    match port {
        Some(port) => std::net::SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    }
}

/// Where nobody answers for a next hop: what is with the interface that answers by the file.
pub(super) fn holder(case: &Case<'_>, obstacle: &Obstacle) -> Option<(Obstacle, String)> {
    let Cause::NobodyHas { address, unplugged: None, .. } = &obstacle.cause else { return None };
    let from = InterfaceRef { ns: obstacle.ns.clone(), name: obstacle.interface.clone()? };
    let layer2 = Layer2::new(&case.evidence.wanted.namespaces);
    let meant = layer2.owner(&from, *address)?;
    let (wanted, live) = (case.evidence.wanted, case.evidence.live);
    let at = |interface: bool| Obstacle {
        ns: meant.ns.clone(),
        interface: interface.then(|| meant.name.clone()),
        cause: Cause::NoNamespace,
    };
    let Some(namespace) = live.namespaces.get(&meant.ns) else {
        return Some((at(false), format!("the namespace {} is gone, which has {address}", meant.ns)));
    };
    let Some(interface) = namespace.interfaces.get(&meant.name) else {
        let moved = live.namespaces.iter().find(|(ns, other)| {
            let own = wanted.namespaces.get(*ns).is_some_and(|own| own.interfaces.contains_key(&meant.name));
            other.interfaces.contains_key(&meant.name) && !own
        });
        let where_to = moved.map(|(ns, _)| format!("; {ns} has an interface of this name")).unwrap_or_default();
        return Some((at(true), format!("{} has no {}{where_to}", meant.ns, meant.name)));
    };
    let what = without_address(case, &meant, namespace, interface, *address)
        .or_else(|| is_silent_for_others(wanted, namespace, &meant))?;
    Some((at(true), what))
}

fn without_address(
    case: &Case<'_>,
    meant: &InterfaceRef,
    namespace: &Namespace,
    interface: &Interface,
    address: std::net::IpAddr,
) -> Option<String> {
    let has = |interface: &Interface| interface.addresses.iter().any(|own| own.ip() == address);
    let should = case.evidence.wanted.namespaces.get(&meant.ns)?.interfaces.get(&meant.name).is_some_and(has);
    if !should {
        return None;
    }
    let off = SysctlKey::ipv6_off(&meant.name);
    if address.is_ipv6() && namespace.sysctls.get(&off).is_some_and(crate::lab::SysctlValue::is_on) {
        return Some(format!("IPv6 is switched off on {meant} ({off} is 1)"));
    }
    (!has(interface)).then(|| format!("{meant} does not have {address}"))
}

fn is_silent_for_others(wanted: &Lab, live: &Namespace, meant: &InterfaceRef) -> Option<String> {
    let answers = wanted.namespaces.get(&meant.ns)?.answers_for_others(&meant.name);
    (answers && !live.answers_for_others(&meant.name)).then(|| {
        let key = format!("net.ipv4.conf.{}.proxy_arp", meant.name.as_str().replace('.', "/"));
        format!("{} does not answer ARP requests for others on {} ({key} is 0)", meant.ns, meant.name)
    })
}

