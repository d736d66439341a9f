//! A lab's mark, put on what was made by hand and taken off again.

use super::command::{ip_link_set, name_given_by};
use super::operation::{Operation, Reach};
use super::{Phase, Presence, Tier};
use crate::lab::{InterfaceRef, LabName, NsName};

/// A step on a lab's mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkStep {
    /// The interface that carries the mark; of a namespace, its loopback.
    pub interface: InterfaceRef,
    /// When it comes.
    pub tier: Tier,
    /// The lab that takes ownership, or releases it.
    pub change: Presence<LabName>,
}

impl MarkStep {
    /// The way back.
    pub(super) fn inverse(&self) -> Self {
        Self { change: self.change.inverse(), ..self.clone() }
    }
}

impl Operation for MarkStep {
    fn text(&self) -> String {
        let InterfaceRef { ns, name } = &self.interface;
        let marked = if name.is_lo() { format!("namespace {ns}") } else { self.interface.to_string() };
        match &self.change {
            Presence::Add(_) => format!("take ownership of {marked}"),
            Presence::Remove(_) => format!("release {marked}"),
        }
    }

    fn command(&self) -> String {
        let (alias, group) = match &self.change {
            Presence::Add(lab) => (lab.mark(), format!(" group {}", lab.group())),
            Presence::Remove(_) => ("''".to_owned(), " group default".to_owned()),
        };
        let group = if self.interface.ns.is_host() { group } else { String::new() };
        format!("{} alias {alias}{group}", ip_link_set(&self.interface))
    }

    fn script(&self) -> Vec<String> {
        let InterfaceRef { ns, name } = &self.interface;
        let lab = match &self.change {
            Presence::Add(lab) => Some(lab),
            Presence::Remove(_) => None,
        };
        let of_name = (name.is_lo() && !ns.is_host()).then(|| name_given_by(ns, lab));
        of_name.into_iter().chain([self.command()]).collect()
    }

    fn phase(&self) -> Phase {
        self.tier.settings()
    }

    fn kind(&self) -> &'static str {
        match self.change {
            Presence::Add(_) => "take ownership",
            Presence::Remove(_) => "release ownership",
        }
    }

    fn namespace(&self) -> NsName {
        self.interface.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Beyond
    }
}
