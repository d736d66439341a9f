//! What a look at one namespace shows besides what is observed of every namespace: it comes and goes by itself, and is
//! compared with nothing. Each part is looked at by itself: one that cannot be read stops that part alone.

use std::collections::{BTreeMap, HashMap};

use super::netlink::NetlinkError;
use super::netns::NetnsHandle;
use super::objects::neighbour;
use super::port_state::{PortState, port_state};
use super::{KernelError, firewall, sysctl};
use crate::failpoint;
use crate::lab::{CountedFirewall, Family, IfName, NeighbourEntry, NsName, SysctlKey};

/// What only a look at one namespace shows.
#[derive(Debug, Default)]
pub struct Details {
    /// Whether it passes packets on, by family; a family that the kernel lacks is left out.
    pub forwarding: BTreeMap<Family, bool>,
    /// The states of some interfaces that are up.
    pub ports: BTreeMap<IfName, PortState>,
    /// Its neighbour table.
    pub neighbours: Vec<NeighbourEntry>,
    /// Its NAT and filter rules, with their counters.
    pub firewall: CountedFirewall,
    /// What could not be read of these, and why.
    pub unread: Vec<String>,
}

/// Looks at a namespace, and at the states of some of its interfaces.
pub(super) fn details(netns: &mut NetnsHandle, ns: &NsName, interfaces: &[IfName]) -> Details {
    let mut unread = Unread { ns, why: Vec::new() };
    let ports = unread.or_nothing("states of the interfaces", ports(netns, ns, interfaces));
    let neighbours = unread.or_nothing("neighbour table", all_neighbours(netns, ns, interfaces));
    let forwarding = unread.or_nothing("forwarding", forwarding(netns));
    let firewall = unread.or_nothing("counters of the firewall", firewall::counted(netns.fd(), ns));
    Details { forwarding, ports, neighbours, firewall, unread: unread.why }
}

/// What could not be read of a namespace.
struct Unread<'a> {
    ns: &'a NsName,
    why: Vec<String>,
}

impl Unread<'_> {
    /// What a look has shown; nothing where it failed, which is noted.
    fn or_nothing<T: Default>(&mut self, part: &str, outcome: Result<T, KernelError>) -> T {
        let refused = |errno| KernelError::new(format!("list the {part} of {}", self.ns)).with_errno(errno);
        let outcome = failpoint::look(&part, self.ns).map_err(refused).and(outcome);
        outcome.unwrap_or_else(|error| {
            self.why.push(error.to_string());
            T::default()
        })
    }
}

fn ports(
    netns: &mut NetnsHandle,
    ns: &NsName,
    interfaces: &[IfName],
) -> Result<BTreeMap<IfName, PortState>, KernelError> {
    let refused = |error: NetlinkError| error.about(format!("list the interfaces of {ns}"));
    interfaces.iter().map(|name| Ok((name.clone(), port_state(netns, name).map_err(refused)?))).collect()
}

fn all_neighbours(
    netns: &mut NetnsHandle,
    ns: &NsName,
    interfaces: &[IfName],
) -> Result<Vec<NeighbourEntry>, KernelError> {
    let refused = |error: NetlinkError| error.about(format!("list the neighbours of {ns}"));
    let mut names = HashMap::new();
    for name in interfaces {
        names.insert(netns.index(name).map_err(refused)?, name.clone());
    }
    neighbour::list_all(netns, &names).map_err(refused)
}

fn forwarding(netns: &NetnsHandle) -> Result<BTreeMap<Family, bool>, KernelError> {
    let keys = [(Family::Ipv4, SysctlKey::ipv4_forwarding()), (Family::Ipv6, SysctlKey::ipv6_forwarding())];
    let values = sysctl::read(netns.fd(), &keys.iter().map(|(_, key)| key.clone()).collect())?;
    Ok(keys.iter().filter_map(|(family, key)| Some((*family, values.get(key)?.as_str() != "0"))).collect())
}
