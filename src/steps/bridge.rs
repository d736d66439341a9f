//! Bridges, made and given other options.

use super::command::{changed_options, ip, ip_link_set};
use super::new_interface::Inverse;
use super::operation::{Operation, Reach};
use super::{Change, NewInterface, Phase, Tier};
use crate::lab::{BridgeOptions, InterfaceRef, LabName, NsName};

/// A step on a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BridgeStep {
    /// Make it; it is down.
    Add {
        /// Its interface.
        new: NewInterface,
        /// Its options.
        options: BridgeOptions,
        /// The lab it is for; marked on the interface where it is in `host`.
        lab: LabName,
    },
    /// Change its options.
    Options {
        /// Which.
        interface: InterfaceRef,
        /// The options.
        change: Change<BridgeOptions>,
    },
}

impl BridgeStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Inverse<Self> {
        match self {
            Self::Add { new, .. } => Inverse::Removal(new.removal(Tier::Bridge)),
            Self::Options { interface, change } => {
                Inverse::Change(Self::Options { interface: interface.clone(), change: change.inverse() })
            }
        }
    }
}

impl Operation for BridgeStep {
    fn text(&self) -> String {
        match self {
            Self::Add { new, .. } => format!("make bridge {} in {}", new.interface.name, new.interface.ns),
            Self::Options { interface, change } => format!("set{} on bridge {interface}", options(*change)),
        }
    }

    fn command(&self) -> String {
        match self {
            Self::Add { new, options: to, lab } => {
                let options = options(Change { from: BridgeOptions::default(), to: *to });
                let InterfaceRef { ns, name } = &new.interface;
                format!("{} link add name {name}{} type bridge{options}", ip(ns), new.settings(lab))
            }
            Self::Options { interface, change } => {
                format!("{} type bridge{}", ip_link_set(interface), options(*change))
            }
        }
    }

    fn script(&self) -> Vec<String> {
        let alias = match self {
            Self::Add { new, lab, .. } => new.alias(lab),
            Self::Options { .. } => None,
        };
        [self.command()].into_iter().chain(alias).collect()
    }

    fn phase(&self) -> Phase {
        match self {
            Self::Add { .. } => Phase::AddBridges,
            Self::Options { .. } => Phase::SetInterfaces,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Add { .. } => "make a bridge",
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

/// The options that change, as `ip link` spells them.
fn options(Change { from, to }: Change<BridgeOptions>) -> String {
    // What is not known stays as it is.
    changed_options(words(from.or(to)), words(to.or(from)))
}

fn words(of: BridgeOptions) -> [(&'static str, String); 7] {
    let flag = |on: bool| u8::from(on).to_string();
    let time = |time: Option<u32>| time.map(|time| time.to_string()).unwrap_or_default();
    // No `..`: an option without its word does not compile.
    let BridgeOptions {
        stp,
        vlan_filtering,
        forward_delay,
        ageing_time,
        mcast_snooping,
        group_fwd_mask,
        nf_call_iptables,
    } = of;
    [
        ("stp_state", flag(stp)),
        ("vlan_filtering", flag(vlan_filtering)),
        ("forward_delay", time(forward_delay)),
        ("ageing_time", time(ageing_time)),
        ("mcast_snooping", flag(mcast_snooping)),
        ("group_fwd_mask", group_fwd_mask.to_string()),
        ("nf_call_iptables", flag(nf_call_iptables)),
    ]
}
