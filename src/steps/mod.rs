//! Operations on the kernel: what each says to a person, the command that does the same, when it comes, and what undoes
//! it.
//!
//! Each object has a file: a further kind of step is a file here, a variant of [`Step`] and an arm of
//! `Step::operation`. The room knows the model and nothing else: neither how a step is carried out nor why it is
//! planned.

mod address;
mod bridge;
mod bridge_port;
mod change;
mod command;
mod effect;
mod etc_files;
mod fdb_entry;
mod firewall;
mod foreign;
mod interface;
mod mark;
mod namespace;
mod neighbour;
mod new_interface;
mod nft;
mod operation;
mod phase;
mod policy_rule;
mod program;
mod route;
mod sysctl;
mod veth;
mod virtual_interface;
mod vlans;
mod wireguard;

pub use address::AddressStep;
pub use bridge::BridgeStep;
pub use bridge_port::BridgePortStep;
pub use change::{Change, Presence, Update};
pub use effect::take_effect;
pub use etc_files::EtcFilesStep;
pub use fdb_entry::FdbEntryStep;
pub use firewall::{FirewallChange, FirewallStep};
pub use foreign::ForeignStep;
pub use interface::InterfaceStep;
pub use mark::MarkStep;
pub use namespace::NamespaceStep;
pub use neighbour::NeighbourStep;
use new_interface::Inverse;
pub use new_interface::NewInterface;
pub use nft::{NftChange, NftStep};
use operation::{Batch, Operation, Reach};
pub use phase::{Phase, Tier};
pub use policy_rule::PolicyRuleStep;
pub use program::ProgramStep;
pub use route::RouteStep;
pub use sysctl::SysctlStep;
pub use veth::VethStep;
pub use virtual_interface::VirtualInterfaceStep;
pub use vlans::VlansStep;
pub use wireguard::{WireguardKey, WireguardStep};

use crate::lab::{InterfaceRef, NsName};

/// One operation on the kernel, by the object that it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A namespace is made or removed.
    Namespace(NamespaceStep),
    /// A lab's mark is put on something made by hand, or taken off again.
    Mark(MarkStep),
    /// An interface of any kind is removed, brought up or down, or given another MTU or MAC address.
    Interface(InterfaceStep),
    /// A veth pair is made.
    Veth(VethStep),
    /// A bridge is made, or its options change.
    Bridge(BridgeStep),
    /// An interface is attached to a bridge or a VRF, or detached.
    BridgePort(BridgePortStep),
    /// The VLANs of a port or of a bridge itself change.
    Vlans(VlansStep),
    /// A virtual interface is made, or its options change.
    VirtualInterface(VirtualInterfaceStep),
    /// An interface gets or loses an address.
    Address(AddressStep),
    /// A route is added, replaced or removed.
    Route(RouteStep),
    /// A policy rule is added or removed.
    PolicyRule(PolicyRuleStep),
    /// A permanent neighbour entry is added, replaced or removed.
    Neighbour(NeighbourStep),
    /// A forwarding entry of a VXLAN interface is added or removed.
    FdbEntry(FdbEntryStep),
    /// A WireGuard interface gets a key, or a peer of it changes.
    Wireguard(WireguardStep),
    /// An object that the model cannot express is removed, or put back.
    Foreign(ForeignStep),
    /// A sysctl is set, or one of `host` restored.
    Sysctl(SysctlStep),
    /// A chain, one of its rules, or its policy changes.
    Firewall(FirewallStep),
    /// A table of nf_tables, or something in it, changes.
    Nft(NftStep),
    /// What programs in namespaces find in `/etc` changes.
    EtcFiles(EtcFilesStep),
    /// A program is started, ended, or started anew.
    Program(ProgramStep),
}

impl Step {
    fn operation(&self) -> &dyn Operation {
        match self {
            Self::Namespace(step) => step,
            Self::Mark(step) => step,
            Self::Interface(step) => step,
            Self::Veth(step) => step,
            Self::Bridge(step) => step,
            Self::BridgePort(step) => step,
            Self::Vlans(step) => step,
            Self::VirtualInterface(step) => step,
            Self::Address(step) => step,
            Self::Route(step) => step,
            Self::PolicyRule(step) => step,
            Self::Neighbour(step) => step,
            Self::FdbEntry(step) => step,
            Self::Wireguard(step) => step,
            Self::Foreign(step) => step,
            Self::Sysctl(step) => step,
            Self::Firewall(step) => step,
            Self::Nft(step) => step,
            Self::EtcFiles(step) => step,
            Self::Program(step) => step,
        }
    }

