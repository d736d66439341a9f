//! What is: the kernel's own account of each namespace, put into the lab's words. Nothing is remembered and nothing is
//! changed.

mod devices;
pub(super) mod fdb;
pub(super) mod links;
mod neighbours;
mod parents;
mod peers;
pub(super) mod routes;
pub(super) mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;
use nix::errno::Errno;

use super::netlink::Refusal;
use super::netns::{self, Found, create::LOOPBACK};
use super::space::{Space, Spaces};
use super::{KernelError, Marked, Scope, firewall, sysctl};
use crate::lab::{Claims, Firewall, IfName, LabName, Live, Mark, Namespace, NsName, Routing};
use links::Interfaces;

/// Observes everything in scope.
pub(super) fn live(spaces: &mut Spaces, scope: &Scope<'_>) -> Result<Live, KernelError> {
    let wanted = |ns: &NsName| scope.desired.is_some_and(|lab| lab.namespaces.contains_key(ns));
    let Found { namespaces, leftovers, others } = netns::find()?;
    let names = open_all(spaces, namespaces, wanted)?;
    let mut live = Live::default();
    // A name that leads to no namespace. The lab's own leftover makes way where a namespace of that name is made.
    let own = leftovers
        .into_iter()
        .filter(|(ns, owner)| (owner == scope.lab) != wanted(ns))
        .map(|(ns, owner)| (ns, Some(owner)));
    let foreign = others.into_iter().filter(&wanted).map(|ns| (ns, None));
    for (ns, owner) in own.chain(foreign) {
        live.namespaces.insert(ns, Namespace { owner, ..Namespace::default() });
    }
    let mut seen = BTreeMap::new();
    for ns in names {
        let space = spaces.get(&ns)?;
        let owner = if ns.is_host() || wanted(&ns) { None } else { mark(space, &ns)?.map(|mark| mark.lab) };
        if owner.as_ref() == Some(scope.lab) && !scope.inside {
            live.namespaces.insert(ns, Namespace { owner, ..Namespace::default() });
        } else if ns.is_host() || wanted(&ns) || owner.as_ref() == Some(scope.lab) {
            let (namespace, interfaces) = namespace(space, &ns, scope)?;
            live.namespaces.insert(ns.clone(), namespace);
            seen.insert(ns, interfaces);
        }
    }
    peers::connect(spaces, &seen, &mut live)?;
    parents::connect(spaces, &seen, &mut live)?;
    Ok(live)
}

/// What carries a mark, by lab.
pub(super) fn marks(spaces: &mut Spaces) -> Result<BTreeMap<LabName, Marked>, KernelError> {
    let Found { namespaces, leftovers, .. } = netns::find()?;
    let names = open_all(spaces, namespaces, |_| false)?;
    let mut marks: BTreeMap<LabName, Marked> = BTreeMap::new();
    for (ns, owner) in leftovers {
        marks.entry(owner).or_default().namespaces.insert(ns);
    }
    for ns in names.into_iter().filter(|ns| !ns.is_host()) {
        if let Some(Mark { lab, settings }) = mark(spaces.get(&ns)?, &ns)? {
            let marked = marks.entry(lab).or_default();
            marked.namespaces.insert(ns);
            marked.settings.extend(settings);
        }
    }
    let host = NsName::host();
    let mut interfaces = links::list(spaces.get(&host)?).map_err(cannot_list("interfaces", &host))?;
    for (name, link) in &interfaces.links {
        if let Some(owner) = &link.owner {
            marks.entry(owner.clone()).or_default().links.insert(name.clone());
        }
    }
    for lab in owners_by_name(spaces.get(&host)?)? {
        marks.entry(lab).or_default();
    }
    for Mark { lab, settings } in std::mem::take(&mut interfaces.marks) {
        marks.entry(lab).or_default().settings.extend(settings);
    }
    for (lab, marked) in &mut marks {
        marked.links.extend(interfaces.own_by_group(lab));
    }
    Ok(marks)
}

