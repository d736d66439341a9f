//! The network as the resolving parts see it: namespaces with their interfaces, in the order of the file, with the
//! places where they are written.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::forwarding::Prefixes;
use crate::lab::{Address, Family, IfName, Interface, MAIN_TABLE, NsName, is_global};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};
use crate::topology::schema::{File, Namespace, Spanned};

/// All namespaces.
pub struct Net<'f> {
    pub namespaces: Vec<ResolvedNamespace<'f>>,
    pub names: Names<'f>,
    /// Who has an address: one namespace, or several in parts of the network that are not connected.
    holders: HashMap<IpAddr, Holders>,
    /// Who has an address in a broadcast domain.
    in_segment: HashMap<(IpAddr, usize), usize>,
    /// All subnets.
    subnets: Prefixes<()>,
}

/// Who has an address.
enum Holders {
    One(usize),
    Several,
}

/// Which namespace is where in the list.
pub struct Names<'f> {
    index: HashMap<&'f str, usize>,
    lost: HashSet<&'f str>,
    /// Whether every name may be that of a namespace that could not be read.
    any_lost: bool,
}

/// One namespace.
pub struct ResolvedNamespace<'f> {
    pub name: NsName,
    pub written: &'f Namespace,
    /// Its interfaces in the order of the file; those that only links name come last.
    pub interfaces: Vec<ResolvedInterface>,
    /// Where each is in the list.
    pub by_name: HashMap<IfName, usize>,
    /// Which of them is in a subnet; where several are, each in a VRF of its own, the first.
    subnets: Prefixes<usize>,
    /// The same by the routing table: that of each VRF has its own subnets and those of its ports, `main` all others.
    tables: HashMap<u32, Prefixes<usize>>,
    own: HashSet<IpAddr>,
    first_ipv4: Option<IpAddr>,
    first_ipv6: Option<IpAddr>,
}

/// One interface.
pub struct ResolvedInterface {
    pub name: IfName,
    /// Where it is named.
    pub span: Span,
    pub model: Interface,
    /// Its addresses in the order of the file.
    pub addresses: Vec<Spanned<Address>>,
    /// What a broadcast of its reaches: the same number for all interfaces that share links and bridges.
    pub broadcast_domain: usize,
}

impl<'f> Net<'f> {
    pub fn new(namespaces: Vec<ResolvedNamespace<'f>>, names: Names<'f>) -> Self {
        let mut net = Self {
            namespaces,
            names,
            holders: HashMap::new(),
            in_segment: HashMap::new(),
            subnets: Prefixes::default(),
        };
        for (at, namespace) in net.namespaces.iter().enumerate() {
            for (interface, own) in namespace.addresses() {
                let address = own.value.ip();
                let other = |holders: &mut Holders| *holders = Holders::Several;
                net.holders.entry(address).and_modify(other).or_insert(Holders::One(at));
                net.in_segment.insert((address, interface.broadcast_domain), at);
                for subnet in own.value.subnets() {
                    net.subnets.get_or_insert(subnet, ());
                }
            }
        }
        net
    }

    /// The namespace that has an address; where several have it, the one that `from` reaches directly.
    pub fn holder(&self, address: IpAddr, from: &ResolvedNamespace<'_>) -> Option<usize> {
        match self.holders.get(&address)? {
            Holders::One(namespace) => Some(*namespace),
            Holders::Several => {
                let (interface, _) = from.connected(address)?;
                self.in_segment.get(&(address, interface.broadcast_domain)).copied()
            }
        }
    }

    /// The namespace that has an address, where only one has it.
    pub fn only_holder(&self, address: IpAddr) -> Option<usize> {
        match self.holders.get(&address)? {
            Holders::One(namespace) => Some(*namespace),
            Holders::Several => None,
        }
    }

    /// Whether all namespaces could be read, and so all that is missing is not there.
    pub fn is_whole(&self) -> bool {
        self.namespaces.iter().all(|namespace| namespace.written.whole)
    }

    /// The namespaces that have an address, where several have it.
    pub fn several_holders(&self, address: IpAddr) -> Vec<usize> {
        if !matches!(self.holders.get(&address), Some(Holders::Several)) {
            return Vec::new();
        }
        (0..).zip(&self.namespaces).filter(|(_, of)| of.holds(address)).map(|(at, _)| at).collect()
    }

    /// The namespace that has an address in a broadcast domain.
    pub fn holder_in(&self, address: IpAddr, broadcast_domain: usize) -> Option<usize> {
        self.in_segment.get(&(address, broadcast_domain)).copied()
    }

