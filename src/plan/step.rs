//! The one place where an operation is described: what it says to a person, the command that does the same,
//! and its inverse. Plan, script, roll-back and teardown all come from here.

use ipnet::IpNet;
use serde::Serialize;

use crate::lab::{
    BridgeOptions, ChainId, FdbEntry, FwRule, IfName, InterfaceRef, LabName, Mac, Neighbour, NsName, Policy,
    PolicyRule, Route, SysctlKey, SysctlValue, VirtualInterface, Vlans,
};

/// One operation on the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make a namespace, visible to `ip netns`, its loopback up and marked as the lab's.
    AddNamespace {
        /// Its name.
        ns: NsName,
        /// The lab it is for.
        lab: LabName,
    },
    /// Remove a namespace and all that is in it.
    DeleteNamespace {
        /// Its name.
        ns: NsName,
    },
    /// Take over what somebody made by hand: put the lab's mark on it.
    Mark {
        /// The interface that carries the mark; of a namespace, its loopback.
        end: InterfaceRef,
        /// The lab that takes it over.
        lab: LabName,
    },
    /// Take the lab's mark off again.
    Unmark {
        /// The interface that carries the mark.
        end: InterfaceRef,
        /// The lab that had taken it over.
        lab: LabName,
    },
    /// Make a bridge; it is down.
    AddBridge {
        /// Where, and its name.
        end: InterfaceRef,
        /// Spanning tree, VLAN filtering.
        options: BridgeOptions,
        /// Hardware address; none: the kernel's choice.
        mac: Option<Mac>,
        /// MTU; none: the kernel's default.
        mtu: Option<u32>,
        /// The lab it is for; marked on the link where it is in `host`.
        lab: LabName,
    },
    /// Make a veth pair, both ends in place at once, with one queue for each direction whatever the number of processors: a
    /// veth passes packets on in the sender's own time, so more would not make it faster, only slower to make.
    AddVeth {
        /// The end that can be made up and a bridge's port in the same message.
        main: VethEnd,
        /// The other end; it is down and nobody's port.
        peer: VethEnd,
        /// The lab it is for; marked on an end that is in `host`.
        lab: LabName,
    },
    /// Make a device; it is down and nobody's port.
    AddVirtualInterface {
        /// Where, and its name.
        end: InterfaceRef,
        /// What it is; the interface upon which it is must be there.
        device: VirtualInterface,
        /// Hardware address; none: the kernel's choice.
        mac: Option<Mac>,
        /// MTU; none: the kernel's default.
        mtu: Option<u32>,
        /// The lab it is for; marked on the link where it is in `host`.
        lab: LabName,
    },
    /// Remove an interface (of a veth pair: both ends).
    DeleteInterface {
        /// Which.
        end: InterfaceRef,
    },
    /// Remove all interfaces of the lab from `host` at once: one by one, each costs the kernel some 20 ms.
    DeleteHostInterfaces {
        /// The lab; its group is the one that goes.
        lab: LabName,
        /// The interfaces that are in it. If anything else is, they go one by one.
        interfaces: Vec<IfName>,
    },
    /// Bring an interface up or down.
    SetUp {
        /// Which.
        end: InterfaceRef,
        /// Up, or down.
        up: bool,
    },
    /// Change an interface's MTU.
    SetMtu {
        /// Which.
        end: InterfaceRef,
        /// What it is, in bytes.
        from: u32,
        /// What it is to be, in bytes.
        to: u32,
    },
    /// Change an interface's hardware address.
    SetMac {
        /// Which.
        end: InterfaceRef,
        /// What it is.
        from: Mac,
        /// What it is to be.
        to: Mac,
    },
    /// Make an interface a port of a bridge or a VRF, or nobody's.
    SetMaster {
        /// Which interface.
        end: InterfaceRef,
        /// The bridge or the VRF that it is a port of.
        from: Option<IfName>,
        /// The bridge or the VRF that it is to be a port of.
        to: Option<IfName>,
    },
    /// Put a port of a bridge, or the bridge's own interface, into other VLANs.
    SetVlans {
        /// Which interface.
        end: InterfaceRef,
        /// Whether it is the bridge itself.
        is_bridge: bool,
        /// The VLANs that it is in.
        from: Vlans,
        /// The VLANs that it is to be in.
        to: Vlans,
    },
    /// Change the options of a bridge.
    SetBridge {
        /// Which.
        end: InterfaceRef,
        /// What they are.
        from: BridgeOptions,
        /// What they are to be.
        to: BridgeOptions,
    },
    /// Change what a device was told, as far as [`VirtualInterface::can_become`] goes.
    SetVirtualInterface {
        /// Which.
        end: InterfaceRef,
        /// What it is.
        from: VirtualInterface,
        /// What it is to be.
        to: VirtualInterface,
    },
    /// Give an interface an address.
    AddAddress {
        /// Which interface.
        end: InterfaceRef,
        /// The address with its prefix length.
        address: IpNet,
    },
    /// Take an address from an interface.
    DeleteAddress {
        /// Which interface.
        end: InterfaceRef,
        /// The address with its prefix length.
        address: IpNet,
    },
    /// Add a route.
    AddRoute {
        /// Where.
        ns: NsName,
        /// The route.
        route: Route,
    },
    /// Put a route in the place of the one that is there (same table, destination and metric), in one go.
    ReplaceRoute {
        /// Where.
        ns: NsName,
        /// The route that is there.
        from: Route,
        /// The route that is to be there.
        to: Route,
    },
    /// Remove a route.
    DeleteRoute {
        /// Where.
        ns: NsName,
        /// The route.
        route: Route,
    },
    /// Add a policy rule.
    AddPolicyRule {
        /// Where.
        ns: NsName,
        /// The rule.
        rule: PolicyRule,
    },
    /// Remove a policy rule.
    DeletePolicyRule {
        /// Where.
        ns: NsName,
        /// The rule.
        rule: PolicyRule,
    },
    /// Add a permanent neighbour, or put it in the place of one with the same address.
    SetNeighbour {
        /// Where.
        ns: NsName,
        /// The entry that is there for this address.
        from: Option<Neighbour>,
        /// The entry.
        to: Neighbour,
    },
    /// Remove a permanent neighbour.
    DeleteNeighbour {
        /// Where.
        ns: NsName,
        /// The entry.
        neighbour: Neighbour,
    },
    /// Add an entry to the forwarding database of a VXLAN end.
    AddFdb {
        /// Where.
        ns: NsName,
        /// The entry.
        entry: FdbEntry,
    },
    /// Remove an entry from the forwarding database of a VXLAN end.
    DeleteFdb {
        /// Where.
        ns: NsName,
        /// The entry.
        entry: FdbEntry,
    },
    /// Set a sysctl.
    SetSysctl {
        /// Where.
        ns: NsName,
        /// Which.
        key: SysctlKey,
        /// Its value now, if known.
        from: Option<SysctlValue>,
        /// Its value to be.
        to: SysctlValue,
        /// The lab it is for; in `host` the former value is kept until the last lab that needs it is gone.
        lab: LabName,
    },
    /// Make a chain of rules.
    AddChain {
        /// Where.
        ns: NsName,
        /// Which.
        chain: ChainId,
    },
    /// Remove an empty chain.
    DeleteChain {
        /// Where.
        ns: NsName,
        /// Which.
        chain: ChainId,
    },
    /// Change what happens at the end of a built-in chain.
    SetPolicy {
        /// Where.
        ns: NsName,
        /// Which.
        chain: ChainId,
        /// What happens now.
        from: Policy,
        /// What is to happen.
        to: Policy,
    },
    /// Add a rule to a chain.
    AddFwRule {
        /// Where.
        ns: NsName,
        /// Which chain.
        chain: ChainId,
        /// Before which rule, counted from 1; none: at the end.
        position: Option<usize>,
        /// The rule.
        rule: FwRule,
    },
    /// Remove a rule from a chain.
    DeleteFwRule {
        /// Where.
        ns: NsName,
        /// Which chain.
        chain: ChainId,
        /// Where it stands, counted from 1; none: last.
        position: Option<usize>,
        /// The rule.
        rule: FwRule,
    },
    /// Put a host setting back to what it was before the first lab needed it, if this lab is the last one.
    RestoreSysctl {
        /// Which.
        key: SysctlKey,
        /// The lab that no longer needs it.
        lab: LabName,
    },
}

