//! What becomes of a packet at a hook, by the chains of iptables and by those of nf_tables.

use super::firewall::{self, Decided, Flow};
use super::nft;
use crate::lab::{FirewallTarget, Hook, Namespace, Table};

/// What becomes of a packet at a hook; where that is a matter of chance, the first that may.
pub(super) fn decide(namespace: &Namespace, at: (Table, Hook), flow: &Flow) -> Decided {
    let end = Decided { by: None, mark: flow.mark };
    possibilities(namespace, at, flow).into_iter().next().unwrap_or(end)
}

/// All that may become of a packet at a hook: more than one only where rules leave it to chance.
///
/// The tables of nf_tables are asked after those of iptables, and about what those accept as well; a translation is the
/// first that there is.
pub(super) fn possibilities(namespace: &Namespace, at: (Table, Hook), flow: &Flow) -> Vec<Decided> {
    let possible = firewall::possibilities(namespace, at, flow);
    if namespace.nft.is_empty() {
        return possible;
    }
    let is_asked_on = |decided: &Decided| match &decided.by {
        None => true,
        Some((_, target)) => at.0 == Table::Filter && *target == FirewallTarget::Accept,
    };
    let mut all = Vec::new();
    for decided in possible {
        if !is_asked_on(&decided) {
            all.push(decided);
            continue;
        }
        let marked = Flow { mark: decided.mark, ..flow.clone() };
        let then = nft::possibilities(namespace, at, &marked).into_iter();
        all.extend(then.map(|later| Decided { by: later.by.or_else(|| decided.by.clone()), ..later }));
    }
    all
}
