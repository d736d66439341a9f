//! What is: the kernel's own account of each namespace, put into the lab's words. Nothing is remembered and nothing is
//! changed.

mod expected;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzzing;
mod interfaces;
mod marks;
mod others;
mod parents;
mod parts;
mod peers;
mod switches;
mod wireguard;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use super::firewall::{self, Installed, Look};
use super::netlink::NetlinkError;
use super::netns::{self, Found, GivenNames, NetnsGuard, NetnsHandle, NetnsHandles};
use super::objects::{Decoded, bridge_fdb, fdb_entry, foreign_neighbour, neighbour, policy_rule, route};
use super::threads::{Queue, share};
use super::{KernelError, Scope, sysctl};
use crate::failpoint;
use crate::lab::{
    FdbEntry, Foreign, ForeignFdbEntry, ForeignOther, IfName, Interface, InterfaceKind, LabName, Mark, Namespace,
    Neighbour, NsName, Observed, ObservedNamespace, Part, PolicyRule, Route, Routing, RuleAction, SysctlKey,
    SysctlValue, Unread, VirtualInterface,
};
use crate::steps::Step;
use interfaces::Interfaces;
use marks::{cannot_list, is_counted, mark, open_all};
pub(super) use marks::{marks, owners, remembered};
use parts::{Parts, unread};

/// How many namespaces' firewalls a thread has listed at once: each takes a process or two.
const MAX_LISTINGS: usize = 4;

/// Observes everything in scope. Large firewalls that are as some steps have made them, since `before`, are not listed.
pub(super) fn live(
    handles: &mut NetnsHandles,
    scope: &Scope<'_>,
    done: &[&Step],
    before: &Observed,
) -> Result<Observed, KernelError> {
    let wanted = |ns: &NsName| scope.wants(ns);
    let Found { namespaces, leftovers, others } = netns::find()?;
    let (names, refused) = open_all(handles, namespaces)?;
    let mut known = Known { firewalls: expected::firewalls(handles, &names, done, before)?, ..Known::find() };
    let mut live = Observed::default();
    // Names that lead to no namespace. The lab's own are shown (as empty namespaces) where they are not wanted, since
    // making the namespace replaces them; those of other labs are shown where the lab wants the name.
    let own = leftovers
        .into_iter()
        .filter(|(ns, owner)| (owner == scope.lab) != wanted(ns))
        .map(|(ns, owner)| (ns, Some(owner)));
    let unmarked = others.into_iter().filter(&wanted).map(|ns| (ns, None));
    for (ns, owner) in own.chain(unmarked) {
        live.namespaces.insert(ns, unseen(owner));
    }
    for (ns, error) in refused {
        if let Some(((ns, namespace, _), unread)) = of_unread(&known.names, scope, &ns, &error) {
            live.namespaces.insert(ns, namespace);
            live.unread.push(unread);
        }
    }
    let mut seen = BTreeMap::new();
    let in_scope = handles.all().into_iter().filter(|(ns, _)| names.contains(ns)).collect();
    for observed in share(in_scope, |queue| observe_all(queue, scope, &known)) {
        let (observed, unread) = observed?;
        live.unread.extend(unread);
        for (ns, mut namespace, interfaces) in observed {
            if let Some(known) = known.firewalls.remove(&ns) {
                namespace = known.hand_over_firewall(namespace);
            }
            live.namespaces.insert(ns.clone(), namespace);
            seen.extend(interfaces.map(|interfaces| (ns, interfaces)));
        }
    }
    peers::connect(handles, &seen, &mut live);
    parents::connect(handles, &seen, &mut live);
    wireguard::connect(&mut live);
    live.unread.sort_by(|a, b| a.ns.cmp(&b.ns));
    Ok(live)
}

