//! Published ports and masquerading: what they mean, and the rules that do it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::chain::Family;
use super::dnat::{DnatPort, DnatTarget, PortRange};
use super::firewall_rule::{Condition, ConnectionState, FirewallRule, FirewallTarget, IpProtocol, Matches};
use super::names::IfName;

/// Packets to a port that are sent on to another address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortForward {
    /// TCP or UDP.
    pub protocol: IpProtocol,
    /// The destinations for which it holds; none: every address of this namespace, but for loopback ones.
    pub destination: Option<IpNet>,
    /// The interface on which the packets arrive; none: any.
    pub input: Option<IfName>,
    /// The ports.
    pub ports: PortRange,
    /// Where they are sent.
    pub to: DnatTarget,
}

/// Packets that leave a subnet get the address of the interface through which they go. Traffic within the subnet is
/// spared: where bridged packets pass iptables (`net.bridge.bridge-nf-call-iptables`), a rule without that condition
/// would translate them, too, and break the bridge.
pub fn masquerade(source: IpNet, out: Option<IfName>) -> FirewallRule {
    leaving(source, out).then(FirewallTarget::Masquerade)
}

/// Packets that leave a subnet get an address. Traffic within the subnet is spared.
pub fn snat(source: IpNet, out: Option<IfName>, to: IpAddr) -> FirewallRule {
    leaving(source, out).then(FirewallTarget::Snat(to))
}

/// Packets from a subnet to another one that no later rule translates.
pub fn not_translated(source: IpNet, destination: IpNet, out: Option<IfName>) -> FirewallRule {
    let matches = Matches::default().from(source).to(destination);
    Matches { out: out.map(Condition::Is), ..matches }.then(FirewallTarget::Return)
}

fn leaving(source: IpNet, out: Option<IfName>) -> Matches {
    Matches { out: out.map(Condition::Is), ..Matches::default().from(source).not_to(source) }
}

impl PortForward {
    /// The rule that sends the packets on, before they are routed.
    pub fn rule(&self) -> FirewallRule {
        let matches = match self.destination {
            Some(destination) => Matches::default().to(destination),
            // The kernel does not route packets from loopback addresses to elsewhere.
            None => Matches {
                destination_is_local: Some(true),
                ..Matches::default().not_to(loopback(Family::of(self.to.address)))
            },
        };
        let matches = Matches {
            input: self.input.clone().map(Condition::Is),
            protocol: Some(Condition::Is(self.protocol)),
            destination_port: Some(Condition::Is(self.ports)),
            ..matches
        };
        matches.then(FirewallTarget::Dnat(self.to))
    }

    /// The rule for packets that come from the target's own subnet: the answer would go past this namespace, so the
    /// request must seem to come from here.
    pub fn hairpin(&self, subnet: IpNet) -> FirewallRule {
        let ports = match self.to.port {
            DnatPort::Same => self.ports,
            DnatPort::One(port) => PortRange::one(port),
            DnatPort::AnyOf(range) | DnatPort::Shifted { to: range, .. } => range,
        };
        let matches = Matches {
            protocol: Some(Condition::Is(self.protocol)),
            destination_port: Some(Condition::Is(ports)),
            states: Some(Condition::Is([ConnectionState::Dnat].into())),
            ..Matches::default().from(subnet).to(self.to.address.into())
        };
        matches.then(FirewallTarget::Masquerade)
    }
}

fn loopback(family: Family) -> IpNet {
    match family {
        Family::Ipv4 => Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8).into(),
        Family::Ipv6 => Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128).into(),
    }
}
