//! Check results in the Test Anything Protocol, version 14 (testanything.org): one line for every pair.

use super::{printable, title};
use crate::check::{CheckResult, PairResult, Report};

/// The reports of any number of labs as one TAP document.
pub fn tap(reports: &[Report]) -> String {
    let pairs = || {
        let checks = reports.iter().flat_map(|report| report.checks.iter().map(move |check| (report, check)));
        checks.flat_map(|(report, check)| check.pairs.iter().map(move |pair| (report, check, pair)))
    };
    let mut text = format!("TAP version 14\n1..{}\n", pairs().count());
    for (number, (report, check, pair)) in (1..).zip(pairs()) {
        let result = if pair.passed { "ok" } else { "not ok" };
        let title = format!("{}: {}", report.lab, title(check, pair));
        text += &format!("{result} {number} - {}\n", escaped(&title));
        if !pair.passed {
            text += &diagnostics(check, pair);
        }
    }
    text
}

/// What is known of a failure, as a YAML block. A JSON string is a YAML string.
fn diagnostics(check: &CheckResult, pair: &PairResult) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut text = "  ---\n".to_owned();
    text += &format!("  message: {}\n", quoted(pair.fault.as_deref().unwrap_or("not as promised")));
    text += &format!("  check: {}\n  line: {}\n", quoted(&check.name), check.line);
    text += &format!("  address: \"{}\"\n  tries: {}\n", pair.address, pair.tries);
    if let Some(address) = pair.seen_as {
        text += &format!("  seen_as: \"{address}\"\n");
    }
    if let Some(ns) = &pair.answered_by {
        text += &format!("  answered_by: {}\n", quoted(ns.as_str()));
    }
    text + "  ...\n"
}

/// In a description, `#` begins a directive and `\` escapes.
fn escaped(text: &str) -> String {
    printable(text).replace('\\', "\\\\").replace('#', "\\#")
}