/// Observes some namespaces, and takes over from `before` all others, and what the interfaces are connected with.
pub(super) fn again(
    handles: &mut NetnsHandles,
    scope: &Scope<'_>,
    namespaces: &BTreeSet<NsName>,
    done: &[&Step],
    before: &Observed,
) -> Result<Observed, KernelError> {
    let is_before = |ns: &NsName| !namespaces.contains(ns);
    let others = before.namespaces.iter().filter(|(ns, _)| is_before(ns));
    let mut live = Observed {
        namespaces: others.map(|(ns, namespace)| (ns.clone(), namespace.clone())).collect(),
        etc: before.etc.clone(),
        unread: before.unread.iter().filter(|unread| is_before(&unread.ns)).cloned().collect(),
        programs: before.programs.clone(),
        wireguard_keys: before.wireguard_keys.clone(),
    };
    let mut known = Known { firewalls: expected::firewalls(handles, namespaces, done, before)?, ..Known::find() };
    let touched = handles.all().into_iter().filter(|(ns, _)| namespaces.contains(ns)).collect();
    for observed in share(touched, |queue| observe_all(queue, scope, &known)) {
        let (observed, unread) = observed?;
        live.unread.extend(unread);
        for (ns, mut now, _) in observed {
            let was = before.namespaces.get(&ns);
            for (name, interface) in &mut now.is.interfaces {
                if let Some(was) = was.and_then(|was| was.is.interfaces.get(name)) {
                    interface.kind.connect_like(&was.kind);
                }
            }
            if let Some(known) = known.firewalls.remove(&ns) {
                now = known.hand_over_firewall(now);
            }
            live.namespaces.insert(ns, now);
        }
    }
    wireguard::connect(&mut live);
    Ok(live)
}

/// What is found out once, for all namespaces.
struct Known {
    /// The programs for firewalls.
    installed: Installed,
    /// Whose the names of namespaces are.
    names: GivenNames,
    /// Namespaces whose firewalls are known without a look.
    firewalls: BTreeMap<NsName, ObservedNamespace>,
}

impl Known {
    /// Begins to look at the firewall of a namespace, unless that is known.
    fn look(&self, ns: &NsName, scope: &Scope<'_>, desired: Option<&Namespace>) -> Result<Look, KernelError> {
        match self.firewalls.contains_key(ns) {
            true => Ok(Look::none(ns)),
            false => firewall::look(ns, Some(scope.lab), desired, &self.installed),
        }
    }

    fn find() -> Self {
        Self { installed: Installed::find(), names: GivenNames::look(), firewalls: BTreeMap::new() }
    }
}

/// A namespace that was looked at; with what it takes to find peers and parents, where it was looked into.
type Seen = (NsName, ObservedNamespace, Option<Interfaces>);

/// What it takes to find peers and parents, and the look at the firewall; none where nobody looked into a namespace.
type Inside = Option<(Interfaces, Look)>;

/// A namespace of which only the mark is known.
fn unseen(owner: Option<LabName>) -> ObservedNamespace {
    ObservedNamespace { is: Namespace { owner, ..Namespace::default() }, ..ObservedNamespace::default() }
}

/// A namespace that cannot be looked into, if it is wanted or may be the lab's. Its name alone says whose it is: enough
/// to leave it as it is, and not to remove it.
fn of_unread(names: &GivenNames, scope: &Scope<'_>, ns: &NsName, error: &KernelError) -> Option<(Seen, Unread)> {
    let is_given = names.is_given_by(ns, scope.lab) == Some(true);
    let is_wanted = ns.is_host() || scope.wants(ns);
    let owner = (is_given && is_wanted).then(|| scope.lab.clone());
    (is_given || is_wanted).then(|| ((ns.clone(), unseen(owner), None), unread(ns, Part::Everything, error)))
}

