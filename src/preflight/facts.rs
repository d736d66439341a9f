//! What is asked of the machine before the first change, and what it answers. Plain data: `kernel::facts` fills it,
//! [`super::examine`] judges it.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::capabilities::has_privileges;
use crate::lab::{Family, LabName, NsName, VirtualKind};

/// What to find out. What is not asked for is not examined: some answers cost a namespace or a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// The host's own addresses and routes.
    pub host_network: bool,
    /// Whether the kernel can do these things.
    pub features: BTreeSet<Feature>,
    /// The iptables programs of these families.
    pub iptables: BTreeSet<Family>,
    /// The chains of the host that drop what it forwards.
    pub forwarding: bool,
    /// Which of these namespaces exist.
    pub namespaces: BTreeSet<NsName>,
    /// Whether these commands are there for programs.
    pub commands: BTreeSet<&'static str>,
}

/// Something that a kernel can be built without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Veth pairs (CONFIG_VETH).
    Veth,
    /// Bridges (CONFIG_BRIDGE).
    Bridge,
    /// Bridges that keep VLANs apart (CONFIG_BRIDGE_VLAN_FILTERING).
    VlanFiltering,
    /// Bridges whose packets pass iptables (CONFIG_BRIDGE_NETFILTER, and its module loaded).
    BridgeNetfilter,
    /// Interfaces of a kind.
    Virtual(VirtualKind),
    /// Policy routing (CONFIG_IP_MULTIPLE_TABLES, CONFIG_IPV6_MULTIPLE_TABLES).
    PolicyRouting(Family),
    /// Tables of nf_tables with all that those of kube-proxy have in them (CONFIG_NF_TABLES, CONFIG_NFT_NUMGEN,
    /// CONFIG_NFT_FIB_IPV4 …).
    NftTables,
    /// Tables of nf_tables with all that those of network policies have in them (CONFIG_NF_TABLES_INET, CONFIG_NFT_CT).
    NftPolicies,
    /// A match or a target of iptables.
    Extension(Family, Extension),
}

/// The matches and targets of iptables that nslab's rules use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extension {
    /// `-m addrtype`
    Addrtype,
    /// `-m comment`
    Comment,
    /// `-m conntrack`
    Conntrack,
    /// `-j DNAT`
    Dnat,
    /// `-m mark`
    Mark,
    /// `-j MASQUERADE`
    Masquerade,
    /// `-m recent`
    Recent,
    /// `-j REJECT`
    Reject,
    /// `-m sctp`
    Sctp,
    /// `-j MARK`
    SetMark,
    /// `-j SNAT`
    Snat,
    /// `-m statistic`
    Statistic,
}

/// The machine as it is, as far as it was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The effective capabilities, a bit each (`CapEff` of proc(5)).
    pub capabilities: u64,
    /// Whether it is root, that of a container, say.
    pub is_root: bool,
    /// Whether the network belongs to a user namespace in which this process has no rights, whatever its capabilities.
    pub network_of_others: bool,
    /// Why there can be no sandbox, as far as that was tried: where privileges are missing.
    pub no_sandbox: Option<String>,
    /// What the host uses already.
    pub taken: Vec<Taken>,
    /// Features that were asked for and that the kernel lacks, with what it said.
    pub lacking: BTreeMap<Feature, String>,
    /// The iptables programs that were asked for.
    pub iptables: BTreeMap<Family, Iptables>,
    /// The chains of the host that drop what it forwards, unless a rule accepts it.
    pub forward_drops: Vec<DroppingChain>,
    /// Whether packets between the ports of a bridge pass the filter's FORWARD chain
    /// (`net.bridge.bridge-nf-call-iptables`).
    pub bridges_filter: bool,
    /// Whether there is IPv6.
    pub ipv6: bool,
    /// Whether the sysctls below `net.` can be written.
    pub sysctls_writable: bool,
    /// Why no namespace can get a name in `/run/netns`.
    pub no_netns_directory: Option<String>,
    /// How many neighbours the machine can hold at once (`gc_thresh3`), as far as that is known: only the machine's
    /// first namespace shows it.
    pub neighbours: BTreeMap<Family, u64>,
    /// How many files a process may have open (the hard limit).
    pub open_files: u64,
    /// How many of the namespaces that were asked about exist.
    pub existing: usize,
    /// The commands that were asked for and are not installed.
    pub missing_commands: BTreeSet<&'static str>,
    /// How much memory is available, in MiB (`MemAvailable` of proc_meminfo(5)), where that is shown.
    pub memory: Option<u64>,
}

impl Facts {
    /// Whether the privileges that every lab needs are there.
    pub fn has_privileges(&self) -> bool {
        !self.network_of_others && has_privileges(self.capabilities)
    }
}

/// An address or a route that the host has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its prefix.
    pub net: IpNet,
    /// The interface that it is on or goes through.
    pub dev: String,
    /// The lab that the interface belongs to.
    pub owner: Option<LabName>,
    /// The routing table of the route; 0 of an address.
    pub table: u32,
    /// The metric of the route.
    pub metric: u32,
    /// Whether the route was made by nslab, for whatever lab.
    pub by_nslab: bool,
    /// Whether it is a route that a router has advertised (RFC 4861), and that goes when the host begins to forward.
    pub goes_with_forwarding: bool,
    /// What it is, as `ip route` and `ip addr` spell it: "route 192.168.1.0/24 dev eth0".
    pub text: String,
}

/// The iptables program of a family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Iptables {
    /// There is none that can be used, and why.
    Missing(String),
    /// There is one.
    Found {
        /// It uses the legacy tables instead of nf_tables.
        legacy: bool,
        /// There are tables on the host that it does not see: those of the other variant.
        unseen_tables: bool,
    },
}

/// A base chain that drops forwarded packets unless a rule says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppingChain {
    /// Its name: "chain FORWARD of table ip filter".
    pub name: String,
    /// The families of the packets that it sees.
    pub families: BTreeSet<Family>,
}

impl Extension {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Addrtype,
        Self::Comment,
        Self::Conntrack,
        Self::Dnat,
        Self::Mark,
        Self::Masquerade,
        Self::Recent,
        Self::Reject,
        Self::Sctp,
        Self::SetMark,
        Self::Snat,
        Self::Statistic,
    ];

    /// Its name behind `-m` or `-j`, which is also the kernel's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Addrtype => "addrtype",
            Self::Comment => "comment",
            Self::Conntrack => "conntrack",
            Self::Dnat => "DNAT",
            Self::Mark => "mark",
            Self::Masquerade => "MASQUERADE",
            Self::Recent => "recent",
            Self::Reject => "REJECT",
            Self::Sctp => "sctp",
            Self::SetMark => "MARK",
            Self::Snat => "SNAT",
            Self::Statistic => "statistic",
        }
    }

    /// Whether it is a target rather than a match.
    pub fn is_target(self) -> bool {
        matches!(self, Self::Dnat | Self::Masquerade | Self::Reject | Self::SetMark | Self::Snat)
    }
}
