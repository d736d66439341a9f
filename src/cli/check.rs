//! `nslab check`

use std::path::{Path, PathBuf};

use super::report_args::{ReportArgs, ReportFormat};
use super::{DONE, Failure, NOT_SO, colour, print};
use crate::check::Report;
use crate::lab::Lab;
use crate::show::report::Tested;
use crate::{engine, plan, show, topology};

/// Options of `nslab check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The topology file; `-` reads standard input
    file: PathBuf,
    #[command(flatten)]
    report: ReportArgs,
}

pub(super) fn run(args: &CheckArgs) -> Result<u8, Failure> {
    let name = args.file.display().to_string();
    let report = match proven(&args.file) {
        Ok(report) => report,
        Err(failure) => {
            let tested = Tested { file: Some(&name), outcome: Err(&failure.to_string()) };
            args.report.write_failure(&tested)?;
            return Err(failure);
        }
    };
    if args.report.format == ReportFormat::Table {
        print(&show::report::table(&report, colour(), show::width()))?;
    }
    args.report.write(&[Tested { file: Some(&name), outcome: Ok(&report) }], &report)?;
    Ok(if report.passed() { DONE } else { NOT_SO })
}

/// Runs the checks of a file.
fn proven(path: &Path) -> Result<Report, Failure> {
    let file = topology::load(path)?;
    let mut report = super::apply::run_checks(&file.lab)?;
    if !report.passed() {
        report.hints.extend(drift(&file.lab, path));
    }
    Ok(report)
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