/// Observes namespaces in one of some threads: those that are wanted, and those that are the lab's.
fn observe_all(
    queue: &Queue<(&NsName, &mut NetnsHandle)>,
    scope: &Scope<'_>,
    known: &Known,
) -> Result<(Vec<Seen>, Vec<Unread>), KernelError> {
    let guard = NetnsGuard::begin()?;
    let (mut all, mut unread) = (Vec::new(), Vec::new());
    let mut looks = VecDeque::new();
    while let Some((ns, netns)) = queue.next() {
        let mut parts = Parts::of(ns);
        match observe_one(netns, ns, scope, &guard, known, &mut parts) {
            Ok(None) => {}
            Ok(Some((namespace, inside))) => {
                unread.extend(parts.into_unread());
                let (interfaces, look) = inside.unzip();
                looks.extend(look.filter(Look::has_begun).map(|look| (all.len(), look)));
                all.push((ns.clone(), namespace, interfaces));
            }
            Err(error) => {
                let (seen, of_this) = of_unread(&known.names, scope, ns, &error).unzip();
                all.extend(seen);
                unread.extend(of_this);
            }
        }
        if looks.len() >= MAX_LISTINGS {
            finish_first(&mut looks, &mut all, &mut unread);
        }
    }
    // A program ends with the thread that started it, so this thread waits for its own.
    while !looks.is_empty() {
        finish_first(&mut looks, &mut all, &mut unread);
    }
    Ok((all, unread))
}

/// Observes a namespace, if it is wanted or the lab's; with what is needed to go on, where it was looked into.
fn observe_one(
    netns: &mut NetnsHandle,
    ns: &NsName,
    scope: &Scope<'_>,
    guard: &NetnsGuard,
    known: &Known,
    parts: &mut Parts<'_>,
) -> Result<Option<(ObservedNamespace, Inside)>, KernelError> {
    let is_wanted = ns.is_host() || scope.wants(ns);
    let (mark, has_programs) = if is_wanted { None } else { mark(netns, ns, &known.names)? }.unzip();
    let is_own = mark.as_ref().is_some_and(|mark| mark.lab == *scope.lab);
    if is_own && !scope.inside {
        let says_more = mark.as_ref().is_some_and(Mark::says_more);
        let has_programs = has_programs.unwrap_or_default();
        let unseen = unseen(mark.map(|mark| mark.lab));
        return Ok(Some((ObservedNamespace { says_more, has_programs, ..unseen }, None)));
    }
    if !is_wanted && !is_own {
        return Ok(None);
    }
    let (mut namespace, interfaces, look) = namespace(netns, ns, scope, guard, known, parts)?;
    namespace.has_programs = interfaces.has_programs;
    namespace.says_more = interfaces.marks.iter().any(|mark| mark.lab == *scope.lab);
    Ok(Some((namespace, Some((interfaces, look)))))
}

/// Waits for the look at a firewall that began first.
fn finish_first(looks: &mut VecDeque<(usize, Look)>, all: &mut [Seen], unread: &mut Vec<Unread>) {
    if let Some((at, look)) = looks.pop_front()
        && let Some((ns, namespace, _)) = all.get_mut(at)
    {
        let mut parts = Parts::of(ns);
        let seen = parts.read(Part::Firewall, look.finish());
        unread.extend(parts.into_unread());
        unread.extend(seen.unread.map(|error| self::unread(ns, Part::Firewall, &error)));
        let firewall = seen.firewall;
        namespace.is.firewall = firewall.known();
        namespace.is.nft = seen.tables;
        namespace.firewall = firewall;
        namespace.firewall_generation = seen.generation;
        namespace.foreign.others.extend(seen.others.into_iter().map(|object| ForeignOther { object, dev: None }));
    }
}

/// What is in the forwarding databases of a namespace and does not come and go by itself.
#[derive(Default)]
struct Fdb {
    /// Of VXLAN interfaces: what the model can express.
    known: BTreeSet<FdbEntry>,
    /// Of VXLAN interfaces: the rest.
    foreign: Vec<ForeignFdbEntry>,
}

