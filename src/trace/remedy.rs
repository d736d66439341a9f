//! What to do about what keeps a packet from going on: the steps that make the lab what its file says, or else what to
//! change in the file.

use super::words;
use crate::forwarding::{Cause, ChainAt, Obstacle, PeerCause, RuleAt, Verdict};
use crate::lab::{Family, IfName, Lab, POLICY_TABLE};
use crate::plan::PlannedStep;
use crate::steps::Step;

/// No more commands than this are shown: what takes more is a lab that wants to be applied.
const MOST: usize = 3;

/// Where remedies come from.
#[derive(Debug, Clone, Copy)]
pub struct Remedies<'a> {
    /// What a live lab is away from its file; empty where it is as the file says, or nothing is live.
    pub steps: &'a [PlannedStep],
    /// What `nslab apply` is to be called with.
    pub file: &'a str,
    /// The lab as it is followed: that which is live, or that of the file.
    pub lab: &'a Lab,
}

/// What to do about an obstacle.
pub(super) fn for_obstacle(obstacle: &Obstacle, remedies: &Remedies<'_>) -> Vec<String> {
    let steps = by_steps(obstacle, remedies);
    if !steps.is_empty() {
        return steps;
    }
    by_removal(obstacle, remedies.lab).or_else(|| in_the_file(obstacle, remedies.lab)).into_iter().collect()
}

/// The command that removes a rule of the host that is no lab's.
fn by_removal(obstacle: &Obstacle, lab: &Lab) -> Option<String> {
    let Cause::Filtered(Verdict::Dropped(at) | Verdict::Rejected(at, _)) = &obstacle.cause else { return None };
    let ChainAt::Iptables(id) = &at.chain else { return None };
    let namespace = lab.namespaces.get(&obstacle.ns).filter(|_| obstacle.ns.is_host() && id.owner().is_none())?;
    let rule = words::rule(namespace, at);
    Some(format!(
        "it is no rule of a lab; to remove it: {}",
        rule.replacen("-A", &format!("{} -w -t {} -D", id.family.program(), id.table.name()), 1).trim_matches('`')
    ))
}

/// The commands of the steps that have to do with an obstacle; none where the lab is as its file says there.
pub(super) fn by_steps(obstacle: &Obstacle, remedies: &Remedies<'_>) -> Vec<String> {
    let steps = concerning(obstacle, remedies.steps);
    if steps.is_empty() {
        return Vec::new();
    }
    let apply = format!("`nslab apply {}` repairs this", remedies.file);
    let is_made = |planned: &&PlannedStep| {
        matches!(planned.step, Step::Namespace(_) | Step::Veth(_) | Step::VirtualInterface(_) | Step::Bridge(_))
    };
    match steps.len() {
        // What has to be made anew takes along more than is told here.
        0..=MOST if !steps.iter().any(is_made) => {
            let commands = steps.iter().map(|planned| planned.step.command());
            [apply + "; by hand:"].into_iter().chain(commands).collect()
        }
        _ => vec![format!("{apply}; `nslab plan {}` shows the commands", remedies.file)],
    }
}

/// The steps of a plan that have to do with an obstacle.
fn concerning<'a>(obstacle: &Obstacle, steps: &'a [PlannedStep]) -> Vec<&'a PlannedStep> {
    let elsewhere = match &obstacle.cause {
        Cause::OtherVxlan { other, .. } => Some(&other.ns),
        Cause::NoTunnelEnd { end, .. } => Some(&end.ns),
        Cause::Peer(PeerCause::NotKnown { from } | PeerCause::SourceNotAllowed { from, .. }) => Some(&from.ns),
        Cause::Peer(PeerCause::NoEndpoint { peer }) => Some(&peer.ns),
        Cause::OtherSource { bridge: Some(bridge), .. } => Some(&bridge.ns),
        Cause::NobodyHas { unplugged: Some((interface, _)), .. } => Some(&interface.ns),
        _ => None,
    };
    let is_here = |planned: &&PlannedStep| {
        let at = planned.step.namespace();
        let names_it = || planned.step.command().split(' ').any(|word| word == obstacle.ns.as_str());
        at == obstacle.ns || elsewhere == Some(&at) || names_it()
    };
    let here = steps.iter().filter(is_here).filter(|planned| fits(&obstacle.cause, &planned.step));
    let here: Vec<&PlannedStep> = here.collect();
    // Of many, those that name the interface.
    let names_it = |planned: &&PlannedStep| {
        let name = obstacle.interface.as_ref().map(IfName::as_str);
        planned.step.command().split([' ', '/']).any(|word| Some(word) == name)
    };
    let exact: Vec<&PlannedStep> = here.iter().copied().filter(names_it).collect();
    if here.len() <= MOST || exact.is_empty() { here } else { exact }
}

