//! Virtual interfaces, made and given other options.

use super::command::{ip, ip_link_set};
use super::new_interface::Inverse;
use super::operation::{Operation, Reach};
use super::{Change, NewInterface, Phase, Tier, wireguard};
use crate::lab::{IfName, InterfaceRef, LabName, NsName, VirtualInterface};

/// A step on a virtual interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VirtualInterfaceStep {
    /// Make it; it is down and has no master.
    Add {
        /// Its interface.
        new: NewInterface,
        /// What it is; the interface that it is stacked on must be there.
        kind: VirtualInterface,
        /// The lab it is for; marked on the interface where it is in `host`.
        lab: LabName,
    },
    /// Change its options, as far as [`VirtualInterface::can_become`] goes.
    Options {
        /// Which.
        interface: InterfaceRef,
        /// What it is, and what it is to be.
        change: Change<VirtualInterface>,
    },
}

impl VirtualInterfaceStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Inverse<Self> {
        match self {
            Self::Add { new, .. } => Inverse::Removal(new.removal(Tier::Virtual)),
            Self::Options { interface, change } => {
                Inverse::Change(Self::Options { interface: interface.clone(), change: change.inverse() })
            }
        }
    }
}

impl Operation for VirtualInterfaceStep {
    fn text(&self) -> String {
        match self {
            Self::Add { new: NewInterface { interface: InterfaceRef { ns, name }, .. }, kind, .. } => {
                let parent = kind.lower().map(|parent| format!(" on {parent}")).unwrap_or_default();
                format!("make {} {name} in {ns}{parent}", kind.kind().name())
            }
            Self::Options { interface, change: Change { from, to } } => {
                format!("set{} on {} {interface}", to.changes_from(from), to.kind().name())
            }
        }
    }

    fn command(&self) -> String {
        match self {
            Self::Add { new, kind, lab } => {
                let options = options(&new.interface, kind).map(|options| format!("; {options}"));
                add(new, kind, lab, &new.interface.name) + &options.unwrap_or_default()
            }
            Self::Options { interface, change: Change { from, to: to @ VirtualInterface::Wireguard(_) } } => {
                wireguard::options(interface, &to.changes_from(from))
            }
            Self::Options { interface, change: Change { from, to } } => {
                format!("{} type {}{}", ip_link_set(interface), to.kind().name(), to.changes_from(from))
            }
        }
    }

    /// Kernels before 6.14 look for the name of a new interface in the namespace of its parent. So what is called as
    /// its parent in another namespace gets its name afterwards.
    fn script(&self) -> Vec<String> {
        match self {
            Self::Add { new, kind, lab } => {
                let InterfaceRef { ns, name } = &new.interface;
                let mut lines = if kind.lower().is_some_and(|parent| parent.ns != *ns && parent.name == *name) {
                    let temporary = new.interface.temporary_name();
                    let rename = format!("{} link set dev {temporary} name {name}", ip(ns));
                    vec![add(new, kind, lab, &temporary), rename]
                } else {
                    vec![add(new, kind, lab, name)]
                };
                lines.extend(options(&new.interface, kind));
                lines.extend(new.alias(lab));
                lines
            }
            Self::Options { .. } => vec![self.command()],
        }
    }

    fn phase(&self) -> Phase {
        match self {
            Self::Add { .. } => Phase::AddVirtualInterfaces,
            Self::Options { .. } => Phase::SetVirtualInterfaces,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Add { .. } => "make a virtual interface",
            Self::Options { .. } => "change an interface",
        }
    }

    fn namespace(&self) -> NsName {
        match self {
            Self::Add { new, .. } => new.interface.ns.clone(),
            Self::Options { interface, .. } => interface.ns.clone(),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Beyond
    }

    fn brings_mac_address(&self) -> bool {
        match self {
            Self::Add { .. } => true,
            Self::Options { .. } => false,
        }
    }
}

/// The command that makes an interface, under this name.
fn add(new: &NewInterface, kind: &VirtualInterface, lab: &LabName, name: &IfName) -> String {
    let ns = &new.interface.ns;
    let from = kind.lower().map_or(ns, |parent| &parent.ns);
    let link = kind.lower().map(|parent| format!(" link {}{}", parent.name, netns(from, ns)));
    let (link, settings) = (link.unwrap_or_default(), new.settings(lab));
    let is_whole = !matches!(kind, VirtualInterface::Wireguard(_));
    let kind = if is_whole { kind.to_string() } else { kind.kind().name().to_owned() };
    format!("{} link add name {name}{link}{settings} type {kind}", ip(from))
}

/// The command for options that cannot be given when an interface is made.
fn options(interface: &InterfaceRef, kind: &VirtualInterface) -> Option<String> {
    let VirtualInterface::Wireguard(own) = kind else { return None };
    Some(wireguard::options(interface, &own.to_string()))
}

/// The word that puts what is made in one namespace into another: the host's is that of the shell.
fn netns(from: &NsName, to: &NsName) -> String {
    if from == to {
        String::new()
    } else if to.is_host() {
        " netns $$".to_owned()
    } else {
        format!(" netns {to}")
    }
}
