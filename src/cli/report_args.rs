//! How results of checks are shown, and the files that they are also written to.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::failure::Failure;
use super::output::{print, print_json};
use super::printable::{Kind, printable};
use crate::show::report::{Tested, junit, tap};

/// How results of checks are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReportFormat {
    /// For people: a line or a matrix for each check, then what failed and why
    #[default]
    Table,
    /// For programs; `nslab schema check` and `nslab schema test` describe it
    Json,
    /// JUnit XML, one test case for each pair
    Junit,
    /// Test Anything Protocol, one line for each pair
    Tap,
}

/// Options of commands that run checks.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// How to show the results
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
    /// Also show how the names that checks go to were resolved
    #[arg(long, short)]
    pub verbose: bool,
    /// Also write the results to this file as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write the results to this file as TAP
    #[arg(long, value_name = "FILE")]
    tap: Option<PathBuf>,
    /// Also write the results to this file as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl ReportArgs {
    /// Shows results as JUnit or TAP where that was asked for, and writes the files.
    ///
    /// # Errors
    /// The results cannot be written.
    pub(super) fn write(&self, tested: &[Tested<'_>], json: &impl serde::Serialize) -> Result<(), Failure> {
        match self.format {
            ReportFormat::Table => {}
            ReportFormat::Json => print_json(json)?,
            ReportFormat::Junit => print(&junit(tested))?,
            ReportFormat::Tap => print(&tap(tested))?,
        }
        let text = Kind::Text { coloured: false };
        write_to(self.junit.as_deref(), text, || Ok(junit(tested)))?;
        write_to(self.tap.as_deref(), text, || Ok(tap(tested)))?;
        write_to(self.json.as_deref(), Kind::Json, || Ok(serde_json::to_string_pretty(json)? + "\n"))
    }
}

impl ReportArgs {
    /// The same where nothing could be checked: a report that is missing, or empty, could be taken for a green one.
    /// JSON has the error alone.
    ///
    /// # Errors
    /// As with [`Self::write`].
    pub(super) fn write_failure(&self, tested: &Tested<'_>) -> Result<(), Failure> {
        let json = match tested.outcome.err() {
            None => serde_json::json!({ "file": tested.file }),
            Some(error) => serde_json::json!({ "file": tested.file, "error": error.message, "code": error.code }),
        };
        self.write(&[*tested], &json)
    }
}

/// Writes a report, which people look at as well: like all that is printed.
fn write_to(file: Option<&Path>, kind: Kind, text: impl FnOnce() -> serde_json::Result<String>) -> Result<(), Failure> {
    let Some(file) = file else { return Ok(()) };
    let cannot = |error: String| Failure::Output(format!("cannot write {}: {error}", file.display()));
    let text = text().map_err(|error| cannot(error.to_string()))?;
    std::fs::write(file, printable(&text, kind).as_bytes()).map_err(|error| cannot(error.to_string()))
}
