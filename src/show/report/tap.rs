//! Check results in the Test Anything Protocol, version 14 (testanything.org): one line for every pair, and one for
//! every file whose checks could not be run.

use super::{Tested, printable, title, way};
use crate::check::{CheckResult, PairResult, Report};

/// The reports of any number of labs as one TAP document.
pub fn tap(tested: &[Tested<'_>]) -> String {
    let lines: Vec<(bool, String, String)> = tested.iter().flat_map(lines).collect();
    let mut text = format!("TAP version 14\n1..{}\n", lines.len());
    for (number, (passed, title, details)) in (1..).zip(lines) {
        let result = if passed { "ok" } else { "not ok" };
        text += &format!("{result} {number} - {}\n{details}", escaped(&title));
    }
    text
}

/// What came of a file: for every pair, whether it passed, its title and what else is known.
fn lines(tested: &Tested<'_>) -> Vec<(bool, String, String)> {
    let file = tested.file.map(|file| format!("  file: {}\n", quoted(file))).unwrap_or_default();
    let report = match tested.outcome {
        Ok(report) => report,
        Err(error) => {
            let title = format!("{}: the checks can be run", tested.file.unwrap_or("nslab"));
            let code = error.code.map(|code| format!("  code: {}\n", quoted(code))).unwrap_or_default();
            let details = format!("  ---\n  message: {}\n{code}{file}  ...\n", quoted(error.message));
            return vec![(false, title, details)];
        }
    };
    let pairs = report.checks.iter().flat_map(|check| check.pairs.iter().map(move |pair| (check, pair)));
    let line = |(check, pair): (&CheckResult, &PairResult)| {
        let way = way(check, pair).map(|way| format!("  ---\n  result: {}\n  ...\n", quoted(way)));
        let details = match pair.passed {
            true => way.unwrap_or_default(),
            false => diagnostics(check, pair, report, &file),
        };
        (pair.passed, format!("{}: {}", report.lab, title(check, pair)), details)
    };
    pairs.map(line).collect()
}

/// A JSON string, which is a YAML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What is known of a failure, as a YAML block.
fn diagnostics(check: &CheckResult, pair: &PairResult, report: &Report, file: &str) -> String {
    let mut text = "  ---\n".to_owned();
    text += &format!("  message: {}\n", quoted(pair.failure.as_deref().unwrap_or("not as promised")));
    text += &format!("  result: {}\n", quoted(&pair.result));
    text += &format!("  check: {}\n{file}  line: {}\n", quoted(&check.name), check.line);
    let address = pair.address.map(|address| format!("  address: \"{address}\"\n")).unwrap_or_default();
    text += &format!("{address}  tries: {}\n", pair.tries);
    if let Some(address) = pair.seen_as {
        text += &format!("  seen_as: \"{address}\"\n");
    }
    if let Some(ns) = &pair.answered_by {
        text += &format!("  answered_by: {}\n", quoted(ns.as_str()));
    }
    let name = format!("{} → {} ({})", pair.from, pair.to, pair.protocol);
    let because = report.explained.iter().find(|explained| explained.pairs.contains(&name));
    if let Some(explained) = because {
        text += &format!("  because: {}\n", quoted(&explained.end.what));
    }
    if !report.hints.is_empty() {
        let hints: Vec<String> = report.hints.iter().map(|hint| quoted(hint)).collect();
        text += &format!("  hints: [{}]\n", hints.join(", "));
    }
    text + "  ...\n"
}

/// In a description, `#` begins a directive and `\` escapes.
fn escaped(text: &str) -> String {
    printable(text).replace('\\', "\\\\").replace('#', "\\#")
}
