//! A namespace: its interfaces, its bridges, and what else is in it.

use schemars::JsonSchema;

use super::bridge::Bridge;
use super::etc_files::{Hosts, Resolver};
use super::filter::Filter;
use super::ingress_controller::IngressController;
use super::interface::Interface;
use super::keep::Keep;
use super::kube_proxy::KubeProxy;
use super::nat::Nat;
use super::neighbour::Neighbour;
use super::network_policies::NetworkPolicies;
use super::policy_rule::PolicyRule;
use super::program::Programs;
use super::read::{Fields, Named, OneOrMany, Read, Spanned};
use super::route::Route;
use super::scalar_lab::Text;
use super::server::Server;
use super::service::{DnsLabel, PodPort};
use super::virtual_interface::{Gre, Ipip, Ipvlan, Macvlan, VirtualInterface, Vlan, Vrf};
use super::vxlan::Vxlan;
use super::wireguard::Wireguard;
use crate::lab::{IfName, SysctlKey, SysctlValue};
use crate::topology::diagnostics::Collector;
use crate::topology::yaml::Node;

/// A network namespace. An empty one has nothing but its loopback interface.
#[derive(JsonSchema, Default)]
#[schemars(deny_unknown_fields)]
pub struct Namespace {
    /// Ends of links, by name, with what they have; and `lo`, which may have further addresses.
    #[schemars(default)]
    pub interfaces: Named<IfName, Interface>,
    /// Bridges.
    #[schemars(default)]
    pub bridges: Named<IfName, Bridge>,
    /// Ends of VXLANs.
    #[schemars(default)]
    pub vxlans: Named<IfName, Vxlan>,
    /// Further MAC addresses of interfaces.
    #[schemars(default)]
    pub macvlans: Named<IfName, Macvlan>,
    /// Further addresses of interfaces, under the same MAC address.
    #[schemars(default)]
    pub ipvlans: Named<IfName, Ipvlan>,
    /// VLANs of interfaces.
    #[schemars(default)]
    pub vlans: Named<IfName, Vlan>,
    /// Ends of tunnels of IPv4 in IPv4.
    #[schemars(default)]
    pub ipips: Named<IfName, Ipip>,
    /// Ends of tunnels of GRE.
    #[schemars(default)]
    pub gres: Named<IfName, Gre>,
    /// WireGuard interfaces.
    #[schemars(default)]
    pub wireguards: Named<IfName, Wireguard>,
    /// Interfaces that lead nowhere.
    #[schemars(default)]
    pub dummies: Named<IfName, Interface>,
    /// Routing tables for some of its interfaces each.
    #[schemars(default)]
    pub vrfs: Named<IfName, Vrf>,
    /// Routes beyond those that the addresses bring.
    #[schemars(default)]
    pub routes: Vec<Route>,
    /// Policy routing rules.
    #[schemars(default)]
    pub rules: Vec<PolicyRule>,
    /// Permanent entries of the neighbour (ARP) table.
    #[schemars(default)]
    pub neighbours: Vec<Neighbour>,
    /// Sysctls below `net.`.
    #[schemars(default)]
    pub sysctls: Named<SysctlKey, Spanned<SysctlValue>>,
    /// Whether packets are forwarded between interfaces (`net.ipv4.ip_forward`, and IPv6 where it is in use).
    pub forwarding: Option<Spanned<bool>>,
    /// Address translation, in the order in which it is tried.
    #[schemars(default)]
    pub nat: Vec<Nat>,
    /// Packet filter rules, in the order in which they are asked.
    #[schemars(default)]
    pub filter: Vec<Filter>,
    /// What programs add and the lab leaves alone: `[routes: zebra]`.
    pub keep: Option<OneOrMany<Keep>>,
    /// Programs that run in it, by name.
    #[schemars(default)]
    pub run: Programs,
    /// Built-in servers, so that no other program is needed: `[http: 80, udp: 7]`.
    #[schemars(default)]
    pub serve: Vec<Server>,
    /// Labels by which checks and services can select namespaces.
    #[schemars(default)]
    pub labels: Named<Text, Spanned<Text>>,
    /// Of a pod: names of its ports, for services.
    #[schemars(default)]
    pub ports: Named<DnsLabel, Spanned<PodPort>>,
    /// Of a pod: whether services lead to it; true by default.
    pub ready: Option<Spanned<bool>>,
    /// Of a pod: its name in the headless service that `subdomain` names; by default, its address with dashes.
    pub hostname: Option<Spanned<DnsLabel>>,
    /// Of a pod: the headless service in which it has its `hostname`.
    pub subdomain: Option<Spanned<DnsLabel>>,
    /// Of a node: that it has the rules of all services.
    pub kube_proxy: Option<KubeProxy>,
    /// Whether it spreads what comes for the `loadBalancerIP` of services over the nodes.
    pub load_balancer: Option<Spanned<bool>>,
    /// Of a node: that it enforces the network policies.
    pub network_policies: Option<NetworkPolicies>,
    /// That it is an ingress controller: it runs nginx, which carries out the file's `ingress`.
    pub ingress_controller: Option<IngressController>,
    /// What programs in it find in `/etc/hosts`: `lab` (the default in a file that has this key, or `dns`, anywhere),
    /// `machine`, or names with their addresses.
    pub hosts: Option<Hosts>,
    /// What programs in it find in `/etc/resolv.conf`: name servers, or a map. Without it, the machine's.
    pub dns: Option<Resolver>,
    /// Whether all of it could be read.
    #[schemars(skip)]
    pub whole: bool,
}

