//! `nslab check`

use std::path::{Path, PathBuf};

use super::apply::print_event;
use super::exit_code::{DONE, OUT_OF_SYNC};
use super::failure::Failure;
use super::lab_arg::{LabArg, Source};
use super::output::{colour, print};
use super::report_args::{ReportArgs, ReportFormat};
use crate::check::Report;
use crate::show::report::{NotRun, Tested};
use crate::{engine, show};

/// Options of `nslab check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The topology file, where `-` is standard input; or the name of a lab, for the checks of its topology as applied
    #[arg(value_name = "LAB|FILE")]
    lab: PathBuf,
    #[command(flatten)]
    report: ReportArgs,
    /// Do not follow packets of failed checks to find out why they failed
    #[arg(long)]
    no_explain: bool,
}

/// Checks a lab.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &CheckArgs) -> Result<u8, Failure> {
    let name = args.lab.display().to_string();
    let (file, report) = match checked(&args.lab, !args.no_explain) {
        Ok(checked) => checked,
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
        if args.report.verbose {
            print(&show::report::queries(&report))?;
        }
    }
    args.report.write(&[Tested { file: Some(&file), outcome: Ok(&report) }], &report)?;
    Ok(if report.passed() { DONE } else { OUT_OF_SYNC })
}

/// Runs the checks of a lab; the file that they are in, and their results.
fn checked(text: &Path, explains: bool) -> Result<(String, Report), Failure> {
    let Source { topology, file } = LabArg::of(text)?.topology()?;
    let (lab, name) = (topology.lab, text.display().to_string());
    let mut progress = show::Progress::new();
    let called = engine::Called { lab: &name, file: &file };
    let mut tell = |event: engine::Event<'_>| print_event(&lab.name, &mut progress, &event);
    let report = engine::check_later(&lab, called, explains, &mut tell)?;
    Ok((file, report))
}
