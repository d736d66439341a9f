//! One lab: what is there, what runs in it, and what has drifted from its file.

use comfy_table::{Table, presets};
use schemars::JsonSchema;
use serde::Serialize;

use super::counted;
use super::plan::StepView;
use crate::engine::Status;
use crate::kernel::process::Process;
use crate::lab::{Interface, LabName, Namespace, NsName};

/// A lab's state for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatusView {
    /// The lab's name.
    lab: String,
    /// Its namespaces, and `host` with the lab's interfaces there.
    namespaces: Vec<NamespaceView>,
    /// What differs from the topology as applied; absent where that is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<Vec<StepView>>,
}

/// A namespace for programs.
#[derive(Debug, Serialize, JsonSchema)]
struct NamespaceView {
    name: String,
    interfaces: Vec<InterfaceView>,
    /// Routes that the kernel did not add by itself, as `ip route` spells them.
    routes: Vec<String>,
    processes: Vec<ProcessView>,
}

/// An interface for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct InterfaceView {
    pub(super) name: String,
    pub(super) kind: String,
    up: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<String>,
    /// The bridge that it is a port of.
    #[serde(skip_serializing_if = "Option::is_none")]
    bridge: Option<String>,
    /// The VRF that it is a port of.
    #[serde(skip_serializing_if = "Option::is_none")]
    vrf: Option<String>,
    /// Its parent interface, as NAMESPACE/INTERFACE.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    /// The other interface of the veth pair, as NAMESPACE/INTERFACE.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    pub(super) addresses: Vec<String>,
}

/// A process for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProcessView {
    pub(super) pid: u32,
    pub(super) command: String,
}

impl StatusView {
    /// From the state of a lab.
    pub fn new(lab: &LabName, Status { live, drift, processes }: &Status) -> Self {
        let mine = |(name, ns): &(&NsName, &Namespace)| name.is_host() || ns.owner.as_ref() == Some(lab);
        let view = |(name, ns): (&NsName, &Namespace)| {
            let shown = |interface: &&Interface| interface.is_of(lab, name);
            let links = ns.interfaces.iter().filter(|(_, interface)| shown(interface));
            let of_lab = |dev: &crate::lab::IfName| ns.interfaces.get(dev).is_some_and(|interface| shown(&interface));
            let route_shown =
                |route: &&crate::lab::Route| !name.is_host() || (!route.is_deviceless() && route.devs().all(of_lab));
            NamespaceView {
                name: name.to_string(),
                interfaces: links
                    .map(|(own, interface)| InterfaceView::new((name, ns), own.as_str(), interface))
                    .collect(),
                routes: ns.routes.iter().filter(route_shown).map(ToString::to_string).collect(),
                processes: processes.get(name).into_iter().flatten().map(ProcessView::new).collect(),
            }
        };
        let namespaces = live.namespaces.iter().map(|(name, ns)| (name, &ns.is)).filter(mine).map(view);
        Self {
            lab: lab.to_string(),
            namespaces: namespaces.filter(|ns| ns.name != "host" || !ns.interfaces.is_empty()).collect(),
            drift: drift.as_ref().map(|plan| plan.steps.iter().map(StepView::new).collect()),
        }
    }
}

impl InterfaceView {
    pub(super) fn new((ns, of): (&NsName, &Namespace), name: &str, interface: &Interface) -> Self {
        let master = interface.master.as_ref().map(ToString::to_string);
        let (vrf, bridge) = if of.vrf_of(interface).is_some() { (master, None) } else { (None, master) };
        Self {
            name: name.to_owned(),
            kind: interface.kind_name().to_owned(),
            up: interface.up,
            mtu: interface.mtu,
            mac: interface.mac.map(|mac| mac.to_string()),
            bridge,
            vrf,
            parent: interface.virtual_interface().and_then(|device| device.parent(ns)).map(|parent| parent.to_string()),
            peer: interface.peer().map(ToString::to_string),
            addresses: interface.addresses.iter().map(ToString::to_string).collect(),
        }
    }

    /// "port of v-net-0, to red/veth-red", "on host/eth-lan".
    pub(super) fn connections(&self) -> String {
        let master = self.bridge.iter().chain(&self.vrf).map(|master| format!("port of {master}"));
        let peer = self.peer.iter().map(|peer| format!("to {peer}"));
        let parent = self.parent.iter().map(|parent| format!("on {parent}"));
        master.chain(parent).chain(peer).collect::<Vec<_>>().join(", ")
    }
}

impl InterfaceView {
    /// "mtu 1500"
    pub(super) fn mtu_in_words(&self) -> String {
        self.mtu.map(|mtu| format!("mtu {mtu}")).unwrap_or_default()
    }
}

impl ProcessView {
    pub(super) fn new(process: &Process) -> Self {
        Self { pid: process.pid, command: process.command.clone() }
    }
}

/// A lab's state for people.
pub fn status(view: &StatusView) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["NAMESPACE", "INTERFACE", "KIND", "STATE", "ADDRESSES", "CONNECTED", "PROCESSES"]);
    for ns in &view.namespaces {
        let mut name = ns.name.clone();
        let mut processes =
            ns.processes.iter().map(|p| format!("{} {}", p.pid, p.command)).collect::<Vec<_>>().join(", ");
        for interface in &ns.interfaces {
            let state = if interface.up { "up" } else { "down" };
            table.add_row([
                std::mem::take(&mut name),
                interface.name.clone(),
                interface.kind.clone(),
                state.to_owned(),
                interface.addresses.join(" "),
                interface.connections(),
                std::mem::take(&mut processes),
            ]);
        }
    }
    let drift = match &view.drift {
        None => {
            "Drift: not known, since the topology as applied is not kept; compare with `nslab plan FILE`.\n".to_owned()
        }
        Some(steps) if steps.is_empty() => "Drift: none.\n".to_owned(),
        Some(steps) => {
            let lines = steps.iter().map(|step| format!("  {}\n", step.line()));
            format!("Drift: {} to fix:\n{}", counted(steps.len(), "step"), lines.collect::<String>())
        }
    };
    format!("{}: {}\n\n{table}\n\n{drift}", view.lab, counted(view.namespaces.len(), "namespace"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{plan, topology};

    #[test]
    fn ports_of_bridges_and_of_vrfs_are_told_apart() {
        let yaml = "name: a
namespaces:
  red:
    dummies: { d0: {}, d1: {} }
    bridges: { br0: { ports: [d0] } }
    vrfs: { v0: { table: 100, ports: [d1, br0] } }
";
        let lab = topology::parse("a.yaml", yaml).unwrap().lab;
        let status = Status { live: plan::as_built(&lab), drift: None, processes: BTreeMap::new() };
        let view = StatusView::new(&lab.name, &status);
        let json = serde_json::to_value(&view).unwrap();
        let interfaces = json["namespaces"][0]["interfaces"].as_array().unwrap().clone();
        let master = |name: &str| {
            let of = interfaces.iter().find(|interface| interface["name"] == name).unwrap();
            (of["bridge"].as_str().map(str::to_owned), of["vrf"].as_str().map(str::to_owned))
        };
        assert_eq!(master("d0"), (Some("br0".to_owned()), None));
        assert_eq!(master("d1"), (None, Some("v0".to_owned())));
        assert_eq!(master("br0"), (None, Some("v0".to_owned())));
        assert!(super::status(&view).contains("port of v0"));
    }
}
