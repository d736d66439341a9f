//! What could not be read is taken to be as it should be: nothing is planned for it.

use std::borrow::Cow;

use super::teardown::as_built;
use crate::lab::{Lab, NsName, Observed, ObservedNamespace, Part, Unread};

/// What is, with all that could not be read as the lab wants it.
pub(super) fn assumed<'a>(lab: &Lab, live: &'a Observed) -> Cow<'a, Observed> {
    match live.unread.is_empty() {
        true => Cow::Borrowed(live),
        false => Cow::Owned(filled(live, &live.unread, &as_built(lab))),
    }
}

/// What was and what is, where both have all that could not be read at one of the two times in common.
pub(super) fn in_common<'a>(lab: &Lab, before: &'a Observed, now: &'a Observed) -> [Cow<'a, Observed>; 2] {
    if before.unread.is_empty() && now.unread.is_empty() {
        return [Cow::Borrowed(before), Cow::Borrowed(now)];
    }
    let before = assumed(lab, before);
    let unread: Vec<Unread> = before.unread.iter().chain(&now.unread).cloned().collect();
    let mut now = filled(now, &unread, &before);
    now.unread.clear();
    [before, Cow::Owned(now)]
}

/// What is, with some parts of what is elsewhere.
fn filled(live: &Observed, unread: &[Unread], from: &Observed) -> Observed {
    let mut filled = live.clone();
    let nothing = ObservedNamespace::default();
    for Unread { ns, part, .. } in unread {
        let Some(namespace) = filled.namespaces.get_mut(ns) else { continue };
        let from_namespace = from.namespaces.get(ns).unwrap_or(&nothing);
        namespace.take(part, from_namespace);
        if *part == Part::Everything {
            connect(&mut filled, ns, from);
        }
    }
    filled
}

/// Takes over what leads into a namespace that could not be read.
fn connect(filled: &mut Observed, unread: &NsName, from: &Observed) {
    for (ns, from) in from.namespaces.iter().filter(|(ns, _)| *ns != unread) {
        let Some(namespace) = filled.namespaces.get_mut(ns) else { continue };
        for (name, other) in &from.is.interfaces {
            let parent = other.virtual_interface().and_then(|virtual_interface| virtual_interface.parent(ns));
            if other.peer().is_some_and(|peer| peer.ns == *unread) || parent.is_some_and(|parent| parent.ns == *unread)
            {
                let own = namespace.is.interfaces.entry(name.clone()).or_insert_with(|| other.clone());
                own.kind.connect_like(&other.kind);
            }
        }
    }
}
