//! `nslab validate`

use std::path::PathBuf;

use super::{DONE, Failure, Format, WRONG_INPUT, print, print_json};
use crate::show::ValidView;
use crate::topology::{self, LoadError};

/// Options of `nslab validate`.
#[derive(Debug, clap::Args)]
pub struct ValidateArgs {
    /// Topology files; `-` reads standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How to show the faults
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(args: &ValidateArgs) -> Result<u8, Failure> {
    let mut views = Vec::new();
    for path in &args.files {
        let file = path.display().to_string();
        match topology::load(path) {
            Ok(topology) => {
                if args.format == Format::Text {
                    print(&format!("{file}: lab {} has no faults", topology.lab.name))?;
                }
                views.push(ValidView::valid(file));
            }
            Err(error) => {
                views.push(ValidView::faulty(file, &error));
                if args.format == Format::Text {
                    Failure::from(error).print();
                } else if let LoadError::Read { .. } = error {
                    Failure::from(error).print();
                }
            }
        }
    }
    if args.format == Format::Json {
        print_json(&views)?;
    }
    Ok(if views.iter().all(ValidView::is_valid) { DONE } else { WRONG_INPUT })
}
