//! Probes: the single pairs of a check, each with the address that is probed and the sockets that have to listen.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use indexmap::{IndexMap, IndexSet};

use super::led::{Led, Translations};
use super::net::{Net, ResolvedNamespace, is_link_local};
use super::selectors::{Endpoint, SelectorList};
use super::services::Services;
use crate::forwarding::{Flow, Outcome, Packet, Router};
use crate::lab::{
    Expect, Family, IfName, IpProtocol, Namespace, NsName, Probe, Protocol, Target, TargetName, is_global,
};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic, Span};

/// What a check asks of every pair.
pub struct Question<'f> {
    pub protocol: Protocol,
    pub expect: Expect,
    /// The address family, if the author asks for one.
    pub family: Option<Family>,
    pub source: Option<IpAddr>,
    /// Which namespace must answer.
    pub answered_by: Option<usize>,
    /// The destinations that are meant on the link of an interface of the sender, by their places in the file.
    pub links: Vec<(Span, &'f IfName)>,
    /// The names that checks go to.
    pub names: &'f IndexSet<&'f str>,
}

impl Question<'_> {
    fn link(&self, to: &Endpoint) -> Option<&IfName> {
        self.links.iter().find(|(span, _)| *span == to.span).map(|(_, dev)| *dev)
    }
}

/// Makes probes; knows where every namespace leads them.
pub struct Maker<'n> {
    net: &'n Net<'n>,
    /// The namespaces that have local routes, and so may take packets for more addresses than those on interfaces.
    takers: Vec<(usize, Router<'n>)>,
    translations: Translations<'n>,
    services: &'n Services,
    /// Whether all addresses are known: if not, what seems to be missing may be there.
    whole: bool,
}

impl<'n> Maker<'n> {
    pub fn new(net: &'n Net<'n>, namespaces: &'n IndexMap<NsName, Namespace>, services: &'n Services) -> Self {
        let whole = net.namespaces.iter().all(|namespace| namespace.written.whole);
        let taker =
            |of: &ResolvedNamespace<'_>| namespaces.get(&of.name).map(Router::new).filter(Router::has_local_routes);
        let takers = (0..).zip(&net.namespaces).filter_map(|(at, of)| Some((at, taker(of)?))).collect();
        Self { net, takers, translations: Translations::new(net, namespaces), services, whole }
    }

    /// All pairs, in the order of the file. A namespace is paired with itself only if that is all the author wrote.
    pub fn probes(
        &self,
        question: &Question,
        (from, to): (&[Endpoint], &[Endpoint]),
        found: &mut Collector<'_>,
    ) -> Vec<Probe> {
        let alone = from.len() == 1 && to.len() == 1;
        let mut probes = Vec::with_capacity(from.len() * to.len());
        // A destination that cannot be probed is one fault, however many ask for it.
        let mut reported: HashSet<SelectorList> = HashSet::new();
        for source in from {
            let SelectorList::Namespace(here) = source.side else {
                if reported.insert(source.side) {
                    let help = "name the namespace, and its address with `source`".to_owned();
                    found.add(
                        Diagnostic::new(
                            Code::NotNamespace,
                            source.span,
                            "a check starts in a namespace, not at an address",
                        )
                        .help(help),
                    );
                }
                continue;
            };
            for member in to {
                if (alone || member.side != source.side) && !reported.contains(&member.side) {
                    match self.probe(question, here, member) {
                        Ok(probe) => probes.push(probe),
                        Err(fault) => {
                            reported.insert(member.side);
                            fault.into_iter().for_each(|fault| found.add(fault));
                        }
                    }
                }
            }
        }
        probes
    }

