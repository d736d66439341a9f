//! What else decides about packets and the model has no words for: all of it goes.

use super::compared::Sides;
use super::draft::{Draft, EXTRA};
use super::lost::Lost;
use crate::lab::{ForeignKind, ForeignOther};
use crate::steps::{ForeignStep, Presence, Step};

/// The reason for renaming a loopback.
const RENAMED: &str = "it is the loopback";
/// The reason for setting an option or a switch back.
const CHANGED: &str = "somebody has changed it";
/// The reason for removing a chain of the lab, which may be wanted.
const UNSHOWN: &str = "the installed iptables does not show it";

/// Plans the removal of all that is foreign and that the file does not keep; in `host`, of what is on an interface of
/// the lab. Routes, policy rules and forwarding entries are planned with those that the model can express.
pub(super) fn compare(sides: &Sides<'_>, lost: &Lost, draft: &mut Draft) {
    let goes_along = |other: &ForeignOther| other.dev.as_ref().is_some_and(|dev| lost.interfaces.contains(dev));
    let is_ours = |other: &ForeignOther| match &other.dev {
        Some(dev) => sides.may_clear(dev),
        None if sides.ns.is_host() => {
            other.object.lab_chain().is_some_and(|chain| chain.is_of(&sides.compared.lab.name))
        }
        None => true,
    };
    let is_kept = |other: &ForeignOther| {
        let ForeignKind::NextHop { protocol, .. } = other.object.kind else { return false };
        sides.want.keep.has_next_hop(protocol)
    };
    let others = sides.observed.foreign.others.iter().filter(|other| is_ours(other) && !is_kept(other));
    for other in others.filter(|other| !goes_along(other)) {
        let change = Presence::Remove(other.object.clone());
        let why = match other.object.kind {
            ForeignKind::LoopbackName => RENAMED,
            ForeignKind::LabChain { .. } => UNSHOWN,
            ForeignKind::LinkOption(_) | ForeignKind::Switch => CHANGED,
            _ => EXTRA,
        };
        draft.add(Step::Foreign(ForeignStep { ns: sides.ns.clone(), change }), why);
    }
}
