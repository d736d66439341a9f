//! Where address translation leads a packet: published ports, DNAT, masquerading.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::decision::{decide, possibilities};
use super::firewall::{Decided, Flow, RuleAt, may_come_to};
use super::nft;
use crate::lab::{
    Address, ConnectionState, DnatTarget, Family, FirewallTarget, Hook, IfName, Namespace, PortRange, Table,
};

/// A packet behind the translation at a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// The packet.
    pub flow: Flow,
    /// The rule that translated it, or had it left alone; none: no rule matches.
    pub by: Option<RuleAt>,
}

/// What becomes of the first packet of a connection at a hook of a namespace; where that is a matter of chance, the
/// first that may. All later packets of the connection, and the answers, are translated as this one was.
pub fn translate(namespace: &Namespace, hook: Hook, flow: &Flow) -> Translated {
    translated(namespace, hook, flow, decide(namespace, (Table::Nat, hook), flow))
}

/// All that may become of the first packet of a connection at a hook of a namespace.
pub fn translations(namespace: &Namespace, hook: Hook, flow: &Flow) -> impl Iterator<Item = Translated> {
    let possible = possibilities(namespace, (Table::Nat, hook), flow);
    possible.into_iter().map(move |decided| translated(namespace, hook, flow, decided))
}

fn translated(namespace: &Namespace, hook: Hook, flow: &Flow, decided: Decided) -> Translated {
    let mut flow = Flow { mark: decided.mark, ..flow.clone() };
    let Some((at, target)) = decided.by else { return Translated { flow, by: None } };
    match target {
        FirewallTarget::Dnat(to) => lead_to(&mut flow, to),
        FirewallTarget::Redirect(ports) => redirect(namespace, hook, ports, &mut flow),
        FirewallTarget::Snat(address) => seem_from(&mut flow, Some(address)),
        FirewallTarget::Masquerade | FirewallTarget::MasqueradeRandomly => {
            let address = flow.out.as_ref().and_then(|out| address_on(namespace, out, flow.destination));
            seem_from(&mut flow, address);
        }
        FirewallTarget::Accept
        | FirewallTarget::Drop
        | FirewallTarget::Reject(_)
        | FirewallTarget::Return
        | FirewallTarget::Continue
        | FirewallTarget::Mark(_)
        | FirewallTarget::Jump(_) => {}
    }
    Translated { flow, by: Some(at) }
}

/// Whether a rule of a namespace may translate the destination of a connection, wherever that comes from: a question
/// that costs little, before its way is followed. Without a flow: of any connection.
pub fn may_lead_elsewhere(namespace: &Namespace, flow: Option<&Flow>) -> bool {
    let leads = |target: &FirewallTarget| matches!(target, FirewallTarget::Dnat(_) | FirewallTarget::Redirect(_));
    match flow {
        Some(flow) => [Hook::Prerouting, Hook::Output].into_iter().any(|hook| {
            let at = (Table::Nat, hook);
            let by_nft = || nft::possibilities(namespace, at, flow).into_iter().filter_map(|decided| decided.by);
            may_come_to(namespace, at, flow, leads) || by_nft().any(|(_, target)| leads(&target))
        }),
        None => {
            let nat = namespace.firewall.chains.iter().filter(|(chain, _)| chain.table == Table::Nat);
            nat.flat_map(|(_, rules)| rules).any(|rule| leads(&rule.target)) || nft::may_lead_elsewhere(namespace)
        }
    }
}

fn lead_to(flow: &mut Flow, to: DnatTarget) {
    flow.destination = to.address;
    flow.destination_port = flow.destination_port.map(|port| to.port.translated(port));
    flow.states.insert(ConnectionState::Dnat);
}

/// The source port stays if it is free.
fn seem_from(flow: &mut Flow, address: Option<IpAddr>) {
    flow.source = address;
    flow.states.insert(ConnectionState::Snat);
}

/// To the first address of the interface on which it arrived; what the namespace sends itself, to loopback.
fn redirect(namespace: &Namespace, hook: Hook, ports: Option<PortRange>, flow: &mut Flow) {
    let own = match (hook, &flow.input) {
        (Hook::Prerouting, Some(input)) => address_on(namespace, input, flow.destination),
        (Hook::Prerouting, None) => None,
        (Hook::Output | Hook::Input | Hook::Forward | Hook::Postrouting, _) => Some(match flow.destination {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        }),
    };
    flow.destination = own.unwrap_or(flow.destination);
    let within = |port| ports.map_or(port, |ports| if ports.contains(port) { port } else { ports.first });
    flow.destination_port = flow.destination_port.map(within);
    flow.states.insert(ConnectionState::Dnat);
}

/// The address that an interface shows to another one: the one in the same subnet, else its first of the family.
fn address_on(namespace: &Namespace, name: &IfName, to: IpAddr) -> Option<IpAddr> {
    let interface = namespace.interfaces.get(name)?;
    let own = &interface.addresses;
    let same_family = own.iter().find(|own| own.family() == Family::of(to));
    let near = own.iter().find(|own| own.reaches(to)).or(same_family).map(Address::ip);
    near.or_else(|| namespace.address_for(interface, Family::of(to)))
}

#[cfg(test)]
mod tests {
    use super::super::filter::{Verdict, filter};
    use ipnet::IpNet;

