//! Checks that promise silence or a refusal where an answer comes, by the model alone.
//!
//! That nothing comes can have more reasons than the model knows. So nothing is said unless all that is on the way and
//! on the way back is of a kind that it knows whole, and both lead over the same namespaces.

use std::collections::HashSet;
use std::net::IpAddr;

use super::sources;
use crate::forwarding::{Crossing, Leg, Outcome, RoundTrip, Way, WayEnd};
use crate::lab::{
    Check, Condition, Expect, Family, FirewallRule, FirewallTarget, Interface, InterfaceKind, Lab, Mac, Namespace,
    NsName, POLICY_TABLE, PortProtocol, PortRange, Probe, Protocol, Runs, Table, VirtualInterface,
};

/// The settings that the model knows, by their last words.
const KNOWN_SETTINGS: [&str; 6] =
    ["ip_forward", "forwarding", "rp_filter", "proxy_arp", "bridge-nf-call-iptables", "bridge-nf-call-ip6tables"];

/// Which namespaces of a lab the model knows whole.
pub(super) struct Silence<'l> {
    lab: &'l Lab,
    known: HashSet<&'l NsName>,
}

impl<'l> Silence<'l> {
    /// Looks through a lab once.
    pub(super) fn of(lab: &'l Lab) -> Self {
        let commanded: HashSet<&NsName> = lab.exec_checks.iter().flat_map(|check| &check.from).collect();
        let is_known = |(ns, own): &(&NsName, &Namespace)| !commanded.contains(ns) && is_known(own);
        let known = lab.namespaces.iter().filter(is_known).map(|(ns, _)| ns).collect();
        // Which of two interfaces with one MAC address gets a frame is a matter of who has sent one before.
        let known = if has_mac_twice(lab) { HashSet::new() } else { known };
        Self { lab, known }
    }

    /// What comes of a pair that is to be met with silence or a refusal; none: that, or what the model may not know.
    pub(super) fn broken(&self, check: &Check, probe: &Probe, round: &RoundTrip) -> Option<String> {
        let (at, arrival) = (round.arrives_at()?, round.arrival()?);
        // From an address that it does not have, it sends nothing.
        let sender = self.lab.namespaces.get(&probe.from)?;
        let has = |address| sender.global_addresses().any(|own| own == address);
        if !probe.source.is_none_or(has) {
            return None;
        }
        if check.asks.is_some() || check.size.is_some() || check.spread.is_some() || !probe.endpoints.is_empty() {
            return None;
        }
        let is_published = probe.arrives_at.is_some() && probe.to.ns.is_some() && probe.arrives_at != probe.to.ns;
        let is_at_port = |(ns, port): &(NsName, u16)| ns == at && Some(*port) == arrival.destination_port;
        if !probe.arrives(at) || (is_published && !probe.listen.iter().any(is_at_port)) || !self.knows(round) {
            return None;
        }
        if !sources::are_sure(self.lab, probe.source.is_some(), round) {
            return None;
        }
        let serves = || self.serves(at, check.protocol, arrival.destination_port);
        let back = || format!("it arrives at {at}, and the answer comes back");
        match (check.expect, check.protocol) {
            (Expect::Reachable, _) => None,
            // Where a program has the port, its datagrams are its own affair.
            (Expect::Unreachable | Expect::Unanswered, Protocol::Udp(_)) if serves() => None,
            (Expect::Unreachable, _) => Some(format!("it arrives at {at}: nothing on the way there keeps it")),
            (Expect::Unanswered, _) => Some(back()),
            (Expect::Refused, Protocol::Icmp) => Some(format!("{}; no rule refuses it", back())),
            (Expect::Refused, Protocol::Tcp(_) | Protocol::Udp(_)) => {
                serves().then(|| format!("it arrives at {at}, which serves that port"))
            }
        }
    }

    /// Whether all that is on a way and on the way back is known.
    fn knows(&self, round: &RoundTrip) -> bool {
        let Some(back) = &round.back else { return false };
        let is_same = round.there.legs.iter().map(|leg| &leg.ns).eq(back.legs.iter().rev().map(|leg| &leg.ns));
        let arrives = |way: &Way| matches!(way.end, WayEnd::Arrived(_));
        let mut legs = round.there.legs.iter().chain(&back.legs);
        is_same && arrives(&round.there) && arrives(back) && legs.all(|leg| self.knows_leg(leg))
    }

    fn knows_leg(&self, leg: &Leg) -> bool {
        let is_one_of_several =
            matches!(&leg.decision.outcome, Outcome::Leaves { route, .. } if !route.nexthops.is_empty());
        !leg.ns.is_host()
            && self.known.contains(&leg.ns)
            && self.lab.namespaces.get(&leg.ns).is_some_and(|own| resolves(own, leg))
            && leg.tunnel.is_none()
            && !is_one_of_several
            && leg.crossings.iter().all(|crossing| self.knows_crossing(crossing))
    }

