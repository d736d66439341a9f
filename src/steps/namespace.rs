//! Namespaces, made and removed.

use super::Phase;
use super::command::name_given_by;
use super::operation::{Batch, Operation, Reach};
use crate::lab::{LabName, NsName};

/// A step on a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceStep {
    /// Make it, visible to `ip netns`, its loopback up and marked as the lab's.
    Add {
        /// Its name.
        ns: NsName,
        /// The lab it is for.
        lab: LabName,
    },
    /// Remove it and all that is in it.
    Remove {
        /// Its name.
        ns: NsName,
    },
}

impl NamespaceStep {
    /// The way back; none where what was removed cannot be brought back as it was.
    pub(super) fn inverse(&self) -> Option<Self> {
        match self {
            Self::Add { ns, .. } => Some(Self::Remove { ns: ns.clone() }),
            Self::Remove { .. } => None,
        }
    }
}

impl Operation for NamespaceStep {
    fn text(&self) -> String {
        match self {
            Self::Add { ns, .. } => format!("make namespace {ns}"),
            Self::Remove { ns } => format!("remove namespace {ns} and all that is in it"),
        }
    }

    fn command(&self) -> String {
        match self {
            Self::Add { ns, .. } => format!("ip netns add {ns}"),
            Self::Remove { ns } => format!("ip netns del {ns}"),
        }
    }

    fn script(&self) -> Vec<String> {
        let marks = match self {
            Self::Add { ns, lab } => {
                let alias = format!("ip -n {ns} link set lo up alias {}", lab.mark());
                vec![name_given_by(ns, Some(lab)), alias]
            }
            Self::Remove { .. } => Vec::new(),
        };
        [self.command()].into_iter().chain(marks).collect()
    }

    fn phase(&self) -> Phase {
        match self {
            Self::Add { .. } => Phase::AddNamespaces,
            Self::Remove { .. } => Phase::Forget,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Add { .. } => "make a namespace",
            Self::Remove { .. } => "remove a namespace",
        }
    }

    fn namespace(&self) -> NsName {
        match self {
            Self::Add { ns, .. } | Self::Remove { ns } => ns.clone(),
        }
    }

    fn reach(&self) -> Reach {
        Reach::Beyond
    }

    fn batch(&self) -> Option<Batch> {
        match self {
            Self::Add { .. } => Some(Batch::Namespaces),
            Self::Remove { .. } => Some(Batch::NamespaceRemovals),
        }
    }
}