/// Whether a step of this kind may set right what keeps a packet.
fn fits(cause: &Cause, step: &Step) -> bool {
    match cause {
        Cause::NoRoute { .. } | Cause::RouteDrops(_) | Cause::RuleDrops(_) => {
            !matches!(step, Step::Firewall(_) | Step::Nft(_) | Step::Sysctl(_) | Step::Program(_) | Step::EtcFiles(_))
        }
        Cause::NotForwarding(_) => matches!(step, Step::Sysctl(_) | Step::Foreign(_)),
        Cause::ReversePath { .. } => {
            matches!(step, Step::Sysctl(_) | Step::Foreign(_) | Step::Route(_) | Step::PolicyRule(_))
        }
        Cause::Filtered(_) => matches!(step, Step::Firewall(_) | Step::Nft(_) | Step::Foreign(_)),
        Cause::NoNamespace
        | Cause::TooBig { .. }
        | Cause::Down
        | Cause::PortClosed(_)
        | Cause::Isolated { .. }
        | Cause::OtherVlan(_)
        | Cause::OtherVlanInterface { .. }
        | Cause::MacvlanMode { .. }
        | Cause::NoArp
        | Cause::NeighbourEntry { .. }
        | Cause::OtherVxlan { .. }
        | Cause::NoFdbEntry { .. }
        | Cause::NobodyHas { .. }
        | Cause::BeyondLab { .. }
        | Cause::Loop
        | Cause::NoTunnelEnd { .. }
        | Cause::Peer(_)
        | Cause::NoTunnelSource { .. }
        | Cause::AnswerElsewhere(_)
        | Cause::OtherSource { .. } => !matches!(step, Step::Program(_) | Step::EtcFiles(_)),
    }
}

fn is_of_policies(at: &RuleAt) -> bool {
    matches!(&at.chain, ChainAt::Nft(table, _) if table.name == POLICY_TABLE)
}

fn is_of_services(at: &RuleAt) -> bool {
    match &at.chain {
        ChainAt::Iptables(id) => id.chain.is_of_services(),
        ChainAt::Nft(table, _) => table.is_of_services(),
    }
}

/// What to change in the file for WireGuard to send a packet, or take it.
fn about_peer(cause: &PeerCause, at: &str) -> Option<String> {
    Some(match cause {
        PeerCause::NoneFor { address } => format!("write {address} under `allowed_ips` of a peer of {at}"),
        PeerCause::IsNobody { .. } => return None,
        PeerCause::NotKnown { from } => format!("write {from} under `peers:` of {at}"),
        PeerCause::NoEndpoint { peer } => format!("write the `endpoint` of {peer} under `peers:` of {at}"),
        PeerCause::SourceNotAllowed { source, from } => {
            format!("write {source} under `allowed_ips` of the peer {from} of {at}")
        }
    })
}

