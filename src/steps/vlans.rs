//! The VLANs of a bridge's port, or of the bridge's own interface.

use super::command::inside;
use super::operation::{Operation, Reach};
use super::{Change, Phase, Step};
use crate::lab::{InterfaceRef, NsName, Vlans};

/// Put a port of a bridge, or the bridge's own interface, into other VLANs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VlansStep {
    /// Which interface.
    pub interface: InterfaceRef,
    /// Whether it is the bridge itself.
    pub is_bridge: bool,
    /// The VLANs.
    pub change: Change<Vlans>,
}

impl Operation for VlansStep {
    fn text(&self) -> String {
        let itself = if self.is_bridge { " itself" } else { "" };
        format!("set the VLANs of {}{itself} to {}", self.interface, self.change.to)
    }

    fn command(&self) -> String {
        self.script().join("; ")
    }

    /// What is new comes first, so that there is a VLAN for frames without a tag at any moment.
    fn script(&self) -> Vec<String> {
        let InterfaceRef { ns, name } = &self.interface;
        let itself = if self.is_bridge { " self" } else { "" };
        let bridge = format!("{}bridge vlan", inside(ns));
        let Change { from, to } = &self.change;
        let (new, gone) = (to.unlike(from), from.absent_in(to));
        let add = new.ranges().iter().map(|range| format!("{bridge} add dev {name} vid {range}{itself}"));
        let del = gone.ranges().iter().map(|range| format!("{bridge} del dev {name} vid {}{itself}", range.numbers()));
        add.chain(del).collect()
    }

    fn inverse(&self) -> Option<Step> {
        Some(Step::Vlans(Self { change: self.change.inverse(), ..self.clone() }))
    }

    fn phase(&self) -> Phase {
        Phase::SetVlans
    }

    fn kind(&self) -> &'static str {
        "change the VLANs of an interface"
    }

    fn namespace(&self) -> NsName {
        self.interface.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Beyond
    }
}
