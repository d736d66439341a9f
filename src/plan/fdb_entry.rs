//! Forwarding entries of VXLAN interfaces: which are missing, and which go.

use std::collections::BTreeSet;

use super::compared::Sides;
use super::draft::{Draft, EXTRA, MISSING};
use super::lost::Lost;
use crate::lab::FdbEntry;
use crate::steps::{FdbEntryStep, ForeignStep, Presence, Step};

/// Plans the forwarding entries of a namespace.
pub(super) fn compare(sides: &Sides<'_>, lost: &Lost, draft: &mut Draft) {
    let (ns, want) = (sides.ns, sides.want);
    let stays = |entry: &&FdbEntry| !lost.interfaces.contains(&entry.dev);
    let there: BTreeSet<&FdbEntry> = sides.is.fdb.iter().filter(stays).collect();
    for entry in want.fdb.iter().filter(|entry| !there.contains(entry)) {
        let change = Presence::Add(entry.clone());
        draft.add(Step::FdbEntry(FdbEntryStep { ns: ns.clone(), change }), MISSING);
    }
    let foreign = sides.observed.foreign.fdb.iter().filter(|entry| !lost.interfaces.contains(&entry.dev));
    for entry in foreign.filter(|entry| sides.may_clear(&entry.dev)) {
        let change = Presence::Remove(entry.object.clone());
        draft.add(Step::Foreign(ForeignStep { ns: ns.clone(), change }), EXTRA);
    }
    for entry in there {
        if !want.fdb.contains(entry) && sides.may_clear(&entry.dev) {
            let change = Presence::Remove(entry.clone());
            draft.add(Step::FdbEntry(FdbEntryStep { ns: ns.clone(), change }), EXTRA);
        }
    }
}