/// What to change in the file.
fn in_the_file(obstacle: &Obstacle, lab: &Lab) -> Option<String> {
    let ns = &obstacle.ns;
    let at = obstacle.interface.as_ref().map_or_else(|| ns.to_string(), |interface| format!("{ns}/{interface}"));
    Some(match &obstacle.cause {
        Cause::NoNamespace | Cause::Loop | Cause::RuleDrops(None) | Cause::OtherSource { bridge: None, .. } => {
            return None;
        }
        Cause::OtherSource { bridge: Some(bridge), .. } => {
            format!("write `nf_call_iptables: true` at {} of {}", bridge.name, bridge.ns)
        }
        Cause::NoTunnelSource { local } => format!("give {ns} the address {local}"),
        Cause::NoTunnelEnd { remote, end } => format!("give {} the address {remote}", end.ns),
        Cause::Peer(cause) => return about_peer(cause, &at),
        Cause::AnswerElsewhere(address) => format!("remove the address {address} from {ns}"),
        Cause::NoRoute { to } => format!("give {ns} a route that leads to {to}, under `routes:`"),
        Cause::RouteDrops(route) => format!("remove the route `{route}` from {ns}"),
        Cause::RuleDrops(Some(rule)) => format!("remove the policy rule `{rule}` from {ns}"),
        Cause::NotForwarding(Family::Ipv4 | Family::Ipv6) => format!("write `forwarding: true` at {ns}"),
        Cause::Filtered(Verdict::Accepted(_)) => return None,
        Cause::Filtered(Verdict::Dropped(at) | Verdict::Rejected(at, _)) if is_of_policies(at) => {
            format!("allow it in a network policy; `nslab policy {} FROM TO PORT` says which isolate", lab.name)
        }
        Cause::Filtered(Verdict::Dropped(at) | Verdict::Rejected(at, _)) if is_of_services(at) => {
            "no pod of the service is ready: see its `selector`, and `ready` of its pods".to_owned()
        }
        Cause::Filtered(_) => format!("remove that rule from {ns}, or put one that accepts before it"),
        Cause::ReversePath { .. } => {
            format!("give {ns} a route to the source through that interface, or set `rp_filter` to 0 or 2")
        }
        Cause::TooBig { mtu, .. } => {
            format!("give both ends of the link of {at} the same `mtu`, or send packets of at most {mtu} bytes")
        }
        Cause::Down => format!("remove `up: false` of {at}"),
        Cause::PortClosed(_) => format!("let the port {at} forward"),
        Cause::Isolated { .. } => format!("remove `isolated: true` of one of both ports in {ns}"),
        Cause::OtherVlan(Some(vlan)) => format!("put {at} into the VLAN {vlan}"),
        Cause::OtherVlan(None) => format!("give {at} an untagged VLAN"),
        Cause::OtherVlanInterface { tag: Some(tag), .. } => format!("write `id: {tag}` at {at}"),
        Cause::OtherVlanInterface { id, tag: None } => format!("send frames to {at} with the tag {id}"),
        Cause::MacvlanMode { .. } => format!("write `mode: bridge` at {at}"),
        Cause::NoArp => format!("`ip -n {ns} link set {} arp on`", obstacle.interface.as_ref()?),
        Cause::NeighbourEntry { address, .. } => format!("correct or remove the neighbour entry of {address} in {ns}"),
        Cause::OtherVxlan { own, other, .. } => format!("give {other} the `id` {own}, or {at} that of the other"),
        Cause::NoFdbEntry { to, .. } => format!("give {at} a forwarding entry that leads to {to}"),
        Cause::NobodyHas { unplugged: Some((interface, bridge)), .. } => {
            format!("put {interface} among the `ports` of {bridge}")
        }
        Cause::NobodyHas { proxy: Some(proxy), .. } => format!(
            "give {} the sysctl `net.ipv4.conf.{}.proxy_arp: 1`, or {ns} a route with a gateway",
            proxy.ns,
            proxy.name.as_str().replace('.', "/")
        ),
        Cause::BeyondLab { address } => {
            format!("go on there: a trace from the machine that has {address}, in the other direction")
        }
        Cause::NobodyHas { address, .. } => {
            format!("is {address} right? Give it to an interface on the link of {at}, or change who sends there")
        }
    })
}
