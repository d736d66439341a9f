//! Names that the cluster gives, and that each is given once.

use super::super::diagnostics::{Collector, Diagnostic, Span};
use super::super::schema::{Routing, Spanned};
use crate::lab::{IfName, NsName};
use crate::topology::code::Code;
use std::collections::HashMap;

/// The namespace with the bridge between the nodes.
pub const LAN: &str = "lan";

/// The bridge between the nodes.
pub const LAN_BRIDGE: &str = "br-lan";

/// The namespace of the router.
pub const ROUTER: &str = "router";

/// The namespace of the load balancer.
pub const LB: &str = "lb";

/// The groups of all nodes and of all pods.
pub const GROUPS: [&str; 2] = ["nodes", "pods"];

/// Whether an interface's name is new; long names are cut, and two of them might then be the same.
pub fn is_new(
    taken: &mut HashMap<IfName, Span>,
    interface: &IfName,
    name: &Spanned<NsName>,
    found: &mut Collector<'_>,
) -> bool {
    let Some(first) = taken.insert(interface.clone(), name.span) else { return true };
    let message = format!("the interface `{interface}` for `{}` exists already for another name", name.value);
    found.add(
        Diagnostic::new(Code::NameTwice, name.span, message)
            .help("use a shorter name".to_owned())
            .also(first, "the other"),
    );
    false
}

/// The names of namespaces and groups that the cluster makes.
pub struct Names(HashMap<String, Option<Span>>);

impl Names {
    pub fn new(routing: Routing, has_lb: bool) -> Self {
        let router = (routing == Routing::Router).then_some(ROUTER);
        let own = ["host", LAN].into_iter().chain(GROUPS).chain(router).chain(has_lb.then_some(LB));
        Self(own.map(|name| (name.to_owned(), None)).collect())
    }

    /// Puts a node's or a pod's name down, which can be there once.
    pub fn take(&mut self, name: &Spanned<NsName>, found: &mut Collector<'_>) -> bool {
        let fault = match self.0.insert(name.value.to_string(), Some(name.span)) {
            None => return true,
            Some(None) => {
                let message = format!("`{}` is a name that the cluster uses itself; choose another one", name.value);
                Diagnostic::new(Code::ReservedName, name.span, message)
            }
            Some(Some(first)) => {
                let message = format!("duplicate name `{}`: every node and every pod needs its own", name.value);
                Diagnostic::new(Code::NameTwice, name.span, message).also(first, "first here")
            }
        };
        found.add(fault);
        false
    }
}
