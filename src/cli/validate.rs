//! `nslab validate`

use std::path::PathBuf;

use super::exit_code::{DONE, WRONG_INPUT};
use super::failure::Failure;
use super::output::{Format, print, print_json, report, warn};
use crate::show::ValidView;
use crate::topology::{self, LoadError};

/// Options of `nslab validate`.
#[derive(Debug, clap::Args)]
pub struct ValidateArgs {
    /// Topology files; `-` reads standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How to show the mistakes
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Checks files for mistakes.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &ValidateArgs) -> Result<u8, Failure> {
    let mut views = Vec::new();
    for path in &args.files {
        let file = path.display().to_string();
        match topology::load(path) {
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
