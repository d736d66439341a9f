//! The lab, flat and plain: the one vocabulary that every other room speaks.
//!
//! The topology room builds a [`Lab`] from a file (what is wanted), the kernel room builds an [`Observed`] from the
//! kernel's own account (what is), and the plan room compares the two. Pure data: nothing here reads a file,
//! asks the kernel or knows how a topology file is spelled.

mod address;
mod asks;
mod bridge;
mod bridge_port;
mod chain;
mod check;
pub mod code;
mod counted_firewall;
mod dnat;
mod dns;
mod etc_files;
mod exec_check;
mod fdb_entry;
mod filter;
mod firewall;
mod firewall_extensions;
mod firewall_rule;
mod foreign;
mod gre;
mod interface;
mod interface_flags;
mod interface_ref;
mod keep;
mod link_option;
mod mac;
mod mark;
mod names;
pub mod nat;
mod neighbour;
mod network_policy;
mod nft_chain;
mod nft_rule;
mod nft_set;
mod nft_table;
mod nft_text;
mod observed;
mod observed_firewall;
mod original_sysctls;
mod owners;
mod policy_rule;
mod program;
mod route;
mod server;
mod share;
mod spread;
mod sysctl_meaning;
mod sysctl_time;
mod taken_part;
mod unread;
mod virtual_interface;
mod vlans;
mod vxlan;
mod wireguard;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

pub use address::{Address, AlteredAddress, is_global};
pub use asks::{Asks, DnsAnswer, DnsQuery, DnsType, HttpRequest};
pub use bridge::BridgeOptions;
pub use bridge_port::{PortForwarding, PortOptions, PortSwitch, PortSwitches};
pub use chain::{CHAIN_PREFIX, ChainId, Family, Hook, Policy, Table};
pub use check::{Check, Expect, PacketSize, Probe, Protocol, SeenAs, Target, TargetName};
pub use counted_firewall::{CountedChain, CountedFirewall, CountedRule, Counters};
pub use dnat::{DnatPort, DnatTarget, PortRange};
pub use dns::{DnsData, DnsName, DnsNameError, DnsRecord, DnsValue, DnsZone};
pub use etc_files::{EtcFiles, EtcHosts, LabEtc, ZONES, hosts_text, zones_file, zones_of_text, zones_text};
pub use exec_check::{ExecCheck, Printed, Ran, in_one_line};
pub use fdb_entry::FdbEntry;
pub use filter::RejectWith;
pub use firewall::Firewall;
pub use firewall_extensions::{MarkBits, Probability, Recent};
pub use firewall_rule::{Condition, ConnectionState, FirewallRule, FirewallTarget, IpProtocol, Matches};
pub use foreign::{
    Foreign, ForeignFdbEntry, ForeignInterface, ForeignKind, ForeignObject, ForeignOther, ForeignRoute, ForeignRule,
};
pub use gre::Gre;
use indexmap::IndexMap;
pub use interface::{ETHERNET_MTU, Interface, InterfaceKind, VLAN_TAG_LEN};
pub use interface_flags::InterfaceFlags;
pub use interface_ref::InterfaceRef;
pub use keep::Keep;
pub use link_option::{LINK_OPTIONS, LinkOption, OptionOf};
pub use mac::Mac;
pub(crate) use mark::fnv1a;
pub use mark::{Mark, ROUTE_PROTOCOL, Remembered};
pub use names::{ChainName, IfName, LabName, NameError, NsName, ProgramName, SysctlKey, SysctlValue};
pub(crate) use names::{setting_folder, setting_of_folder};
pub use nat::PortForward;
pub use neighbour::{Neighbour, NeighbourEntry, NeighbourState};
pub use network_policy::{
    Direction, LabelOperator, LabelRequirement, LabelSelector, Labels, NAME_LABEL, NamedPort, NetworkPolicies,
    NetworkPolicy, NetworkPolicyRule, Pod, PolicyConntrack, PolicyNode, PolicyPeer, PolicyPort, PortMatch,
    PortProtocol,
};
pub use nft_chain::{NftBase, NftChain, NftChainType};
pub use nft_rule::{NftCondition, NftField, NftRule, NftSide, NftStatement, NftVerdict};
pub use nft_set::{NftElement, NftKey, NftSet, NftSetDefinition, NftType, NftValue};
pub use nft_table::{NftFamily, NftTable, NftTableId, NftTables, POLICY_TABLE};
pub use nft_text::{comment_text, key_text};
pub use observed::{Claims, Observed, ObservedNamespace, Routing, RoutingOfOthers};
pub use observed_firewall::{ForeignFirewallRule, ObservedFirewall, ObservedRule};
pub(crate) use original_sysctls::{note, noted};
pub use owners::Owners;
pub use policy_rule::{PolicyRule, RuleAction};
pub use program::{
    Ended, GRACE, Limits, ObservedProgram, PROGRAM_PATH, Position, Program, ProgramRef, ProgramState, READY_WITHIN,
    Ready, Restart, Runs, Stop, StopSignal, authority_file, certificate_files,
};
pub use route::{DEFAULT_IPV6_METRIC, LOCAL_TABLE, MAIN_TABLE, NextHop, Route, RouteKind, RouteScope, RouteSlot};
use serde::Serialize;
pub use server::{HttpAnswer, STATUS_CODES, Server, ServerKind};
pub use share::{LAN, Share, ShareError};
pub use spread::{enough_connections, fair_share};
pub use unread::{Part, Unread};
pub use virtual_interface::{IpvlanMode, MAX_STACKING, MacvlanMode, VirtualInterface, VirtualKind};
pub use vlans::{Tagging, VlanRange, Vlans};
pub use vxlan::{VXLAN_PORT, Vxlan, VxlanSlot};
pub use wireguard::{
    KeyedPeer, ObservedWireguard, PublicKey, SecretKey, SecretKeys, WIREGUARD_PORT, Wireguard, WireguardPeer,
};

