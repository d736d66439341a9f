//! One machine's share of a lab that several machines make together: each is one of the namespaces that are attached to
//! the bridge between them, and that bridge is the network which the machines have anyway.

use std::collections::BTreeSet;
use std::net::IpAddr;

use indexmap::IndexMap;
use thiserror::Error;

use super::virtual_interface::VirtualInterface;
use super::{
    Condition, FirewallRule, IfName, Interface, InterfaceKind, InterfaceRef, Lab, Namespace, NsName, Route, SysctlKey,
    is_global,
};

/// The namespace whose bridge is the network between the machines; `cluster` makes it.
pub const LAN: &str = "lan";

/// Which namespaces of a lab are on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The namespace that the machine itself is.
    pub node: NsName,
    /// The namespaces on the machine, the node among them.
    pub namespaces: BTreeSet<NsName>,
    /// The node's interface on the network between the machines.
    pub uplink: IfName,
    /// The addresses of that interface.
    pub addresses: Vec<IpAddr>,
}

/// Why a machine cannot be a namespace of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ShareError {
    /// There is no network between machines.
    #[error(
        "the lab has no network between machines: `--as` is for files with a `cluster`, or with a namespace `lan` to \
         whose bridge the machines are attached"
    )]
    NoNetwork,
    /// The namespace is not attached to that network.
    #[error("{node} is none of the lab's machines, which are {}", listed(.machines))]
    NotAMachine {
        /// The namespace.
        node: NsName,
        /// Those that are.
        machines: Vec<NsName>,
    },
    /// The namespace has several interfaces there.
    #[error("{node} has several links to the network between the machines; as a machine, it can have one")]
    SeveralLinks {
        /// The namespace.
        node: NsName,
    },
    /// Two machines are connected by more than the network between them.
    #[error("{node} and {other} are connected without the network between the machines, and so belong on one machine")]
    Connected {
        /// The namespace.
        node: NsName,
        /// The other machine.
        other: NsName,
    },
    /// Something that a machine's own network namespace cannot have.
    #[error("a machine cannot be {node}: {what}")]
    NotInHost {
        /// The namespace.
        node: NsName,
        /// What it has.
        what: String,
    },
}

impl Share {
    /// Whether a namespace is on the machine.
    pub fn holds(&self, ns: &NsName) -> bool {
        self.namespaces.contains(ns)
    }

    /// What a namespace on the machine is called there: the node is the machine itself.
    pub fn name_here(&self, ns: &NsName) -> NsName {
        if *ns == self.node { NsName::host() } else { ns.clone() }
    }
}

impl Lab {
    /// The share of the lab that is on the machine which is one of its namespaces.
    ///
    /// # Errors
    /// The namespace is no machine of this lab, or a machine cannot be that namespace.
    pub fn share(&self, node: &NsName) -> Result<Share, ShareError> {
        let uplinks = self.uplinks();
        let machines = || uplinks.iter().map(|own| own.ns.clone()).collect::<BTreeSet<_>>();
        if uplinks.is_empty() {
            return Err(ShareError::NoNetwork);
        }
        let mut own = uplinks.iter().filter(|own| own.ns == *node);
        let (Some(uplink), second) = (own.next(), own.next()) else {
            return Err(ShareError::NotAMachine { node: node.clone(), machines: machines().into_iter().collect() });
        };
        if second.is_some() {
            return Err(ShareError::SeveralLinks { node: node.clone() });
        }
        let namespaces = self.connected_to(node);
        if let Some(other) = machines().into_iter().find(|other| other != node && namespaces.contains(other)) {
            return Err(ShareError::Connected { node: node.clone(), other });
        }
        let addresses = self.global_addresses_at(uplink);
        let share = Share { node: node.clone(), namespaces, uplink: uplink.name.clone(), addresses };
        match self.not_in_host(&share) {
            Some(what) => Err(ShareError::NotInHost { node: node.clone(), what }),
            None => Ok(share),
        }
    }

