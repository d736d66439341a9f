//! The pods of a node: which there are, and which address each one has.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::super::diagnostics::{Collector, Diagnostic, Span};
use super::super::schema::{ClusterNode, DnsLabel, NameOrPod, Named, PodPort, Pods, Spanned, Text};
use super::super::schema::{DnsConfig, DnsPolicy, WrittenPrograms, WrittenServers};
use super::addresses::within;
use super::names::{Names, is_new};
use super::numbers;
use crate::lab::{IfName, NsName};
use crate::topology::code::Code;
use crate::topology::yaml::Node;

/// A pod.
pub struct Pod<'w> {
    pub name: Spanned<NsName>,
    /// Its addresses in the node's subnets, with their prefix lengths.
    pub addresses: Vec<Spanned<IpNet>>,
    /// The node's interface of its link.
    pub node_end: IfName,
    pub namespace: Option<&'w Spanned<Text>>,
    pub labels: Vec<&'w (Spanned<Text>, Spanned<Text>)>,
    pub ports: &'w [(Spanned<DnsLabel>, Spanned<PodPort>)],
    pub ready: Option<&'w Spanned<bool>>,
    pub hostname: Option<&'w Spanned<DnsLabel>>,
    pub subdomain: Option<&'w Spanned<DnsLabel>>,
    pub run: Option<&'w WrittenPrograms>,
    pub serve: Option<&'w WrittenServers>,
    pub dns_policy: Option<&'w Spanned<DnsPolicy>>,
    pub dns_config: Option<&'w DnsConfig>,
    pub ingress_controller: Option<&'w Node>,
}

/// What the author says of a pod.
struct Wanted<'w> {
    name: Spanned<NsName>,
    address: &'w [Spanned<IpAddr>],
    namespace: Option<&'w Spanned<Text>>,
    labels: Option<&'w Named<Text, Spanned<Text>>>,
    ports: &'w [(Spanned<DnsLabel>, Spanned<PodPort>)],
    ready: Option<&'w Spanned<bool>>,
    hostname: Option<&'w Spanned<DnsLabel>>,
    subdomain: Option<&'w Spanned<DnsLabel>>,
    run: Option<&'w WrittenPrograms>,
    serve: Option<&'w WrittenServers>,
    dns_policy: Option<&'w Spanned<DnsPolicy>>,
    dns_config: Option<&'w DnsConfig>,
    ingress_controller: Option<&'w Node>,
    /// Of a pod of a manifest: its node.
    of_manifest: Option<&'w NsName>,
}

/// The pods of a node of a name and a number.
pub fn of_node<'w>(
    (node_name, node): (&'w NsName, u32),
    subnets: &[IpNet],
    written: &'w ClusterNode,
    names: &mut Names,
    found: &mut Collector<'_>,
) -> Vec<Pod<'w>> {
    let mut ends = HashMap::new();
    let mut taken = Taken::default();
    let mut pods = Vec::new();
    let own = wanted(node, written.pods.as_ref(), found).into_iter();
    for wanted in own.chain(written.of_manifests.iter().map(|pod| Wanted::of(pod, Some(node_name)))) {
        if !names.take(&wanted.name, found) {
            continue;
        }
        let addresses = taken.addresses(node, &wanted, subnets, found);
        let end = numbers::interface("veth-", wanted.name.value.as_str(), "");
        let Some(node_end) = end.filter(|end| is_new(&mut ends, end, &wanted.name, found)) else { continue };
        let labels = wanted.labels.map(|labels| labels.entries.iter().collect::<Vec<_>>()).unwrap_or_default();
        let again = labels.iter().find(|(key, _)| key.value.0 == "namespace");
        if let (Some(namespace), Some((key, _))) = (wanted.namespace, again) {
            let message = "`namespace` makes this label already";
            found.add(Diagnostic::new(Code::ReservedName, key.span, message).also(namespace.span, "here"));
        }
        let Wanted { name, namespace, ports, ready, hostname, subdomain, run, serve, dns_policy, dns_config, .. } =
            wanted;
        let ingress_controller = wanted.ingress_controller;
        pods.push(Pod {
            name,
            addresses,
            node_end,
            namespace,
            labels,
            ports,
            ready,
            hostname,
            subdomain,
            run,
            serve,
            dns_policy,
            dns_config,
            ingress_controller,
        });
    }
    taken.spoilt.iter().for_each(|span| found.spoil(*span));
    pods
}

