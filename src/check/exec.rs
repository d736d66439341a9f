//! The verdict on a command that was run: its exit code, and what it has printed.

use std::time::Duration;

use super::report::{CheckResult, EXEC, Outcome, PairResult};
use crate::lab::{Ended, ExecCheck, NsName, Printed, Ran, in_one_line};

/// So much of a line of output is shown.
const SHOWN: usize = 160;

/// So much of a command is shown.
const COMMAND: usize = 60;

/// The result of a check from what came of its command in each namespace, and how long that took.
pub fn exec_result(check: &ExecCheck, runs: Vec<(NsName, Ran, Duration)>) -> CheckResult {
    let pairs = runs.into_iter().map(|(ns, ran, took)| pair(check, ns, &ran, took)).collect();
    CheckResult { name: check.name.clone(), line: check.line, expectation: promise(check), pairs }
}

fn pair(check: &ExecCheck, from: NsName, ran: &Ran, took: Duration) -> PairResult {
    let failure = judge(check, ran).err();
    let saw = match ran {
        Ran::NotStarted(why) => Outcome::NoProbe { what: why.clone() },
        Ran::Ended(Ended::Code(code), _) => Outcome::Ran { exit_code: Some(*code) },
        Ran::Ended(Ended::Signal(_), _) | Ran::TooLong(_) => Outcome::Ran { exit_code: None },
    };
    let result = match (&failure, ran) {
        (None, _) => promise(check),
        (Some(_), Ran::NotStarted(_)) => "not started".to_owned(),
        (Some(_), Ran::Ended(ended, _)) => ended.to_string(),
        (Some(_), Ran::TooLong(_)) => "did not end in time".to_owned(),
    };
    PairResult {
        from,
        to: in_one_line(&check.command.join(" "), COMMAND),
        to_namespace: None,
        address: None,
        protocol: EXEC.to_owned(),
        size: None,
        passed: failure.is_none(),
        result,
        failure,
        saw,
        queries: Vec::new(),
        seen_as: None,
        answered_by: None,
        took,
        tries: 1,
    }
}

/// What a check promises, in words: `exit code 0, output with "hello"`.
fn promise(check: &ExecCheck) -> String {
    let contains = check.contains.as_ref().map(|text| format!(", output with {text:?}")).unwrap_or_default();
    let output = check.output.as_ref().map(|text| format!(", output {text:?}")).unwrap_or_default();
    format!("exit code {}{contains}{output}", check.exit_code)
}

/// Whether a command has ended as promised.
///
/// # Errors
/// What it did instead, in words.
fn judge(check: &ExecCheck, ran: &Ran) -> Result<(), String> {
    match ran {
        Ran::NotStarted(why) => Err(why.clone()),
        Ran::TooLong(printed) => {
            Err(format!("it had not ended after {:?}, and was killed{}", check.timeout, said(printed)))
        }
        Ran::Ended(Ended::Code(code), printed) if *code == i32::from(check.exit_code) => {
            printed_as_promised(check, printed)
        }
        Ran::Ended(ended, printed) => Err(format!("it {ended}, not with {}{}", check.exit_code, said(printed))),
    }
}

/// Whether a command has printed what was promised.
fn printed_as_promised(check: &ExecCheck, printed: &Printed) -> Result<(), String> {
    let place = if printed.is_whole { "its output" } else { "the first MiB of its output" };
    if let Some(text) = check.contains.as_ref().filter(|text| !contains(&printed.output, text.as_bytes())) {
        return Err(format!("{place} does not contain {text:?}{}", said(printed)));
    }
    let output = printed.output.trim_ascii();
    match &check.output {
        Some(text) if !printed.is_whole || output != text.as_bytes() => {
            let came: String = String::from_utf8_lossy(output).chars().take(SHOWN).collect();
            Err(format!("{place} is {came:?}, not {text:?}"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The last line that a command has said of an error, or else of its output.
fn said(printed: &Printed) -> String {
    let last = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(|line| in_one_line(line, SHOWN))
    };
    match (last(&printed.errors), last(&printed.output)) {
        (Some(line), _) | (None, Some(line)) => format!("; it said {line:?}"),
        (None, None) => "; it said nothing".to_owned(),
    }
}

/// Whether bytes have a text in them.
pub(super) fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|part| part == text)
}
