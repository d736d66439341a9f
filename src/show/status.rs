//! One lab: what is there, what runs in it, and what has drifted from its file.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::counted;
use super::lines::{fitted, printable, table};
use super::plan::StepView;
use super::program::{self, ProgramView};
use crate::engine::Status;
use crate::kernel::process::Process;
use crate::lab::{Interface, LabName, Namespace, NsName, ObservedProgram, ProgramRef, authority_file};

/// How far what belongs to a namespace is indented.
const INDENT: usize = 2;

/// A lab's state for programs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatusView {
    /// The lab's name.
    lab: String,
    /// Which of the machines that make the lab together this is; absent where the lab is on one machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    machine: Option<MachineView>,
    /// Its namespaces, and `host` with the lab's interfaces there.
    namespaces: Vec<NamespaceView>,
    /// Its programs; absent where it has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    programs: Vec<ProgramView>,
    /// The file with the certificate of the authority that signs those of its programs; absent where they have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    authority: Option<String>,
    /// Whether programs were started, and the process that held them is gone: `true`, or absent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lost_programs: bool,
    /// What differs from the topology as applied; absent where that is not kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<Vec<StepView>>,
    /// What could not be read, and why; what differs there is not in `drift`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
}

/// One of several machines for programs.
#[derive(Debug, Serialize, JsonSchema)]
struct MachineView {
    /// The namespace of the lab that it is.
    node: String,
    /// Its interface on the network between the machines.
    interface: String,
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
    pub fn new(lab: &LabName, status: &Status) -> Self {
        let Status { live, drift, unread, processes, ports, has_lost_programs, machine } = status;
        let machine_view = |(node, dev): &(NsName, crate::lab::IfName)| MachineView {
            node: node.to_string(),
            interface: dev.to_string(),
        };
        let nowhere = BTreeSet::new();
        let program = |(name, is): (&ProgramRef, &ObservedProgram)| {
            ProgramView::new(name, is, ports.get(name).unwrap_or(&nowhere))
        };
        let mine = |(name, ns): &(&NsName, &Namespace)| name.is_host() || ns.owner.as_ref() == Some(lab);
        let view = |(name, ns): (&NsName, &Namespace)| {
            let shown = |interface: &&Interface| interface.is_of(lab, name);
            let links = ns.interfaces.iter().filter(|(_, interface)| shown(interface));
            let of_lab = |dev: &crate::lab::IfName| ns.interfaces.get(dev).is_some_and(|interface| shown(&interface));
            let of_nslab = live.namespaces.get(name).map(|live| &live.nslab_routing.routes);
            let is_own = |route: &crate::lab::Route| match ns.is_unattached(route) {
                true => of_nslab.is_some_and(|own| own.contains(route)),
                false => route.devs().all(of_lab),
            };
            let route_shown = |route: &&crate::lab::Route| !name.is_host() || is_own(route);
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
            machine: machine.as_ref().map(machine_view),
            namespaces: namespaces.filter(|ns| ns.name != "host" || !ns.interfaces.is_empty()).collect(),
            programs: live.programs.iter().map(program).collect(),
            authority: live
                .programs
                .values()
                .any(|is| !is.program.certificates.is_empty())
                .then(|| authority_file(lab)),
            lost_programs: *has_lost_programs,
            drift: drift.as_ref().map(|plan| plan.steps.iter().map(StepView::new).collect()),
            unread: unread.clone(),
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

/// A lab's state for people, in lines of at most `width` columns.
pub fn status(view: &StatusView, width: usize) -> String {
    let head = ["NAMESPACE", "INTERFACE", "KIND", "STATE", "ADDRESSES", "CONNECTED", "PROCESSES"];
    let table = table(head, &rows(&view.namespaces), width).unwrap_or_else(|| stacked(&view.namespaces, width));
    let drift = match &view.drift {
        None => {
            let what = "Drift: not known, since the topology as applied is not kept; compare with `nslab plan FILE`.";
            fitted(what, 0, 2, width)
        }
        Some(steps) if steps.is_empty() => "Drift: none.\n".to_owned(),
        Some(steps) => {
            let lines = steps.iter().map(|step| fitted(&printable(&step.line()), 2, 4, width));
            format!("Drift: {} to fix:\n{}", counted(steps.len(), "step"), lines.collect::<String>())
        }
    };
    let authority = view.authority.iter();
    let authority = authority.map(|file| fitted(&format!("Certificates are signed by {file}."), 0, 2, width) + "\n");
    let programs = program::programs(&view.programs, width) + &authority.collect::<String>();
    let lost = match view.lost_programs {
        true => {
            fitted("Programs: the process that held them is gone, and they with it; `apply` starts them.", 0, 2, width)
        }
        false => String::new(),
    };
    let unread = view.unread.iter().map(|why| fitted(&printable(&why.replace('\n', "; ")), 2, 4, width));
    let unread: String = unread.collect();
    let unread = if unread.is_empty() { unread } else { format!("Not known:\n{unread}") };
    let machine = view.machine.iter();
    let machine: String = machine.map(|own| format!("; this machine is {}, by {}", own.node, own.interface)).collect();
    format!(
        "{}: {}{machine}\n\n{}\n\n{programs}{lost}{drift}{unread}",
        view.lab,
        counted(view.namespaces.len(), "namespace"),
        table.trim_end_matches('\n')
    )
}

/// A row for every interface; the namespace, and what runs in it, is in the first.
fn rows(namespaces: &[NamespaceView]) -> Vec<[String; 7]> {
    let mut rows = Vec::new();
    for ns in namespaces {
        let mut name = ns.name.clone();
        let mut processes = ns.processes_in_words();
        for interface in &ns.interfaces {
            rows.push([
                std::mem::take(&mut name),
                interface.name.clone(),
                interface.kind.clone(),
                interface.state().to_owned(),
                interface.addresses.join(" "),
                interface.connections(),
                std::mem::take(&mut processes),
            ]);
        }
    }
    rows
}

/// The same where lines would be too long: what is connected to an interface is below it.
fn stacked(namespaces: &[NamespaceView], width: usize) -> String {
    let all = || namespaces.iter().flat_map(|ns| &ns.interfaces);
    let names = all().map(|own| own.name.chars().count()).max().unwrap_or_default();
    let kinds = all().map(|own| own.kind.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for ns in namespaces {
        text += &fitted(&ns.name, 0, 0, width);
        for own in &ns.interfaces {
            let start = format!("{:names$}  {:kinds$}  {:4}  ", own.name, own.kind, own.state());
            let hang = INDENT + start.chars().count();
            let (addresses, connections) = (own.addresses.join(" "), own.connections());
            let mut cells = [addresses, connections].into_iter().filter(|cell| !cell.is_empty());
            text += &fitted(&format!("{start}{}", cells.next().unwrap_or_default()), INDENT, hang, width);
            text.extend(cells.map(|cell| fitted(&cell, hang, hang, width)));
        }
        if !ns.processes.is_empty() {
            text += &fitted(&format!("runs {}", ns.processes_in_words()), INDENT, 2 * INDENT, width);
        }
    }
    text
}

impl NamespaceView {
    /// "4711 sleep 5, 4712 sh"
    fn processes_in_words(&self) -> String {
        let processes = self.processes.iter().map(|own| printable(&format!("{} {}", own.pid, own.command)));
        processes.collect::<Vec<_>>().join(", ")
    }
}

impl InterfaceView {
    fn state(&self) -> &'static str {
        if self.up { "up" } else { "down" }
    }
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
        let (live, processes, ports) = (plan::as_built(&lab), BTreeMap::new(), BTreeMap::new());
        let (drift, unread, has_lost_programs, machine) = (None, Vec::new(), false, None);
        let status = Status { live, drift, unread, processes, ports, has_lost_programs, machine };
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
        assert!(super::status(&view, 80).contains("port of v0"));
    }
}