/// A network that is wanted: every namespace with all that is in it, and the checks that prove it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lab {
    /// The lab's name; marks everything that is made for it.
    pub name: LabName,
    /// The author's text about the lab, from `description:`.
    pub description: Option<String>,
    /// The namespaces in the order of the file, `host` among them where the file mentions it.
    pub namespaces: IndexMap<NsName, Namespace>,
    /// The checks, in the order of the file.
    pub checks: Vec<Check>,
    /// The checks that run a command, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exec_checks: Vec<ExecCheck>,
    /// The network policies, and whom they are about.
    #[serde(skip_serializing_if = "NetworkPolicies::is_empty")]
    pub network_policies: NetworkPolicies,
    /// What programs in its namespaces find in `/etc`; nothing where no namespace asks for it.
    #[serde(skip_serializing_if = "LabEtc::is_empty")]
    pub etc: LabEtc,
    /// What in the file asks for the interfaces of a kind, where they are not written one by one.
    #[serde(skip)]
    pub origins: Origins,
    /// Where its programs are written, for what is said of one that fails.
    #[serde(skip)]
    pub places: Places,
}

/// What in a file asks for the interfaces of a kind.
pub type Origins = BTreeMap<VirtualKind, Origin>;

/// Where programs are written: the file, the line and the column in characters, `lab.yaml:5:7`.
pub type Places = BTreeMap<ProgramRef, String>;

/// A piece of shorthand in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its words: "routing: vxlan".
    pub words: String,
    /// Its line in the file, counted from 1.
    pub line: usize,
    /// Its column in characters, counted from 1.
    pub column: usize,
}

/// One network namespace with everything in it that nslab speaks about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Namespace {
    /// The lab whose mark it carries (an alias on its loopback); none for `host` and for a namespace of no lab.
    pub owner: Option<LabName>,
    /// Interfaces by name: loopback, veths, bridges, virtual interfaces. In the order of the file, or of the kernel.
    pub interfaces: IndexMap<IfName, Interface>,
    /// Routes that were added: those that the kernel makes by itself (connected, local, link-local) are left out.
    pub routes: BTreeSet<Route>,
    /// Policy routing rules, without the kernel's own three (priorities 0, 32766 and 32767).
    pub rules: BTreeSet<PolicyRule>,
    /// Permanent neighbour entries.
    pub neighbours: BTreeSet<Neighbour>,
    /// Permanent forwarding entries of its VXLAN ends.
    pub fdb: BTreeSet<FdbEntry>,
    /// The peers of its WireGuard interfaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub wireguard: BTreeMap<IfName, Vec<WireguardPeer>>,
    /// Sysctls. Wanted: those that the file sets. Live: the present value of those that were asked for; a key
    /// that this kernel lacks is absent.
    pub sysctls: BTreeMap<SysctlKey, SysctlValue>,
    /// Packet filter and NAT rules.
    pub firewall: Firewall,
    /// Tables of nf_tables. Wanted: all of them, though none in `host`. Live: those that are wanted, as far as the
    /// model can express them.
    #[serde(skip_serializing_if = "NftTables::is_empty")]
    pub nft: NftTables,
    /// What programs add, and is left alone; live namespaces have nothing of the kind.
    #[serde(skip_serializing_if = "Keep::is_empty")]
    pub keep: Keep,
    /// The programs that run in it, in the order of the file; of what is live, [`Observed::programs`] has them.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub programs: IndexMap<ProgramName, Program>,
    /// The author's labels; live namespaces have none.
    pub labels: BTreeMap<String, String>,
}