fn wanted<'w>(node: u32, written: Option<&'w Pods>, found: &mut Collector<'_>) -> Vec<Wanted<'w>> {
    match written {
        None => Vec::new(),
        Some(Pods::Count(count)) if count.value.0 > numbers::PODS => {
            let message = format!("{} pods; a node's subnet has room for {}", count.value.0, numbers::PODS);
            found.add(Diagnostic::new(Code::NetworkTooSmall, count.span, message).help("take more nodes".to_owned()));
            Vec::new()
        }
        Some(Pods::Count(count)) => {
            let names = (1..=count.value.0).filter_map(|pod| numbers::pod_name(node, pod).parse().ok());
            let at = |value| Spanned { value, span: count.span };
            let plain = |name| Wanted {
                name: at(name),
                address: &[],
                namespace: None,
                labels: None,
                ports: &[],
                ready: None,
                hostname: None,
                subdomain: None,
                run: None,
                serve: None,
                dns_policy: None,
                dns_config: None,
                ingress_controller: None,
                of_manifest: None,
            };
            names.map(plain).collect()
        }
        Some(Pods::List(list)) => list.iter().map(|pod| Wanted::of(pod, None)).collect(),
    }
}

impl<'w> Wanted<'w> {
    /// A pod of the topology, or one of a manifest on a node.
    fn of(NameOrPod(pod): &'w NameOrPod, of_manifest: Option<&'w NsName>) -> Self {
        Self {
            name: pod.name.clone(),
            address: pod.address.as_ref().map_or(&[], |given| &given.0),
            namespace: pod.namespace.as_ref(),
            labels: Some(&pod.labels),
            ports: &pod.ports.entries,
            ready: pod.ready.as_ref(),
            hostname: pod.hostname.as_ref(),
            subdomain: pod.subdomain.as_ref(),
            run: pod.run.as_ref(),
            serve: pod.serve.as_ref(),
            dns_policy: pod.dns_policy.as_ref(),
            dns_config: pod.dns_config.as_ref(),
            ingress_controller: pod.ingress_controller.as_ref(),
            of_manifest,
        }
    }
}

/// Which addresses of a node's subnets are whose.
#[derive(Default)]
struct Taken {
    holders: HashMap<IpAddr, Holder>,
    /// The places of pods with a wrong address: what is found there later follows from that.
    spoilt: Vec<Span>,
}

/// Who has an address.
struct Holder {
    pod: Spanned<NsName>,
    span: Span,
    /// Whether its author chose it.
    is_chosen: bool,
}

impl Taken {
    /// The addresses of a pod: those that the author chose, and for the rest those that its name makes. It has the same
    /// place in the subnets of both families.
    fn addresses(
        &mut self,
        node: u32,
        pod: &Wanted<'_>,
        subnets: &[IpNet],
        found: &mut Collector<'_>,
    ) -> Vec<Spanned<IpNet>> {
        within(pod.address, subnets, "the node's subnet", found);
        let name = pod.name.value.as_str();
        let chosen = pod.address.iter().find_map(|given| match given.value {
            IpAddr::V4(own) => Some(own.to_bits() & 0xff),
            IpAddr::V6(_) => None,
        });
        let place = chosen.unwrap_or_else(|| numbers::of_pod(node, name));
        let mut addresses = Vec::new();
        for subnet in subnets {
            let given = pod.address.iter().find(|given| subnet.contains(&given.value)).cloned();
            let is_chosen = given.is_some();
            let made = || Some(Spanned { value: numbers::nth(*subnet, place.into())?, span: pod.name.span });
            let Some(Spanned { value, span }) = given.or_else(made) else { continue };
            if let Some(fault) = unusable(*subnet, value, span) {
                found.tell(fault);
                self.spoilt.extend([span, pod.name.span]);
            }
            if let Some(other) = self.holders.insert(value, Holder { pod: pod.name.clone(), span, is_chosen }) {
                let message = format!("`{name}` has the address {value}, which is `{}`'s", other.pod.value);
                let why = match is_chosen && other.is_chosen {
                    true => "give one of them another",
                    false => "addresses are made from names; choose one",
                };
                let there = pod.of_manifest.map_or_else(String::new, |node| format!(" in the `pods` of `{node}`"));
                let help = self.free(*subnet).map(|free| format!("{why}{there}: {{ name: {name}, address: {free} }}"));
                found.tell(
                    Diagnostic::new(Code::AddressTwice, span, message)
                        .help(help)
                        .also(other.span, format!("`{}`", other.pod.value)),
                );
                self.spoilt.extend([span, pod.name.span, other.pod.span]);
            }
            addresses.extend(IpNet::new(value, subnet.prefix_len()).ok().map(|value| Spanned { value, span }));
        }
        addresses
    }

    /// The first address that no pod before this one has.
    fn free(&self, subnet: IpNet) -> Option<IpAddr> {
        (2..=254).filter_map(|place| numbers::nth(subnet, place)).find(|address| !self.holders.contains_key(address))
    }
}

/// What is wrong with an address that no pod can have.
fn unusable(subnet: IpNet, address: IpAddr, span: Span) -> Option<Diagnostic> {
    let own = (numbers::nth(subnet, 1) == Some(address)).then(|| format!("the node's own address in {subnet}"));
    let what = own.or_else(|| numbers::unusable(subnet, address))?;
    let (first, last) = (numbers::nth(subnet, 2)?, numbers::nth(subnet, 254)?);
    Some(
        Diagnostic::new(Code::ReservedAddress, span, format!("{address} is {what}"))
            .help(format!("a pod has one from {first} to {last}")),
    )
}
