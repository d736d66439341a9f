//! Ports: which bridge or VRF an interface is attached to.

use super::command::ip_link_set;
use super::operation::{Operation, Reach};
use super::{Change, Phase, Step, Tier};
use crate::lab::{IfName, InterfaceRef, NsName};

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
}

impl Operation for BridgePortStep {
    fn text(&self) -> String {
        let Self::Master { interface, change, .. } = self;
        match (&change.from, &change.to) {
            (Some(from), None) => format!("detach {interface} from {from}"),
            (None, None) => format!("detach {interface}"),
            (None, Some(to)) => format!("attach {interface} to {to}"),
            (Some(from), Some(to)) => format!("move {interface} from {from} to {to}"),
        }
    }

    fn command(&self) -> String {
        let Self::Master { interface, change, .. } = self;
        let master = change.to.as_ref().map_or_else(|| "nomaster".to_owned(), |to| format!("master {to}"));
        format!("{} {master}", ip_link_set(interface))
    }

    fn inverse(&self) -> Option<Step> {
        let Self::Master { interface, tier, change } = self;
        let change = change.inverse();
        Some(Step::BridgePort(Self::Master { interface: interface.clone(), tier: *tier, change }))
    }

    fn phase(&self) -> Phase {
        let Self::Master { tier, .. } = self;
        tier.settings()
    }

    fn kind(&self) -> &'static str {
        let Self::Master { .. } = self;
        "change an interface"
    }

    fn namespace(&self) -> NsName {
        let Self::Master { interface, .. } = self;
        interface.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Beyond
    }
}
