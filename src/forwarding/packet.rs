//! What a route look-up knows of a packet, and which policy rules match it.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::lab::{IfName, PolicyRule};

/// A packet as routing sees it (`struct flowi` of the kernel).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Its source address; none: the kernel has yet to choose one.
    pub source: Option<IpAddr>,
    /// Its destination.
    pub destination: IpAddr,
    /// Its firewall mark.
    pub mark: u32,
    /// The interface it came in through; none: it is sent by the namespace itself.
    pub iif: Option<IfName>,
    /// The interface that the sending socket is bound to.
    pub oif: Option<IfName>,
}

impl Packet {
    /// A packet that a namespace sends by itself, without a mark, from an unbound socket.
    pub fn to(destination: IpAddr) -> Self {
        Self { source: None, destination, mark: 0, iif: None, oif: None }
    }

    /// Whether it matches all conditions of a policy rule. What a namespace sends itself comes in through `lo`.
    pub fn matches(&self, rule: &PolicyRule) -> bool {
        let is_in = |net: Option<IpNet>, address: Option<IpAddr>| match (net, address) {
            (Some(net), Some(address)) => net.contains(&address),
            (Some(net), None) => net.prefix_len() == 0,
            (None, _) => true,
        };
        let came_through = |name: &IfName| self.iif.as_ref().map_or(name.is_lo(), |iif| iif == name);
        rule.ipv6 == self.destination.is_ipv6()
            && is_in(rule.from, self.source)
            && is_in(rule.to, Some(self.destination))
            && rule.iif.as_ref().is_none_or(came_through)
            && (rule.oif.is_none() || rule.oif == self.oif)
            && rule.fwmark.is_none_or(|(mark, mask)| self.mark & mask == mark)
    }
}