    /// The lab of one machine: its namespaces, with the machine itself as the node, whose interface on the network
    /// between the machines is the machine's own `dev`. It has no checks, since those are of the whole lab.
    #[must_use]
    pub fn on_machine(&self, share: &Share, dev: &IfName) -> Self {
        let mut namespaces: IndexMap<NsName, Namespace> = IndexMap::new();
        for (ns, namespace) in self.namespaces.iter().filter(|(ns, _)| share.holds(ns)) {
            let mut here = namespace.clone();
            here.interfaces.values_mut().for_each(|interface| rename_ends(interface, share));
            if *ns == share.node {
                become_host(&mut here, share, dev);
            }
            namespaces.insert(share.name_here(ns), here);
        }
        let mut lab = Self::of(self.name.clone(), namespaces);
        lab.description.clone_from(&self.description);
        lab.etc.clone_from(&self.etc);
        lab.etc.namespaces.retain(|ns, _| share.holds(ns) && *ns != share.node);
        lab.origins.clone_from(&self.origins);
        lab.places.clone_from(&self.places);
        lab
    }

    /// The machines that may make the lab together, each with its addresses on the network between them.
    pub fn machines(&self) -> Vec<(NsName, Vec<IpAddr>)> {
        self.uplinks().iter().map(|own| (own.ns.clone(), self.global_addresses_at(own))).collect()
    }

    /// The addresses of an interface that others can reach it by; others say nothing of which machine it is.
    fn global_addresses_at(&self, at: &InterfaceRef) -> Vec<IpAddr> {
        let interface = self.namespaces.get(&at.ns).and_then(|ns| ns.interfaces.get(&at.name));
        let addresses = interface.into_iter().flat_map(|own| &own.addresses).map(|own| own.ip());
        addresses.filter(|address| is_global(*address)).collect()
    }

    /// The interfaces whose links lead to the network between the machines.
    fn uplinks(&self) -> Vec<InterfaceRef> {
        let lan = self.namespaces.iter().filter(|(ns, _)| ns.as_str() == LAN).flat_map(|(_, lan)| &lan.interfaces);
        lan.filter(|(_, port)| port.master.is_some()).filter_map(|(_, port)| port.peer().cloned()).collect()
    }

    /// The namespaces that are connected to one by links and parents of interfaces, without the network between the
    /// machines.
    fn connected_to(&self, node: &NsName) -> BTreeSet<NsName> {
        let mut beside: Vec<(&NsName, &NsName)> = Vec::new();
        for (ns, namespace) in &self.namespaces {
            for other in namespace.interfaces.values().filter_map(other_end).filter(|other| other.ns != *ns) {
                beside.extend([(ns, &other.ns), (&other.ns, ns)]);
            }
        }
        let mut found = BTreeSet::from([node.clone()]);
        let mut next = vec![node];
        while let Some(ns) = next.pop() {
            let others = beside.iter().filter(|(from, to)| *from == ns && to.as_str() != LAN);
            next.extend(others.map(|(_, to)| *to).filter(|to| found.insert((*to).clone())));
        }
        found
    }

    /// What keeps a machine from being the node: what nslab does not do in the machine's own namespace.
    fn not_in_host(&self, share: &Share) -> Option<String> {
        let node = self.namespaces.get(&share.node)?;
        let host = self.namespaces.get(&NsName::host());
        let own = |of: &Namespace| *of != Namespace { labels: of.labels.clone(), ..Namespace::default() };
        let is_second = |(name, own): (&IfName, &Interface)| {
            *name != share.uplink && own.peer().is_some_and(|peer| peer.ns.as_str() == LAN)
        };
        let is_on_uplink = |own: &Interface| {
            let lower = own.virtual_interface().and_then(VirtualInterface::lower);
            lower.is_some_and(|lower| lower.ns == share.node && lower.name == share.uplink)
        };
        let all = || self.namespaces.iter().filter(|(ns, _)| share.holds(ns)).flat_map(|(_, own)| &own.interfaces);
        let is_vrf = |own: &Interface| own.virtual_interface().is_some_and(|own| own.table().is_some());
        let wireguard = |own: &Interface| matches!(own.virtual_interface(), Some(VirtualInterface::Wireguard(_)));
        let reasons = [
            (node.interfaces.iter().any(is_second), "it has a second link to the network between the machines"),
            (host.is_some_and(own), "the file has something in `host`, which is the same machine"),
            (
                node.has_services() || !node.nft.is_empty(),
                "services and network policies need a namespace of their own",
            ),
            (!node.programs.is_empty(), "it has programs, and nslab starts none outside of namespaces"),
            (node.interfaces.values().any(is_vrf), "VRFs need a namespace of their own"),
            (node.interfaces.get(&IfName::lo()).is_some_and(|lo| !lo.addresses.is_empty()), "its `lo` has addresses"),
            (all().any(|(_, own)| wireguard(own)), "the keys of WireGuard interfaces are those of one machine alone"),
            (
                all().any(|(_, own)| is_on_uplink(own)),
                "interfaces of the lab have the machine's own interface as their parent",
            ),
            (
                node.interfaces.get(&share.uplink).is_some_and(|own| own.master.is_some()),
                "its uplink is a port of a bridge",
            ),
        ];
        reasons.into_iter().find(|(is, _)| *is).map(|(_, why)| why.to_owned())
    }
}

