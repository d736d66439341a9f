//! `nslab check`

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{DONE, Failure, NOT_SO, colour, print};
use crate::check::{self, Report};
use crate::lab::Lab;
use crate::{engine, plan, show, topology};

/// Options of `nslab check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The topology file; `-` reads standard input
    file: PathBuf,
    /// How to show the results
    #[arg(long, value_enum, default_value_t)]
    format: ReportFormat,
}

/// How results of checks are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReportFormat {
    /// For people: a line or a matrix a check, then what failed and why
    #[default]
    Table,
    /// For programs; `nslab schema check` and `nslab schema test` describe it
    Json,
    /// JUnit XML, one test case a pair
    Junit,
    /// Test Anything Protocol, one line a pair
    Tap,
}

pub(super) fn run(args: &CheckArgs) -> Result<u8, Failure> {
    let file = topology::load(&args.file)?;
    let mut report = check::run(&file.lab)?;
    if !report.passed() {
        report.hints.extend(drift(&file.lab, &args.file));
    }
    show_reports(args.format, std::slice::from_ref(&report))?;
    Ok(if report.passed() { DONE } else { NOT_SO })
}

/// That a lab is no longer as its file says, if it is so and can be seen: a check may have failed because of that.
fn drift(lab: &Lab, file: &Path) -> Option<String> {
    let live = engine::observe(&lab.name, Some(lab)).ok()?;
    let steps = plan::plan(lab, &live).steps.len() + plan::conflicts(lab, &live).len();
    let differences = if steps == 1 { "one step".to_owned() } else { format!("{steps} steps") };
    let file = file.display();
    (steps > 0).then(|| {
        format!("the lab is {differences} away from what the file says: `nslab plan {file}` shows what has changed")
    })
}

/// Prints reports in a format. JSON is one report for one lab, and a list for several.
pub(super) fn show_reports(format: ReportFormat, reports: &[Report]) -> Result<(), Failure> {
    match format {
        ReportFormat::Table => {
            reports.iter().try_for_each(|report| print(&show::report::table(report, colour(), show::width())))
        }
        ReportFormat::Json => match reports {
            [report] => super::print_json(report),
            several => super::print_json(&several),
        },
        ReportFormat::Junit => print(&show::report::junit(reports)),
        ReportFormat::Tap => print(&show::report::tap(reports)),
    }
}
