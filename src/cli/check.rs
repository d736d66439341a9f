//! `nslab check`

use std::path::{Path, PathBuf};

use super::apply::print_event;
use super::exit_code::{DONE, OUT_OF_SYNC};
use super::failure::Failure;
use super::lab_arg::{LabArg, Source};
use super::output::{colour, print, print_to_reader, say};
use super::report_args::{ReportArgs, ReportFormat};
use crate::check::Report;
use crate::show::report::{NotRun, Tested};
use crate::{engine, show, topology};

/// Options of `nslab check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The topology file, where `-` is standard input; or the name of a lab, for the checks of its topology as applied
    #[arg(value_name = "LAB|FILE")]
    lab: PathBuf,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    several: SeveralMachines,
    /// Do not follow packets of failed checks to find out why they failed
    #[arg(long)]
    no_explain: bool,
}

/// Checks of a lab that several machines make together: first `--open` on all of them, then `--send` on all, then
/// `--end` on all, then `--join` anywhere.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct SeveralMachines {
    /// On one of several machines: open the sockets of the checks, for a quarter of an hour, and return
    #[arg(long, conflicts_with = "ReportArgs")]
    open: bool,
    /// On one of several machines: have everything sent that starts there
    #[arg(long, conflicts_with = "ReportArgs")]
    send: bool,
    /// On one of several machines: close the sockets, and print what the machine saw, as JSON
    #[arg(long, conflicts_with = "ReportArgs")]
    end: bool,
    /// Put together what the machines saw: what `--end` has printed on each
    #[arg(long, value_name = "JSON", num_args = 1..)]
    join: Vec<PathBuf>,
}

/// Checks a lab.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &CheckArgs) -> Result<u8, Failure> {
    let name = args.lab.display().to_string();
    let SeveralMachines { open, send, end, join } = &args.several;
    if *open || *send || *end {
        return one_of_several(&args.lab, &args.several);
    }
    let checked = if join.is_empty() { checked(&args.lab, !args.no_explain) } else { joined(&args.lab, join) };
    let (file, report) = match checked {
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

/// Does on one of several machines what it is to do.
fn one_of_several(lab: &Path, SeveralMachines { open, send, .. }: &SeveralMachines) -> Result<u8, Failure> {
    let lab = LabArg::of(lab)?.name()?;
    if *open {
        engine::open_checks(&lab)?;
        say(&format!("the checks of {lab} are open, for a quarter of an hour; what was seen before is forgotten"));
    } else if *send {
        engine::send_checks(&lab)?;
        say(&format!("all checks of {lab} that start here were sent"));
    } else {
        // What nobody has read is not lost.
        let (opening, side) = engine::side_of_checks(&lab)?;
        if !print_to_reader(&format!("{side}\n"))? {
            return Err(Failure::Output("nobody has read the result: the checks stay open".to_owned()));
        }
        engine::end_checks(&lab, &opening)?;
    }
    Ok(DONE)
}

/// The report of what several machines saw, and the file that the checks are in.
fn joined(lab: &Path, sides: &[PathBuf]) -> Result<(String, Report), Failure> {
    // A file says all; the lab of this machine is not asked for.
    let (topology, file) = match LabArg::of(lab)? {
        LabArg::File(file) => (topology::load(&file)?, file.display().to_string()),
        named @ LabArg::Named(_) => named.topology().map(|Source { topology, file }| (topology, file))?,
    };
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let cannot = |why: String| Failure::Usage(format!("cannot read {name}: {why}"));
        // A FIFO or a device may never come to an end.
        let is_file = path.metadata().map_err(|error| cannot(error.to_string()))?.is_file();
        let text =
            if is_file { std::fs::read_to_string(path) } else { return Err(cannot("it is no file".to_owned())) };
        text.map(|text| (name.clone(), text)).map_err(|error| cannot(error.to_string()))
    };
    let sides = sides.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok((file, engine::join_checks(&topology, &sides)?))
}

/// Runs the checks of a lab; the file that they are in, and their results.
fn checked(text: &Path, explains: bool) -> Result<(String, Report), Failure> {
    let Source { topology, file } = LabArg::of(text)?.topology()?;
    let (machine, lab, name) = (topology.machine, topology.lab, text.display().to_string());
    let mut progress = show::Progress::new();
    let called = engine::Called { lab: &name, file: &file };
    let mut tell = |event: engine::Event<'_>| print_event(&lab.name, &mut progress, &event);
    let report = match &machine {
        None => engine::check_later(&lab, called, explains, &mut tell)?,
        Some(machine) => engine::check_share(&lab, machine, called, &mut tell)?,
    };
    Ok((file, report))
}