/// One end of a veth pair to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VethEnd {
    /// Where, and its name.
    pub end: InterfaceRef,
    /// Hardware address; none: the kernel's choice.
    pub mac: Option<Mac>,
    /// MTU; none: the kernel's default.
    pub mtu: Option<u32>,
    /// The bridge that it is a port of (the main end only).
    pub master: Option<IfName>,
    /// Whether it is up from the start (the main end only).
    pub up: bool,
}

/// A step in words, as commands, and turned round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What it does: "add address 192.168.15.1/24 to red/veth-red".
    pub text: String,
    /// The command that a person would type for it.
    pub command: String,
    /// The lines of a shell script that does the same: the command, and the marks and notes by which nslab knows what
    /// is its own.
    pub script: Vec<String>,
    /// The step that undoes it; none where what it removed cannot be brought back as it was.
    pub inverse: Option<Step>,
}

impl Step {
    /// What it does, in words.
    pub fn text(&self) -> String {
        self.describe().text
    }

    /// The command that a person would type for it.
    pub fn command(&self) -> String {
        self.describe().command
    }

    /// The step that undoes it.
    pub fn inverse(&self) -> Option<Step> {
        self.describe().inverse
    }

    /// The namespace that it changes (for a veth pair, that of its main end).
    pub fn namespace(&self) -> NsName {
        match self {
            Step::AddNamespace { ns, .. }
            | Step::DeleteNamespace { ns }
            | Step::AddRoute { ns, .. }
            | Step::ReplaceRoute { ns, .. }
            | Step::DeleteRoute { ns, .. }
            | Step::AddPolicyRule { ns, .. }
            | Step::DeletePolicyRule { ns, .. }
            | Step::SetNeighbour { ns, .. }
            | Step::DeleteNeighbour { ns, .. }
            | Step::AddFdb { ns, .. }
            | Step::DeleteFdb { ns, .. }
            | Step::SetSysctl { ns, .. }
            | Step::AddChain { ns, .. }
            | Step::DeleteChain { ns, .. }
            | Step::SetPolicy { ns, .. }
            | Step::AddFwRule { ns, .. }
            | Step::DeleteFwRule { ns, .. } => ns.clone(),
            Step::AddVeth { main, .. } => main.end.ns.clone(),
            Step::Mark { end, .. }
            | Step::Unmark { end, .. }
            | Step::AddBridge { end, .. }
            | Step::AddVirtualInterface { end, .. }
            | Step::DeleteInterface { end }
            | Step::SetUp { end, .. }
            | Step::SetMtu { end, .. }
            | Step::SetMac { end, .. }
            | Step::SetMaster { end, .. }
            | Step::SetVlans { end, .. }
            | Step::SetBridge { end, .. }
            | Step::SetVirtualInterface { end, .. }
            | Step::AddAddress { end, .. }
            | Step::DeleteAddress { end, .. } => end.ns.clone(),
            Step::DeleteHostInterfaces { .. } | Step::RestoreSysctl { .. } => NsName::host(),
        }
    }

