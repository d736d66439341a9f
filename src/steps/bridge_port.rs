//! Ports: which bridge or VRF an interface is attached to, and the options of a bridge's port.

use super::command::{changed_options, ip_link_set, on_or_off};
use super::operation::{Operation, Reach};
use super::{Change, Phase, Tier};
use crate::lab::{IfName, InterfaceRef, NsName, PortOptions};

/// A step on a port of a bridge or a VRF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BridgePortStep {
    /// Attach an interface, or detach it.
    Master {
        /// Which interface.
        interface: InterfaceRef,
        /// When it is attached.
        tier: Tier,
        /// The bridge or the VRF that it is a port of.
        change: Change<Option<IfName>>,
    },
    /// Change the options of a port of a bridge.
    Options {
        /// Which interface.
        interface: InterfaceRef,
        /// The options.
        change: Change<PortOptions>,
    },
}

impl BridgePortStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Self {
        match self {
            Self::Master { interface, tier, change } => {
                Self::Master { interface: interface.clone(), tier: *tier, change: change.inverse() }
            }
            Self::Options { interface, change } => {
                Self::Options { interface: interface.clone(), change: change.inverse() }
            }
        }
    }
}

impl Operation for BridgePortStep {
    fn text(&self) -> String {
        match self {
            Self::Master { interface, change, .. } => match (&change.from, &change.to) {
                (Some(from), None) => format!("detach {interface} from {from}"),
                (None, None) => format!("detach {interface}"),
                (None, Some(to)) => format!("attach {interface} to {to}"),
                (Some(from), Some(to)) => format!("move {interface} from {from} to {to}"),
            },
            Self::Options { interface, change } => format!("set{} on port {interface}", options(*change)),
        }
    }

    fn command(&self) -> String {
        match self {
            Self::Master { interface, change, .. } => {
                let master = change.to.as_ref().map_or_else(|| "nomaster".to_owned(), |to| format!("master {to}"));
                format!("{} {master}", ip_link_set(interface))
            }
            Self::Options { interface, change } => {
                format!("{} type bridge_slave{}", ip_link_set(interface), options(*change))
            }
        }
    }

    fn phase(&self) -> Phase {
        match self {
            Self::Master { tier, .. } => tier.settings(),
            Self::Options { .. } => Phase::SetVlans,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Master { .. } | Self::Options { .. } => "change an interface",
        }
    }

    fn namespace(&self) -> NsName {
        match self {
            Self::Master { interface, .. } | Self::Options { interface, .. } => interface.ns.clone(),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Beyond
    }
}

/// The options that change, as `ip link` spells them.
fn options(Change { from, to }: Change<PortOptions>) -> String {
    let mut text = changed_options(words(from), words(to));
    for (switch, on) in from.altered.changes(to.altered) {
        text += &format!(" {} {}", switch.word(), on_or_off(on));
    }
    text
}

fn words(options: PortOptions) -> [(&'static str, String); 5] {
    let PortOptions { hairpin, isolated, learning, flood, forwarding, .. } = options;
    let word = |on: bool| on_or_off(on).to_owned();
    [
        ("hairpin", word(hairpin)),
        ("isolated", word(isolated)),
        ("learning", word(learning)),
        ("flood", word(flood)),
        ("state", forwarding.number().to_string()),
    ]
}