/// The labs with firewall chains in `host`, or with host settings.
fn owners_by_name(host: &Space) -> Result<BTreeSet<LabName>, KernelError> {
    let firewall = match firewall::observe(host.fd(), &NsName::host(), &Firewall::default()) {
        // Whoever may not see the firewall may still ask which labs there are.
        Err(error) if error.errno() == Some(Errno::EPERM) => Firewall::default(),
        other => other?,
    };
    let of_chains = firewall.chains.keys().filter_map(|chain| Some(chain.owner()?.0));
    let of_settings = sysctl::claims()?.into_values().flat_map(BTreeMap::into_keys);
    Ok(of_chains.chain(of_settings).collect())
}

/// Opens the namespaces that were found; their names, and `host`. One that may not be entered is passed over, unless it
/// is wanted.
fn open_all(
    spaces: &mut Spaces,
    found: Vec<(NsName, OwnedFd)>,
    wanted: impl Fn(&NsName) -> bool,
) -> Result<BTreeSet<NsName>, KernelError> {
    let mut names: BTreeSet<NsName> = found.iter().map(|(ns, _)| ns.clone()).collect();
    for (ns, error) in spaces.open_exactly(found)? {
        if wanted(&ns) {
            return Err(error);
        }
        names.remove(&ns);
    }
    names.insert(NsName::host());
    Ok(names)
}

/// The mark that a namespace carries: the alias of its loopback.
fn mark(space: &mut Space, ns: &NsName) -> Result<Option<Mark>, KernelError> {
    let mut message = LinkMessage::default();
    message.header.index = LOOPBACK;
    let answer = space.socket.get(RouteNetlinkMessage::GetLink(message));
    let alias = answer.and_then(|answer| Ok(links::alias(&answer)?));
    let alias = alias.map_err(|refusal| refusal.about(format!("read the mark of {ns}")))?;
    Ok(alias.and_then(|alias| Mark::parse(&alias)))
}

/// Everything in one namespace, and what it takes to find the other ends of its veth pairs.
fn namespace(space: &mut Space, ns: &NsName, scope: &Scope<'_>) -> Result<(Namespace, Interfaces), KernelError> {
    let desired = scope.desired.and_then(|lab| lab.namespaces.get(ns));
    let mut interfaces = links::list(space).map_err(cannot_list("interfaces", ns))?;
    links::add_addresses(space, &mut interfaces, desired).map_err(cannot_list("addresses", ns))?;
    if ns.is_host() {
        interfaces.own_by_group(scope.lab);
    }
    let routes = routes::list(space, &interfaces.names).map_err(cannot_list("routes", ns))?;
    let rules = rules::list(space).map_err(cannot_list("policy rules", ns))?;
    let neighbours = neighbours::list(space, &interfaces.names).map_err(cannot_list("neighbours", ns))?;
    let fdb = fdb::list(space, &interfaces).map_err(cannot_list("forwarding entries", ns))?;
    let sysctls = match desired {
        Some(desired) => sysctl::read(space.fd(), &desired.sysctls.keys().cloned().collect())?,
        None => BTreeMap::new(),
    };
    let nothing = Firewall::default();
    let wanted = desired.map_or(&nothing, |desired| &desired.firewall);
    let firewall = firewall::observe(space.fd(), ns, wanted)?;
    let links = std::mem::take(&mut interfaces.links);
    let owner = links.get(&IfName::lo()).filter(|_| !ns.is_host()).and_then(|lo| lo.owner.clone());
    let marked = match ns.is_host() {
        true => Routing { routes: routes.marked, rules: rules.marked },
        false => Routing::default(),
    };
    let namespace = Namespace {
        owner,
        links,
        routes: routes.all,
        connected: routes.connected,
        rules: rules.all,
        neighbours,
        fdb: fdb.into_iter().collect(),
        sysctls,
        firewall,
        marked,
        claims: if ns.is_host() { sysctl::claims()? } else { Claims::new() },
        lost_rules: rules.lost,
        labels: BTreeMap::new(),
    };
    Ok((namespace, interfaces))
}

fn cannot_list(what: &str, ns: &NsName) -> impl FnOnce(Refusal) -> KernelError {
    let tried = format!("list the {what} of {ns}");
    move |refusal| refusal.about(tried)
}
