//! What a kernel shows, around the model: what there is in the model's own words, what only a kernel can say, and what
//! the model has no words for.

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{
    IfName, Interface, LabName, Namespace, NsName, ObservedFirewall, PolicyRule, Route, RouteSlot, SysctlKey,
    SysctlValue, VirtualInterface, Vxlan, VxlanSlot,
};

/// What the kernel says: the namespaces that exist and are of interest to one lab.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Observed {
    /// Every namespace that was asked for and exists, and every one that carries the lab's mark.
    pub namespaces: BTreeMap<NsName, ObservedNamespace>,
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
    /// In `host`: the settings that labs need.
    #[serde(skip)]
    pub claims: Claims,
    /// In `host`: interfaces of the lab that lack one of its two marks, alias and group.
    #[serde(skip)]
    pub half_marked: BTreeSet<IfName>,
    /// Which of the policy rules are missing that the kernel gives every namespace.
    #[serde(skip)]
    pub lost_rules: BTreeSet<PolicyRule>,
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

/// The objects of a namespace that the model has no words for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Routes with a type of service, metrics, several next hops, an encapsulation …
    pub routes: Vec<ForeignRoute>,
    /// Policy rules with further conditions or actions.
    pub rules: Vec<ForeignRule>,
    /// Forwarding entries of VXLAN interfaces that lead to another port, through another interface …
    pub fdb: Vec<ForeignFdbEntry>,
    /// Virtual interfaces of a kind that the model has, with options that it has not. They are among the interfaces as
    /// well.
    pub interfaces: BTreeMap<IfName, ForeignInterface>,
}

/// What a foreign object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignKind {
    /// A route.
    Route {
        /// Whether its destination is an IPv6 one.
        ipv6: bool,
    },
    /// A policy rule.
    PolicyRule {
        /// Whether it is a rule for IPv6.
        ipv6: bool,
    },
    /// A permanent forwarding entry.
    FdbEntry,
}

/// An object in the kernel's own words: enough to remove it, and to put it back, without listing it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignObject {
    /// What it is.
    pub kind: ForeignKind,
    /// Its words for people, as `ip` or `bridge` spells it, as well as we can.
    pub text: String,
    /// The body of the netlink message that names it.
    pub message: Vec<u8>,
}

/// A route that the model cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRoute {
    /// The route.
    pub object: ForeignObject,
    /// The interface that it leaves through; none, where there are several, or it is one that drops.
    pub dev: Option<IfName>,
    /// The place that it takes from a route of the model; none where no such route can have its place.
    pub slot: Option<RouteSlot>,
    /// Whether it carries nslab's protocol number.
    pub is_ours: bool,
}

/// A policy rule that the model cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignRule {
    /// The rule.
    pub object: ForeignObject,
    /// Its priority.
    pub priority: u32,
    /// Whether it is a rule for IPv6.
    pub ipv6: bool,
    /// Whether it carries nslab's protocol number.
    pub is_ours: bool,
}

/// A permanent forwarding entry that the model cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignFdbEntry {
    /// The entry.
    pub object: ForeignObject,
    /// The VXLAN interface.
    pub dev: IfName,
}

/// A virtual interface with options that the model cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignInterface {
    /// Its kind and options, as after `type` in `ip link`.
    pub text: String,
    /// Of a VXLAN interface: what no other one in the namespace can have.
    pub vxlan: Option<VxlanSlot>,
}

impl Foreign {
    /// All objects that a step can remove and put back.
    pub fn objects(&self) -> impl Iterator<Item = &ForeignObject> {
        let routes = self.routes.iter().map(|route| &route.object);
        let rules = self.rules.iter().map(|rule| &rule.object);
        routes.chain(rules).chain(self.fdb.iter().map(|entry| &entry.object))
    }

    /// Whether the model has words for everything.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.rules.is_empty() && self.fdb.is_empty() && self.interfaces.is_empty()
    }
}

/// The words for people.
impl Serialize for Foreign {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let routes: Vec<&str> = self.routes.iter().map(|route| route.object.text.as_str()).collect();
        let rules: Vec<&str> = self.rules.iter().map(|rule| rule.object.text.as_str()).collect();
        let fdb: Vec<&str> = self.fdb.iter().map(|entry| entry.object.text.as_str()).collect();
        let interfaces: BTreeMap<&IfName, &str> =
            self.interfaces.iter().map(|(name, interface)| (name, interface.text.as_str())).collect();
        let mut out = s.serialize_struct("Foreign", 4)?;
        out.serialize_field("routes", &routes)?;
        out.serialize_field("rules", &rules)?;
        out.serialize_field("fdb", &fdb)?;
        out.serialize_field("interfaces", &interfaces)?;
        out.end()
    }
}

impl ObservedNamespace {
    /// What a VXLAN interface keeps others in its namespace from having; none for any other interface.
    pub fn vxlan_slot(&self, name: &IfName) -> Option<VxlanSlot> {
        let known =
            self.is.interfaces.get(name).and_then(Interface::virtual_interface).and_then(VirtualInterface::vxlan);
        known.map(Vxlan::slot).or_else(|| self.foreign.interfaces.get(name)?.vxlan)
    }
}

impl Namespace {
    /// Its routes and rules that no interface takes along when it goes: routes that drop, and all rules.
    pub fn unattached(&self) -> Routing {
        let routes = self.routes.iter().filter(|route| route.is_deviceless()).cloned().collect();
        Routing { routes, rules: self.rules.clone() }
    }
}
