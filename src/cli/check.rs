//! `nslab check`

use std::path::{Path, PathBuf};

use super::apply::print_event;
use super::exit_code::{DONE, OUT_OF_SYNC};
use super::failure::Failure;
use super::output::{colour, print};
use super::report_args::{ReportArgs, ReportFormat};
use crate::check::Report;
use crate::show::report::{NotRun, Tested};
use crate::{engine, show, topology};

/// Options of `nslab check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The topology file; `-` reads standard input
    file: PathBuf,
    #[command(flatten)]
    report: ReportArgs,
}

/// Checks the lab of a file.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &CheckArgs) -> Result<u8, Failure> {
    let name = args.file.display().to_string();
    let report = match checked(&args.file) {
        Ok(report) => report,
        Err(failure) => {
            let (message, code) = (failure.to_string(), failure.code());
            let not_run = NotRun { message: &message, code: Some(&code) };
            let tested = Tested { file: Some(&name), outcome: Err(not_run) };
            args.report.write_failure(&tested)?;
            return Err(failure);
        }
    };
    if args.report.format == ReportFormat::Table {
        print(&show::report::table(&report, colour(), show::width()))?;
    }
    args.report.write(&[Tested { file: Some(&name), outcome: Ok(&report) }], &report)?;
    Ok(if report.passed() { DONE } else { OUT_OF_SYNC })
}

/// Runs the checks of a file.
fn checked(path: &Path) -> Result<Report, Failure> {
    let lab = topology::load(path)?.lab;
    let mut progress = show::Progress::new();
    let name = path.display().to_string();
    Ok(engine::check_later(&lab, &name, &mut |event| print_event(&lab.name, &mut progress, &event))?)
}
