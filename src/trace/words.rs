//! What keeps a packet from going on, in one sentence.

use std::net::{IpAddr, SocketAddr};

use indexmap::IndexMap;

use crate::forwarding::{Cause, ChainAt, Leg, Obstacle, Outcome, PeerCause, RuleAt, Verdict};
use crate::iptables;
use crate::lab::{
    Family, IfName, InterfaceRef, Namespace, NsName, ObservedRule, Owners, PortForwarding, Route, RouteKind, SysctlKey,
};

/// A namespace, and the interface there.
pub fn place(ns: &NsName, interface: Option<&IfName>) -> String {
    match interface {
        Some(interface) => format!("{ns}/{interface}"),
        None => ns.to_string(),
    }
}

/// An address, with its port if there is one.
pub fn end(address: IpAddr, port: Option<u16>) -> String {
    port.map_or_else(|| address.to_string(), |port| SocketAddr::new(address, port).to_string())
}

/// Why a packet goes no further; of the answer, where it is on its way `back`. The leg is the last one of its way.
pub fn cause(
    namespaces: &IndexMap<NsName, Namespace>,
    owners: &Owners,
    obstacle: &Obstacle,
    (leg, is_back): (Option<&Leg>, bool),
) -> String {
    let at = place(&obstacle.ns, obstacle.interface.as_ref());
    let ns = &obstacle.ns;
    match &obstacle.cause {
        Cause::NoNamespace => format!("there is no namespace {ns}"),
        Cause::NoRoute { to } => {
            let back = if is_back { "back " } else { "" };
            format!("{ns} has no route {back}to {}", owners.shown(*to))
        }
        Cause::RouteDrops(route) => format!("{ns} {}: its route is `{route}`", drops(route)),
        Cause::RuleDrops(Some(rule)) => format!("{ns} drops it by the policy rule `{rule}`"),
        Cause::RuleDrops(None) => format!("{ns} drops it by a policy rule"),
        Cause::NotForwarding(family) => format!("{ns} does not forward {family} ({} is 0)", forwarding_key(*family)),
        Cause::Filtered(verdict) => filtered(namespaces.get(ns), ns, verdict),
        Cause::ReversePath { source, out } => {
            let why = match out {
                Some(out) => format!("its own route to {} leaves through {out}", owners.shown(*source)),
                None => format!("it has no route to {}", owners.shown(*source)),
            };
            format!("{at} drops it by rp_filter: {why}")
        }
        Cause::TooBig { bytes, mtu, is_told } => too_big(&at, *bytes, *mtu, *is_told),
        Cause::Down
        | Cause::PortClosed(_)
        | Cause::Isolated { .. }
        | Cause::OtherVlan(_)
        | Cause::OtherVlanInterface { .. }
        | Cause::MacvlanMode { .. }
        | Cause::NoArp
        | Cause::NeighbourEntry { .. }
        | Cause::OtherVxlan { .. }
        | Cause::NoFdbEntry { .. }
        | Cause::NobodyHas { .. } => on_the_link(owners, &at, &obstacle.cause, leg),
        Cause::BeyondLab { address } => {
            format!("it left this machine by {at}, for {address}; what becomes of it there is not known here")
        }
        Cause::Peer(cause) => of_peer(owners, &at, cause),
        Cause::Loop => "it goes round in circles".to_owned(),
        Cause::NoTunnelEnd { remote, end } => {
            let far = &end.ns;
            format!(
                "{at} sends it to {remote}, and {far}, where the other end of the tunnel is, does not have this address"
            )
        }
        Cause::NoTunnelSource { local } => {
            format!("{at} sends its packets from {local}, and {ns} does not have this address")
        }
        Cause::AnswerElsewhere(address) => {
            format!("{ns} takes the answer for its own: it has the address {}, too", owners.shown(*address))
        }
        Cause::OtherSource { source, bridge } => other_source(owners, ns, *source, bridge.as_ref()),
    }
}

/// That a packet is larger than what goes through an interface: `is_told`, where its sender hears of that.
fn too_big(at: &str, bytes: u16, mtu: u32, is_told: bool) -> String {
    match is_told {
        true => {
            format!(
                "{at} sends packets of up to {mtu} bytes, and this one has {bytes} and must not be cut into fragments"
            )
        }
        false => format!("{at} takes packets of up to {mtu} bytes, and drops this one of {bytes} without a word"),
    }
}

