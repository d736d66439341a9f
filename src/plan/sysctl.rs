//! Sysctls: which differ, and which go back to what they were before the lab.

use super::compared::Sides;
use super::draft::{Draft, EXTRA};
use super::lost::Lost;
use crate::lab::{IfName, SysctlKey, SysctlValue};
use crate::steps::{Step, SysctlStep};

/// Plans the sysctls of a namespace.
pub(super) fn compare(sides: &Sides<'_>, lost: &Lost, draft: &mut Draft) {
    let (ns, want, is, lab) = (sides.ns, sides.want, sides.is, &sides.compared.lab.name);
    let set = |key: &SysctlKey, from: Option<&SysctlValue>, to: &SysctlValue| {
        let (key, to, lab) = (key.clone(), to.clone(), lab.clone());
        Step::Sysctl(SysctlStep::Set { ns: ns.clone(), key, from: from.cloned(), to, lab })
    };
    // These go first: forwarding of the whole namespace takes that of its interfaces along.
    for (key, was) in sides.observed.original_sysctls.iter().filter(|(key, _)| !want.sysctls.contains_key(*key)) {
        let stays = |name: &IfName| want.interfaces.contains_key(name) && !lost.interfaces.contains(name);
        let goes = key.interface().is_some_and(|name| !name.is_lo() && !stays(&name));
        if let Some(from) = is.sysctls.get(key).filter(|from| !was.is_kept_as(key, from) && !goes) {
            draft.add(set(key, Some(from), was), format!("it is {from}, and the file no longer sets it"));
        }
    }
    // Forwarding of the whole namespace first, and what new interfaces begin with last: the kernel passes both on to
    // interfaces, and what they were is noted before they are set.
    let place = |key: &SysctlKey| {
        let of_all = [SysctlKey::ipv4_forwarding(), SysctlKey::ipv6_forwarding()].contains(key);
        if of_all { 0 } else { 1 + u8::from(key.is_default()) }
    };
    let mut wanted: Vec<_> = want.sysctls.iter().collect();
    wanted.sort_by_key(|(key, _)| place(key));
    for (key, to) in wanted {
        let from = is.sysctls.get(key);
        if !from.is_some_and(|from| to.is_kept_as(key, from)) {
            let why = from.map_or_else(|| "it is not known to be so".to_owned(), |from| format!("it is {from}"));
            draft.add(set(key, from, to), why);
        }
    }
    for key in sides.observed.claims.iter().filter(|(_, labs)| labs.contains_key(lab)).map(|(key, _)| key) {
        if !want.sysctls.contains_key(key) {
            draft.add(Step::Sysctl(SysctlStep::RestoreHost { key: key.clone(), lab: lab.clone() }), EXTRA);
        }
    }
}
