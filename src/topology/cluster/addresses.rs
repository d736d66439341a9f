//! The nodes' addresses in the node networks: those that the author chose, and for the rest those that their numbers
//! make.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::diagnostics::{Collector, Diagnostic, Span};
use super::super::schema::{ClusterNode, Prefix, Routing, Spanned};
use super::numbers;
use crate::lab::NsName;
use crate::topology::code::Code;

/// Which address is whose, and who has none.
pub struct Addresses<'w> {
    networks: Vec<IpNet>,
    taken: HashMap<IpAddr, (&'w Spanned<NsName>, Span)>,
    /// The places of nodes with a wrong address: what is found there later follows from that.
    spoilt: Vec<Span>,
    /// The numbers for which a network has no address, with the names of their nodes.
    beyond: Vec<(IpNet, &'w Spanned<NsName>, Spanned<u32>)>,
}

impl<'w> Addresses<'w> {
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self { networks, taken: HashMap::new(), spoilt: Vec::new(), beyond: Vec::new() }
    }

    /// A node's addresses, one for each node network.
    pub fn of_node(
        &mut self,
        name: &'w Spanned<NsName>,
        number: &Spanned<u32>,
        node: &ClusterNode,
        found: &mut Collector<'_>,
    ) -> Vec<Spanned<IpNet>> {
        let given = node.address.as_ref().map_or(&[][..], |given| &given.0);
        within(given, &self.networks, "the node network", found);
        let mut addresses = Vec::new();
        for network in &self.networks {
            let given = given.iter().find(|given| network.contains(&given.value)).cloned();
            let made = || Some(Spanned { value: numbers::node_address(*network, number.value)?, span: number.span });
            let Some(Spanned { value, span }) = given.or_else(made) else {
                self.beyond.push((*network, name, number.clone()));
                continue;
            };
            if let Some(what) = numbers::unusable(*network, value) {
                found.tell(Diagnostic::new(
                    Code::ReservedAddress,
                    span,
                    format!("{value} is {what}; no node can have it"),
                ));
                self.spoilt.extend([span, name.span]);
            }
            if let Some((other, first)) = self.taken.insert(value, (name, span)) {
                let message = format!("`{}` has the address {value}, which is `{}`'s", name.value, other.value);
                let fault =
                    Diagnostic::new(Code::AddressTwice, span, message).also(first, format!("`{}`", other.value));
                found.tell(fault.help("give one of them another `address`".to_owned()));
                self.spoilt.extend([span, name.span, other.span]);
            }
            addresses.extend(IpNet::new(value, network.prefix_len()).ok().map(|value| Spanned { value, span }));
        }
        addresses
    }

    /// All nodes have been asked for: networks with fewer addresses than there are nodes, or than their numbers ask
    /// for, are reported once.
    pub fn finish(self, written: &[Spanned<Prefix>], nodes: usize, routing: Routing, found: &mut Collector<'_>) {
        self.spoilt.iter().for_each(|span| found.spoil(*span));
        let (router, and_router) = if routing == Routing::Router { (1, " and a router") } else { (0, "") };
        for Spanned { value: Prefix(network), span } in written.iter().filter(|at| self.networks.contains(&at.value.0))
        {
            let beyond: Vec<_> = self.beyond.iter().filter(|(of, ..)| of == network).collect();
            let last = beyond.iter().map(|(.., number)| numbers::node_place(*network, number.value)).max();
            let wanted = (nodes + router) as u128;
            let room = numbers::room(*network);
            let larger = numbers::with_room(*network, last.unwrap_or_default().max(wanted));
            let larger = larger.map_or_else(|| "a larger network".to_owned(), |larger| larger.to_string());
            if room < wanted {
                let addresses = if room == 1 { "one address".to_owned() } else { format!("{room} addresses") };
                let message = format!("the node network {network} has {addresses} for {nodes} nodes{and_router}");
                found.add(Diagnostic::new(Code::NetworkTooSmall, *span, message).help(
                    match network.max_prefix_len() - network.prefix_len() {
                        0 => {
                            let length = if network.addr().is_ipv4() { 24 } else { 64 };
                            format!("write its length, too: {}/{length}", network.addr())
                        }
                        _ => format!("write a larger one: {larger}"),
                    },
                ));
            } else if let [(_, name, number), ..] = beyond.as_slice() {
                let place = numbers::node_place(*network, number.value);
                let more = match beyond.len() {
                    1 => String::new(),
                    beyond => format!(" ({beyond} of the {nodes} nodes are beyond it)"),
                };
                let message = format!(
                    "`{}` would have address {place} of the node network, and {network} has {room}{more}",
                    name.value
                );
                let help = format!(
                    "a node without an `address` has that of {} and its number: write {larger}, or give it an `address`",
                    place - u128::from(number.value)
                );
                found.add(Diagnostic::new(Code::NumberOutOfRange, number.span, message).help(help));
            }
        }
    }
}

/// The subnets of a network: one, or one of each family.
pub fn networks(written: &[Spanned<Prefix>], found: &mut Collector<'_>) -> Vec<IpNet> {
    let mut networks: Vec<IpNet> = Vec::new();
    for Spanned { value: Prefix(net), span } in written {
        if networks.iter().any(|other| other.addr().is_ipv4() == net.addr().is_ipv4()) {
            let message = format!("{net} is a second subnet of the same family");
            found.add(
                Diagnostic::new(Code::SecondSubnet, *span, message)
                    .help("a network has one of IPv4, one of IPv6, or one of each".to_owned()),
            );
        } else {
            networks.push(*net);
        }
    }
    networks
}

/// The router has the first address of each node network.
pub fn not_the_routers(addresses: &[Spanned<IpNet>], found: &mut Collector<'_>) {
    for own in addresses.iter().filter(|own| numbers::nth(own.value, 1) == Some(own.value.addr())) {
        let message = format!("{} is the address of the router between the nodes", own.value.addr());
        found.add(Diagnostic::new(Code::AddressTwice, own.span, message));
    }
}

/// Addresses in the node networks that the author chose for another machine than a node.
pub fn of_machine(given: &[Spanned<IpAddr>], networks: &[IpNet], found: &mut Collector<'_>) -> Vec<Spanned<IpNet>> {
    within(given, networks, "the node network", found);
    let with_length = |Spanned { value, span }: &Spanned<IpAddr>| {
        let network = networks.iter().find(|network| network.contains(value))?;
        let value = IpNet::new(*value, network.prefix_len()).ok()?;
        Some(Spanned { value, span: *span })
    };
    given.iter().filter_map(with_length).collect()
}

/// Whether addresses that the author chose are in these subnets, one in each at most.
pub fn within(given: &[Spanned<IpAddr>], subnets: &[IpNet], of: &str, found: &mut Collector<'_>) {
    let mut used: Vec<(IpNet, Span)> = Vec::new();
    for Spanned { value, span } in given {
        let Some(subnet) = subnets.iter().find(|subnet| subnet.contains(value)) else {
            let subnets: Vec<String> = subnets.iter().map(IpNet::to_string).collect();
            let message = format!("{value} is not in {of}, {}", subnets.join(" and "));
            found.add(Diagnostic::new(Code::AddressOutsideNetwork, *span, message));
            continue;
        };
        if let Some((_, first)) = used.iter().find(|(other, _)| other == subnet) {
            found.add(
                Diagnostic::new(Code::SecondAddress, *span, format!("this is a second address in {subnet}"))
                    .also(*first, "the first"),
            );
        }
        used.push((*subnet, *span));
    }
}
