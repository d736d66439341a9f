//! What a kernel shows, around the model: what there is in the model's own words, what only a kernel can say, and what
//! the model has no words for.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Address, AlteredAddress, Foreign, IfName, Interface, LabEtc, LabName, Namespace, NsName, ObservedFirewall,
    ObservedProgram, ObservedWireguard, PolicyRule, ProgramRef, Route, SecretKeys, SysctlKey, SysctlValue, Unread,
    VirtualInterface, Vxlan, VxlanSlot,
};

/// What the kernel says: the namespaces that exist and are of interest to one lab.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Observed {
    /// Every namespace that was asked for and exists, and every one that carries the lab's mark.
    pub namespaces: BTreeMap<NsName, ObservedNamespace>,
    /// What programs in the lab's namespaces find in `/etc`, once the engine has looked at the files.
    #[serde(skip)]
    pub etc: LabEtc,
    /// What could not be read of them.
    #[serde(skip)]
    pub unread: Vec<Unread>,
    /// The lab's programs, whichever namespaces they are in.
    #[serde(skip)]
    pub programs: BTreeMap<ProgramRef, ObservedProgram>,
    /// The private keys that its WireGuard interfaces are to have, as far as they have been chosen: those that the lab
    /// keeps, once the engine has looked at the files.
    #[serde(skip)]
    pub wireguard_keys: SecretKeys,
}

/// One network namespace as the kernel shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ObservedNamespace {
    /// What can be said in the model's words.
    #[serde(flatten)]
    pub is: Namespace,
    /// Every chain of its firewall, with all rules, whether or not the model has words for them. (`is.firewall` has
    /// those that the model can express.)
    #[serde(skip)]
    pub firewall: ObservedFirewall,
    /// The number that the kernel gave the rules that were read here (nf_tables' generation), if they are all there
    /// is and nobody changed them meanwhile.
    #[serde(skip)]
    pub firewall_generation: Option<u32>,
    /// The routes to its own subnets, which the kernel makes with each address. In a lab, they are implied.
    #[serde(skip)]
    pub connected: BTreeSet<Route>,
    /// In a lab's own namespace: what sysctls were before the lab set them.
    #[serde(skip)]
    pub original_sysctls: BTreeMap<SysctlKey, SysctlValue>,
    /// In `host`: the routes and policy rules with nslab's protocol number; once the engine has looked at the lists of
    /// all labs, those of this lab alone.
    #[serde(skip)]
    pub nslab_routing: Routing,
    /// In `host`, once the engine has looked at the lists of all labs: the routes and policy rules that others need.
    #[serde(skip)]
    pub routing_of_others: RoutingOfOthers,
    /// In `host`: the settings that labs need.
    #[serde(skip)]
    pub claims: Claims,
    /// Whether a mark of the lab in it says more than whose it is.
    #[serde(skip)]
    pub says_more: bool,
    /// Whether it notes that programs of the lab run in it.
    #[serde(skip)]
    pub has_programs: bool,
    /// In `host`: interfaces of the lab that lack one of its two marks, alias and group.
    #[serde(skip)]
    pub half_marked: BTreeSet<IfName>,
    /// The interfaces that have an alternative name, by that name: no other one can be called so.
    #[serde(skip)]
    pub alternative_names: BTreeMap<IfName, IfName>,
    /// The addresses that differ from what nslab makes in more than the model can say.
    #[serde(skip)]
    pub altered_addresses: BTreeMap<(IfName, Address), AlteredAddress>,
    /// The protocol numbers of routes that have one of a program: not nslab's, nor one that people's routes have.
    #[serde(skip)]
    pub route_protocols: BTreeMap<Route, u8>,
    /// The protocol numbers of addresses that have one (`IFA_PROTO`, since Linux 5.18).
    #[serde(skip)]
    pub address_protocols: BTreeMap<(IfName, Address), u8>,
    /// Which of the policy rules are missing that the kernel gives every namespace.
    #[serde(skip)]
    pub lost_rules: BTreeSet<PolicyRule>,
    /// Its WireGuard interfaces, with their keys.
    #[serde(skip)]
    pub wireguards: BTreeMap<IfName, ObservedWireguard>,
    /// What there is and cannot be said in the model's words.
    #[serde(skip_serializing_if = "Foreign::is_empty")]
    pub foreign: Foreign,
}

/// Host settings with the labs that need them, and the value that each lab needs; none where it is not known.
pub type Claims = BTreeMap<SysctlKey, BTreeMap<LabName, Option<SysctlValue>>>;

/// Routes and policy rules of a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Routing {
    /// Routes.
    pub routes: BTreeSet<Route>,
    /// Policy rules.
    pub rules: BTreeSet<PolicyRule>,
}

/// Routes and policy rules of `host`, each with the lab that needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutingOfOthers {
    /// Routes.
    pub routes: BTreeMap<Route, LabName>,
    /// Policy rules.
    pub rules: BTreeMap<PolicyRule, LabName>,
}

impl ObservedNamespace {
    /// Another look at the namespace, with the firewall of this one.
    #[must_use]
    pub fn hand_over_firewall(self, mut to: Self) -> Self {
        to.firewall = self.firewall;
        (to.is.firewall, to.is.nft) = (self.is.firewall, self.is.nft);
        to.firewall_generation = self.firewall_generation;
        to
    }

    /// What a VXLAN interface keeps others in its namespace from having; none for any other interface.
    pub fn vxlan_slot(&self, name: &IfName) -> Option<VxlanSlot> {
        let known =
            self.is.interfaces.get(name).and_then(Interface::virtual_interface).and_then(VirtualInterface::vxlan);
        known.map(Vxlan::slot).or_else(|| self.foreign.interfaces.get(name)?.vxlan)
    }
}

impl Namespace {
    /// Of a lab, its routes and rules in `host` that no interface of its own takes along when it goes: routes that
    /// drop, those through interfaces of the machine, and all rules.
    pub fn unattached(&self) -> Routing {
        let is_loose = |route: &&Route| route.devs().all(|dev| !self.interfaces.contains_key(dev));
        Routing { routes: self.routes.iter().filter(is_loose).cloned().collect(), rules: self.rules.clone() }
    }

    /// Of a live `host`, whether no lab's interface takes a route along: it leads nowhere, or through interfaces of the
    /// machine.
    pub fn is_unattached(&self, route: &Route) -> bool {
        let is_of_a_lab = |dev| self.interfaces.get(dev).is_some_and(|there| there.owner.is_some());
        !route.devs().any(is_of_a_lab)
    }
}