impl Read for Namespace {
    fn read(node: &Node, found: &mut Collector<'_>) -> Option<Self> {
        let before = found.count();
        let mut fields = Fields::begin(node, "a namespace", found)?;
        let mut namespace = Self {
            interfaces: fields.or_empty("interfaces"),
            bridges: fields.or_empty("bridges"),
            vxlans: fields.or_empty("vxlans"),
            macvlans: fields.or_empty("macvlans"),
            ipvlans: fields.or_empty("ipvlans"),
            vlans: fields.or_empty("vlans"),
            ipips: fields.or_empty("ipips"),
            gres: fields.or_empty("gres"),
            wireguards: fields.or_empty("wireguards"),
            dummies: fields.or_empty("dummies"),
            vrfs: fields.or_empty("vrfs"),
            routes: fields.or_empty("routes"),
            rules: fields.or_empty("rules"),
            neighbours: fields.or_empty("neighbours"),
            sysctls: fields.or_empty("sysctls"),
            forwarding: fields.optional("forwarding"),
            nat: fields.or_empty("nat"),
            filter: fields.or_empty("filter"),
            keep: fields.optional("keep"),
            run: fields.or_empty("run"),
            serve: fields.or_empty("serve"),
            labels: fields.or_empty("labels"),
            ports: fields.or_empty("ports"),
            ready: fields.optional("ready"),
            hostname: fields.optional("hostname"),
            subdomain: fields.optional("subdomain"),
            kube_proxy: fields.optional("kube_proxy"),
            load_balancer: fields.optional("load_balancer"),
            network_policies: fields.optional("network_policies"),
            ingress_controller: fields.optional("ingress_controller"),
            hosts: fields.optional("hosts"),
            dns: fields.optional("dns"),
            whole: false,
        };
        fields.end();
        namespace.whole = found.count() == before;
        Some(namespace)
    }
}

impl Namespace {
    /// All virtual interfaces, kind by kind.
    pub fn virtual_interfaces(&self) -> impl Iterator<Item = (&Spanned<IfName>, VirtualInterface<'_>)> {
        let vxlans = self.vxlans.entries.iter().map(|(name, own)| (name, VirtualInterface::Vxlan(own)));
        let macvlans = self.macvlans.entries.iter().map(|(name, own)| (name, VirtualInterface::Macvlan(own)));
        let ipvlans = self.ipvlans.entries.iter().map(|(name, own)| (name, VirtualInterface::Ipvlan(own)));
        let vlans = self.vlans.entries.iter().map(|(name, own)| (name, VirtualInterface::Vlan(own)));
        let ipips = self.ipips.entries.iter().map(|(name, own)| (name, VirtualInterface::Ipip(own)));
        let gres = self.gres.entries.iter().map(|(name, own)| (name, VirtualInterface::Gre(own)));
        let wireguards = self.wireguards.entries.iter().map(|(name, own)| (name, VirtualInterface::Wireguard(own)));
        let dummies = self.dummies.entries.iter().map(|(name, own)| (name, VirtualInterface::Dummy(own)));
        let vrfs = self.vrfs.entries.iter().map(|(name, own)| (name, VirtualInterface::Vrf(own)));
        let tunnels = ipips.chain(gres).chain(wireguards);
        vxlans.chain(macvlans).chain(ipvlans).chain(vlans).chain(tunnels).chain(dummies).chain(vrfs)
    }
}
