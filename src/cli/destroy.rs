//! `nslab destroy`

use std::path::Path;

use super::apply::tell;
use super::{DONE, Failure, Format, print, print_json};
use crate::engine::EngineError;
use crate::kernel::Kernel;
use crate::lab::LabName;
use crate::{engine, show, topology};

/// Options of `nslab destroy`.
#[derive(Debug, clap::Args)]
pub struct DestroyArgs {
    /// The lab's name, or its topology file
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    lab: Option<String>,
    /// Remove every lab on this machine
    #[arg(long)]
    all: bool,
    /// Where another nslab works on the lab: say so instead of waiting
    #[arg(long)]
    no_wait: bool,
    /// Show every step with its command, however many there are
    #[arg(long, short)]
    verbose: bool,
    /// How to show what was done
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &DestroyArgs) -> Result<u8, Failure> {
    let labs = match &args.lab {
        Some(lab) => vec![named(lab)?],
        None => all()?,
    };
    let (mut views, mut failed) = (Vec::new(), Vec::new());
    // Whatever becomes of the output, every lab is removed.
    let mut printed = Ok(());
    for lab in &labs {
        let mut progress = show::Progress::new();
        let destroyed = engine::destroy(lab, !args.no_wait, &mut |event| tell(lab, &mut progress, &event));
        progress.end();
        let destroyed = match destroyed {
            Ok(destroyed) => destroyed,
            Err(error) if !args.all || matches!(error, EngineError::Interrupted { .. }) => return Err(error.into()),
            // The other labs are not to suffer from it.
            Err(error) => {
                failed.push(format!("lab {lab}: {error}"));
                continue;
            }
        };
        match args.format {
            Format::Json => views.push(show::AppliedView::new(lab, &destroyed.steps, destroyed.elapsed, None)),
            Format::Text if destroyed.steps.is_empty() => {
                printed = printed.and(print(&format!("{lab}: there is nothing of it to remove")));
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
    if failed.is_empty() { Ok(DONE) } else { Err(Failure::System(failed.join("\nnslab: "))) }
}

/// The lab of a name, or of the file of that name.
fn named(text: &str) -> Result<LabName, Failure> {
    let is_file = text.contains('/') || text.ends_with(".yaml") || text.ends_with(".yml");
    if is_file {
        return Ok(topology::load(Path::new(text))?.lab.name);
    }
    text.parse()
        .map_err(|error| Failure::Usage(format!("no lab can have this name: `{}` {error}", text.escape_debug())))
}

/// Every lab that has left a mark in the kernel or a folder of state.
fn all() -> Result<Vec<LabName>, Failure> {
    let mut labs: Vec<LabName> = Kernel::open()?.marks()?.into_keys().chain(engine::saved_labs()?).collect();
    labs.sort();
    labs.dedup();
    Ok(labs)
}
