//! How the names of checks were resolved: what was asked, in its order, and what came.

use std::collections::BTreeSet;

use super::{pair_name, printable};
use crate::check::Report;

/// A block for each pair whose destination is a name, the same ones once; nothing where there is none.
pub fn queries(report: &Report) -> String {
    let mut seen = BTreeSet::new();
    let pairs = report.checks.iter().flat_map(|check| &check.pairs).filter(|pair| !pair.queries.is_empty());
    pairs
        .filter(|pair| seen.insert((&pair.from, &pair.to, &pair.queries)))
        .map(|pair| {
            let lines: String = pair.queries.iter().map(|query| format!("  {}\n", printable(query))).collect();
            format!("{} was resolved so:\n{lines}", pair_name(pair))
        })
        .collect()
}
