//! How the results of checks are shown: to a person ([`table`]), and to programs ([`junit`], [`tap`]; JSON is the
//! [`Report`](crate::check::Report) itself).
//!
//! All of them are pure functions of a report: what was seen has been put into words already; nothing here asks the
//! kernel or prints.

mod junit;
mod matrix;
mod queries;
mod table;
mod tap;

pub use junit::junit;
pub use queries::queries;
pub use table::table;
pub use tap::tap;

use std::net::IpAddr;

use super::lines::{WIDTH, fitted, printable};
use super::trace::ending;
use crate::check::{CheckResult, Explained, PairResult, Report};

/// Why the checks of a file could not be run.
#[derive(Debug, Clone, Copy)]
pub struct NotRun<'a> {
    /// What went wrong.
    pub message: &'a str,
    /// Its code; none where a message of several diagnostics has one for each.
    pub code: Option<&'a str>,
}

/// The result of one file: the results of its checks, or why they could not be run.
#[derive(Debug, Clone, Copy)]
pub struct Tested<'a> {
    /// The topology file, where there is one.
    pub file: Option<&'a str>,
    /// The report, or what went wrong.
    pub outcome: Result<&'a Report, NotRun<'a>>,
}

/// The mark of a pair that passed, or did not.
fn mark(passed: bool) -> char {
    if passed { '✓' } else { '✗' }
}

/// One pair in words: `red → blue`; where the file has an address, `red → 10.0.0.2 (blue)`.
fn pair_name(pair: &PairResult) -> String {
    let is_address = pair.to.split('%').next().is_some_and(|to| to.parse::<IpAddr>().is_ok());
    let owner = pair.to_namespace.as_ref().filter(|_| is_address).map(|ns| format!(" ({ns})"));
    format!("{} → {}{}", pair.from, printable(&pair.to), owner.unwrap_or_default())
}

/// One pair with what was sent: `red → blue (tcp/80, IPv6)`.
fn pair_in_full(pair: &PairResult) -> String {
    let family = if pair.address.is_some_and(|address| address.is_ipv6()) { ", IPv6" } else { "" };
    format!("{} ({}{family})", pair_name(pair), pair.protocol)
}

/// One pair of a check, as a title of its own: `red → blue (tcp/80): reachable`.
fn title(check: &CheckResult, pair: &PairResult) -> String {
    format!("{}: {}", pair_in_full(pair), check.expectation)
}

/// How a pair that passed came out, where more is known than what was promised: `unreachable: no route at the sender`.
fn way<'a>(check: &CheckResult, pair: &'a PairResult) -> Option<&'a str> {
    (pair.passed && pair.result != check.expectation).then_some(pair.result.as_str())
}

/// How many pairs of one cause are named.
const NAMED: usize = 3;

/// Why some pairs failed: which, the cause, what to do.
fn explained(explained: &Explained) -> String {
    let named: Vec<String> = explained.pairs.iter().take(NAMED).map(|pair| printable(pair)).collect();
    let title = match explained.pairs.len() {
        1 => format!("why {} fails:", named.join(", ")),
        all if all <= NAMED => format!("why {all} pairs fail ({}):", named.join(", ")),
        all => format!("why {all} pairs fail ({}, …):", named.join(", ")),
    };
    let title = fitted(&title, 0, 4, WIDTH);
    format!("\n{title}{}", ending(&explained.end, false))
}
