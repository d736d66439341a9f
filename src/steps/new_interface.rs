//! What all interfaces have in common when they are made.

use super::InterfaceStep;
use super::phase::Tier;
use crate::lab::{InterfaceRef, LabName, Mac};

/// An interface to be made. In `host`, it carries the mark of the lab that it is made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInterface {
    /// The interface.
    pub interface: InterfaceRef,
    /// Its MAC address; none: the kernel's choice.
    pub mac: Option<Mac>,
    /// Its MTU; none: the kernel's default.
    pub mtu: Option<u32>,
}

impl NewInterface {
    /// Its settings as words of `ip link add`.
    pub(super) fn settings(&self, lab: &LabName) -> String {
        let mac = self.mac.map(|mac| format!(" address {mac}")).unwrap_or_default();
        let mtu = self.mtu.map(|mtu| format!(" mtu {mtu}")).unwrap_or_default();
        let group = if self.interface.ns.is_host() { format!(" group {}", lab.group()) } else { String::new() };
        format!("{mac}{mtu}{group}")
    }

    /// The command that gives it its alias, which cannot be given at creation: only in `host`.
    pub(super) fn alias(&self, lab: &LabName) -> Option<String> {
        let InterfaceRef { ns, name } = &self.interface;
        ns.is_host().then(|| format!("ip link set dev {name} alias {}", lab.mark()))
    }

    /// What undoes that it was made.
    pub(super) fn removal(&self, tier: Tier) -> InterfaceStep {
        InterfaceStep::Remove { interface: self.interface.clone(), tier }
    }
}
