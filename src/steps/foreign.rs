//! Objects that the model has no words for, removed, and put back as they were.

use super::command::{inside, ip_family};
use super::operation::{Operation, Reach};
use super::{Phase, Presence, Step};
use crate::lab::{ForeignKind, ForeignObject, NsName};

/// A step on a route, a policy rule or a forwarding entry that the model cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignStep {
    /// The namespace.
    pub ns: NsName,
    /// The object.
    pub change: Presence<ForeignObject>,
}

impl Operation for ForeignStep {
    fn text(&self) -> String {
        let ForeignObject { kind, text, .. } = self.change.object();
        match self.change {
            Presence::Add(_) => format!("put {} {text} back in {}", word(*kind), self.ns),
            Presence::Remove(_) => format!("remove {} {text} from {}", word(*kind), self.ns),
        }
    }

    fn command(&self) -> String {
        let ForeignObject { kind, text, .. } = self.change.object();
        let adds = matches!(self.change, Presence::Add(_));
        let verb = if adds { "add" } else { "del" };
        match kind {
            ForeignKind::Route { ipv6 } => format!("{} route {verb} {text}", ip_family(&self.ns, *ipv6)),
            ForeignKind::PolicyRule { ipv6 } => format!("{} rule {verb} {text}", ip_family(&self.ns, *ipv6)),
            ForeignKind::FdbEntry if adds => format!("{}bridge fdb append {text} self permanent", inside(&self.ns)),
            ForeignKind::FdbEntry => format!("{}bridge fdb del {text} self", inside(&self.ns)),
        }
    }

    fn inverse(&self) -> Option<Step> {
        Some(Step::Foreign(Self { ns: self.ns.clone(), change: self.change.inverse() }))
    }

    fn phase(&self) -> Phase {
        match self.change {
            Presence::Add(_) => Phase::AddRoutes,
            Presence::Remove(_) => Phase::RemoveRoutes,
        }
    }

    fn kind(&self) -> &'static str {
        match self.change.object().kind {
            ForeignKind::Route { .. } => "remove a route",
            ForeignKind::PolicyRule { .. } => "change a policy rule",
            ForeignKind::FdbEntry => "change a forwarding entry",
        }
    }

    fn namespace(&self) -> NsName {
        self.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Inside
    }
}

fn word(kind: ForeignKind) -> &'static str {
    match kind {
        ForeignKind::Route { .. } => "route",
        ForeignKind::PolicyRule { .. } => "policy rule",
        ForeignKind::FdbEntry => "forwarding entry",
    }
}