/// That an answer does not come from where the question went.
fn other_source(owners: &Owners, ns: &NsName, source: IpAddr, bridge: Option<&InterfaceRef>) -> String {
    let past = bridge.map(|bridge| {
        format!("; {bridge} passes it on without asking the iptables of {} (nf_call_iptables)", bridge.ns)
    });
    format!(
        "the answer comes to {ns} from {}, to which it has not written: the answer did not come back through what \
         translated the addresses{}",
        owners.shown(source),
        past.unwrap_or_default()
    )
}

/// The same of what stops a frame on a link.
fn on_the_link(owners: &Owners, at: &str, cause: &Cause, leg: Option<&Leg>) -> String {
    match cause {
        Cause::Down => format!("{at} is down"),
        Cause::PortClosed(state) => {
            format!("{at} is a port in the state {}, and passes nothing on", state_word(*state))
        }
        Cause::Isolated { from } => {
            format!("{at} and {from} are isolated ports of one bridge, and get nothing from each other")
        }
        Cause::OtherVlan(Some(vlan)) => format!("{at} is not in the VLAN {vlan}"),
        Cause::OtherVlan(None) => format!("{at} has no VLAN for frames without a tag"),
        Cause::OtherVlanInterface { id, tag } => {
            let own = tag.map_or("without a tag".to_owned(), |tag| format!("of the VLAN {tag}"));
            format!("{at} takes frames of the VLAN {id}, and this one is {own}")
        }
        Cause::MacvlanMode { mode, other } => {
            format!("{at} is a macvlan in the mode {}: it gets nothing from {other}, on the same parent", mode.name())
        }
        Cause::NoArp => format!("{at} takes no part in ARP (NOARP): it neither asks nor answers"),
        Cause::NeighbourEntry { address, mac } => format!(
            "{at} sends what is for {} to {mac}, by a permanent neighbour entry, and nobody there has that MAC address",
            owners.shown(*address)
        ),
        Cause::OtherVxlan { own, other, others } => {
            format!("{at} is in the VXLAN {own}, and {other} in the VXLAN {others}")
        }
        Cause::NoFdbEntry { mac, to } => no_entry(at, mac.map(|mac| mac.to_string()), &to.to_string()),
        Cause::NobodyHas { address, proxy: Some(proxy), .. } => {
            format!("{at} looks for {address} on its own link; {proxy} has a way there, but answers for itself alone")
        }
        Cause::NobodyHas { address, elsewhere, unplugged, proxy: None } => {
            nobody(at, *address, elsewhere, unplugged.as_ref(), leg)
        }
        Cause::NoNamespace
        | Cause::NoRoute { .. }
        | Cause::RouteDrops(_)
        | Cause::RuleDrops(_)
        | Cause::NotForwarding(_)
        | Cause::Filtered(_)
        | Cause::ReversePath { .. }
        | Cause::TooBig { .. }
        | Cause::BeyondLab { .. }
        | Cause::Loop
        | Cause::NoTunnelEnd { .. }
        | Cause::Peer(_)
        | Cause::NoTunnelSource { .. }
        | Cause::AnswerElsewhere(_)
        | Cause::OtherSource { .. } => String::new(),
    }
}

/// The same of what WireGuard does not send, or not take.
fn of_peer(owners: &Owners, at: &str, cause: &PeerCause) -> String {
    match cause {
        PeerCause::NoneFor { address } => {
            format!("{at} drops it: no peer of it has {} among its allowed-ips", owners.shown(*address))
        }
        PeerCause::IsNobody { address } => format!(
            "{at} sends what is for {} to a peer with a key that nothing in the lab has",
            owners.shown(*address)
        ),
        PeerCause::NotKnown { from } => format!("{at} takes nothing from {from}, which is none of its peers"),
        PeerCause::NoEndpoint { peer } => {
            format!("{at} has no endpoint for its peer {peer}, which has none for it either: neither can begin")
        }
        PeerCause::SourceNotAllowed { source, from } => format!(
            "{at} drops it: the source {} is not among the allowed-ips of its peer {from}",
            owners.shown(*source)
        ),
    }
}