    /// What it does, in words: "add route 10.1.0.0/16 via 10.0.0.2 dev eth0 in red".
    pub fn text(&self) -> String {
        self.operation().text()
    }

    /// The command that a person would type for it.
    pub fn command(&self) -> String {
        self.operation().command()
    }

    /// The lines of a shell script that does the same: the command, and the marks and notes by which nslab knows what
    /// is its own.
    pub fn script(&self) -> Vec<String> {
        self.operation().script()
    }

    /// The step that undoes it; none where what it removed cannot be brought back as it was.
    pub fn inverse(&self) -> Option<Self> {
        Some(match self {
            Self::Namespace(step) => Self::Namespace(step.inverse()?),
            Self::Mark(step) => Self::Mark(step.inverse()),
            Self::Interface(step) => Self::Interface(step.inverse()?),
            Self::Veth(step) => Self::Interface(step.inverse()),
            Self::Bridge(step) => match step.inverse() {
                Inverse::Change(step) => Self::Bridge(step),
                Inverse::Removal(step) => Self::Interface(step),
            },
            Self::BridgePort(step) => Self::BridgePort(step.inverse()),
            Self::Vlans(step) => Self::Vlans(step.inverse()),
            Self::VirtualInterface(step) => match step.inverse() {
                Inverse::Change(step) => Self::VirtualInterface(step),
                Inverse::Removal(step) => Self::Interface(step),
            },
            Self::Address(step) => Self::Address(step.inverse()),
            Self::Route(step) => Self::Route(step.inverse()),
            Self::PolicyRule(step) => Self::PolicyRule(step.inverse()),
            Self::Neighbour(step) => Self::Neighbour(step.inverse()),
            Self::FdbEntry(step) => Self::FdbEntry(step.inverse()),
            Self::Wireguard(step) => Self::Wireguard(step.inverse()),
            Self::Foreign(step) => Self::Foreign(step.inverse()?),
            Self::Sysctl(step) => Self::Sysctl(step.inverse()?),
            Self::Firewall(step) => Self::Firewall(step.inverse()),
            Self::Nft(step) => Self::Nft(step.inverse()),
            Self::EtcFiles(step) => Self::EtcFiles(step.inverse()),
            Self::Program(step) => Self::Program(step.inverse()),
        })
    }

    /// When it comes in a plan.
    pub fn phase(&self) -> Phase {
        self.operation().phase()
    }

