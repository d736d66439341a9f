//! The interfaces of a lab and what is connected to them, ready to be followed.

use std::collections::HashMap;
use std::net::IpAddr;

use indexmap::IndexMap;

use super::Router;
use crate::lab::{IfName, Interface, InterfaceKind, InterfaceRef, Namespace, NsName, VirtualInterface};

/// The interfaces of a lab, each named by its place in one list.
#[derive(Debug)]
pub(super) struct Links<'l> {
    routers: IndexMap<&'l NsName, Router<'l>>,
    ends: Vec<End<'l>>,
    by_name: HashMap<(&'l NsName, &'l IfName), usize>,
    /// The interfaces that have an address.
    holders: HashMap<IpAddr, Vec<usize>>,
}

/// An interface with what is connected to it.
#[derive(Debug)]
pub(super) struct End<'l> {
    pub ns: &'l NsName,
    pub name: &'l IfName,
    pub interface: &'l Interface,
    /// The other end of a veth pair.
    pub peer: Option<usize>,
    /// The interface below it, in the same namespace or another one.
    pub lower: Option<usize>,
    /// What is stacked on it.
    pub uppers: Vec<usize>,
    /// The bridge that it is a port of.
    pub bridge: Option<usize>,
    /// The ports of a bridge.
    pub ports: Vec<usize>,
}

impl<'l> Links<'l> {
    /// Looks through the namespaces of a lab once.
    pub(super) fn new(namespaces: &'l IndexMap<NsName, Namespace>) -> Self {
        let routers = namespaces.iter().map(|(ns, namespace)| (ns, Router::new(namespace))).collect();
        let mut links = Self { routers, ends: Vec::new(), by_name: HashMap::new(), holders: HashMap::new() };
        for (ns, namespace) in namespaces {
            for (name, interface) in &namespace.interfaces {
                let at = links.ends.len();
                links.by_name.insert((ns, name), at);
                links.ends.push(End::new(ns, name, interface));
                for address in &interface.addresses {
                    links.holders.entry(address.ip()).or_default().push(at);
                }
            }
        }
        links.connect();
        links
    }

    fn connect(&mut self) {
        for at in 0..self.ends.len() {
            let Some(end) = self.ends.get(at) else { continue };
            let peer = match &end.interface.kind {
                InterfaceKind::Veth { peer } => peer.as_ref().and_then(|peer| self.place(peer)),
                InterfaceKind::Bridge(_)
                | InterfaceKind::Virtual(_)
                | InterfaceKind::Loopback
                | InterfaceKind::Other(_) => None,
            };
            let lower = end.interface.virtual_interface().and_then(VirtualInterface::lower);
            let lower = lower.and_then(|lower| self.place(lower));
            let master = end.interface.master.as_ref().and_then(|master| self.by_name.get(&(end.ns, master)).copied());
            let is_bridge = |at: &usize| self.interface(*at).is_some_and(|one| one.bridge_options().is_some());
            let bridge = master.filter(is_bridge);
            if let Some(end) = self.ends.get_mut(at) {
                (end.peer, end.lower, end.bridge) = (peer, lower, bridge);
            }
            if let Some(lower) = lower.and_then(|lower| self.ends.get_mut(lower)) {
                lower.uppers.push(at);
            }
            if let Some(bridge) = bridge.and_then(|bridge| self.ends.get_mut(bridge)) {
                bridge.ports.push(at);
            }
        }
    }

    pub(super) fn router(&self, ns: &NsName) -> Option<&Router<'l>> {
        self.routers.get(ns)
    }

    pub(super) fn place(&self, of: &InterfaceRef) -> Option<usize> {
        self.by_name.get(&(&of.ns, &of.name)).copied()
    }

    pub(super) fn name(&self, at: usize) -> Option<InterfaceRef> {
        self.ends.get(at).map(|end| InterfaceRef { ns: end.ns.clone(), name: end.name.clone() })
    }

    pub(super) fn end(&self, at: usize) -> Option<&End<'l>> {
        self.ends.get(at)
    }

    pub(super) fn interface(&self, at: usize) -> Option<&'l Interface> {
        self.ends.get(at).map(|end| end.interface)
    }

    /// The interfaces that have an address.
    pub(super) fn holders(&self, address: IpAddr) -> &[usize] {
        self.holders.get(&address).map_or(&[][..], Vec::as_slice)
    }

    /// Every address that an interface has.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.holders.keys().copied()
    }

    /// All interfaces that satisfy a condition.
    pub(super) fn all_of(&self, fits: impl Fn(&VirtualInterface) -> bool) -> Vec<usize> {
        let fits = |end: &End<'_>| end.interface.virtual_interface().is_some_and(&fits);
        self.ends.iter().enumerate().filter(|(_, end)| fits(end)).map(|(at, _)| at).collect()
    }

    /// The tunnel interfaces at an address that satisfy a condition.
    pub(super) fn tunnels(&self, address: IpAddr, fits: impl Fn(&VirtualInterface) -> bool) -> Vec<usize> {
        let at = self.holders(address).iter().filter_map(|holder| self.ends.get(*holder)).filter_map(|end| {
            let namespace = self.router(end.ns)?.namespace();
            Some(namespace.interfaces.iter().map(|(name, interface)| (end.ns, name, interface)))
        });
        let fits = |interface: &Interface| interface.virtual_interface().is_some_and(&fits);
        at.flatten()
            .filter(|(_, _, interface)| fits(interface))
            .filter_map(|(ns, name, _)| self.by_name.get(&(ns, name)).copied())
            .collect()
    }
}

impl<'l> End<'l> {
    fn new(ns: &'l NsName, name: &'l IfName, interface: &'l Interface) -> Self {
        let (uppers, ports) = (Vec::new(), Vec::new());
        Self { ns, name, interface, peer: None, lower: None, uppers, bridge: None, ports }
    }
}