    /// Text, commands and inverse, from one place.
    pub fn describe(&self) -> Description {
        super::describe::describe(self)
    }

    /// Whether this step is run together with the one before it, both or neither: firewall rules of one namespace
    /// and family, by one transaction; namespaces that are made, several at a time.
    pub fn batches_with(&self, before: &Step) -> bool {
        if let (Step::AddNamespace { .. }, Step::AddNamespace { .. }) = (self, before) {
            return true;
        }
        match (self.firewall(), before.firewall()) {
            (Some((ns, chain)), Some((before_ns, before_chain))) => {
                ns == before_ns && chain.family == before_chain.family
            }
            _ => false,
        }
    }

    /// The only namespace in which anything changes by it. None where there may be others: whatever is done to an interface
    /// itself may be seen at its other end, and at what stands upon it.
    pub fn only_namespace(&self) -> Option<NsName> {
        match self {
            Step::AddAddress { .. }
            | Step::DeleteAddress { .. }
            | Step::AddRoute { .. }
            | Step::ReplaceRoute { .. }
            | Step::DeleteRoute { .. }
            | Step::AddPolicyRule { .. }
            | Step::DeletePolicyRule { .. }
            | Step::SetNeighbour { .. }
            | Step::DeleteNeighbour { .. }
            | Step::AddFdb { .. }
            | Step::DeleteFdb { .. }
            | Step::SetSysctl { .. } => Some(self.namespace()),
            _ => self.firewall().map(|(ns, _)| ns.clone()),
        }
    }

    /// Whether an address may be at another hardware address afterwards.
    pub fn brings_hardware_address(&self) -> bool {
        matches!(
            self,
            Step::AddVeth { .. } | Step::AddBridge { .. } | Step::AddVirtualInterface { .. } | Step::SetMac { .. }
        )
    }

    /// Whether it removes a whole namespace.
    pub fn removes_namespace(&self) -> bool {
        matches!(self, Step::DeleteNamespace { .. })
    }

    /// The namespace and chain that a firewall step is about.
    pub fn firewall(&self) -> Option<(&NsName, &ChainId)> {
        match self {
            Step::AddChain { ns, chain }
            | Step::DeleteChain { ns, chain }
            | Step::SetPolicy { ns, chain, .. }
            | Step::AddFwRule { ns, chain, .. }
            | Step::DeleteFwRule { ns, chain, .. } => Some((ns, chain)),
            _ => None,
        }
    }
}
