//! The language: what may stand in a topology file, type by type, and how each is read from the YAML tree.
//!
//! A field here is a key there, with its documentation, from which the JSON Schema is made. Values are checked as
//! far as one value alone can be; what names mean and how things fit together is not known here.

mod address;
mod bridge;
mod bridge_port;
mod check;
mod cluster;
mod cluster_dns;
mod dns;
mod dns_zone;
mod etc_files;
mod exec_check;
mod fdb_entry;
mod file;
mod filter;
mod http;
mod ingress;
mod ingress_controller;
mod interface;
mod keep;
mod kube_proxy;
mod namespace;
mod nat;
mod neighbour;
mod network_policies;
mod network_policy;
mod policy_rule;
mod program;
mod read;
mod route;
mod scalar;
mod scalar_lab;
mod scalar_net;
mod server;
mod service;
mod service_family;
mod transport;
mod veth;
mod virtual_interface;
mod vlans;
mod vxlan;
mod wireguard;

pub use bridge::Bridge;
pub use bridge_port::Port;
pub use check::{Check, CheckPort, Protocol as Probing, SeenBy, Selector};
pub use cluster::{
    Cluster, Egress, NameOrPod, Node as ClusterNode, Pod, Pods, Routing, WrittenLabels, WrittenPolicy, WrittenService,
};
pub use cluster_dns::{ClusterDns, DnsConfig, DnsPolicy, WrittenResolver};
pub use dns_zone::{ClusterNames, Records, Target, TypedRecords, Zone};
pub use etc_files::{Dns, Hosts, HostsOf, Resolver};
pub use exec_check::{ExecCheck, WrittenCheck};
pub use fdb_entry::FdbEntry;
pub use file::File;
pub use filter::{Action, Chain, Filter, FilterProtocol, State};
pub use ingress::{Ingress, IngressBackend, IngressPath, IngressTls};
pub use ingress_controller::{ClusterIngress, IngressPorts, WrittenIngress};
pub use interface::Interface;
pub use keep::KeptAddress;
pub use kube_proxy::ProxyMode;
pub use namespace::Namespace;
pub use nat::{Dnat, Masquerade, Nat, Publish, Snat};
pub use network_policy::{
    IpBlock, LabelKey, LabelSelector, LabelValue, NetworkPolicy, PolicyName, PolicyPeer, PolicyPort,
};
pub use policy_rule::{PolicyRule, RuleType};
pub use program::{NeededProgram, Program, Ready, WrittenPrograms};
pub use read::{Named, OneOrMany, Read, Spanned};
pub use route::Route;
pub use scalar_lab::Text;
pub use scalar_net::{Destination, Ports, Prefix, PublishTo};
pub use server::{Server, WrittenServers};
pub use service::{
    Affinity, ClusterIp, DEFAULT_NAMESPACE, DnsLabel, PodPort, Service, ServicePort, ServiceType, TargetPort,
    TrafficPolicy,
};
pub use service_family::IpFamilyPolicy;
pub use transport::Transport;
pub use virtual_interface::{Gre, Ipip, Ipvlan, Macvlan, Parent, VirtualInterface, Vlan, Vrf};
pub use vlans::{VlanId, VlanIds};
pub use vxlan::Vxlan;
pub use wireguard::{Endpoint, PeerName, Wireguard, WireguardPeer};