    fn knows_crossing(&self, Crossing { at, .. }: &Crossing) -> bool {
        let Some(namespace) = self.lab.namespaces.get(&at.ns) else { return false };
        let Some(interface) = namespace.interfaces.get(&at.name) else { return false };
        let is_plain = match &interface.kind {
            InterfaceKind::Loopback | InterfaceKind::Veth { .. } | InterfaceKind::Bridge(_) => true,
            InterfaceKind::Virtual(kind) => matches!(kind, VirtualInterface::Vlan { .. }),
            InterfaceKind::Other(_) => false,
        };
        let is_usual = interface.flags.is_none() && interface.port.learning && interface.port.flood;
        // Whether bridges ask iptables, where no one says so, is a matter of the machine.
        let bridge = interface.master.as_ref().and_then(|master| namespace.interfaces.get(master)?.bridge_options());
        let may_ask = bridge.is_some_and(|options| {
            let is_said = namespace.sysctls.keys().any(|key| key.as_str().starts_with("net.bridge."));
            let has_rules = !namespace.firewall.chains.is_empty() || !namespace.nft.is_empty();
            has_rules && !is_said && !options.nf_call_iptables
        });
        is_plain && is_usual && !may_ask && self.known.contains(&at.ns)
    }

    /// Whether a built-in server of a namespace has a port.
    fn serves(&self, at: &NsName, protocol: Protocol, port: Option<u16>) -> bool {
        let wanted = match protocol {
            Protocol::Icmp => return false,
            Protocol::Tcp(_) => PortProtocol::Tcp,
            Protocol::Udp(_) => PortProtocol::Udp,
        };
        let programs = self.lab.namespaces.get(at).into_iter().flat_map(|own| own.programs.values());
        let servers = programs.flat_map(|program| match &program.runs {
            Runs::Servers(servers) => servers.as_slice(),
            Runs::Command(_) => &[],
        });
        let mut everywhere = servers.filter(|server| server.address.is_none());
        everywhere.any(|server| Some(server.port) == port && server.protocols().contains(&wanted))
    }
}

/// Whether the model knows all that decides about packets in a namespace.
fn is_known(own: &Namespace) -> bool {
    let is_server = |runs: &Runs| matches!(runs, Runs::Servers(_));
    let is_vrf = |kind: &VirtualInterface| matches!(kind, VirtualInterface::Vrf { .. });
    let is_setting = |key: &str| KNOWN_SETTINGS.iter().any(|known| key.rsplit('.').next() == Some(known));
    let mut rules = own.firewall.chains.values().flatten();
    // The spanning tree chooses among several ways.
    let has_stp = |interface: &Interface| interface.bridge_options().is_some_and(|bridge| bridge.stp);
    own.programs.values().all(|program| is_server(&program.runs))
        && own.sysctls.keys().all(|key| is_setting(key.as_str()))
        && own.rules.is_empty()
        && !own.has_services()
        && own.nft.keys().all(|table| table.name == POLICY_TABLE)
        && !rules.any(is_beyond)
        && !translates_on_bridges(own)
        && !own.interfaces.values().any(has_stp)
        && !own.interfaces.values().any(|interface| interface.virtual_interface().is_some_and(is_vrf))
}

/// Whether what bridges of a namespace pass on may have its addresses translated there.
pub(super) fn translates_on_bridges(own: &Namespace) -> bool {
    let asks = |interface: &Interface| interface.bridge_options().is_some_and(|bridge| bridge.nf_call_iptables);
    let mut nat = own.firewall.chains.iter().filter(|(chain, _)| chain.table == Table::Nat);
    own.interfaces.values().any(asks) && nat.any(|(_, rules)| !rules.is_empty())
}

/// Whether a rule decides by what the model does not know of a packet, or of those that follow it.
fn is_beyond(rule: &FirewallRule) -> bool {
    let is_local = matches!(&rule.target, FirewallTarget::Dnat(to) if to.address.is_loopback());
    // The kernel chooses the sender's port above those of well-known services.
    let is_chosen = |ports: &Condition<PortRange>| !matches!(ports, Condition::Is(range) if range.last < 1024);
    rule.matches.is_chance()
        || rule.matches.source_port.as_ref().is_some_and(is_chosen)
        || (rule.target.keeps() && rule.matches.states.is_some())
        || is_local
}

/// Whether the neighbours of a namespace on the way find each other by what the model knows. Over IPv6, the questions
/// for MAC addresses pass the packet filter, and are answered for the addresses of that one interface.
fn resolves(own: &Namespace, leg: &Leg) -> bool {
    if leg.came.destination.is_ipv4() {
        return true;
    }
    let mut rules = own.firewall.chains.iter().filter(|(chain, _)| chain.family == Family::Ipv6);
    let is_own = |address: IpAddr| {
        let input = leg.came.input.as_ref().and_then(|input| own.interfaces.get(input));
        input.is_none_or(|input| input.addresses.iter().any(|own| own.ip() == address))
    };
    let is_for_it = matches!(leg.decision.outcome, Outcome::Local { .. });
    !rules.any(|(_, rules)| rules.iter().any(|rule| rule.target.keeps()))
        && (!is_for_it || is_own(leg.came.destination))
}

/// Whether two interfaces are given one MAC address.
fn has_mac_twice(lab: &Lab) -> bool {
    let interfaces = lab.namespaces.values().flat_map(|own| own.interfaces.values());
    let mut seen: HashSet<Mac> = HashSet::new();
    interfaces.filter_map(|interface| interface.mac).any(|mac| !seen.insert(mac))
}
