//! Bridges, made and given other options.

use super::command::{ip, ip_link_set};
use super::operation::{Operation, Reach};
use super::{Change, NewInterface, Phase, Step, Tier};
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

    fn inverse(&self) -> Option<Step> {
        Some(match self {
            Self::Add { new, .. } => Step::Interface(new.removal(Tier::Bridge)),
            Self::Options { interface, change } => {
                Step::Bridge(Self::Options { interface: interface.clone(), change: change.inverse() })
            }
        })
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
    let pairs = words(from).into_iter().zip(words(to));
    pairs.filter(|(from, to)| from != to).map(|(_, (name, value))| format!(" {name} {value}")).collect()
}

fn words(of: BridgeOptions) -> [(&'static str, String); 7] {
    let flag = |on: bool| u8::from(on).to_string();
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
        ("forward_delay", forward_delay.to_string()),
        ("ageing_time", ageing_time.to_string()),
        ("mcast_snooping", flag(mcast_snooping)),
        ("group_fwd_mask", group_fwd_mask.to_string()),
        ("nf_call_iptables", flag(nf_call_iptables)),
    ]
}
