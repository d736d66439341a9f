//! `nslab apply`

use std::path::PathBuf;

use super::exit_code::{DONE, OUT_OF_SYNC};
use super::failure::Failure;
use super::output::{Format, colour, print, print_json, say, tell_oddities, warn};
use crate::engine::{self, EngineError, Event};
use crate::lab::{LabName, NsName};
use crate::{show, topology};

/// Options of `nslab apply`.
#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    /// The topology file; `-` reads standard input
    file: PathBuf,
    /// Run the file's checks afterwards
    #[arg(long)]
    check: bool,
    /// Do not wait for another nslab that is working on the lab: fail
    #[arg(long)]
    no_wait: bool,
    /// Make namespaces and interfaces that exist under the file's names, and belong to no lab, the lab's own
    #[arg(long)]
    adopt: bool,
    /// If a program cannot be started, leave everything as it is then, to look at, instead of undoing it
    #[arg(long)]
    keep: bool,
    /// Show every step with its command, however many there are, and how names of checks were resolved
    #[arg(long, short)]
    verbose: bool,
    /// Be this machine of the lab, which several machines make together: the namespace is this machine itself, and the
    /// network between the machines is the one that they have
    #[arg(long = "as", value_name = "NODE")]
    node: Option<NsName>,
    /// How to show what was done
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Builds the lab of a file.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &ApplyArgs) -> Result<u8, Failure> {
    let file = topology::load(&args.file)?;
    engine::is_applied_alike(&file.lab.name, args.node.as_ref())?;
    let file = args.node.iter().try_fold(file, engine::on_this_machine)?;
    tell_oddities();
    warn(&file.warnings);
    let mut progress = show::Progress::new();
    let machine = file.machine.as_ref().map(|own| (&own.share.node, &own.dev));
    let options = engine::Options { no_wait: args.no_wait, adopt: args.adopt, keep: args.keep, machine };
    let applied =
        engine::apply(&file.lab, &file.text, options, &mut |event| print_event(&file.lab.name, &mut progress, &event));
    progress.end();
    let applied = applied?;
    let report = if args.check {
        let name = args.file.display().to_string();
        let mut tell = |event: Event<'_>| print_event(&file.lab.name, &mut progress, &event);
        Some(match &file.machine {
            Some(machine) => {
                let called = engine::Called { lab: file.lab.name.as_str(), file: &name };
                engine::check_share(&file.lab, machine, called, &mut tell)?
            }
            None => {
                let mut report = engine::check(&file.lab, &mut tell)?;
                engine::explain(&file.lab, &name, true, &mut report);
                report
            }
        })
    } else {
        None
    };
    match args.format {
        Format::Json => {
            let view = show::AppliedView::new(&file.lab.name, &applied.steps, applied.elapsed, report.as_ref());
            print_json(&view.warnings(&file.warnings).unread(&applied.unread))?;
        }
        Format::Text => {
            let is_known = applied.unread.is_empty();
            if is_known || !applied.steps.is_empty() {
                print(&show::done(&file.lab.name, &applied.steps, applied.elapsed, args.verbose))?;
            }
            if let Some(report) = &report {
                print(&show::report::table(report, colour(), show::width()))?;
                if args.verbose {
                    print(&show::report::queries(report))?;
                }
            }
        }
    }
    if !applied.unread.is_empty() {
        return Err(EngineError::NotRead(applied.unread).into());
    }
    Ok(if report.is_none_or(|report| report.passed()) { DONE } else { OUT_OF_SYNC })
}

/// Prints what the engine is doing.
pub(super) fn print_event(lab: &LabName, progress: &mut show::Progress, event: &Event<'_>) {
    match event {
        Event::Waiting => say(&format!("note: another nslab is working on lab {lab}; waiting for it to finish")),
        Event::Warning(finding) => say(&show::warning(finding)),
        Event::Told(told) => say(&show::told(told)),
        Event::NotOwned(things) => say(&format!(
            "note: the lab does not own {things} of its namespaces and interfaces: `nslab destroy` will not remove them, \
             unless `nslab apply --adopt` is run first"
        )),
        Event::Planned(steps) => progress.begin(*steps),
        Event::WaitingForPorts(ports) => say(&format!("note: waiting for {ports} bridge ports to forward")),
        Event::SpanningTree(ports) => say(&format!(
            "note: {ports} bridge ports forward when the spanning tree has formed, in about 30 s; checks wait for it"
        )),
        Event::NotForwarding(ports, after) => {
            let names: Vec<String> = ports.iter().take(8).map(ToString::to_string).collect();
            let more = ports.len().saturating_sub(names.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let after = after.as_secs();
            say(&format!("warning: after {after} s, these bridge ports do not forward: {}{more}", names.join(", ")));
        }
        Event::Done(_) => progress.step(),
        Event::Undoing(steps) => {
            progress.end();
            say(&format!("note: undoing the {steps} steps that were done"));
            progress.begin(*steps);
        }
        Event::Undone(steps) => (0..*steps).for_each(|_| progress.step()),
    }
}