fn no_entry(at: &str, mac: Option<String>, to: &str) -> String {
    let of = mac.map(|mac| format!(" for {mac}")).unwrap_or_default();
    format!("{at} has no forwarding entry (bridge fdb){of} that leads to {to}")
}

fn nobody(
    at: &str,
    address: IpAddr,
    elsewhere: &[crate::lab::InterfaceRef],
    unplugged: Option<&(crate::lab::InterfaceRef, IfName)>,
    leg: Option<&Leg>,
) -> String {
    if let Some((interface, bridge)) = unplugged {
        return format!("{interface} is not a port of {bridge}, so {at} does not get to {address}");
    }
    let who = match elsewhere.first() {
        Some(other) => format!("; {other} has it, on another link"),
        None => String::new(),
    };
    match gateway(leg, address) {
        Some((ns, route)) => {
            format!("{ns}'s gateway {address} is not there: nobody on the link of {at} has this address{who} ({route})")
        }
        None => format!("{at} looks for {address} on its own link, and nobody there has it{who}"),
    }
}

/// The route that leads to a gateway, and the policy rule of a person that led to that.
fn gateway(leg: Option<&Leg>, address: IpAddr) -> Option<(&NsName, String)> {
    const KERNELS: [u32; 3] = [0, 32766, 32767];
    let leg = leg?;
    let Outcome::Leaves { route, .. } = &leg.decision.outcome else { return None };
    if !route.hops().any(|(via, _)| via == Some(address)) {
        return None;
    }
    let rule = leg.decision.rule.as_ref().filter(|rule| !KERNELS.contains(&rule.priority));
    let by = rule.map(|rule| format!(", by the policy rule `{rule}`")).unwrap_or_default();
    Some((&leg.ns, format!("route `{route}`{by}")))
}

fn drops(route: &Route) -> &'static str {
    match route.kind {
        RouteKind::Blackhole => "drops it",
        RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Unicast | RouteKind::Local | RouteKind::Throw => {
            "refuses it"
        }
    }
}

fn filtered(namespace: Option<&Namespace>, ns: &NsName, verdict: &Verdict) -> String {
    let (does, at) = match verdict {
        Verdict::Accepted(_) => return format!("{ns} accepts it"),
        Verdict::Dropped(at) => ("drops it", at),
        Verdict::Rejected(at, _) => ("rejects it", at),
    };
    format!("{ns} {does}: {}", namespace.map_or_else(|| at.chain.to_string(), |own| rule(own, at)))
}

/// A rule in the words of the program that shows it.
pub(super) fn rule(namespace: &Namespace, at: &RuleAt) -> String {
    let index = at.position.checked_sub(1);
    match &at.chain {
        ChainAt::Iptables(id) => {
            let found = namespace.firewall.chains.get(id).and_then(|rules| rules.get(index?));
            let text = found.map(|rule| iptables::shell_line(&ObservedRule::Known(rule.clone())));
            format!("`-A {} {}`", id.chain, text.unwrap_or_else(|| format!("(rule {})", at.position)))
        }
        ChainAt::Nft(table, chain) => {
            let found = namespace.nft.get(table).and_then(|table| table.chains.get(chain));
            match (found, index) {
                (Some(found), Some(index)) => match found.rules.get(index) {
                    Some(rule) => format!("`{rule}` in the chain {chain} of table {table}"),
                    None => format!("rule {} of the chain {chain} of table {table}", at.position),
                },
                (_, _) => format!("the end of the chain {chain} of table {table}"),
            }
        }
    }
}

/// The setting that lets a namespace pass packets on.
pub(super) fn forwarding_key(family: Family) -> SysctlKey {
    match family {
        Family::Ipv4 => SysctlKey::ipv4_forwarding(),
        Family::Ipv6 => SysctlKey::ipv6_forwarding(),
    }
}

fn state_word(state: PortForwarding) -> &'static str {
    match state {
        PortForwarding::Disabled => "disabled",
        PortForwarding::Listening => "listening",
        PortForwarding::Learning => "learning",
        PortForwarding::Forwarding => "forwarding",
        PortForwarding::Blocking => "blocking",
    }
}
