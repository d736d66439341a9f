//! The result of `nslab test` for a file.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::report::{NotRun, Tested};
use super::{DiagnosticView, counted, styled};
use crate::check::Report;
use crate::topology::Diagnostics;

const NO_RESULT: &str = "there is no result";

/// The test of one file, for programs.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TestView {
    /// The file.
    pub file: String,
    /// Whether the lab could be applied, passed every check and left nothing behind.
    pub passed: bool,
    /// The exit code that the test of this file alone has.
    pub exit_code: u8,
    /// Why the checks could not be run, or what was left behind.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// The code of that, as listed in `docs/codes.md`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// The results of the checks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub report: Option<Report>,
    /// What is legal in the file, and surely a mistake.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warnings: Vec<DiagnosticView>,
    /// How long it took in all, in seconds.
    pub seconds: f64,
}

impl TestView {
    /// A file whose lab was built, checked and removed.
    pub fn done(file: String, report: Report, elapsed: Duration) -> Self {
        let passed = report.passed();
        Self {
            file,
            passed,
            exit_code: u8::from(!passed),
            error: None,
            code: None,
            report: Some(report),
            warnings: Vec::new(),
            seconds: elapsed.as_secs_f64(),
        }
    }

    /// The same with the warnings about the file.
    #[must_use]
    pub fn warnings(self, warnings: &Diagnostics) -> Self {
        Self { warnings: DiagnosticView::all(warnings), ..self }
    }

    /// The result, for reports.
    pub fn tested(&self) -> Tested<'_> {
        let message = self.error.as_deref().unwrap_or(NO_RESULT);
        let not_run = NotRun { message, code: self.code.as_deref() };
        Tested { file: Some(&self.file), outcome: self.report.as_ref().ok_or(not_run) }
    }

    /// A file whose lab could not be tested.
    pub fn failed(file: String, exit_code: u8, error: String, code: Option<String>) -> Self {
        Self {
            file,
            passed: false,
            exit_code,
            error: Some(error),
            code,
            report: None,
            warnings: Vec::new(),
            seconds: 0.0,
        }
    }
}

/// The test of one file, for people.
pub fn tested(view: &TestView, colour: bool) -> String {
    let head = styled(&view.file, "1", colour);
    match (&view.report, &view.error) {
        (Some(report), _) => format!("{head}\n{}\n", super::report::table(report, colour, super::width())),
        (None, error) => {
            let error = error.as_deref().unwrap_or(NO_RESULT);
            let error = view.code.as_deref().map_or_else(|| error.to_owned(), |code| super::error(error, code));
            format!("{head}\n{error}\n")
        }
    }
}

/// The last line: how many files, and how many of them are as promised.
pub fn tested_summary(views: &[TestView]) -> String {
    let failed = views.iter().filter(|view| !view.passed).count();
    match failed {
        0 => format!("{}: everything as promised, nothing left behind\n", counted(views.len(), "lab")),
        n => format!("{n} of {} failed\n", counted(views.len(), "lab")),
    }
}