    /// Whether any namespace has an address.
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.holders.contains_key(&address)
    }

    /// Whether an address is in a subnet of the lab.
    pub fn has_subnet_of(&self, address: IpAddr) -> bool {
        self.subnets.longest(address).is_some()
    }

    /// The IPv4 subnet whose broadcast address this is; a /31 and a /32 have none (RFC 3021).
    pub fn broadcast_of(&self, address: IpAddr) -> Option<IpNet> {
        let (subnet, ()) = self.subnets.longest(address)?;
        let has_one = subnet.addr().is_ipv4() && subnet.prefix_len() <= 30;
        (has_one && subnet.broadcast() == address && !self.has_address(address)).then_some(subnet)
    }

    /// "did you mean", for an address that no interface has.
    pub fn address_like(&self, address: IpAddr, found: &Collector<'_>) -> Option<String> {
        found.did_you_mean(&address.to_string(), self.holders.keys().map(IpAddr::to_string))
    }
}

impl<'f> Names<'f> {
    pub fn new(file: &'f File) -> Self {
        let names = file.namespaces.entries.iter().map(|(name, _)| name.value.as_str());
        let index = names.enumerate().map(|(at, name)| (name, at)).collect();
        let lost = file.namespaces.lost.iter().map(String::as_str).collect();
        Self { index, lost, any_lost: file.cluster }
    }

    /// The namespace of a name; a name that is none is a fault.
    pub fn find(&self, name: &NsName, span: Span, found: &mut Collector<'_>) -> Option<usize> {
        let at = self.get(name.as_str());
        if at.is_none() && !self.is_lost(name.as_str()) {
            let help = found
                .did_you_mean(name.as_str(), self.index.keys().copied())
                .unwrap_or_else(|| "list every namespace under `namespaces`, even an empty one".to_owned());
            found.add(
                Diagnostic::new(Code::UnknownNamespace, span, format!("there is no namespace `{name}`")).help(help),
            );
        }
        at
    }

    /// The namespace of a name, if it is one.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Whether it is the name of a namespace that could not be read.
    pub fn is_lost(&self, name: &str) -> bool {
        self.any_lost || self.lost.contains(name)
    }

    /// Whether all of them are known, or at least the names of those that could not be read.
    pub fn are_whole(&self) -> bool {
        !self.any_lost
    }

    /// All names, for suggestions.
    pub fn iter(&self) -> impl Iterator<Item = &'f str> {
        self.index.keys().copied()
    }
}

impl<'f> ResolvedNamespace<'f> {
    pub fn new(name: NsName, written: &'f Namespace, interfaces: Vec<ResolvedInterface>) -> Self {
        let by_name: HashMap<IfName, usize> =
            interfaces.iter().enumerate().map(|(at, interface)| (interface.name.clone(), at)).collect();
        let first = |family| {
            let addresses = interfaces.iter().flat_map(|interface| &interface.addresses).map(|own| own.value.ip());
            addresses.into_iter().find(|own| Family::of(*own) == family && is_global(*own))
        };
        let (first_ipv4, first_ipv6) = (first(Family::Ipv4), first(Family::Ipv6));
        let (subnets, tables, own) = (Prefixes::default(), HashMap::new(), HashSet::new());
        let mut namespace = Self { name, written, interfaces, by_name, subnets, tables, own, first_ipv4, first_ipv6 };
        for (at, interface) in namespace.interfaces.iter().enumerate() {
            let subnets: &mut Prefixes<usize> = namespace.tables.entry(namespace.table_of(interface)).or_default();
            for address in &interface.addresses {
                for subnet in address.value.subnets() {
                    subnets.get_or_insert(subnet, at);
                    namespace.subnets.get_or_insert(subnet, at);
                }
                namespace.own.insert(address.value.ip());
            }
        }
        namespace
    }

    /// The bridge or the VRF that an interface is a port of.
    fn master(&self, interface: &ResolvedInterface) -> Option<&ResolvedInterface> {
        self.interface(interface.model.master.as_ref()?)
    }

    /// The bridge that an interface is a port of.
    pub fn bridge_of(&self, interface: &ResolvedInterface) -> Option<&IfName> {
        self.master(interface).filter(|master| master.model.virtual_interface().is_none()).map(|bridge| &bridge.name)
    }

    /// The routing table of what goes in and out through an interface: that of the VRF that it is, or is a port of.
    pub fn table_of(&self, interface: &ResolvedInterface) -> u32 {
        interface.model.vrf_table(self.master(interface).map(|master| &master.model)).unwrap_or(MAIN_TABLE)
    }