    fn probe(&self, question: &Question, here: usize, to: &Endpoint) -> Result<Probe, Option<Diagnostic>> {
        let namespace = self.net.namespaces.get(here).ok_or(None)?;
        let link = question.link(to);
        has_link(namespace, link, to)?;
        let ((label, (address, scope)), named) = match to.side {
            SelectorList::Namespace(there) => {
                let target = self.net.namespaces.get(there).ok_or(None)?;
                ((target.name.to_string(), self.address(question, namespace, target, to)?), Some(there))
            }
            SelectorList::Address(address) => {
                if !self.is_own_node_port(question, here, address) {
                    self.is_destination(question, address, to)?;
                }
                ((address.to_string(), (address, link.filter(|_| address.is_ipv6()).cloned())), None)
            }
            SelectorList::Service(service) => {
                let service = self.services.all.get(service).ok_or(None)?;
                let is_asked = |own: &&IpAddr| question.family.is_none_or(|family| family == Family::of(**own));
                let own = service.addresses.iter().find(is_asked).or(service.addresses.first());
                let address = *own.ok_or(None)?;
                self.is_of_family(question, address, to)?;
                ((format!("service/{}", service.short_name()), (address, None)), None)
            }
            SelectorList::DnsName(name) => {
                let name = question.names.get_index(name).ok_or(None)?;
                return Ok(self.by_name(question, (here, namespace), name));
            }
        };
        if let Some(probe) = self.by_service(question, (here, namespace), (&label, address), named, to) {
            return Ok(probe);
        }
        let sent = Flow { source: question.source, ..Flow::probing(question.protocol, address) };
        let holder = || match scope.as_ref().and_then(|scope| namespace.interface(scope)) {
            Some(link) => self.net.holder_in(address, link.broadcast_domain),
            None => self.holder(address, namespace),
        };
        let there = named.or_else(holder);
        let label = link.map_or(label.clone(), |link| format!("{label}%{link}"));
        let led = self.translations.follow(namespace, &sent, (there, named.is_some()));
        if there.is_none() && led.is_none() && scope.is_none() {
            self.is_somewhere(question, address, to)?;
        }
        Ok(Probe {
            from: namespace.name.clone(),
            source: question.source,
            to: Target { label, address, scope, ns: there.and_then(|there| self.name(there)), name: None },
            arrives_at: named.and_then(|named| self.arrives_at(question, named, led)),
            endpoints: Vec::new(),
            listen: self.listen(question, address, there, led),
        })
    }