/// Lists the forwarding databases of a namespace, if it has interfaces with one; what is in those of bridges is noted.
fn fdb(netns: &mut NetnsHandle, interfaces: &mut Interfaces) -> Result<Fdb, NetlinkError> {
    let vxlans: BTreeMap<u32, &IfName> = interfaces.vxlans().collect();
    let is_bridge = |interface: &Interface| matches!(interface.kind, InterfaceKind::Bridge(_));
    let mut fdb = Fdb::default();
    if vxlans.is_empty() && !interfaces.by_name.values().any(is_bridge) {
        return Ok(fdb);
    }
    let dump = fdb_entry::list(netns)?;
    for item in dump.items() {
        match fdb_entry::decode(item, |index| vxlans.get(&index).copied().cloned(), &interfaces.names)? {
            Some(Decoded::Known(entry)) => drop(fdb.known.insert(entry)),
            Some(Decoded::Foreign(entry)) => fdb.foreign.push(entry),
            None => {}
        }
    }
    // The kernel lists them in any order; a plan is always the same.
    fdb.foreign.sort_by(|a, b| (&a.dev, &a.object.text).cmp(&(&b.dev, &b.object.text)));
    let mac = |name: &IfName| interfaces.by_name.get(name)?.mac;
    let of_bridges = bridge_fdb::listed(dump.items(), &interfaces.names, mac)?;
    interfaces.others.extend(of_bridges);
    Ok(fdb)
}

/// The permanent neighbour entries of a namespace; those that no file can ask for are noted.
fn neighbours(netns: &mut NetnsHandle, interfaces: &mut Interfaces) -> Result<BTreeSet<Neighbour>, NetlinkError> {
    let dump = neighbour::list(netns)?;
    let is_kernels = |dev: &IfName, address: IpAddr| interfaces.needs_no_neighbour(dev, address);
    let others = foreign_neighbour::listed(dump.items(), &interfaces.names, is_kernels)?;
    interfaces.others.extend(others);
    Ok(neighbour::listed(dump.items(), &interfaces.names)?)
}

/// Everything in one namespace; what it takes to find the other ends of its veth pairs; and the look at its firewall,
/// which has only begun, since it takes other programs.
fn namespace(
    netns: &mut NetnsHandle,
    ns: &NsName,
    scope: &Scope<'_>,
    guard: &NetnsGuard,
    known: &Known,
    parts: &mut Parts<'_>,
) -> Result<(ObservedNamespace, Interfaces, Look), KernelError> {
    let desired = scope.desired.and_then(|lab| lab.namespaces.get(ns));
    let listed = failpoint::look(&Part::Everything, ns).map_err(Into::into).and_then(|()| interfaces::list(netns));
    let mut interfaces = listed.map_err(cannot_list("interfaces", ns))?;
    parts.listed(Part::Addresses, interfaces::add_addresses(netns, &mut interfaces, desired));
    parts.listed(Part::Vlans, interfaces::add_vlans(netns, &mut interfaces, desired));
    let half_marked = if ns.is_host() { half_marked(&mut interfaces, scope.lab) } else { BTreeSet::new() };
    let routes = routes(netns, &mut interfaces, parts);
    let rules = parts.listed(Part::PolicyRules, policy_rules(netns, &interfaces));
    let neighbours = parts.listed(Part::Neighbours, neighbours(netns, &mut interfaces));
    let fdb = parts.listed(Part::FdbEntries, fdb(netns, &mut interfaces));
    let mut others = others::from_outside(netns, &mut interfaces, parts);
    let original_sysctls = original_sysctls(ns, &mut interfaces);
    // These are not to be had through a socket of the namespace, only inside.
    guard.enter(netns.fd())?;
    let keys = desired.into_iter().flat_map(|desired| desired.sysctls.keys().chain(original_sysctls.keys()));
    let sysctls = sysctls_here(keys.collect(), parts);
    others.extend(switches::turned(&interfaces, desired, &sysctls));
    others.extend(parts.listed(Part::Xfrm, others::from_inside(ns)));
    let look = known.look(ns, scope, desired);
    let mut is = Namespace {
        owner: owner(ns, &interfaces, &known.names),
        interfaces: std::mem::take(&mut interfaces.by_name),
        routes: routes.all,
        rules: rules.all,
        neighbours,
        fdb: fdb.known,
        sysctls,
        ..Namespace::default()
    };
    let namespace = ObservedNamespace {
        wireguards: parts.listed(Part::Wireguard, wireguard::here(&mut is)),
        is,
        connected: routes.connected,
        original_sysctls,
        nslab_routing: nslab_routing(ns, routes.of_nslab, rules.of_nslab),
        half_marked,
        alternative_names: std::mem::take(&mut interfaces.alternative_names),
        altered_addresses: std::mem::take(&mut interfaces.altered_addresses),
        route_protocols: routes.protocols,
        address_protocols: std::mem::take(&mut interfaces.address_protocols),
        lost_rules: rules.lost,
        foreign: Foreign {
            routes: routes.foreign,
            rules: rules.foreign,
            fdb: fdb.foreign,
            interfaces: std::mem::take(&mut interfaces.foreign),
            others,
        },
        ..ObservedNamespace::default()
    };
    Ok((namespace, interfaces, look.unwrap_or_else(|error| Look::failed(ns, error))))
}

