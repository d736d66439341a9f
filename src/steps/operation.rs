//! What is known of every kind of step.

use super::phase::Phase;
use crate::lab::{Family, NsName};

/// A step, whichever object it is about. See the methods of [`Step`], which ask these.
pub(super) trait Operation {
    fn text(&self) -> String;

    /// One of iproute2, procps or iptables, spelled so that `sh -e` runs it as it is.
    fn command(&self) -> String;

    fn script(&self) -> Vec<String> {
        vec![self.command()]
    }

    fn phase(&self) -> Phase;

    fn kind(&self) -> &'static str;

    fn namespace(&self) -> NsName;

    fn reach(&self) -> Reach;

    /// What it is run together with; none where it is run alone.
    fn batch(&self) -> Option<Batch> {
        None
    }

    fn brings_mac_address(&self) -> bool {
        false
    }
}

/// How far the effects of a step go.
pub(super) enum Reach {
    /// Not beyond its namespace.
    Inside,
    /// To other namespaces, perhaps.
    Beyond,
}

/// Steps that follow one another and are of the same batch are run together.
#[derive(PartialEq, Eq)]
pub(super) enum Batch {
    /// Namespaces that are made.
    Namespaces,
    /// Namespaces that are removed.
    NamespaceRemovals,
    /// The firewall of one namespace and family.
    Firewall(NsName, Family),
    /// The tables of nf_tables of one namespace.
    Nft(NsName),
    /// Programs that are started.
    ProgramStarts,
    /// Programs that are ended.
    ProgramEnds,
}