    /// Its first address of a family that others can reach.
    pub fn first_address(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::Ipv4 => self.first_ipv4,
            Family::Ipv6 => self.first_ipv6,
        }
    }

    /// An interface by its name.
    pub fn interface(&self, name: &IfName) -> Option<&ResolvedInterface> {
        self.interfaces.get(*self.by_name.get(name)?)
    }

    /// An interface by its name; a name that is none is a fault. The machine may have interfaces that the file does
    /// not speak of; rules that only match them (`may_be_the_machines`) are fine.
    pub fn find(&self, name: &Spanned<IfName>, may_be_the_machines: bool, found: &mut Collector<'_>) -> Option<IfName> {
        let known = self.by_name.contains_key(&name.value) || (self.name.is_host() && may_be_the_machines);
        if !known {
            if self.written.whole {
                let help = found.did_you_mean(name.value.as_str(), self.by_name.keys().map(IfName::as_str));
                let message = format!("{} has no interface `{}`", self.name, name.value);
                found.add(Diagnostic::new(Code::UnknownInterface, name.span, message).help(help));
            }
            return None;
        }
        Some(name.value.clone())
    }

    /// Every address with its interface, loopback included, in the order of the file.
    pub fn addresses(&self) -> impl Iterator<Item = (&ResolvedInterface, &Spanned<Address>)> {
        self.interfaces.iter().flat_map(|interface| interface.addresses.iter().map(move |address| (interface, address)))
    }

    /// Whether any interface has this address.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.own.contains(&address)
    }

    /// Whether any interface of a routing table has this address.
    pub fn holds_in(&self, table: u32, address: IpAddr) -> bool {
        let is_it = |(of, own): (&ResolvedInterface, &Spanned<Address>)| {
            own.value.ip() == address && self.table_of(of) == table
        };
        self.holds(address) && self.addresses().any(is_it)
    }

    /// Whether any interface but loopback has an address of a family.
    pub fn has(&self, family: Family) -> bool {
        self.addresses().any(|(interface, own)| !interface.name.is_lo() && own.value.family() == family)
    }

    /// Its first address in a subnet that it shares with another namespace, both being on one broadcast domain there.
    pub fn shared_with(&self, other: &Self, usable: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let (few, many) = if self.subnets.len() < other.subnets.len() { (self, other) } else { (other, self) };
        let broadcast_domain =
            |namespace: &Self, net| Some(namespace.interfaces.get(*namespace.subnets.get(net)?)?.broadcast_domain);
        let shared = few.subnets.prefixes().filter(|net| broadcast_domain(few, net) == broadcast_domain(many, net));
        let own = shared.filter_map(|net| {
            let at = self.subnets.get(net)?;
            let mut addresses = self.interfaces.get(*at)?.addresses.iter().enumerate();
            let (place, own) = addresses
                .find(|(_, own)| own.value.subnets().any(|subnet| subnet == *net) && usable(own.value.ip()))?;
            Some((at, place, own.value.ip()))
        });
        own.min().map(|(_, _, address)| address)
    }

    /// Its first link-local address of a family on a link that it shares with another namespace, or with the interface
    /// of that which the file names; with that interface.
    pub fn link_local_from<'o>(
        &self,
        other: &'o Self,
        family: Family,
        named: Option<&IfName>,
    ) -> Option<(IpAddr, &'o IfName)> {
        let links = other.interfaces.iter().filter(|link| named.is_none_or(|named| *named == link.name));
        let mut links = links.filter(|link| !link.name.is_lo() && other.bridge_of(link).is_none());
        links.find_map(|link| {
            let beside = self.interfaces.iter().filter(|own| own.broadcast_domain == link.broadcast_domain);
            let mut addresses = beside.filter(|own| !own.name.is_lo()).flat_map(|own| &own.addresses);
            let is_it = |own: IpAddr| Family::of(own) == family && is_link_local(own);
            addresses.find(|own| is_it(own.value.ip())).map(|own| (own.value.ip(), &link.name))
        })
    }

    /// Its own address in the subnet that holds another one: the source of packets to there.
    pub fn connected_from(&self, address: IpAddr) -> Option<IpAddr> {
        let (interface, subnet) = self.connected(address)?;
        interface.addresses.iter().find(|own| own.value.subnets().any(|own| own == subnet)).map(|own| own.value.ip())
    }

    /// The interface and the subnet in which an address is directly reachable: the most specific one.
    pub fn connected(&self, address: IpAddr) -> Option<(&ResolvedInterface, IpNet)> {
        self.connected_in(MAIN_TABLE, address)
    }

    /// The same for what is looked up in a routing table. That of a VRF knows nothing but its own subnets; in all
    /// others, those of VRFs come last.
    pub fn connected_in(&self, table: u32, address: IpAddr) -> Option<(&ResolvedInterface, IpNet)> {
        let of_vrf = self.tables.get(&table).filter(|_| table != MAIN_TABLE);
        let (subnet, at) = match of_vrf {
            Some(subnets) => subnets.longest(address),
            None => {
                let main = self.tables.get(&MAIN_TABLE).and_then(|main| main.longest(address));
                main.or_else(|| self.subnets.longest(address))
            }
        }?;
        Some((self.interfaces.get(*at)?, subnet))
    }

    /// The interface with whose address the kernel makes the route to a subnet in a routing table.
    pub fn makes_route(&self, table: u32, subnet: IpNet) -> Option<&ResolvedInterface> {
        self.interfaces.get(*self.tables.get(&table)?.get(&subnet)?)
    }
}

/// Whether an address is of use on one link only.
pub fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