/// The routes and rules with nslab's number, in `host`; elsewhere, all are the lab's.
fn nslab_routing(ns: &NsName, routes: BTreeSet<Route>, rules: BTreeSet<PolicyRule>) -> Routing {
    if ns.is_host() { Routing { routes, rules } } else { Routing::default() }
}

/// The routes of a namespace. Without its addresses, it could not be said which of them the kernel has made.
fn routes(netns: &mut NetnsHandle, interfaces: &mut Interfaces, parts: &mut Parts<'_>) -> route::Routes {
    if parts.lacks(&Part::Addresses) {
        return route::Routes::default();
    }
    let routes = parts.listed(Part::Routes, route::list(netns, &interfaces.names, interfaces.makes_routes()));
    if !parts.lacks(&Part::Routes) {
        interfaces.note_lost_local(&routes.local);
    }
    routes
}

/// The present values of some sysctls in this thread's namespace.
fn sysctls_here(keys: BTreeSet<&SysctlKey>, parts: &mut Parts<'_>) -> BTreeMap<SysctlKey, SysctlValue> {
    let value = |key: &SysctlKey| {
        let value = parts.read(Part::Sysctl(key.clone()), sysctl::value_here(key));
        value.map(|value| (key.clone(), value))
    };
    keys.into_iter().filter_map(value).collect()
}

/// The lab that a namespace belongs to.
fn owner(ns: &NsName, interfaces: &Interfaces, names: &GivenNames) -> Option<LabName> {
    let lab = interfaces.by_name.get(&IfName::lo()).filter(|_| !ns.is_host())?.owner.clone();
    lab.filter(|lab| is_counted(names, ns, lab))
}

/// What sysctls were before the lab set them; those of `host` are kept elsewhere.
fn original_sysctls(ns: &NsName, interfaces: &mut Interfaces) -> BTreeMap<SysctlKey, SysctlValue> {
    if ns.is_host() { BTreeMap::new() } else { std::mem::take(&mut interfaces.original_sysctls) }
}

/// The policy rules. The one that the kernel makes for VRFs is missing only where there is a VRF.
fn policy_rules(netns: &mut NetnsHandle, interfaces: &Interfaces) -> Result<policy_rule::Rules, NetlinkError> {
    let mut rules = policy_rule::list(netns)?;
    let is_vrf = |interface: &Interface| matches!(interface.virtual_interface(), Some(VirtualInterface::Vrf { .. }));
    if !interfaces.by_name.values().any(is_vrf) {
        rules.lost.retain(|rule| rule.action != RuleAction::Vrf);
    }
    Ok(rules)
}

/// The interfaces of a lab that lack one of its two marks.
fn half_marked(interfaces: &mut Interfaces, lab: &LabName) -> BTreeSet<IfName> {
    let by_group = interfaces.own_by_group(lab);
    interfaces.outside_group(lab).chain(by_group).collect()
}