    /// What it counts as in a summary of many steps: "add a route".
    pub fn kind(&self) -> &'static str {
        self.operation().kind()
    }

    /// The namespace that it changes (for a veth pair, that of its main interface).
    pub fn namespace(&self) -> NsName {
        self.operation().namespace()
    }

    /// The interface that it removes, or on which it changes something; none for what it makes, and for steps on what
    /// is more than one interface's.
    pub fn interface(&self) -> Option<&InterfaceRef> {
        match self {
            Self::Interface(step) => step.interface(),
            Self::BridgePort(BridgePortStep::Master { interface, .. } | BridgePortStep::Options { interface, .. })
            | Self::Bridge(BridgeStep::Options { interface, .. })
            | Self::VirtualInterface(VirtualInterfaceStep::Options { interface, .. })
            | Self::Vlans(VlansStep { interface, .. })
            | Self::Address(AddressStep { interface, .. }) => Some(interface),
            Self::Wireguard(step) => Some(step.interface()),
            Self::Bridge(BridgeStep::Add { .. })
            | Self::VirtualInterface(VirtualInterfaceStep::Add { .. })
            | Self::Namespace(_)
            | Self::Mark(_)
            | Self::Veth(_)
            | Self::Route(_)
            | Self::PolicyRule(_)
            | Self::Neighbour(_)
            | Self::FdbEntry(_)
            | Self::Foreign(_)
            | Self::Firewall(_)
            | Self::Nft(_)
            | Self::EtcFiles(_)
            | Self::Program(_)
            | Self::Sysctl(_) => None,
        }
    }

    /// The only namespace in which anything changes by it. None where there may be others: whatever is done to an
    /// interface itself may be seen at its peer, and at what is stacked on it.
    pub fn only_namespace(&self) -> Option<NsName> {
        match self.operation().reach() {
            Reach::Inside => Some(self.namespace()),
            Reach::Beyond => None,
        }
    }

    /// Whether this step is run together with the one before it, both or neither: firewall rules of one namespace
    /// and family, or changes to its tables of nf_tables, by one transaction; namespaces that are made, several at a
    /// time.
    pub fn batches_with(&self, before: &Self) -> bool {
        let batch = self.operation().batch();
        batch.is_some() && batch == before.operation().batch()
    }

    /// Whether an IP address may be at another MAC address afterwards.
    pub fn brings_mac_address(&self) -> bool {
        self.operation().brings_mac_address()
    }

    /// Whether packets may go another way because of it, or in other sizes.
    pub fn changes_ways(&self) -> bool {
        match self {
            Self::Route(_) | Self::PolicyRule(_) | Self::VirtualInterface(_) | Self::Veth(_) | Self::Wireguard(_) => {
                true
            }
            Self::Interface(step) => matches!(step, InterfaceStep::Mtu { .. }),
            Self::Namespace(_)
            | Self::Mark(_)
            | Self::Bridge(_)
            | Self::BridgePort(_)
            | Self::Vlans(_)
            | Self::Address(_)
            | Self::Neighbour(_)
            | Self::FdbEntry(_)
            | Self::Foreign(_)
            | Self::Firewall(_)
            | Self::Nft(_)
            | Self::EtcFiles(_)
            | Self::Program(_)
            | Self::Sysctl(_) => false,
        }
    }

    /// Whether it makes a namespace.
    pub fn makes_namespace(&self) -> bool {
        self.operation().batch() == Some(Batch::Namespaces)
    }

    /// The step on a program that it is.
    pub fn program(&self) -> Option<&ProgramStep> {
        match self {
            Self::Program(step) => Some(step),
            Self::Namespace(_)
            | Self::Mark(_)
            | Self::Interface(_)
            | Self::Veth(_)
            | Self::Bridge(_)
            | Self::BridgePort(_)
            | Self::Vlans(_)
            | Self::VirtualInterface(_)
            | Self::Address(_)
            | Self::Route(_)
            | Self::PolicyRule(_)
            | Self::Neighbour(_)
            | Self::FdbEntry(_)
            | Self::Wireguard(_)
            | Self::Foreign(_)
            | Self::Firewall(_)
            | Self::Nft(_)
            | Self::EtcFiles(_)
            | Self::Sysctl(_) => None,
        }
    }

    /// Whether it starts a program.
    pub fn starts_a_program(&self) -> bool {
        self.operation().batch() == Some(Batch::ProgramStarts)
    }

    /// Whether it removes a whole namespace.
    pub fn removes_namespace(&self) -> bool {
        matches!(self, Self::Namespace(NamespaceStep::Remove { .. }))
    }

    /// Whether namespaces that were removed before it are freed after it only: no name is removed while the kernel is
    /// freeing, which would take several times as long, and interfaces are removed as soon as it has begun.
    pub fn works_beside_removed(&self) -> bool {
        self.removes_namespace() || self.firewall().is_some_and(|step| step.ns.is_host())
    }

    /// Whether it changes what is in the firewall of its namespace.
    pub fn changes_a_firewall(&self) -> bool {
        let of_others = matches!(self, Self::Foreign(step) if step.change.object().is_of_a_firewall());
        of_others || self.firewall().is_some() || self.nft().is_some()
    }

    /// The step on a table of nf_tables that it is.
    pub fn nft(&self) -> Option<&NftStep> {
        match self {
            Self::Nft(step) => Some(step),
            Self::Namespace(_)
            | Self::Mark(_)
            | Self::Interface(_)
            | Self::Veth(_)
            | Self::Bridge(_)
            | Self::BridgePort(_)
            | Self::Vlans(_)
            | Self::VirtualInterface(_)
            | Self::Address(_)
            | Self::Route(_)
            | Self::PolicyRule(_)
            | Self::Neighbour(_)
            | Self::FdbEntry(_)
            | Self::Wireguard(_)
            | Self::Foreign(_)
            | Self::Firewall(_)
            | Self::EtcFiles(_)
            | Self::Program(_)
            | Self::Sysctl(_) => None,
        }
    }

    /// The step on the firewall that it is.
    pub fn firewall(&self) -> Option<&FirewallStep> {
        match self {
            Self::Firewall(step) => Some(step),
            Self::Namespace(_)
            | Self::Mark(_)
            | Self::Interface(_)
            | Self::Veth(_)
            | Self::Bridge(_)
            | Self::BridgePort(_)
            | Self::Vlans(_)
            | Self::VirtualInterface(_)
            | Self::Address(_)
            | Self::Route(_)
            | Self::PolicyRule(_)
            | Self::Neighbour(_)
            | Self::FdbEntry(_)
            | Self::Wireguard(_)
            | Self::Foreign(_)
            | Self::Nft(_)
            | Self::EtcFiles(_)
            | Self::Program(_)
            | Self::Sysctl(_) => None,
        }
    }
}
