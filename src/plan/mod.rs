//! Desired − live = ordered steps. Pure: nothing here asks the kernel or knows what a topology file looks like.
//!
//! The order is the same for every lab: first what is wrong goes (firewall rules before routes, routes before
//! addresses, addresses before links), then what is missing comes in the reverse order, bridges coming up after their
//! ports are in place, devices after what they are upon, and the firewall last. What cannot be brought back (a namespace's removal) is at the very end.

mod conflicts;
mod describe;
mod firewall;
mod gateways;
mod inside;
mod links;
mod snapshot;
mod step;
mod teardown;
mod virtual_interfaces;
mod vlans;

use std::collections::BTreeSet;

pub use conflicts::{Conflict, adoption, conflicts};
use serde::Serialize;
pub use snapshot::way_back;
pub use step::{Description, Step, VethEnd};
pub use teardown::{as_built, teardown};

use crate::lab::{InterfaceRef, Lab, LabName, Live, Namespace, NsName};

/// What has to be done to make the kernel look like the lab, in order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The lab.
    pub lab: LabName,
    /// The steps, each with its reason.
    pub steps: Vec<PlannedStep>,
}

/// A step and why it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStep {
    /// What is done.
    pub step: Step,
    /// Why, as the end of a sentence: "it does not exist".
    pub why: String,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl Serialize for PlannedStep {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let told = self.step.describe();
        let mut out = s.serialize_struct("Step", 4)?;
        out.serialize_field("namespace", &self.step.namespace())?;
        out.serialize_field("step", &told.text)?;
        out.serialize_field("why", &self.why)?;
        out.serialize_field("command", &told.command)?;
        out.end()
    }
}

/// Compares what is wanted with what is.
pub fn plan(lab: &Lab, live: &Live) -> Plan {
    let mut phases = Phases::default();
    let compared = Compared { lab, live, nothing: Namespace::default() };
    links::compare(&compared, &mut phases);
    for (ns, wanted) in &lab.namespaces {
        let is = compared.live(ns);
        inside::compare(&compared, ns, wanted, is, &mut phases);
        firewall::compare(&lab.name, ns, &wanted.firewall, &is.firewall, &mut phases);
    }
    let host = NsName::host();
    if !lab.namespaces.contains_key(&host) {
        // An earlier file of this lab may have used it.
        inside::compare(&compared, &host, &compared.nothing, compared.host(), &mut phases);
        firewall::compare(&lab.name, &host, &compared.nothing.firewall, &compared.host().firewall, &mut phases);
    }
    for (ns, is) in &live.namespaces {
        if !lab.namespaces.contains_key(ns) && is.owner.as_ref() == Some(&lab.name) {
            phases.forget.add(Step::DeleteNamespace { ns: ns.clone() }, "the file no longer has it");
        }
    }
    Plan { lab: lab.name.clone(), steps: phases.in_order() }
}

/// The two sides of a comparison.
struct Compared<'a> {
    lab: &'a Lab,
    live: &'a Live,
    nothing: Namespace,
}

impl Compared<'_> {
    /// What is in a namespace now; nothing, where it does not exist.
    fn live(&self, ns: &NsName) -> &Namespace {
        self.live.namespaces.get(ns).unwrap_or(&self.nothing)
    }

    fn host(&self) -> &Namespace {
        self.live(&NsName::host())
    }
}

/// Steps of one kind that are done together.
#[derive(Default)]
struct Phase(Vec<PlannedStep>);

impl Phase {
    fn add(&mut self, step: Step, why: impl Into<String>) {
        self.0.push(PlannedStep { step, why: why.into() });
    }
}

/// The steps by kind, in the order in which they are done.
#[derive(Default)]
struct Phases {
    /// Interfaces that are made or made anew: whatever was on one of that name is gone.
    fresh: BTreeSet<InterfaceRef>,
    drop_firewall: Phase,
    drop_routes: Phase,
    drop_addresses: Phase,
    drop_devices: Phase,
    drop_links: Phase,
    namespaces: Phase,
    bridges: Phase,
    veths: Phase,
    link_settings: Phase,
    devices: Phase,
    device_settings: Phase,
    vlans: Phase,
    links_up: Phase,
    addresses: Phase,
    bridges_up: Phase,
    fdb: Phase,
    devices_up: Phase,
    sysctls: Phase,
    neighbours: Phase,
    rules: Phase,
    routes: Phase,
    find_gateways: Phase,
    routes_via: Phase,
    found_gateways: Phase,
    firewall: Phase,
    forget: Phase,
}

impl Phases {
    /// Whether an interface's removal is planned.
    fn drops(&self, end: &InterfaceRef) -> bool {
        let removal = Step::DeleteInterface { end: end.clone() };
        self.drop_devices.0.iter().chain(&self.drop_links.0).any(|planned| planned.step == removal)
    }

    fn in_order(self) -> Vec<PlannedStep> {
        [
            self.drop_firewall,
            self.drop_routes,
            self.drop_addresses,
            // What is upon an interface goes before it, so that the plan names both.
            self.drop_devices,
            self.drop_links,
            self.namespaces,
            self.bridges,
            self.veths,
            self.link_settings,
            // An interface is no larger than the one it is upon.
            self.devices,
            self.device_settings,
            // A port comes up when it is in its VLANs.
            self.vlans,
            self.links_up,
            self.addresses,
            self.bridges_up,
            self.fdb,
            // What is upon a bridge comes up after it.
            self.devices_up,
            self.sysctls,
            self.neighbours,
            self.routes,
            self.find_gateways,
            self.routes_via,
            self.found_gateways,
            // The kernel looks gateways up by the policy rules, and one that drops everything would refuse them.
            self.rules,
            self.firewall,
            self.forget,
        ]
        .into_iter()
        .flat_map(|phase| phase.0)
        .collect()
    }
}
