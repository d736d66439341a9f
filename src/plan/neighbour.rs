//! Permanent neighbour entries: which are missing or other than they should be, and which go.

use super::compared::Sides;
use super::draft::{Draft, EXTRA, MISSING};
use super::lost::Lost;
use crate::lab::Neighbour;
use crate::steps::{NeighbourStep, Step, Update};

/// Plans the permanent neighbour entries of a namespace.
pub(super) fn compare(sides: &Sides<'_>, lost: &Lost, draft: &mut Draft) {
    let (ns, want, is) = (sides.ns, sides.want, sides.is);
    let stays = |entry: &&Neighbour| !lost.empties(&entry.dev);
    let is_same = |a: &Neighbour, b: &Neighbour| a.dev == b.dev && a.address == b.address;
    for to in &want.neighbours {
        let from = is.neighbours.iter().filter(stays).find(|from| is_same(from, to));
        if from != Some(to) {
            let why = from.map_or_else(|| MISSING.to_owned(), |from| format!("it is {}", from.mac));
            let change = Update::to(from.cloned(), to.clone());
            draft.add(Step::Neighbour(NeighbourStep { ns: ns.clone(), change }), why);
        }
    }
    for entry in is.neighbours.iter().filter(stays) {
        // In `host`, those on an interface of the lab are the lab's, as its addresses are.
        let is_ours = !ns.is_host() || sides.is_of_lab(&entry.dev);
        if is_ours && !want.neighbours.iter().any(|want| is_same(want, entry)) {
            let change = Update::Remove(entry.clone());
            draft.add(Step::Neighbour(NeighbourStep { ns: ns.clone(), change }), EXTRA);
        }
    }
}