    use super::*;
    use crate::lab::{
        ChainId, Condition, Firewall, FirewallRule, Interface, InterfaceKind, IpProtocol, LabName, Matches,
        PortForward, RejectWith, nat,
    };

    fn namespace(rules: Vec<(Table, Hook, FirewallRule)>) -> Namespace {
        let lab: LabName = "a".parse().unwrap();
        let mut firewall = Firewall::default();
        for (table, hook, rule) in rules {
            firewall.chains.entry(ChainId::own(Family::Ipv4, table, &lab, hook)).or_default().push(rule);
        }
        let addresses = ["192.168.15.1/24", "10.0.0.1/8"].map(|own| own.parse::<IpNet>().unwrap().into()).into();
        let interface = Interface { addresses, ..Interface::new(InterfaceKind::Loopback) };
        let interfaces = [("eth0".parse().unwrap(), interface)].into();
        Namespace { firewall, interfaces, ..Namespace::default() }
    }

    fn flow(destination: &str, port: u16) -> Flow {
        Flow::to(IpProtocol::Tcp, destination.parse().unwrap(), Some(port))
    }

    #[track_caller]
    fn leads(namespace: &Namespace, hook: Hook, from: (&str, u16), to: (&str, u16)) {
        let translated = translate(namespace, hook, &flow(from.0, from.1)).flow;
        assert_eq!(translated.destination.to_string(), to.0);
        assert_eq!(translated.destination_port, Some(to.1));
    }

    fn published() -> Namespace {
        let ports = PortRange { first: 8000, last: 8009 };
        let to = PortRange { first: 1000, last: 1009 };
        let forward = PortForward {
            protocol: IpProtocol::Tcp,
            destination: None,
            input: None,
            ports,
            to: DnatTarget::new("192.168.15.2".parse().unwrap(), ports, Some(to)),
        };
        let subnet = "192.168.15.0/24".parse().unwrap();
        namespace(vec![
            (Table::Nat, Hook::Prerouting, forward.rule()),
            (Table::Nat, Hook::Postrouting, forward.hairpin(subnet)),
            (Table::Nat, Hook::Postrouting, nat::masquerade(subnet, None)),
        ])
    }

    #[test]
    fn a_published_port_leads_to_its_target_and_nothing_else_does() {
        let namespace = published();
        leads(&namespace, Hook::Prerouting, ("10.0.0.1", 8003), ("192.168.15.2", 1003));
        leads(&namespace, Hook::Prerouting, ("10.0.0.1", 8010), ("10.0.0.1", 8010));
        leads(&namespace, Hook::Prerouting, ("10.0.0.2", 8003), ("10.0.0.2", 8003));
        leads(&namespace, Hook::Prerouting, ("127.0.0.1", 8003), ("127.0.0.1", 8003));
        leads(&namespace, Hook::Output, ("10.0.0.1", 8003), ("10.0.0.1", 8003));
        let udp = Flow { protocol: IpProtocol::Udp, ..flow("10.0.0.1", 8003) };
        assert_eq!(translate(&namespace, Hook::Prerouting, &udp), Translated { flow: udp, by: None });
    }

    #[test]
    fn what_leaves_a_subnet_is_masqueraded_and_so_is_the_way_back_to_it() {
        let namespace = published();
        let from = |source: &str, to: &str, port| Flow {
            source: Some(source.parse().unwrap()),
            out: Some("eth0".parse().unwrap()),
            ..flow(to, port)
        };
        let seen = |flow: &Flow| translate(&namespace, Hook::Postrouting, flow);
        let outside = seen(&from("192.168.15.9", "10.9.9.9", 80));
        assert_eq!(outside.flow.source, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(outside.by.map(|at| at.position), Some(2));
        let within = from("192.168.15.9", "192.168.15.2", 1003);
        assert_eq!(seen(&within).by, None);
        let hairpin = Flow { states: [ConnectionState::New, ConnectionState::Dnat].into(), ..within };
        let hairpin = seen(&hairpin);
        assert_eq!(hairpin.flow.source, Some("192.168.15.1".parse().unwrap()));
        assert_eq!(hairpin.by.map(|at| at.position), Some(1));
    }

    #[test]
    fn the_filter_says_which_rule_rejects() {
        let port = Matches {
            protocol: Some(Condition::Is(IpProtocol::Tcp)),
            destination_port: Some(Condition::Is(PortRange::one(22))),
            ..Matches::default()
        };
        let reject = port.clone().then(FirewallTarget::Reject(RejectWith::TcpReset));
        let established =
            Matches { states: Some(Condition::Is([ConnectionState::Established].into())), ..Matches::default() };
        let namespace = namespace(vec![
            (Table::Filter, Hook::Forward, established.then(FirewallTarget::Accept)),
            (Table::Filter, Hook::Forward, reject),
        ]);
        let verdict = filter(&namespace, Hook::Forward, &flow("10.9.9.9", 22));
        assert!(matches!(verdict, Verdict::Rejected(RuleAt { position: 2, .. }, RejectWith::TcpReset)), "{verdict:?}");
        assert_eq!(filter(&namespace, Hook::Forward, &flow("10.9.9.9", 23)), Verdict::Accepted(None));
        assert_eq!(filter(&namespace, Hook::Input, &flow("10.9.9.9", 22)), Verdict::Accepted(None));
    }
}
