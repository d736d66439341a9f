//! Forwarding entries of VXLAN interfaces, added and removed.

use super::command::inside;
use super::operation::{Operation, Reach};
use super::{Phase, Presence, Step};
use crate::lab::{FdbEntry, NsName};

/// A step on an entry of the forwarding database of a VXLAN interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FdbEntryStep {
    /// The namespace.
    pub ns: NsName,
    /// The entry.
    pub change: Presence<FdbEntry>,
}

impl Operation for FdbEntryStep {
    fn text(&self) -> String {
        match &self.change {
            Presence::Add(entry) => format!("add forwarding entry {entry} in {}", self.ns),
            Presence::Remove(entry) => format!("remove forwarding entry {entry} from {}", self.ns),
        }
    }

    fn command(&self) -> String {
        match &self.change {
            Presence::Add(entry) => format!("{}bridge fdb append {entry} self permanent", inside(&self.ns)),
            Presence::Remove(entry) => format!("{}bridge fdb del {entry} self", inside(&self.ns)),
        }
    }

    fn inverse(&self) -> Option<Step> {
        Some(Step::FdbEntry(Self { ns: self.ns.clone(), change: self.change.inverse() }))
    }

    fn phase(&self) -> Phase {
        match self.change {
            Presence::Add(_) => Phase::AddFdbEntries,
            Presence::Remove(_) => Phase::RemoveRoutes,
        }
    }

    fn kind(&self) -> &'static str {
        "change a forwarding entry"
    }

    fn namespace(&self) -> NsName {
        self.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Inside
    }
}
