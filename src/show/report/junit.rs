//! Check results as JUnit XML, which CI systems read: a suite for every lab, a case for every pair.
//!
//! The format has no standard; this keeps to what Jenkins' schema and GitLab, GitHub and Buildkite have in common. It takes
//! fewer lines than a library would take to be called.

use super::title;
use crate::check::{CheckResult, PairResult, Report};

/// The reports of any number of labs as one XML document.
pub fn junit(reports: &[Report]) -> String {
    let total = |count: fn(&Report) -> usize| reports.iter().map(count).sum::<usize>();
    let time: f64 = reports.iter().map(|report| report.elapsed.as_secs_f64()).sum();
    let suites: String = reports.iter().map(suite).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"nslab\" tests=\"{}\" failures=\"{}\" time=\"{time:.6}\">\n{suites}</testsuites>\n",
        total(Report::pairs),
        total(Report::failures),
    )
}

fn suite(report: &Report) -> String {
    let pairs = report.checks.iter().flat_map(|check| check.pairs.iter().map(move |pair| (check, pair)));
    let cases: String = pairs.map(|(check, pair)| case(report, check, pair)).collect();
    format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{:.6}\">\n{cases}  </testsuite>\n",
        escaped(report.lab.as_str()),
        report.pairs(),
        report.failures(),
        report.elapsed.as_secs_f64(),
    )
}

fn case(report: &Report, check: &CheckResult, pair: &PairResult) -> String {
    let head = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.6}\"",
        escaped(&format!("{}.{}", report.lab, check.name)),
        escaped(&title(check, pair)),
        pair.took.as_secs_f64(),
    );
    if pair.passed {
        return head + "/>\n";
    }
    let fault = escaped(pair.fault.as_deref().unwrap_or("not as promised"));
    format!("{head}>\n      <failure message=\"{fault}\">line {}: {fault}</failure>\n    </testcase>\n", check.line)
}

/// Text for an attribute or between tags. What XML 1.0 cannot hold at all (section 2.2), not even escaped, becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' | '\r' | '\t' => escaped += &format!("&#{};", u32::from(c)),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
