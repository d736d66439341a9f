//! What a lab needs of a machine, read from the lab alone; or what labs in general need.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::code::MachineCode;
use super::facts::{Extension, Feature, Questions};
use super::finding::Finding;
use crate::lab::{
    Address, Condition, Family, FirewallRule, FirewallTarget, Hook, IfName, InterfaceKind, IpProtocol, Lab, LabName,
    Namespace, NsName, Origin, ProgramName, Route, SysctlKey, SysctlValue, VirtualKind,
};

/// The command of ingress controllers, and the name of its package.
pub(super) const NGINX: &str = "nginx";

/// What a lab needs.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// The lab; none: labs in general, of which each needs only some of it.
    pub(super) lab: Option<LabName>,
    /// The namespaces that it makes.
    pub(super) namespaces: BTreeSet<NsName>,
    /// Its interfaces in `host`.
    pub(super) host_interfaces: BTreeSet<IfName>,
    /// The subnets on its interfaces in `host`.
    pub(super) host_subnets: Vec<(IfName, IpNet)>,
    /// Its routes in `host`.
    pub(super) host_routes: BTreeSet<Route>,
    /// Whether the host is to forward IPv6.
    pub(super) host_forwards_ipv6: bool,
    /// The families that it forwards through `host` without a rule of its own that could accept them.
    pub(super) host_forwards: BTreeSet<Family>,
    /// Whether it has a bridge in `host`, and no rule as above.
    pub(super) host_bridges: bool,
    /// What the kernel has to be able to do, and where it is used first.
    pub(super) features: BTreeMap<Feature, String>,
    /// The families that it has firewall rules of, and where it has the first.
    pub(super) firewall: BTreeMap<Family, String>,
    /// Where it uses IPv6 first.
    pub(super) ipv6: Option<String>,
    /// Where it sets a sysctl first.
    pub(super) sysctls: Option<String>,
    /// Whether there is something to check.
    pub(super) has_checks: bool,
    /// How many addresses it has, of each family.
    pub(super) addresses: BTreeMap<Family, u64>,
    /// The commands that it runs and cannot bring along, and where it runs each first.
    pub(super) commands: BTreeMap<&'static str, String>,
}

impl Needs {
    /// What one lab needs.
    pub fn of(lab: &Lab) -> Self {
        let mut needs = Self { lab: Some(lab.name.clone()), ..Self::default() };
        needs.namespaces = lab.own_namespaces().cloned().collect();
        needs.has_checks = !lab.checks.is_empty();
        for (ns, namespace) in &lab.namespaces {
            needs.add_interfaces(lab, ns, namespace);
            needs.add_routing(ns, namespace);
            needs.add_firewall(ns, namespace);
            needs.add_controller(ns, namespace);
            if ns.is_host() {
                needs.add_host(lab, namespace);
            }
        }
        needs
    }

    /// What labs in general need.
    pub fn in_general() -> Self {
        let mut needs = Self::default();
        let mut features = vec![Feature::Veth, Feature::Bridge, Feature::VlanFiltering, Feature::BridgeNetfilter];
        features.extend([Feature::NftTables, Feature::NftPolicies]);
        features.extend(VirtualKind::ALL.map(Feature::Virtual));
        for family in [Family::Ipv4, Family::Ipv6] {
            features.push(Feature::PolicyRouting(family));
            features.extend(Extension::ALL.map(|extension| Feature::Extension(family, extension)));
            needs.firewall.insert(family, "labs with `nat` or `filter`".to_owned());
            needs.host_forwards.insert(family);
        }
        needs.features = features.into_iter().map(|feature| (feature, "labs with it".to_owned())).collect();
        needs.has_checks = true;
        needs.ipv6 = Some("labs with IPv6".to_owned());
        needs.sysctls = Some("labs with `forwarding` or `sysctls`".to_owned());
        needs
    }

    /// What has to be found out to judge whether it is there. `thorough` asks also for what any kernel has: without it,
    /// the step that fails says so.
    pub fn questions(&self, thorough: bool) -> Questions {
        let common = |feature: &Feature| matches!(feature, Feature::Veth | Feature::Bridge);
        Questions {
            host_network: !self.host_subnets.is_empty() || !self.host_routes.is_empty() || self.host_forwards_ipv6,
            features: self.features.keys().filter(|feature| thorough || !common(feature)).copied().collect(),
            iptables: self.firewall.keys().copied().collect(),
            forwarding: !self.host_forwards.is_empty() || self.host_bridges,
            namespaces: self.namespaces.clone(),
            commands: self.commands.keys().copied().collect(),
        }
    }

    fn add_interfaces(&mut self, lab: &Lab, ns: &NsName, namespace: &Namespace) {
        for (name, interface) in &namespace.interfaces {
            let place = || format!("{ns}/{name}");
            match &interface.kind {
                InterfaceKind::Veth { .. } => self.feature(Feature::Veth, place),
                InterfaceKind::Bridge(options) => {
                    self.feature(Feature::Bridge, place);
                    if options.vlan_filtering {
                        self.feature(Feature::VlanFiltering, place);
                    }
                    if options.nf_call_iptables {
                        let of_services = namespace.has_services();
                        let of_policies = lab.network_policies.are_enforced_by(ns);
                        let what = match (of_services, of_policies) {
                            (true, true) => ", for services and network policies",
                            (true, false) => ", for services",
                            (false, true) => ", for network policies",
                            (false, false) => "",
                        };
                        let way = " (with `routing: routed`, pods are behind no bridge)";
                        let way = if what.is_empty() { "" } else { way };
                        self.feature(Feature::BridgeNetfilter, || format!("{ns}/{name}{what}{way}"));
                    }
                }
                InterfaceKind::Virtual(of) => {
                    let origin = lab.origins.get(&of.kind());
                    self.feature(Feature::Virtual(of.kind()), || origin.map_or_else(place, Origin::to_string));
                }
                InterfaceKind::Loopback | InterfaceKind::Other(_) => {}
            }
            for address in &interface.addresses {
                *self.addresses.entry(address.family()).or_default() += 1;
                if address.is_ipv6() {
                    self.ipv6.get_or_insert_with(place);
                }
            }
        }
    }