    /// A probe that a service leads to one of its endpoints, or that goes to the address of one: which of them gets it
    /// is chance.
    fn by_service(
        &self,
        question: &Question,
        (here, from): (usize, &ResolvedNamespace<'_>),
        (label, address): (&str, IpAddr),
        named: Option<usize>,
        to: &Endpoint,
    ) -> Option<Probe> {
        let (protocol, number) = port_of(question.protocol);
        let own = || address.is_loopback().then_some(here);
        let node = named.or_else(own).or_else(|| self.net.holder(address, from));
        let found = self.services.port_at(node, address, protocol, number);
        if found.is_none() && !matches!(to.side, SelectorList::Service(_)) {
            return None;
        }
        let endpoints = found
            .map(|(port, is_external)| self.services.endpoints(port, is_external, (here, from), node))
            .unwrap_or_default();
        let listens = |(at, port): &(usize, u16)| Some((self.name(*at)?, *port));
        let listen = if question.expect == Expect::Refused { &[][..] } else { &endpoints[..] };
        Some(Probe {
            from: from.name.clone(),
            source: question.source,
            to: Target {
                label: label.to_owned(),
                address,
                scope: None,
                ns: node.and_then(|node| self.name(node)),
                name: None,
            },
            arrives_at: None,
            endpoints: endpoints.iter().filter_map(|(at, _)| self.name(*at)).collect(),
            listen: listen.iter().filter_map(listens).collect(),
        })
    }

    /// A probe to a name, which the sender resolves when it runs: so its address is not known yet.
    fn by_name(&self, question: &Question, (here, from): (usize, &ResolvedNamespace<'_>), name: &str) -> Probe {
        let (protocol, number) = port_of(question.protocol);
        let endpoints = |address: IpAddr| {
            let found = self.services.port_at(None, address, protocol, number);
            let all = found.map(|(port, is_external)| self.services.endpoints(port, is_external, (here, from), None));
            let all = all.unwrap_or_default().into_iter();
            (address, all.filter_map(|(at, port)| Some((self.name(at)?, port))).collect())
        };
        let addresses = self.services.all.iter().flat_map(|service| &service.addresses);
        let services = addresses.map(|address| endpoints(*address)).collect();
        let target = TargetName { name: name.to_owned(), family: question.family, services };
        Probe {
            from: from.name.clone(),
            source: question.source,
            to: Target {
                label: format!("name/{name}"),
                address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                scope: None,
                ns: None,
                name: Some(target),
            },
            arrives_at: None,
            endpoints: Vec::new(),
            listen: Vec::new(),
        }
    }

    /// Whether an address is a node's own loopback, asked for a port of the node by itself.
    fn is_own_node_port(&self, question: &Question, here: usize, address: IpAddr) -> bool {
        let (protocol, number) = port_of(question.protocol);
        address.is_loopback() && self.services.port_at(Some(here), address, protocol, number).is_some()
    }

    fn is_of_family(&self, question: &Question, address: IpAddr, to: &Endpoint) -> Result<(), Option<Diagnostic>> {
        if question.family.is_some_and(|family| family != Family::of(address)) {
            let message = "this address does not have the `family` of the check";
            return Err(Some(Diagnostic::new(Code::FamilyMismatch, to.span, message)));
        }
        Ok(())
    }

    /// The namespace that has an address, or else one with a local route to it.
    fn holder(&self, address: IpAddr, from: &ResolvedNamespace<'_>) -> Option<usize> {
        self.net.holder(address, from).or_else(|| self.takers_of(address).next())
    }

    /// The namespaces with a local route to an address.
    fn takers_of(&self, address: IpAddr) -> impl Iterator<Item = usize> {
        let takes =
            move |router: &Router<'_>| matches!(router.lookup(&Packet::to(address)).outcome, Outcome::Local { .. });
        self.takers.iter().filter(move |(_, router)| takes(router)).map(|(at, _)| *at)
    }

    fn name(&self, namespace: usize) -> Option<NsName> {
        Some(self.net.namespaces.get(namespace)?.name.clone())
    }

    /// The address at which a namespace is probed: one in a subnet that both are in, else its first, else a link-local
    /// one on a link that both are on, with the sender's interface.
    fn address(
        &self,
        question: &Question,
        from: &ResolvedNamespace<'_>,
        target: &ResolvedNamespace<'_>,
        to: &Endpoint,
    ) -> Result<(IpAddr, Option<IfName>), Option<Diagnostic>> {
        let otherwise = if target.first_address(Family::Ipv4).is_some() { Family::Ipv4 } else { Family::Ipv6 };
        let family = question.family.unwrap_or(otherwise);
        let usable = |address: IpAddr| Family::of(address) == family && is_global(address);
        let link = question.link(to);
        let near = || target.shared_with(from, usable).or_else(|| target.first_address(family)).map(|own| (own, None));
        let families = question.family.map_or(vec![Family::Ipv6, Family::Ipv4], |family| vec![family]);
        let on_link = || {
            let found = families.iter().find_map(|family| target.link_local_from(from, *family, link));
            found.map(|(address, dev)| (address, address.is_ipv6().then(|| dev.clone())))
        };
        let found = if link.is_some() { on_link() } else { near().or_else(on_link) };
        found.ok_or_else(|| {
            if let Some(link) = link {
                let message = format!("{} has no link-local address on the link of {}/{link}", target.name, from.name);
                return self.whole.then(|| Diagnostic::new(Code::NoAddress, to.span, message));
            }
            let kind = match question.family {
                Some(Family::Ipv4) => "IPv4 address",
                Some(Family::Ipv6) => "IPv6 address",
                None => "address",
            };
            let message = format!("{} has no {kind} to be reached at", target.name);
            target.written.whole.then(|| Diagnostic::new(Code::NoAddress, to.span, message))
        })
    }

    /// Whether a check can go to an address at all.
    fn is_destination(&self, question: &Question, address: IpAddr, to: &Endpoint) -> Result<(), Option<Diagnostic>> {
        self.is_of_family(question, address, to)?;
        if let Some(message) = self.is_of_many(address) {
            let help = "a check goes to one interface: write its own address".to_owned();
            return Err(Some(Diagnostic::new(Code::AmbiguousAddress, to.span, message).help(help)));
        }
        if let (Some(link), false) = (question.link(to), is_link_local(address)) {
            let message = format!("{address} is no link-local address, and needs no link");
            let help = format!("leave out `%{link}`");
            return Err(Some(Diagnostic::new(Code::BadValue, to.span, message).help(help)));
        }
        if !is_global(address) && question.link(to).is_none() {
            let message = "loopback and link-local addresses mean something else in every namespace";
            return Err(Some(Diagnostic::new(Code::LocalAddress, to.span, message).help(
                "write an address that others can reach, or fe80::1%eth0 with the sender's interface".to_owned(),
            )));
        }
        Ok(())
    }

    /// Whether somebody may have an address, as far as it is in a subnet of the lab.
    fn is_somewhere(&self, question: &Question, address: IpAddr, to: &Endpoint) -> Result<(), Option<Diagnostic>> {
        let expected = question.expect != Expect::Unreachable && self.whole;
        if expected && !self.net.has_address(address) && self.net.has_subnet_of(address) {
            return Err(Some(Diagnostic::new(
                Code::NoSuchAddress,
                to.span,
                format!("no namespace has the address {address}"),
            )));
        }
        Ok(())
    }

    /// What is wrong with an address that no single interface can have (RFC 1122, section 3.2.1.3; RFC 4291, section
    /// 2.7).
    fn is_of_many(&self, address: IpAddr) -> Option<String> {
        let is_limited_broadcast = address == IpAddr::from(Ipv4Addr::BROADCAST);
        if address.is_unspecified() {
            return Some(format!("{address} means any address, and is no destination"));
        }
        if address.is_multicast() {
            return Some(format!("{address} is a multicast address"));
        }
        match self.net.broadcast_of(address) {
            Some(subnet) => Some(format!("{address} is the broadcast address of {subnet}")),
            None => is_limited_broadcast.then(|| format!("{address} is the broadcast address of every link")),
        }
    }

    /// Who has to listen, and where: where translation leads, if there is any; else everybody who has the address,
    /// since any of them may get it. Where a probe should not come through, a listener is there all the same, so that
    /// one that does is seen; and where the file says who is to get it, there is one where it goes instead, too.
    fn listen(
        &self,
        question: &Question,
        address: IpAddr,
        there: Option<usize>,
        led: Option<Led>,
    ) -> Vec<(NsName, u16)> {
        let port = match question.protocol {
            Protocol::Tcp(port) | Protocol::Udp(port) if question.expect != Expect::Refused => port,
            Protocol::Tcp(_) | Protocol::Udp(_) | Protocol::Icmp => return Vec::new(),
        };
        let answering = question.answered_by;
        let mut all: IndexSet<(usize, u16)> = IndexSet::new();
        match led {
            None => {
                let named = answering.or(there);
                let holders = self.net.several_holders(address).into_iter().chain(self.takers_of(address));
                all.extend(named.into_iter().chain(holders).map(|namespace| (namespace, port)));
            }
            Some(led) => {
                let not_as_meant = there.filter(|_| !led.as_meant).map(|namespace| (namespace, port));
                all.extend(answering.map(|namespace| (namespace, led.port)).or(not_as_meant));
                all.extend(led.namespace.map(|namespace| (namespace, led.port)));
            }
        }
        all.into_iter().filter_map(|(namespace, port)| Some((self.name(namespace)?, port))).collect()
    }

    /// The namespace that must see what is sent to one that the file names: itself, or where it leads that.
    fn arrives_at(&self, question: &Question, named: usize, led: Option<Led>) -> Option<NsName> {
        let namespace = match led.filter(|led| led.as_meant) {
            Some(led) => led.namespace,
            None => Some(named),
        };
        question.answered_by.or(namespace).and_then(|namespace| self.name(namespace))
    }
}

/// A protocol with its port, as services have them.
fn port_of(protocol: Protocol) -> (IpProtocol, u16) {
    match protocol {
        Protocol::Tcp(port) => (IpProtocol::Tcp, port),
        Protocol::Udp(port) => (IpProtocol::Udp, port),
        Protocol::Icmp => (IpProtocol::Icmp, 0),
    }
}

/// Whether a namespace has the interface on whose link a destination is meant.
fn has_link(from: &ResolvedNamespace<'_>, link: Option<&IfName>, to: &Endpoint) -> Result<(), Option<Diagnostic>> {
    let Some(missing) = link.filter(|link| from.interface(link).is_none()) else { return Ok(()) };
    let message = format!("{} has no interface `{missing}`", from.name);
    Err(from.written.whole.then(|| Diagnostic::new(Code::UnknownInterface, to.span, message)))
}
