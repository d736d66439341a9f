//! Permanent neighbour entries, set and removed.

use super::command::ip;
use super::operation::{Operation, Reach};
use super::{Change, Phase, Step, Update};
use crate::lab::{Neighbour, NsName};

/// A step on a permanent neighbour entry. One is replaced by another for the same address and interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighbourStep {
    /// The namespace.
    pub ns: NsName,
    /// The entry.
    pub change: Update<Neighbour>,
}

impl Operation for NeighbourStep {
    fn text(&self) -> String {
        let ns = &self.ns;
        match &self.change {
            Update::Add(Neighbour { dev, address, mac })
            | Update::Replace(Change { to: Neighbour { dev, address, mac }, .. }) => {
                format!("set the neighbour entry of {address} to {mac} on {ns}/{dev}")
            }
            Update::Remove(Neighbour { dev, address, .. }) => {
                format!("remove the neighbour entry of {address} on {ns}/{dev}")
            }
        }
    }

    fn command(&self) -> String {
        let ip = ip(&self.ns);
        match &self.change {
            Update::Add(Neighbour { dev, address, mac })
            | Update::Replace(Change { to: Neighbour { dev, address, mac }, .. }) => {
                format!("{ip} neigh replace {address} lladdr {mac} dev {dev} nud permanent")
            }
            Update::Remove(Neighbour { dev, address, .. }) => format!("{ip} neigh del {address} dev {dev}"),
        }
    }

    fn inverse(&self) -> Option<Step> {
        Some(Step::Neighbour(Self { ns: self.ns.clone(), change: self.change.inverse() }))
    }

    fn phase(&self) -> Phase {
        match self.change {
            Update::Add(_) | Update::Replace(_) => Phase::SetNeighbours,
            Update::Remove(_) => Phase::RemoveRoutes,
        }
    }

    fn kind(&self) -> &'static str {
        "change a neighbour entry"
    }

    fn namespace(&self) -> NsName {
        self.ns.clone()
    }

    fn reach(&self) -> Reach {
        Reach::Inside
    }
}
