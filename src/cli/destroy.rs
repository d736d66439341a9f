//! `nslab destroy`

use std::path::{Path, PathBuf};

use super::apply::print_event;
use super::exit_code::{DONE, REFUSED};
use super::failure::Failure;
use super::lab_arg::LabArg;
use super::output::{Format, print, print_json, say, tell_oddities};
use crate::engine::EngineError;
use crate::lab::{Lab, LabName};
use crate::{engine, show, topology};

/// Options of `nslab destroy`.
#[derive(Debug, clap::Args)]
pub struct DestroyArgs {
    /// The lab's name, or its topology file
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "LAB|FILE")]
    lab: Option<PathBuf>,
    /// Remove every lab on this machine
    #[arg(long)]
    all: bool,
    /// Do not wait for another nslab that is working on the lab: fail
    #[arg(long)]
    no_wait: bool,
    /// Show every step with its command, however many there are
    #[arg(long, short)]
    verbose: bool,
    /// How to show what was done
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Removes labs.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &DestroyArgs) -> Result<u8, Failure> {
    tell_oddities();
    let (labs, file) = match &args.lab {
        Some(text) => meant(text).map(|(lab, file)| (vec![lab], file))?,
        None => (engine::labs()?.names(), None),
    };
    let (mut views, mut has_failed) = (Vec::new(), false);
    // Even if the output cannot be written, every lab is removed.
    let mut printed = Ok(());
    for lab in &labs {
        let mut progress = show::Progress::new();
        let destroyed = engine::destroy(lab, !args.no_wait, &mut |event| print_event(lab, &mut progress, &event));
        progress.end();
        let destroyed = match destroyed {
            Ok(destroyed) => destroyed,
            Err(error) if !args.all || matches!(error, EngineError::Interrupted { .. }) => return Err(error.into()),
            // The other labs are removed all the same.
            Err(error) => {
                say(&show::error(&format!("lab {lab}: {error}"), &error.code()));
                has_failed = true;
                continue;
            }
        };
        if destroyed.steps.is_empty()
            && let Some(other) = file.as_ref().map(engine::built_as).transpose()?.flatten()
        {
            say(&format!("note: what the file describes belongs to lab {other}: `nslab destroy {other}` removes it"));
        }
        match args.format {
            Format::Json => views.push(show::AppliedView::new(lab, &destroyed.steps, destroyed.elapsed, None)),
            Format::Text if destroyed.steps.is_empty() => {
                printed = printed.and(print(&format!("{lab}: nothing to remove")));
            }
            Format::Text => {
                printed = printed.and(print(&show::done(lab, &destroyed.steps, destroyed.elapsed, args.verbose)));
            }
        }
    }
    match (args.format, &args.lab) {
        (Format::Json, Some(_)) => views.iter().try_for_each(print_json)?,
        (Format::Json, None) => print_json(&views)?,
        (Format::Text, None) if labs.is_empty() => print("there are no labs")?,
        (Format::Text, _) => printed?,
    }
    Ok(if has_failed { REFUSED } else { DONE })
}

/// The lab that an argument means, and what its file describes if it is one. To remove what is not there is no mistake.
fn meant(text: &Path) -> Result<(LabName, Option<Lab>), Failure> {
    match LabArg::of(text) {
        Ok(LabArg::Named(lab)) => Ok((lab, None)),
        Ok(LabArg::File(file)) => {
            let lab = topology::load(&file)?.lab;
            Ok((lab.name.clone(), Some(lab)))
        }
        Err(Failure::UnknownLab(unknown)) => {
            let lab = named(&text.to_string_lossy())?;
            if unknown.has_suggestion() {
                say(&format!("note: {unknown}"));
            }
            Ok((lab, None))
        }
        Err(other) => Err(other),
    }
}

fn named(text: &str) -> Result<LabName, Failure> {
    text.parse().map_err(|error| Failure::Usage(format!("not a name for a lab: `{}` {error}", text.escape_debug())))
}