/// The other end of a link, or the parent.
fn other_end(interface: &Interface) -> Option<&InterfaceRef> {
    interface.peer().or_else(|| interface.virtual_interface().and_then(VirtualInterface::lower))
}

/// Calls the node by the name that it has on its machine.
fn rename_ends(interface: &mut Interface, share: &Share) {
    let end = match &mut interface.kind {
        InterfaceKind::Veth { peer } => peer.as_mut(),
        InterfaceKind::Virtual(own) => own.lower_mut().and_then(Option::as_mut),
        InterfaceKind::Loopback | InterfaceKind::Bridge(_) | InterfaceKind::Other(_) => None,
    };
    if let Some(end) = end {
        end.ns = share.name_here(&end.ns);
    }
}

/// Makes of a node what the lab has in `host`: without its loopback and its uplink, and with the machine's own
/// interface in the place of the uplink.
fn become_host(node: &mut Namespace, share: &Share, dev: &IfName) {
    let named = |name: &IfName| if *name == share.uplink { dev.clone() } else { name.clone() };
    node.owner = None;
    node.interfaces.retain(|name, _| !name.is_lo() && *name != share.uplink);
    for interface in node.interfaces.values_mut() {
        if let InterfaceKind::Virtual(VirtualInterface::Vxlan(own)) = &mut interface.kind {
            own.dev = own.dev.as_ref().map(named);
        }
    }
    node.routes = std::mem::take(&mut node.routes).into_iter().map(|route| rename_route(route, named)).collect();
    node.neighbours = std::mem::take(&mut node.neighbours)
        .into_iter()
        .map(|mut own| {
            own.dev = named(&own.dev);
            own
        })
        .collect();
    node.rules = std::mem::take(&mut node.rules)
        .into_iter()
        .map(|mut rule| {
            rule.iif = rule.iif.as_ref().map(named);
            rule.oif = rule.oif.as_ref().map(named);
            rule
        })
        .collect();
    for rules in node.firewall.chains.values_mut() {
        rules.iter_mut().for_each(|rule| rename_rule(rule, named));
    }
    let settings = std::mem::take(&mut node.sysctls).into_iter();
    node.sysctls = settings.map(|(key, value)| (rename_key(key, share, dev), value)).collect();
}

fn rename_route(mut route: Route, named: impl Fn(&IfName) -> IfName) -> Route {
    route.dev = route.dev.as_ref().map(&named);
    route.nexthops = std::mem::take(&mut route.nexthops)
        .into_iter()
        .map(|mut hop| {
            hop.dev = named(&hop.dev);
            hop
        })
        .collect();
    route
}

fn rename_rule(rule: &mut FirewallRule, named: impl Fn(&IfName) -> IfName) {
    for condition in [&mut rule.matches.input, &mut rule.matches.out].into_iter().flatten() {
        match condition {
            Condition::Is(name) | Condition::IsNot(name) => *name = named(name),
        }
    }
}

fn rename_key(key: SysctlKey, share: &Share, dev: &IfName) -> SysctlKey {
    if key.interface().as_ref() != Some(&share.uplink) {
        return key;
    }
    let spelt = |name: &IfName| format!(".{}.", name.as_str().replace('.', "/"));
    key.as_str().replacen(&spelt(&share.uplink), &spelt(dev), 1).parse().unwrap_or(key)
}

fn listed(machines: &[NsName]) -> String {
    machines.iter().map(NsName::as_str).collect::<Vec<_>>().join(", ")
}
