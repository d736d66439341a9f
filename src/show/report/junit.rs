//! Check results as JUnit XML, which CI systems read: a suite for every lab, a case for every pair.
//!
//! The format has no standard; this keeps to Jenkins' schema (junit-10.xsd), which GitLab, GitHub and Buildkite read as
//! well. This takes fewer lines than calling a library would. A file whose checks could not be run is a suite with one
//! error, so that no report is green because it is empty.

use std::time::Duration;

use super::{NotRun, Tested, title, way};
use crate::check::{CheckResult, PairResult, Report};

/// The reports of any number of labs as one XML document.
pub fn junit(tested: &[Tested<'_>]) -> String {
    let reports = || tested.iter().filter_map(|tested| tested.outcome.ok());
    let errors = tested.iter().filter(|tested| tested.outcome.is_err()).count();
    let time = reports().map(|report| report.elapsed).sum::<Duration>().as_secs_f64();
    let suites: String = tested.iter().map(suite).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"nslab\" tests=\"{}\" failures=\"{}\" errors=\"{errors}\" time=\"{time:.6}\">\n\
         {suites}</testsuites>\n",
        reports().map(Report::pairs).sum::<usize>() + errors,
        reports().map(Report::failures).sum::<usize>(),
    )
}

fn suite(tested: &Tested<'_>) -> String {
    let file = tested.file.map(|file| format!(" file=\"{}\"", escaped(file))).unwrap_or_default();
    let report = match tested.outcome {
        Ok(report) => report,
        Err(error) => return not_run(tested.file.unwrap_or("nslab"), &file, error),
    };
    let pairs = report.checks.iter().flat_map(|check| check.pairs.iter().map(move |pair| (check, pair)));
    let cases: String = pairs.map(|(check, pair)| case(report, check, pair, &file)).collect();
    let explained = report.explained.iter().map(super::explained);
    let hints = explained.chain(report.hints.iter().map(|hint| format!("hint: {hint}\n"))).collect::<String>();
    let hints = match hints.as_str() {
        "" => String::new(),
        hints => format!("    <system-out>{}</system-out>\n", escaped(hints)),
    };
    format!(
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"0\" time=\"{:.6}\"{file}>\n\
         {cases}{hints}  </testsuite>\n",
        escaped(report.lab.as_str()),
        report.pairs(),
        report.failures(),
        report.elapsed.as_secs_f64(),
    )
}

/// A file whose checks could not be run.
fn not_run(name: &str, file: &str, error: NotRun<'_>) -> String {
    let kind = error.code.map(|code| format!(" type=\"{}\"", escaped(code))).unwrap_or_default();
    let (name, error) = (escaped(name), escaped(error.message));
    format!(
        "  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" errors=\"1\" time=\"0.000000\"{file}>\n    \
         <testcase classname=\"{name}\" name=\"the checks can be run\" time=\"0.000000\"{file}>\n      \
         <error message=\"{error}\"{kind}>{error}</error>\n    </testcase>\n  </testsuite>\n"
    )
}

fn case(report: &Report, check: &CheckResult, pair: &PairResult, file: &str) -> String {
    let head = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.6}\"{file} line=\"{}\"",
        escaped(&format!("{}.{}", report.lab, check.name)),
        escaped(&title(check, pair)),
        pair.took.as_secs_f64(),
        check.line,
    );
    if pair.passed {
        return match way(check, pair) {
            Some(way) => format!("{head}>\n      <system-out>{}</system-out>\n    </testcase>\n", escaped(way)),
            None => head + "/>\n",
        };
    }
    let failure = escaped(pair.failure.as_deref().unwrap_or("not as promised"));
    format!("{head}>\n      <failure message=\"{failure}\">line {}: {failure}</failure>\n    </testcase>\n", check.line)
}

/// Text for an attribute or between tags. What XML 1.0 cannot hold at all (section 2.2), not even escaped, becomes
/// U+FFFD.
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
