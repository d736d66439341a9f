//! What a look at one namespace shows besides what is observed of every namespace: it comes and goes by itself, and is
//! compared with nothing.

use std::collections::BTreeMap;

use super::netlink::NetlinkError;
use super::netns::NetnsHandle;
use super::objects::neighbour;
use super::port_state::{PortState, port_state};
use super::{KernelError, firewall, sysctl};
use crate::lab::{CountedFirewall, Family, IfName, NeighbourEntry, NsName, SysctlKey};

/// What only a look at one namespace shows.
#[derive(Debug)]
pub struct Details {
    /// Whether it passes packets on, by family; a family that the kernel lacks is left out.
    pub forwarding: BTreeMap<Family, bool>,
    /// The states of some interfaces that are up.
    pub ports: BTreeMap<IfName, PortState>,
    /// Its neighbour table.
    pub neighbours: Vec<NeighbourEntry>,
    /// Its NAT and filter rules, with their counters.
    pub firewall: CountedFirewall,
}

/// Looks at a namespace, and at the states of some of its interfaces.
pub(super) fn details(netns: &mut NetnsHandle, ns: &NsName, interfaces: &[IfName]) -> Result<Details, KernelError> {
    let refused = |what: &str| {
        let what = format!("list the {what} of {ns}");
        move |error: NetlinkError| error.about(what)
    };
    let mut ports = BTreeMap::new();
    let mut names = std::collections::HashMap::new();
    for name in interfaces {
        names.insert(netns.index(name).map_err(refused("interfaces"))?, name.clone());
        ports.insert(name.clone(), port_state(netns, name).map_err(refused("interfaces"))?);
    }
    let neighbours = neighbour::list_all(netns, &names).map_err(refused("neighbours"))?;
    let keys = [(Family::Ipv4, SysctlKey::ipv4_forwarding()), (Family::Ipv6, SysctlKey::ipv6_forwarding())];
    let values = sysctl::read(netns.fd(), &keys.iter().map(|(_, key)| key.clone()).collect())?;
    let forwarding =
        keys.iter().filter_map(|(family, key)| Some((*family, values.get(key)?.as_str() != "0"))).collect();
    Ok(Details { forwarding, ports, neighbours, firewall: firewall::counted(netns.fd(), ns)? })
}
