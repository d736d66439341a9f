//! `nslab doctor`

use std::path::PathBuf;

use super::exit_code::{DONE, OUT_OF_SYNC};
use super::failure::Failure;
use super::output::{Format, colour, print, print_json};
use crate::{engine, show, topology};

/// Options of `nslab doctor`.
#[derive(Debug, clap::Args)]
pub struct DoctorArgs {
    /// The topology file to examine the machine for; `-` reads standard input; without it, labs in general
    file: Option<PathBuf>,
    /// How to show the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Examines the machine.
///
/// # Errors
/// The command could not do its work.
pub(super) fn run(args: &DoctorArgs) -> Result<u8, Failure> {
    let file = args.file.as_deref().map(topology::load).transpose()?;
    let lab = file.as_ref().map(|file| &file.lab);
    let examined = engine::examine(lab)?;
    let view = show::DoctorView::new(lab.map(|lab| &lab.name), &examined);
    match args.format {
        Format::Json => print_json(&view)?,
        Format::Text => print(&show::doctor(&examined, colour()))?,
    }
    Ok(if view.is_fine() { DONE } else { OUT_OF_SYNC })
}