    fn add_routing(&mut self, ns: &NsName, namespace: &Namespace) {
        for rule in &namespace.rules {
            let family = if rule.ipv6 { Family::Ipv6 } else { Family::Ipv4 };
            self.feature(Feature::PolicyRouting(family), || format!("the policy rules of {ns}"));
        }
        let has_ipv6 = namespace.routes.iter().any(Route::is_ipv6) || namespace.rules.iter().any(|rule| rule.ipv6);
        if has_ipv6 {
            self.ipv6.get_or_insert_with(|| format!("the routes of {ns}"));
        }
        if !namespace.sysctls.is_empty() {
            self.sysctls.get_or_insert_with(|| ns.to_string());
        }
    }

    fn add_firewall(&mut self, ns: &NsName, namespace: &Namespace) {
        for table in namespace.nft.keys() {
            match table.is_of_services() {
                true => self.feature(Feature::NftTables, || format!("table {table} of {ns}")),
                false => self.feature(Feature::NftPolicies, || format!("the network policies of {ns}")),
            }
        }
        for (chain, rules) in &namespace.firewall.chains {
            self.firewall.entry(chain.family).or_insert_with(|| ns.to_string());
            for extension in rules.iter().flat_map(extensions) {
                self.feature(Feature::Extension(chain.family, extension), || format!("the rules of {ns}"));
            }
        }
    }

    /// The author of the file has not written that command.
    fn add_controller(&mut self, ns: &NsName, namespace: &Namespace) {
        if namespace.programs.get(&ProgramName::ingress()).is_some_and(|program| !program.certificates.is_empty()) {
            self.commands.entry(NGINX).or_insert_with(|| format!("the ingress controller {ns}"));
        }
    }

    fn add_host(&mut self, lab: &Lab, host: &Namespace) {
        self.host_interfaces = host.interfaces.keys().cloned().collect();
        self.host_routes = host.routes.clone();
        let forwarding = host.sysctls.get(&SysctlKey::ipv6_forwarding());
        self.host_forwards_ipv6 = forwarding.is_some_and(SysctlValue::is_on);
        for (name, interface) in &host.interfaces {
            let subnets = interface.addresses.iter().flat_map(Address::subnets);
            self.host_subnets.extend(subnets.map(|subnet| (name.clone(), subnet)));
        }
        let accepts = |family: Family| {
            host.firewall.chains.keys().any(|chain| {
                let own = chain.owner().filter(|(owner, _)| *owner == lab.name);
                chain.family == family && own.is_some_and(|(_, hook)| hook == Hook::Forward)
            })
        };
        let forwarding = [(Family::Ipv4, SysctlKey::ipv4_forwarding()), (Family::Ipv6, SysctlKey::ipv6_forwarding())];
        for (family, key) in forwarding {
            if !accepts(family) && host.sysctls.get(&key).is_some_and(SysctlValue::is_on) {
                self.host_forwards.insert(family);
            }
        }
        let has_bridge = host.interfaces.values().any(|interface| matches!(interface.kind, InterfaceKind::Bridge(_)));
        self.host_bridges = has_bridge && !accepts(Family::Ipv4);
    }

    /// What a lack means: for one lab an error; for labs in general a warning, as most do without.
    pub(super) fn lack(&self, code: MachineCode, what: impl Into<String>, help: impl Into<String>) -> Finding {
        match self.lab {
            Some(_) => Finding::error(code, what, help),
            None => Finding::warning(code, what, help),
        }
    }

    fn feature(&mut self, feature: Feature, place: impl FnOnce() -> String) {
        self.features.entry(feature).or_insert_with(place);
    }
}

/// The matches and targets that a rule uses, of those that a kernel can lack.
fn extensions(rule: &FirewallRule) -> impl Iterator<Item = Extension> + use<> {
    let of_target = match &rule.target {
        FirewallTarget::Masquerade | FirewallTarget::MasqueradeRandomly => Some(Extension::Masquerade),
        FirewallTarget::Mark(_) => Some(Extension::SetMark),
        FirewallTarget::Reject(_) => Some(Extension::Reject),
        FirewallTarget::Snat(_) => Some(Extension::Snat),
        FirewallTarget::Dnat(_) => Some(Extension::Dnat),
        // Files have no redirection.
        FirewallTarget::Redirect(_)
        | FirewallTarget::Accept
        | FirewallTarget::Drop
        | FirewallTarget::Return
        | FirewallTarget::Continue
        | FirewallTarget::Jump(_) => None,
    };
    let of_matches = [
        rule.matches.destination_is_local.or(rule.matches.source_is_local).map(|_| Extension::Addrtype),
        rule.matches.recent.as_ref().map(|_| Extension::Recent),
        // Ports of TCP and UDP are in every kernel that has iptables.
        rule.matches.protocol.as_ref().filter(|of| **of == Condition::Is(IpProtocol::Sctp)).map(|_| Extension::Sctp),
        rule.matches.probability.map(|_| Extension::Statistic),
        rule.matches.mark.map(|_| Extension::Mark),
        rule.comment.as_ref().map(|_| Extension::Comment),
        rule.matches.states.as_ref().map(|_| Extension::Conntrack),
    ];
    of_matches.into_iter().chain([of_target]).flatten()
}
