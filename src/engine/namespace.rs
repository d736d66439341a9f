//! One namespace of a lab, in full.

use super::exec::no_such_namespace;
use super::labs::look;
use super::{EngineError, labs};
use crate::kernel::Details;
use crate::kernel::process::{self, Process};
use crate::lab::{IfName, LabName, NsName, ObservedNamespace};

/// Everything that decides what becomes of a packet in one namespace, and what runs there.
#[derive(Debug)]
pub struct NamespaceStatus {
    /// What is observed of every namespace.
    pub live: ObservedNamespace,
    /// What only a look at this one shows.
    pub details: Details,
    /// What could not be read, and why.
    pub unread: Vec<String>,
    /// Its processes.
    pub processes: Vec<Process>,
}

/// The state of one namespace of a lab; `host` is one of each.
///
/// # Errors
/// There is no such lab or namespace, or the kernel refuses to list namespaces.
pub fn namespace_status(lab: &LabName, ns: &NsName) -> Result<NamespaceStatus, EngineError> {
    let labs::Look { mut machine, live, own, .. } = look(lab)?;
    if !ns.is_host() && !own.contains(ns) {
        return Err(no_such_namespace(lab, ns, own.iter()));
    }
    let unread = live.unread.iter().filter(|unread| unread.ns == *ns).map(|unread| unread.why.clone());
    let mut unread: Vec<String> = unread.collect();
    let mut namespaces = live.namespaces;
    let Some(live) = namespaces.remove(ns) else { return Err(no_such_namespace(lab, ns, own.iter())) };
    let interfaces: Vec<IfName> = live.is.interfaces.keys().cloned().collect();
    let mut details = machine.kernel.details(ns, &interfaces);
    unread.append(&mut details.unread);
    let processes = process::in_namespaces(own.iter().filter(|own| *own == ns))?;
    Ok(NamespaceStatus { live, details, unread, processes: processes.into_values().flatten().collect() })
}
