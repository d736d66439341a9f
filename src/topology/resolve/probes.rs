//! Probes: the single pairs of a check, each with the address that is probed and the sockets that have to listen.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use indexmap::IndexMap;

use super::net::{Net, ResolvedNamespace, is_global};
use super::selectors::{Endpoint, SelectorList};
use crate::forwarding::{Flow, translate};
use crate::lab::{Expect, Family, Hook, IpProtocol, Namespace, NsName, Probe, Protocol, Target};
use crate::topology::code::Code;
use crate::topology::diagnostics::{Collector, Diagnostic};

/// What a check asks of every pair.
pub struct Question {
    pub protocol: Protocol,
    pub expect: Expect,
    /// The address family, if the author asks for one.
    pub family: Option<Family>,
    pub source: Option<IpAddr>,
    /// Which namespace must answer.
    pub answered_by: Option<usize>,
}

/// Makes probes; knows what every namespace publishes.
pub struct Maker<'n> {
    net: &'n Net<'n>,
    namespaces: &'n IndexMap<NsName, Namespace>,
    /// Whether all addresses are known: if not, what seems to be missing may be there.
    whole: bool,
}

impl<'n> Maker<'n> {
    pub fn new(net: &'n Net<'n>, namespaces: &'n IndexMap<NsName, Namespace>) -> Self {
        let whole = net.namespaces.iter().all(|namespace| namespace.written.whole);
        Self { net, namespaces, whole }
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
        let (label, address, there) = match to.side {
            SelectorList::Namespace(there) => {
                let target = self.net.namespaces.get(there).ok_or(None)?;
                (target.name.to_string(), self.address(question, namespace, target, to)?, Some(there))
            }
            SelectorList::Address(address) => {
                (address.to_string(), address, self.owner(question, namespace, address, to)?)
            }
        };
        Ok(Probe {
            from: namespace.name.clone(),
            source: question.source,
            to: Target { label, address, ns: there.and_then(|there| self.name(there)) },
            arrives_at: match to.side {
                SelectorList::Namespace(there) => self.arrives_at(question, here, address, there),
                SelectorList::Address(_) => None,
            },
            listen: self.listen(question, here, address, there),
        })
    }

    fn name(&self, namespace: usize) -> Option<NsName> {
        Some(self.net.namespaces.get(namespace)?.name.clone())
    }

    /// The address at which a namespace is probed: one in a subnet that both are in, else its first.
    fn address(
        &self,
        question: &Question,
        from: &ResolvedNamespace<'_>,
        target: &ResolvedNamespace<'_>,
        to: &Endpoint,
    ) -> Result<IpAddr, Option<Diagnostic>> {
        let otherwise = if target.first_address(Family::Ipv4).is_some() { Family::Ipv4 } else { Family::Ipv6 };
        let family = question.family.unwrap_or(otherwise);
        let usable = |address: IpAddr| Family::of(address) == family && is_global(address);
        target.shared_with(from, usable).or_else(|| target.first_address(family)).ok_or_else(|| {
            let kind = match question.family {
                Some(Family::Ipv4) => "IPv4 address",
                Some(Family::Ipv6) => "IPv6 address",
                None => "address",
            };
            let message = format!("{} has no {kind} to be reached at", target.name);
            target.written.whole.then(|| Diagnostic::new(Code::NoAddress, to.span, message))
        })
    }

    /// The namespace that has an address; where several have it, the one on a broadcast domain with the sender.
    fn owner(
        &self,
        question: &Question,
        from: &ResolvedNamespace<'_>,
        address: IpAddr,
        to: &Endpoint,
    ) -> Result<Option<usize>, Option<Diagnostic>> {
        if question.family.is_some_and(|family| family != Family::of(address)) {
            return Err(Some(Diagnostic::new(
                Code::FamilyMismatch,
                to.span,
                "this address does not have the `family` of the check",
            )));
        }
        if let Some(message) = self.is_of_many(address) {
            let help = "a check goes to one interface: write its own address".to_owned();
            return Err(Some(Diagnostic::new(Code::AmbiguousAddress, to.span, message).help(help)));
        }
        if !is_global(address) {
            let message = "loopback and link-local addresses mean something else in every namespace";
            return Err(Some(
                Diagnostic::new(Code::LocalAddress, to.span, message)
                    .help("write an address that others can reach".to_owned()),
            ));
        }
        let expected = question.expect != Expect::Unreachable && self.whole;
        if expected && !self.net.has_address(address) && self.net.has_subnet_of(address) {
            return Err(Some(Diagnostic::new(
                Code::NoSuchAddress,
                to.span,
                format!("no namespace has the address {address}"),
            )));
        }
        Ok(self.net.holder(address, from))
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

    /// Who has to listen, and where: behind the published port, if it is one. Where a probe should not come
    /// through, a listener is there all the same, so that one that does is seen.
    fn listen(&self, question: &Question, here: usize, address: IpAddr, there: Option<usize>) -> Vec<(NsName, u16)> {
        let Some((_, port)) = transport(question.protocol).filter(|_| question.expect != Expect::Refused) else {
            return Vec::new();
        };
        let (namespace, port) = self.led(question.protocol, here, address, there).unwrap_or((there, port));
        let namespace = question.answered_by.or(namespace);
        namespace.and_then(|namespace| self.name(namespace)).map(|name| (name, port)).into_iter().collect()
    }

    /// The namespace that must see what is sent to one that the file names: itself, or where its published port leads.
    fn arrives_at(&self, question: &Question, here: usize, address: IpAddr, there: usize) -> Option<NsName> {
        let namespace = match self.led(question.protocol, here, address, Some(there)) {
            Some((namespace, _)) => namespace,
            None => Some(there),
        };
        question.answered_by.or(namespace).and_then(|namespace| self.name(namespace))
    }

    /// Where a published port of the destination leads; none, where the port is its own.
    fn led(
        &self,
        protocol: Protocol,
        here: usize,
        address: IpAddr,
        there: Option<usize>,
    ) -> Option<(Option<usize>, u16)> {
        let (protocol, port) = transport(protocol)?;
        let publisher = self.net.namespaces.get(there?)?;
        let hook = if there == Some(here) { Hook::Output } else { Hook::Prerouting };
        let sent = Flow::to(protocol, address, Some(port));
        let led = translate(self.namespaces.get(&publisher.name)?, hook, &sent).flow;
        let port = led.destination_port.filter(|_| led.states != sent.states)?;
        Some((self.net.holder(led.destination, publisher), port))
    }
}

fn transport(protocol: Protocol) -> Option<(IpProtocol, u16)> {
    match protocol {
        Protocol::Tcp(port) => Some((IpProtocol::Tcp, port)),
        Protocol::Udp(port) => Some((IpProtocol::Udp, port)),
        Protocol::Icmp => None,
    }
}