/// The text of the hosts file that namespaces share: of each, the first address of either family.
pub fn lab_hosts(namespaces: &IndexMap<NsName, Namespace>) -> String {
    let entries = namespaces.iter().flat_map(|(ns, namespace)| {
        let first = |of: fn(&IpAddr) -> bool| namespace.global_addresses().find(of);
        [first(IpAddr::is_ipv4), first(IpAddr::is_ipv6)].into_iter().flatten().map(|address| (address, ns.as_str()))
    });
    hosts_text(entries)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`, line {}, column {} of the file", self.words, self.line, self.column)
    }
}

impl Namespace {
    /// The addresses of its interfaces that others can reach it by, in the order of the file.
    pub fn global_addresses(&self) -> impl Iterator<Item = IpAddr> {
        let addresses = self.interfaces.values().flat_map(|interface| &interface.addresses);
        addresses.map(Address::ip).filter(|address| is_global(*address))
    }

    /// An address that it sends from through an interface that has none: the first of any other in the same VRF, or
    /// in none (`inet_select_addr`).
    pub fn address_for(&self, interface: &Interface, family: Family) -> Option<IpAddr> {
        let is_vrf = |one: &Interface| one.virtual_interface().is_some_and(|own| own.table().is_some());
        let vrf = self.vrf_of(interface);
        let others = self.interfaces.values().filter(|other| self.vrf_of(other) == vrf && !is_vrf(interface));
        let mut addresses = others.flat_map(|other| &other.addresses).map(Address::ip);
        addresses.find(|address| is_global(*address) && Family::of(*address) == family)
    }

    /// The routing table of the VRF that an interface is, or is a port of.
    pub fn vrf_of(&self, interface: &Interface) -> Option<u32> {
        interface.vrf_table(interface.master.as_ref().and_then(|master| self.interfaces.get(master)))
    }

    /// The routing table of what goes in and out through an interface.
    pub fn table_of(&self, interface: &Interface) -> u32 {
        self.vrf_of(interface).unwrap_or(MAIN_TABLE)
    }

    /// Whether it is a node: the rules of services are there.
    pub fn has_services(&self) -> bool {
        self.firewall.chains.keys().any(|id| id.chain.is_of_services())
            || self.nft.keys().any(NftTableId::is_of_services)
    }

    /// Whether an interface answers ARP for every address that the namespace has a route to (`proxy_arp`): by its own
    /// setting, or else by what new interfaces begin with, or by that of all.
    pub fn answers_for_others(&self, interface: &IfName) -> bool {
        let is_on = |of: &str| {
            let key = format!("net.ipv4.conf.{of}.proxy_arp");
            self.sysctls.iter().find(|(set, _)| set.as_str() == key).map(|(_, value)| value.is_on())
        };
        let own = is_on(&interface.as_str().replace('.', "/")).or_else(|| is_on("default"));
        own == Some(true) || is_on("all") == Some(true)
    }
}

impl Lab {
    /// One of some namespaces, and nothing else.
    pub fn of(name: LabName, namespaces: IndexMap<NsName, Namespace>) -> Self {
        Self {
            name,
            description: None,
            namespaces,
            checks: Vec::new(),
            exec_checks: Vec::new(),
            network_policies: NetworkPolicies::default(),
            etc: LabEtc::default(),
            origins: Origins::new(),
            places: Places::new(),
        }
    }

    /// The names of all its namespaces except the machine itself.
    pub fn own_namespaces(&self) -> impl Iterator<Item = &NsName> {
        self.namespaces.keys().filter(|ns| !ns.is_host())
    }

    /// All its programs.
    pub fn programs(&self) -> impl Iterator<Item = (ProgramRef, &Program)> {
        self.namespaces.iter().flat_map(|(ns, namespace)| {
            let named = |name: &ProgramName| ProgramRef { ns: ns.clone(), name: name.clone() };
            namespace.programs.iter().map(move |(name, program)| (named(name), program))
        })
    }

    /// Those of them that pass packets on.
    pub fn routers(&self) -> impl Iterator<Item = &NsName> {
        let forwarding = [SysctlKey::ipv4_forwarding(), SysctlKey::ipv6_forwarding()];
        self.own_namespaces().filter(move |ns| {
            let settings = self.namespaces.get(*ns).map(|namespace| &namespace.sysctls);
            forwarding.iter().any(|key| settings.and_then(|set| set.get(key)).is_some_and(SysctlValue::is_on))
        })
    }
}
