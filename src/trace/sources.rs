//! Whether the model can be sure of the source that a packet leaves with: of several addresses, the kernel chooses by
//! more than the model knows (RFC 6724 for IPv6; `inet_select_addr` for IPv4 and for masquerading).

use std::net::IpAddr;

use crate::forwarding::{Leg, Outcome, RoundTrip};
use crate::lab::{Address, Family, Interface, Lab, Namespace, is_global};

/// Whether only one source is possible on the way there and on the way back.
pub(super) fn are_sure(lab: &Lab, is_given: bool, round: &RoundTrip) -> bool {
    let all = round.there.legs.iter().chain(round.back.iter().flat_map(|back| &back.legs));
    let is_chosen_well = round.there.legs.first().is_none_or(|first| is_given || is_sure(lab, first));
    is_chosen_well && all.into_iter().all(|leg| is_translation_sure(lab, leg))
}

/// Whether a sender has one address that it can send from.
fn is_sure(lab: &Lab, leg: &Leg) -> bool {
    let (Outcome::Leaves { dev, source, .. }, Some(own)) = (&leg.decision.outcome, lab.namespaces.get(&leg.ns)) else {
        return true;
    };
    match Family::of(leg.came.destination) {
        Family::Ipv4 => own.interfaces.get(dev).is_some_and(|dev| global(dev, Family::Ipv4).next().is_some()),
        // The source of the route, if it has one.
        Family::Ipv6 if has_source(leg) && source.is_some() => true,
        Family::Ipv6 => own.interfaces.values().flat_map(|own| global(own, Family::Ipv6)).count() <= 1,
    }
}

fn has_source(leg: &Leg) -> bool {
    matches!(&leg.decision.outcome, Outcome::Leaves { route, .. } if route.source.is_some())
}

/// Whether what masquerades has one address on the link that it sends through.
fn is_translation_sure(lab: &Lab, leg: &Leg) -> bool {
    let (Outcome::Leaves { dev, .. }, Some(own)) = (&leg.decision.outcome, lab.namespaces.get(&leg.ns)) else {
        return true;
    };
    let addresses = own.interfaces.get(dev).map_or(0, |dev| global(dev, Family::of(leg.came.destination)).count());
    addresses == 1 || !masquerades(own)
}

fn masquerades(own: &Namespace) -> bool {
    own.firewall.chains.values().flatten().any(|rule| rule.target.masquerades())
}

fn global(interface: &Interface, family: Family) -> impl Iterator<Item = IpAddr> {
    let all = interface.addresses.iter().map(Address::ip);
    all.filter(move |address| is_global(*address) && Family::of(*address) == family)
}
