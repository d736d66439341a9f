//! `nslab validate`

use std::path::PathBuf;

use super::exit_code::{DONE, WRONG_INPUT};
use super::failure::Failure;
use super::output::{Format, print, print_json, report, warn};
use crate::show::ValidView;
use crate::topology::{self, Code, LoadError, Topology};
use crate::trace;

/// Options of `nslab validate`.
#[derive(Debug, clap::Args)]
pub struct ValidateArgs {
    /// Topology files; `-` reads standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Take warnings for mistakes
    #[arg(long)]
    strict: bool,
    /// How to show the mistakes
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The same topology with a warning for each check that cannot pass.
///
/// # Errors
/// Warnings are mistakes, and there is one.
fn doubted(mut topology: Topology, is_strict: bool) -> Result<Topology, LoadError> {
    for doubt in trace::doubts(&topology.lab) {
        let line = usize::try_from(doubt.line).unwrap_or(usize::MAX);
        topology.warnings.warn(line, Code::CheckCannotPass, &doubt.what, doubt.to_do);
    }
    if is_strict && !topology.warnings.is_empty() {
        return Err(LoadError::Invalid(topology.warnings.strict()));
    }
    Ok(topology)
}

/// Checks files for mistakes.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &ValidateArgs) -> Result<u8, Failure> {
    let mut views = Vec::new();
    for path in &args.files {
        let file = path.display().to_string();
        match topology::load(path).and_then(|topology| doubted(topology, args.strict)) {
            Ok(topology) => {
                if args.format == Format::Text {
                    warn(&topology.warnings);
                    print(&format!("{file}: lab {} is valid", topology.lab.name))?;
                }
                views.push(ValidView::valid(file, &topology.warnings));
            }
            Err(error) => {
                views.push(ValidView::faulty(file, &error));
                if args.format == Format::Text {
                    report(&Failure::from(error));
                } else if let LoadError::Read { .. } = error {
                    report(&Failure::from(error));
                }
            }
        }
    }
    if args.format == Format::Json {
        print_json(&views)?;
    }
    Ok(if views.iter().all(ValidView::is_valid) { DONE } else { WRONG_INPUT })
}
