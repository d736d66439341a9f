//! The marks of labs: which namespaces and interfaces carry them, and what they say besides whose these are.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

use nix::errno::Errno;

use super::interfaces;
use crate::failpoint;
use crate::kernel::netlink::NetlinkError;
use crate::kernel::netns::{self, Found, GivenNames, NetnsHandle, NetnsHandles};
use crate::kernel::objects::mark;
use crate::kernel::threads::{Queue, share};
use crate::kernel::{KernelError, Marked, firewall};
use crate::lab::{LabName, Mark, NsName, Remembered};

/// Namespaces that cannot be entered, and why.
pub(super) type Refused = Vec<(NsName, KernelError)>;

/// What carries a mark, by lab. A namespace that shows no mark since it cannot be looked into is that of the lab which
/// has given it its name.
pub(in crate::kernel) fn marks(handles: &mut NetnsHandles) -> Result<BTreeMap<LabName, Marked>, KernelError> {
    let Found { namespaces, leftovers, .. } = netns::find()?;
    let (names, refused) = open_all(handles, namespaces)?;
    let given = GivenNames::look();
    let Marks { marks: inside, unread } = marks_inside(handles, &names, &given);
    let unread = refused.into_iter().map(|(ns, _)| ns).chain(unread);
    let by_name = unread.filter_map(|ns| given.giver(&ns).flatten().map(|lab| (ns, lab)));
    let mut marks: BTreeMap<LabName, Marked> = BTreeMap::new();
    for (ns, lab) in leftovers.into_iter().chain(inside.into_iter().map(|(ns, mark)| (ns, mark.lab))).chain(by_name) {
        marks.entry(lab).or_default().namespaces.insert(ns);
    }
    let host = NsName::host();
    let mut interfaces = interfaces::list(handles.get(&host)?).map_err(cannot_list("interfaces", &host))?;
    for (name, interface) in &interfaces.by_name {
        if let Some(owner) = &interface.owner {
            marks.entry(owner.clone()).or_default().interfaces.insert(name.clone());
        }
    }
    for lab in owners_by_name(handles.get(&host)?)? {
        marks.entry(lab).or_default();
    }
    let mut groups: BTreeMap<u32, usize> = BTreeMap::new();
    marks.keys().for_each(|lab| *groups.entry(lab.group()).or_default() += 1);
    for (lab, marked) in marks.iter_mut().filter(|(lab, _)| groups.get(&lab.group()) == Some(&1)) {
        marked.interfaces.extend(interfaces.own_by_group(lab));
    }
    Ok(marks)
}

/// What marks say that can be believed, by lab; nothing of labs whose marks say nothing besides whose they are.
pub(in crate::kernel) fn remembered(handles: &mut NetnsHandles) -> Result<BTreeMap<LabName, Remembered>, KernelError> {
    let (names, _) = open_all(handles, netns::find()?.namespaces)?;
    let given = GivenNames::look();
    let mut inside = marks_inside(handles, &names, &given).marks;
    inside.retain(|(ns, mark)| mark.says_more() && given.is_given_by(ns, &mark.lab) == Some(true));
    let host = NsName::host();
    let interfaces = interfaces::list(handles.get(&host)?).map_err(cannot_list("interfaces", &host))?;
    let mut remembered: BTreeMap<LabName, Remembered> = BTreeMap::new();
    for mark in inside.into_iter().map(|(_, mark)| mark).chain(interfaces.marks) {
        remembered.entry(mark.lab.clone()).or_default().add(mark);
    }
    Ok(remembered)
}

/// The lab of every namespace that carries a mark.
pub(in crate::kernel) fn owners(handles: &mut NetnsHandles) -> Result<BTreeMap<NsName, LabName>, KernelError> {
    let (names, _) = open_all(handles, netns::find()?.namespaces)?;
    let inside = marks_inside(handles, &names, &GivenNames::look()).marks;
    Ok(inside.into_iter().map(|(ns, mark)| (ns, mark.lab)).collect())
}

/// What was found inside of namespaces.
#[derive(Default)]
struct Marks {
    /// The marks that count.
    marks: Vec<(NsName, Mark)>,
    /// The namespaces whose marks cannot be read.
    unread: Vec<NsName>,
}

/// The marks inside of namespaces.
fn marks_inside(handles: &mut NetnsHandles, open: &BTreeSet<NsName>, names: &GivenNames) -> Marks {
    let open = handles.all().into_iter().filter(|(ns, _)| !ns.is_host() && open.contains(ns)).collect();
    let mut all = Marks::default();
    for Marks { marks, unread } in share(open, |queue| marks_of_all(queue, names)) {
        all.marks.extend(marks);
        all.unread.extend(unread);
    }
    all
}

/// Reads the marks of namespaces in one of some threads.
fn marks_of_all(queue: &Queue<(&NsName, &mut NetnsHandle)>, names: &GivenNames) -> Marks {
    let mut inside = Marks::default();
    while let Some((ns, netns)) = queue.next() {
        match mark(netns, ns, names) {
            Ok(mark) => inside.marks.extend(mark.map(|(mark, _)| (ns.clone(), mark))),
            Err(_) => inside.unread.push(ns.clone()),
        }
    }
    inside
}

/// The labs with firewall chains in `host`.
fn owners_by_name(host: &NetnsHandle) -> Result<BTreeSet<LabName>, KernelError> {
    match firewall::labs(host.fd()) {
        // Whoever may not see the firewall may still ask which labs there are.
        Err(error) if error.errno() == Some(Errno::EPERM) => Ok(BTreeSet::new()),
        labs => labs,
    }
}

/// Opens the namespaces that were found; their names, and `host`; and those that cannot be entered, and why.
pub(super) fn open_all(
    handles: &mut NetnsHandles,
    found: Vec<(NsName, OwnedFd)>,
) -> Result<(BTreeSet<NsName>, Refused), KernelError> {
    let mut names: BTreeSet<NsName> = found.iter().map(|(ns, _)| ns.clone()).collect();
    let refused = handles.open_exactly(found)?;
    for (ns, _) in &refused {
        names.remove(ns);
    }
    names.insert(NsName::host());
    Ok((names, refused))
}

/// The mark that a namespace carries, if it counts.
pub(super) fn mark(
    netns: &mut NetnsHandle,
    ns: &NsName,
    names: &GivenNames,
) -> Result<Option<(Mark, bool)>, KernelError> {
    let mark = failpoint::look(&"mark", ns).map_err(Into::into).and_then(|()| mark::of_namespace(netns));
    let mark = mark.map_err(|error: NetlinkError| error.about(format!("read the mark of {ns}")))?;
    Ok(mark.filter(|(mark, _)| is_counted(names, ns, &mark.lab)))
}

/// Whether a mark inside of a namespace counts: only where the lab has given the namespace its name, as far as that can
/// be known.
pub(super) fn is_counted(names: &GivenNames, ns: &NsName, lab: &LabName) -> bool {
    names.is_given_by(ns, lab) != Some(false)
}

pub(super) fn cannot_list(what: &str, ns: &NsName) -> impl FnOnce(NetlinkError) -> KernelError {
    let tried = format!("list the {what} of {ns}");
    move |error| error.about(tried)
}
